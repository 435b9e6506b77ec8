//! Connections that scripts' helpers open to us.

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Gives one stream for each connection to the host's end.
pub enum Tunnel {
    Ssh(mpsc::Receiver<Box<dyn Stream>>),
    Local(UnixListener),
    LocalPort(TcpListener),
}

/// Where connections of helpers come in on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entrance {
    /// A Unix socket of this path.
    Socket(String),
    /// A port of 127.0.0.1; 0 before the host has chosen one.
    Port(u16),
}

impl Tunnel {
    /// The next connection; `None` when there can be no more. Safe to drop and call again.
    pub async fn accept(&mut self) -> Option<Box<dyn Stream>> {
        match self {
            Self::Ssh(streams) => streams.recv().await,
            Self::Local(listener) => Some(Box::new(listener.accept().await.ok()?.0)),
            Self::LocalPort(listener) => {
                let (stream, _) = listener.accept().await.ok()?;
                stream.set_nodelay(true).ok()?;
                Some(Box::new(stream))
            }
        }
    }
}
