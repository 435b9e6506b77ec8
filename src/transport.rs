//! Ways to a host: `ssh` (the only place that names russh) and `local`, with the runner stub at
//! the other end of both.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cronium_wire::message::Hello;
use tokio::time::{Instant, sleep_until};

use crate::inventory::{Address, Target};

pub mod bootstrap;
mod fault;
mod flight;
mod greet;
mod inbox;
pub mod link;
pub mod local;
mod mute;
pub mod probe;
pub mod ssh;
pub mod tunnel;

pub use fault::{Fault, Phase};
pub use flight::Flight;
pub use link::Link;
pub use tunnel::{Entrance, Tunnel};

/// The longest time without progress on the way from an open connection to the stub's first frame:
/// a step, or a piece of the stub that the host has taken.
const PROGRESS_WITHIN: Duration = Duration::from_secs(120);

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
    /// The host has taken another piece of the runner.
    Uploading,
    /// The job is on its way: from here on nobody but the stub knows whether it runs.
    Delivered,
}

impl Transport {
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
        let (link, hello) = connection.begin(first, step).await?;
        Ok((connection, link, hello))
    }
}

/// A way to one host that is open.
pub enum Connection {
    Local(local::Local),
    Ssh(Box<ssh::Connection>),
}

impl Connection {
    async fn begin(&self, first: &Flight, step: impl Fn(Step)) -> Result<(Link, Hello), Fault> {
        let last = Mutex::new((Step::Bootstrapping, Instant::now()));
        let step = |next| {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = (next, Instant::now());
            step(next);
        };
        step(Step::Bootstrapping);
        let started = async {
            match self {
                Self::Local(local) => {
                    step(Step::Delivered);
                    local.start(first).await
                }
                Self::Ssh(ssh) => bootstrap::start(ssh, first, &step).await,
            }
        };
        let mut started = pin!(started);
        loop {
            let (step, since) = *last.lock().unwrap_or_else(PoisonError::into_inner);
            tokio::select! {
                biased;
                done = &mut started => return done,
                () = sleep_until(since + PROGRESS_WITHIN), if since.elapsed() < PROGRESS_WITHIN => {}
                overdue = self.overdue(step), if since.elapsed() >= PROGRESS_WITHIN => return Err(overdue),
            }
        }
    }

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

    /// Why the runner is given up after `step`. It greets before it reads its job, and SSH keeps the
    /// order: a host that answers now and has not greeted has not started it, and it will find
    /// nobody to greet. Of one that does not answer nobody knows.
    async fn overdue(&self, step: Step) -> Fault {
        let is_open = match self {
            Self::Local(_) => false,
            Self::Ssh(ssh) => step != Step::Delivered || ssh.answers().await,
        };
        let phase = if is_open { Phase::Upload } else { Phase::Lost };
        let message = format!("the runner did not start within {} s", PROGRESS_WITHIN.as_secs());
        Fault::new(phase, "timeout", message).hint("uptime; df -h  on the host, or fewer --forks")
    }

    /// Says goodbye and waits no longer than a moment for it to leave.
    pub async fn close(&self) {
        if let Self::Ssh(ssh) = self {
            ssh.close().await;
        }
    }
}
