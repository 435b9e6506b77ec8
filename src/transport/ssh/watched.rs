//! Remembers how a conversation began, so that one that fails early can be told apart.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::heard::Heard;

const KEPT: usize = 256;

/// The first bytes the other end sent.
#[derive(Clone, Default)]
pub struct Opening(Arc<Mutex<Vec<u8>>>);

impl Opening {
    /// Whether an SSH server's identification has come: the rest of its line may be missing yet.
    pub fn is_ssh(&self) -> bool {
        let bytes = self.bytes();
        bytes
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"))
    }

    /// The lines before an identification, or what came instead of one, for people.
    pub fn text(&self) -> String {
        let bytes = self.bytes();
        let text = String::from_utf8_lossy(&bytes);
        text.lines()
            .next()
            .unwrap_or_default()
            .trim()
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect()
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// A stream whose first bytes are remembered, and when its last ones came.
pub struct Watched<S> {
    stream: S,
    heard: Heard,
    opening: Opening,
    kept: usize,
}

impl<S> Watched<S> {
    pub fn new(stream: S, heard: Heard) -> (Self, Opening) {
        let opening = Opening::default();
        (Self { stream, heard, opening: opening.clone(), kept: 0 }, opening)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.heard.again();
        }
        if self.kept < KEPT {
            let new = &buffer.filled()[before..];
            self.opening.push(new);
            self.kept += new.len();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
