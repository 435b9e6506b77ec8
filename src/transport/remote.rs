//! A host behind SSH.

use super::link::Carrier;
use super::{Entrance, Fault, Tunnel, keeper, ssh};
use crate::inventory::Ssh;

/// A connection to a host: our own, or one that a keeper lends.
pub enum Remote {
    Own(Box<ssh::Connection>),
    Kept(Box<keeper::Kept>),
}

impl Remote {
    /// Starts `command`, on a terminal where one is wanted. It is not waited for.
    pub async fn exec(&self, command: &str, terminal: bool) -> Result<Carrier, Fault> {
        match self {
            Self::Own(connection) => connection.exec(command, terminal).await.map(Carrier::Ssh),
            Self::Kept(kept) => kept.exec(command, terminal, false).await.map(Carrier::Kept),
        }
    }

    /// Where it leads.
    pub fn address(&self) -> &Ssh {
        match self {
            Self::Own(connection) => connection.address(),
            Self::Kept(kept) => kept.address(),
        }
    }

    pub async fn open_tunnel(&self, at: Entrance) -> Result<(Tunnel, Option<u16>), Fault> {
        match self {
            Self::Own(connection) => connection.open_tunnel(at).await,
            Self::Kept(kept) => kept.open_tunnel(at).await,
        }
    }
}
