//! A channel through a jump host, as a stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use super::handshake::WINDOW;

/// What may wait to be read. The SSH connection inside the channel allows its host one window for
/// each of its channels, and a host has no use for so many.
const MOST: usize = 16 * WINDOW as usize;
/// The same in pieces, where they have the size of a TCP segment.
const MOST_PIECES: usize = 1 << 14;

/// Reading never holds up the connection that the channel is part of: all that other hosts say
/// comes over it too, and so does the leave to write that the reader itself may wait for. A host
/// that sends more than it was allowed to is cut off.
pub struct Relay<G> {
    inbound: mpsc::Receiver<Bytes>,
    current: Bytes,
    waiting: Arc<AtomicUsize>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    /// Taken only when this is dropped.
    write: Option<ChannelWriteHalf<Msg>>,
    _guard: G,
}

impl<G> Relay<G> {
    /// `guard` is dropped with the stream.
    pub fn new(channel: Channel<Msg>, guard: G) -> Self {
        let (read, write) = channel.split();
        let (sender, inbound) = mpsc::channel(MOST_PIECES);
        let waiting = Arc::<AtomicUsize>::default();
        tokio::spawn(drain(read, sender, Arc::clone(&waiting)));
        let writer = Box::pin(write.make_writer());
        Self { inbound, current: Bytes::new(), waiting, writer, write: Some(write), _guard: guard }
    }
}

/// Ends with the channel, or when nobody reads any more.
async fn drain(mut read: ChannelReadHalf, sender: mpsc::Sender<Bytes>, waiting: Arc<AtomicUsize>) {
    loop {
        let message = tokio::select! {
            biased;
            () = sender.closed() => return,
            message = read.wait() => message,
        };
        match message {
            Some(ChannelMsg::Data { data }) => {
                let is_too_much = waiting.fetch_add(data.len(), Ordering::Relaxed) > MOST;
                if is_too_much || sender.try_send(data).is_err() {
                    tracing::warn!("a host behind a jump host sends more than it may");
                    return;
                }
            }
            Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return,
            Some(_) => {}
        }
    }
}

impl<G: Unpin> AsyncRead for Relay<G> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.current.is_empty() {
            match ready!(self.inbound.poll_recv(context)) {
                Some(data) => self.current = data,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.current.len().min(buffer.remaining());
        buffer.put_slice(&self.current[..count]);
        self.current.advance(count);
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<G: Unpin> AsyncWrite for Relay<G> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_shutdown(context)
    }
}

impl<G> Drop for Relay<G> {
    fn drop(&mut self) {
        // Dropping a channel tells the other end nothing, so it is closed by a task of its own.
        if let (Some(write), Ok(runtime)) = (self.write.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { write.close().await });
        }
    }
}
