//! From a channel into a pipe or socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use russh::{ChannelMsg, ChannelReadHalf};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::backlog::Backlog;

/// How long a receiver may take for what came before its channel was closed.
const REST_WITHIN: Duration = Duration::from_secs(10);

/// How a channel's input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client sent all it has, and all of it is delivered.
    Eof,
    /// The receiver takes no more.
    Broken,
    /// The client closed the channel, or the connection is gone.
    Closed,
}

/// Delivers what the client sends to `sink`, and closes `sink` behind the last byte.
///
/// A receiver that is slow never holds up the channel: a channel that is not read stops its whole
/// connection, and with it the window adjustments that the receiver's own output may wait for.
pub async fn pour(read: &mut ChannelReadHalf, mut sink: impl AsyncWrite + Unpin, folder: &Path) -> End {
    let mut backlog = Backlog::new(folder);
    let (mut piece, mut written, mut eof) = (Vec::new(), 0, false);
    loop {
        if written == piece.len() {
            written = 0;
            piece = match backlog.pop() {
                Ok(Some(next)) => next,
                Ok(None) if eof => {
                    let _ = sink.shutdown().await;
                    return End::Eof;
                }
                Ok(None) => Vec::new(),
                Err(_) => return End::Broken,
            };
        }
        tokio::select! {
            count = sink.write(&piece[written..]), if !piece.is_empty() => match count {
                Ok(count) if count > 0 => written += count,
                _ => return End::Broken,
            },
            message = read.wait(), if eof || !backlog.is_full() => match message {
                Some(ChannelMsg::Data { data }) => {
                    if backlog.push(data.into()).is_err() {
                        return End::Broken;
                    }
                }
                Some(ChannelMsg::Eof) => eof = true,
                Some(ChannelMsg::Close) => {
                    let rest = deliver(&piece[written..], &mut backlog, &mut sink);
                    let _ = timeout(REST_WITHIN, rest).await;
                    return End::Closed;
                }
                None => return End::Closed,
                Some(_) => {}
            },
        }
    }
}

async fn deliver(
    first: &[u8],
    backlog: &mut Backlog,
    sink: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    sink.write_all(first).await?;
    while let Some(piece) = backlog.pop()? {
        sink.write_all(&piece).await?;
    }
    sink.shutdown().await
}

/// Throws away what the client sends until it closes the channel or the connection is gone.
pub async fn closed(read: &mut ChannelReadHalf) {
    while !matches!(read.wait().await, Some(ChannelMsg::Close) | None) {}
}
