//! A host behind SSH.

use bytes::Bytes;

use super::link::Carrier;
use super::{Entrance, Fault, Tunnel, keeper, ssh};

/// A connection to a host: our own, or one that a keeper lends.
pub enum Remote {
    Own(Box<ssh::Connection>),
    Kept(keeper::Kept),
}

impl Remote {
    /// Whether programs may be started here for jobs to come.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    /// Starts `command` and sends it `input` at once. Whether all input was sent.
    pub async fn exec(
        &self,
        command: &str,
        input: impl IntoIterator<Item = Bytes>,
    ) -> Result<(Carrier, bool), Fault> {
        match self {
            Self::Own(connection) => {
                connection.exec(command, input).await.map(|(exec, sent)| (Carrier::Ssh(exec), sent))
            }
            Self::Kept(kept) => {
                kept.exec(command, input, false).await.map(|(exec, sent)| (Carrier::Kept(exec), sent))
            }
        }
    }

    /// As [`exec`](Self::exec), for a command that the next job starts with as well.
    pub async fn exec_again(
        &self,
        command: &str,
        input: impl IntoIterator<Item = Bytes>,
    ) -> Result<(Carrier, bool), Fault> {
        match self {
            Self::Own(_) => self.exec(command, input).await,
            Self::Kept(kept) => {
                kept.exec(command, input, true).await.map(|(exec, sent)| (Carrier::Kept(exec), sent))
            }
        }
    }

    pub async fn open_tunnel(&self, at: Entrance) -> Result<(Tunnel, Option<u16>), Fault> {
        match self {
            Self::Own(connection) => connection.open_tunnel(at).await,
            Self::Kept(kept) => kept.open_tunnel(at).await,
        }
    }
}
