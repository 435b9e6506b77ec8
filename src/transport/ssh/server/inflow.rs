//! From a channel into a pipe or socket.

use std::path::Path;

use russh::{ChannelMsg, ChannelReadHalf};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::backlog::Backlog;

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
                Some(ChannelMsg::Close) | None => return End::Closed,
                Some(_) => {}
            },
        }
    }
}

/// Throws away what the client sends until it closes the channel or the connection is gone.
pub async fn closed(read: &mut ChannelReadHalf) {
    while !matches!(read.wait().await, Some(ChannelMsg::Close) | None) {}
}
