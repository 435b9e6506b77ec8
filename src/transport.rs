//! Ways to a host: `ssh` (the only place that names russh) and `local`, with the runner stub at
//! the other end of both.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cronium_wire::message::Hello;

use crate::inventory::{Address, Target};

pub mod bootstrap;
mod fault;
mod flight;
mod greet;
mod inbox;
pub mod link;
pub mod local;
pub mod ssh;
pub mod tunnel;

pub use fault::{Fault, Phase};
pub use flight::Flight;
pub use link::Link;
pub use ssh::UnknownKey;
pub use tunnel::{Entrance, Tunnel};

/// From an open connection to the stub's first frame: a slow link has to carry the stub.
const BOOTSTRAP_WITHIN: Duration = Duration::from_secs(120);

/// Connects to targets. One for a run: what hosts share (agent, keys, known hosts) is read once.
#[derive(Default)]
pub struct Transport {
    ssh: ssh::Connector,
}

/// Steps of connecting that a person wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Connecting,
    Authenticating,
    Bootstrapping,
    /// The job is on its way: from here on nobody but the stub knows whether it runs.
    Delivered,
}

impl Transport {
    /// Remembers in a file which key each host took, from run to run.
    pub fn remembering(file: PathBuf) -> Self {
        Self { ssh: ssh::Connector::remembering(file) }
    }

    /// At the end of a run: writes down what later runs shall know.
    pub fn save(&self) {
        self.ssh.save();
    }

    /// Trusts host keys from now on, and records them for later runs.
    pub async fn accept(&self, keys: &[UnknownKey]) -> Result<(), Fault> {
        self.ssh.accept(keys).await
    }

    /// Reaches `target`, starts the stub there and sends it `first`.
    ///
    /// Every phase has its own deadline. `step` is called as each begins.
    pub async fn start(
        &self,
        target: &Target,
        first: &Flight,
        step: impl Fn(Step),
    ) -> Result<(Connection, Link, Hello), Fault> {
        let connection = match &target.address {
            Address::Local => Connection::Local(local::Local),
            Address::Ssh(address) => Connection::Ssh(Box::new(self.ssh.connect(address, &step).await?)),
        };
        let delivered = AtomicBool::new(false);
        let step = |next| {
            delivered.store(next == Step::Delivered, Ordering::Relaxed);
            step(next);
        };
        step(Step::Bootstrapping);
        let started = async {
            match &connection {
                Connection::Local(local) => {
                    step(Step::Delivered);
                    local.start(first).await
                }
                Connection::Ssh(ssh) => bootstrap::start(ssh, first, &step).await,
            }
        };
        let (link, hello) = tokio::time::timeout(BOOTSTRAP_WITHIN, started).await.unwrap_or_else(|_| {
            let message = format!("the runner did not start within {} s", BOOTSTRAP_WITHIN.as_secs());
            let phase = if delivered.load(Ordering::Relaxed) { Phase::Lost } else { Phase::Upload };
            Err(Fault::new(phase, "timeout", message))
        })?;
        Ok((connection, link, hello))
    }
}

/// A way to one host that is open.
pub enum Connection {
    Local(local::Local),
    Ssh(Box<ssh::Connection>),
}

impl Connection {
    /// Makes connections to a Unix socket on the host, or to a port of its loopback, come out of
    /// the returned tunnel. With a port, the number that the host has chosen.
    ///
    /// The answer comes over the same connection as the link's messages: whoever waits for it must
    /// go on reading those.
    pub async fn open_tunnel(&self, at: Entrance) -> Result<(Tunnel, Option<u16>), Fault> {
        match self {
            Self::Local(local) => Ok((local.open_tunnel(&at)?, None)),
            Self::Ssh(ssh) => ssh.open_tunnel(at).await,
        }
    }

    /// Says goodbye and waits no longer than a moment for it to leave.
    pub async fn close(&self) {
        if let Self::Ssh(ssh) = self {
            ssh.close().await;
        }
    }
}
