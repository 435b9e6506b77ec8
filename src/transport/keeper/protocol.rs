//! What commands and the keeper say to each other.
//!
//! One Unix connection for each thing that can wait by itself: a connection to a host that is
//! lent, a program that runs there, a helper that calls from there. So nothing waits for another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::inventory::Ssh;
use crate::transport::{Entrance, Fault, Step};

/// The first message of a command on a new stream.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Lend a connection to this host for as long as the stream is open, and keep it for so long
    /// afterwards. What is read from files (keys, known hosts) is read once for a `session`.
    Lend { address: Box<Ssh>, session: u64, keep: Duration },
    /// Run a command there, on a terminal where one is wanted: the stream is its stdin, stdout and
    /// stderr. `again`: have it started for whoever comes next, too.
    Exec { lease: u64, command: String, terminal: bool, again: bool },
    /// Be the stream of a helper that called ([`Word::Called`]); no more messages follow.
    Take { call: u64 },
    /// Tell how things stand ([`Standing`]).
    Status,
}

/// What a command asks of a connection that it was lent.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    Tunnel(Entrance),
    /// Whether the host answers within so long.
    Answers(Duration),
}

/// What the keeper answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// The request is heard; what it takes to answer it may take a while.
    Heard,
    Step(Step),
    Lent {
        lease: u64,
    },
    /// The program is started: what follows are its bytes.
    Started,
    /// Whether the host answers now.
    Answers(bool),
    /// No connection, no program, or no such tunnel.
    Failed(Fault),
    /// With a port, the number that the host has chosen.
    Tunnel {
        port: Option<u16>,
    },
    /// A helper has connected to the tunnel.
    Called {
        call: u64,
    },
    Standing(Standing),
}
