//! Ways to a host: `ssh` (the only place that names russh) and `local`, with the runner stub at
//! the other end of both.

use std::sync::Arc;
use std::time::Duration;

use cronium_wire::message::{Hello, ToStub};

use crate::inventory::{Address, Target};

pub mod bootstrap;
mod fault;
mod greet;
pub mod link;
pub mod local;
pub mod ssh;
pub mod tunnel;

pub use fault::{Fault, Phase};
pub use link::Link;
pub use tunnel::Tunnel;

/// From an open connection to the stub's first frame: a slow link has to carry the stub.
const BOOTSTRAP_WITHIN: Duration = Duration::from_secs(120);

/// Connects to targets. One for a run: what hosts share (agent, keys, known hosts) is read once.
#[derive(Clone)]
pub struct Transport {
    ssh: Arc<ssh::Connector>,
}

/// Steps of connecting that a person wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Connecting,
    Authenticating,
    Bootstrapping,
}

impl Transport {
    pub fn new() -> Self {
        Self { ssh: Arc::default() }
    }

    /// Reaches `target`, starts the stub there and sends it `first`.
    ///
    /// Every phase has its own deadline. `step` is called as each begins.
    pub async fn start(&self, target: &Target, first: &[ToStub], step: impl Fn(Step)) -> Result<Session, Fault> {
        let connection = match &target.address {
            Address::Local => Connection::Local(local::Local),
            Address::Ssh(address) => Connection::Ssh(Box::new(self.ssh.connect(address, &step).await?)),
        };
        step(Step::Bootstrapping);
        let started = async {
            match &connection {
                Connection::Local(local) => local.start(first).await,
                Connection::Ssh(ssh) => bootstrap::start(ssh, first).await,
            }
        };
        let (link, hello) = tokio::time::timeout(BOOTSTRAP_WITHIN, started).await.unwrap_or_else(|_| {
            Err(Fault::new(Phase::Upload, "timeout", format!("the runner did not start in {} s", BOOTSTRAP_WITHIN.as_secs())))
        })?;
        Ok(Session { connection, link, hello })
    }
}

impl Default for Transport {
    fn default() -> Self {
        Self::new()
    }
}

enum Connection {
    Local(local::Local),
    Ssh(Box<ssh::Connection>),
}

/// A host whose stub has said hello.
pub struct Session {
    connection: Connection,
    pub link: Link,
    pub hello: Hello,
}

impl Session {
    /// Makes connections to the Unix socket `path` on the host come out of the returned tunnel.
    pub async fn open_tunnel(&mut self, path: &str) -> Result<Tunnel, Fault> {
        match &mut self.connection {
            Connection::Local(local) => local.open_tunnel(path),
            Connection::Ssh(ssh) => ssh.open_tunnel(path).await,
        }
    }

    /// Says goodbye and waits no longer than a moment for it to leave.
    pub async fn close(self) {
        drop(self.link);
        if let Connection::Ssh(ssh) = self.connection {
            ssh.close().await;
        }
    }
}
