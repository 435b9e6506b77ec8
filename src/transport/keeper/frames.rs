//! Messages on a Unix stream, in the frames of the wire.

use std::io;

use cronium_wire::frame::{CHUNK, Decoder, Frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};

use zeroize::Zeroizing;

use crate::transport::inbox::Piece;

const JSON: u8 = 0;
/// Towards a program its stdin, from it its stdout.
const DATA: u8 = 1;
const STDERR: u8 = 2;
/// The exit code as JSON, or `null`.
const ENDED: u8 = 3;
const LOST: u8 = 4;

/// Both halves of a stream.
pub fn halves(stream: UnixStream) -> (Incoming, Outgoing) {
    let (read, write) = stream.into_split();
    (Incoming { stream: read, decoder: Decoder::default() }, Outgoing { stream: write, next: 0 })
}

pub struct Incoming {
    stream: OwnedReadHalf,
    decoder: Decoder,
}

impl Incoming {
    /// The next message; `None` at the end of the stream. Safe to drop and call again.
    pub async fn message<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        match self.frame().await? {
            Some(Frame { kind: JSON, body, .. }) => {
                // A password may be in it.
                let body = Zeroizing::new(body);
                self.decoder.wipe();
                Ok(Some(serde_json::from_slice(&body)?))
            }
            Some(_) => Err(foreign()),
            None => Ok(None),
        }
    }

    /// The next bytes for a program; `None` at the end of the stream. Safe to drop and call again.
    pub async fn data(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.frame().await? {
            Some(Frame { kind: DATA, body, .. }) => Ok(Some(body)),
            Some(_) => Err(foreign()),
            None => Ok(None),
        }
    }

    /// What came from a program. Safe to drop and call again.
    pub async fn piece(&mut self) -> Piece {
        let Ok(Some(Frame { kind, body, .. })) = self.frame().await else { return Piece::Lost };
        match kind {
            DATA => Piece::Stdout(body.into()),
            STDERR => Piece::Stderr(body.into()),
            ENDED => serde_json::from_slice(&body).map_or(Piece::Lost, Piece::Ended),
            _ => Piece::Lost,
        }
    }

    async fn frame(&mut self) -> io::Result<Option<Frame>> {
        let mut buffer = Zeroizing::new([0; 16 << 10]);
        loop {
            if let Some(frame) = self.decoder.next().map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            match self.stream.read(&mut buffer[..]).await? {
                0 => return Ok(None),
                count => self.decoder.push(&buffer[..count]),
            }
        }
    }

    /// The stream again, once both ends know that no message follows.
    pub fn whole(self, other: Outgoing) -> Result<UnixStream, ReuniteError> {
        self.stream.reunite(other.stream)
    }
}

pub struct Outgoing {
    stream: OwnedWriteHalf,
    next: u64,
}

impl Outgoing {
    pub async fn message(&mut self, message: &impl Serialize) -> io::Result<()> {
        self.frame(JSON, &Zeroizing::new(serde_json::to_vec(message)?)).await
    }

    pub async fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(CHUNK) {
            self.frame(DATA, piece).await?;
        }
        Ok(())
    }

    pub async fn piece(&mut self, piece: &Piece) -> io::Result<()> {
        match piece {
            Piece::Stdout(bytes) => self.data(bytes).await,
            Piece::Stderr(bytes) => {
                for piece in bytes.chunks(CHUNK) {
                    self.frame(STDERR, piece).await?;
                }
                Ok(())
            }
            Piece::Ended(code) => self.frame(ENDED, &serde_json::to_vec(code)?).await,
            Piece::Lost => self.frame(LOST, &[]).await,
        }
    }

    async fn frame(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        // Of its final size: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(body.len() + 16));
        Frame::write(kind, self.next, body, &mut bytes);
        self.next += 1;
        self.stream.write_all(&bytes).await
    }
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the other end speaks another language")
}
