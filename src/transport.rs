//! Ways to a host: `ssh` (the only place that names russh) and `local`, with the runner stub at
//! the other end of both.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cronium_wire::message::Hello;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use crate::inventory::{Address, Privilege, Ssh, Target};

pub mod bootstrap;
mod fault;
mod flight;
mod greet;
mod inbox;
pub mod keeper;
pub mod link;
pub mod local;
mod mute;
mod privilege;
pub mod probe;
mod remote;
pub mod ssh;
pub mod tunnel;

use keeper::Keeper;
use privilege::Escalation;

pub use fault::{Fault, Phase};
pub use flight::Flight;
use link::Carrier;
pub use link::Link;
pub use remote::Remote;
pub use ssh::UnknownKey;
pub use tunnel::{Entrance, Tunnel};

/// The longest time without progress on the way from an open connection to the stub's first frame:
/// a step, or a piece of the stub that the host has taken.
const PROGRESS_WITHIN: Duration = Duration::from_secs(120);

/// How long a host that is there may take to say so.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Connects to targets. One for a run: what hosts share (agent, keys, known hosts) is read once.
#[derive(Default)]
pub struct Transport {
    ssh: ssh::Connector,
    keeper: Option<Keeper>,
}

/// Steps of connecting that a person wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Remembers in a file which key each host took, from run to run.
    pub fn remembering(file: PathBuf) -> Self {
        Self { ssh: ssh::Connector::remembering(file), keeper: None }
    }

    /// With connections that a keeper makes and keeps, where there is one.
    pub fn kept_by(self, keeper: Option<Keeper>) -> Self {
        Self { keeper, ..self }
    }

    /// At the end of a run: writes down what later runs shall know.
    pub fn save(&self) {
        self.ssh.save();
    }

    /// Trusts host keys from now on, and records them for later runs. What became of each, in their
    /// order.
    pub async fn accept(&self, keys: &[UnknownKey]) -> Vec<Result<(), Fault>> {
        let accepted = self.ssh.accept(keys).await;
        if let Some(keeper) = &self.keeper {
            keeper.read_anew();
        }
        accepted
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
            Address::Ssh(address) => Connection::Ssh(self.reach(address, &step).await?),
        };
        connection.with_stub(target, first, step).await
    }

    /// As [`start`](Self::start), over a connection of its own: a kept one may have died unnoticed.
    pub async fn start_anew(
        &self,
        target: &Target,
        first: &Flight,
        step: impl Fn(Step),
    ) -> Result<(Connection, Link, Hello), Fault> {
        let connection = match &target.address {
            Address::Local => Connection::Local(local::Local),
            Address::Ssh(address) => Connection::Ssh(self.own(address, &step).await?),
        };
        connection.with_stub(target, first, step).await
    }

    async fn own(&self, address: &Ssh, step: &impl Fn(Step)) -> Result<Remote, Fault> {
        Ok(Remote::Own(Box::new(self.ssh.connect(address, step).await?)))
    }

    async fn reach(&self, address: &Ssh, step: &impl Fn(Step)) -> Result<Remote, Fault> {
        match &self.keeper {
            // A program belongs to the folder and the environment of the command that runs it.
            Some(keeper) if !address.needs_program() => match keeper.lend(address, step).await {
                Err(fault) if fault.phase == Phase::Tcp && fault.kind == keeper::GONE => {
                    tracing::warn!(%address, ?fault, "no keeper: a connection of our own");
                    self.own(address, step).await
                }
                lent => Ok(Remote::Kept(Box::new(lent?))),
            },
            _ => self.own(address, step).await,
        }
    }
}

/// Without progress for [`PROGRESS_WITHIN`], at a host that is there or may have started the job.
fn given_up(is_open: bool, is_answered: bool) -> Fault {
    let (phase, why) = match (is_open, is_answered) {
        (true, false) => (Phase::Upload, ""),
        (true, true) => {
            (Phase::Become, "the password was sent, and is not sent a second time, as it may have been wrong")
        }
        (false, _) => (Phase::Lost, ""),
    };
    let message = format!("the runner did not start within {} s", PROGRESS_WITHIN.as_secs());
    Fault::new(phase, "timeout", message).cause(why).hint("uptime; df -h  on the host, or fewer --forks")
}

/// A way to one host that is open.
pub enum Connection {
    Local(local::Local),
    Ssh(Remote),
}

impl Connection {
    /// Starts a line of the user's shell; over SSH on a terminal, where one is wanted.
    async fn exec(&self, line: &str, terminal: bool) -> Result<Carrier, Fault> {
        match self {
            Self::Local(local) => local.exec(line).map(|process| Carrier::Local(Box::new(process))),
            Self::Ssh(remote) => remote.exec(line, terminal).await,
        }
    }

    /// Whether programs may be started here for jobs to come.
    fn is_kept(&self) -> bool {
        matches!(self, Self::Ssh(Remote::Kept(_)))
    }

    /// As [`exec`](Self::exec), for a line that the next job starts with as well.
    async fn exec_again(&self, line: &str) -> Result<Carrier, Fault> {
        match self {
            Self::Ssh(Remote::Kept(kept)) => kept.exec(line, false, true).await.map(Carrier::Kept),
            _ => self.exec(line, false).await,
        }
    }

    /// Where it leads; `None` for this machine.
    fn address(&self) -> Option<&Ssh> {
        match self {
            Self::Local(_) => None,
            Self::Ssh(remote) => Some(remote.address()),
        }
    }

    async fn with_stub(
        self,
        target: &Target,
        first: &Flight,
        step: impl Fn(Step),
    ) -> Result<(Self, Link, Hello), Fault> {
        let (link, hello) = self.begin(target.privilege.as_ref(), first, step).await?;
        Ok((self, link, hello))
    }

    async fn begin(
        &self,
        privilege: Option<&Privilege>,
        first: &Flight,
        step: impl Fn(Step),
    ) -> Result<(Link, Hello), Fault> {
        let last = Mutex::new((Step::Bootstrapping, Instant::now()));
        let step = |next| {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = (next, Instant::now());
            step(next);
        };
        step(Step::Bootstrapping);
        let escalation = privilege.map(Escalation::new);
        let escalation = escalation.as_ref();
        let started = async {
            match (self, escalation) {
                (Self::Local(local), None) => {
                    step(Step::Delivered);
                    local.start(first).await
                }
                _ => bootstrap::start(self, escalation, first, &step).await,
            }
        };
        let mut started = pin!(started);
        loop {
            let is_answered = || escalation.is_some_and(Escalation::is_answered);
            let (step, since) = *last.lock().unwrap_or_else(PoisonError::into_inner);
            tokio::select! {
                biased;
                done = &mut started => return done,
                () = sleep_until(since + PROGRESS_WITHIN), if since.elapsed() < PROGRESS_WITHIN => {}
                overdue = self.overdue(step, is_answered), if since.elapsed() >= PROGRESS_WITHIN => return Err(overdue),
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
            Self::Local(local) => local.open_tunnel(at).await,
            Self::Ssh(remote) => remote.open_tunnel(at).await,
        }
    }

    /// Why the runner is given up after `step`. It greets before it reads its job, and SSH keeps the
    /// order: a host that answers now and has not greeted has not started it, and it will find
    /// nobody to greet. Of one that does not answer nobody knows.
    /// Once the password of another user was sent, the host is not asked again.
    async fn overdue(&self, step: Step, is_answered: impl Fn() -> bool) -> Fault {
        let is_open = match self {
            Self::Local(_) => false,
            Self::Ssh(_) if step != Step::Delivered => true,
            Self::Ssh(Remote::Own(ssh)) => ssh.answers(ANSWER_WITHIN).await,
            Self::Ssh(Remote::Kept(kept)) => kept.answers(ANSWER_WITHIN).await,
        };
        given_up(is_open, is_answered())
    }

    /// Says goodbye and waits no longer than a moment for it to leave.
    pub async fn close(&self) {
        if let Self::Ssh(Remote::Own(ssh)) = self {
            ssh.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_was_sent_a_password_is_not_tried_again() {
        for (is_open, is_answered, phase) in [
            (true, false, Phase::Upload),
            (true, true, Phase::Become),
            (false, false, Phase::Lost),
            (false, true, Phase::Lost),
        ] {
            let fault = given_up(is_open, is_answered);
            assert_eq!((fault.phase, fault.kind.as_ref()), (phase, "timeout"), "{is_open} {is_answered}");
            assert!(fault.hint.is_some() && fault.causes.is_empty() == (phase != Phase::Become));
        }
    }
}
