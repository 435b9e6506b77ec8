//! Jump hosts: one connection for all targets behind one, more only where it has no room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use russh::ChannelOpenFailure;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout, timeout_at};

use super::connector::{Connection, Connector, Hop};
use super::handshake::seconds;
use super::relay::Relay;
use super::unknown_key::UnknownKey;
use crate::inventory::Ssh;
use crate::transport::{Fault, Phase};

/// Connections to one jump host.
const MOST_LINES: usize = 4;

/// After a failure, and doubled with each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// For a jump host that was reached before to show that it is still there.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The kind of a fault that is not the host's own.
const KIND: &str = "bastion";

/// The jump hosts of a run.
#[derive(Default)]
pub struct Bastions(std::sync::Mutex<HashMap<Arc<Ssh>, Arc<Bastion>>>);

impl Bastions {
    pub fn at(&self, address: &Arc<Ssh>) -> Arc<Bastion> {
        let mut bastions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bastion) = bastions.get(address) {
            return Arc::clone(bastion);
        }
        let address = Arc::new(address.without_secrets());
        let bastion = Arc::new(Bastion::new(Arc::clone(&address)));
        bastions.insert(address, Arc::clone(&bastion));
        bastion
    }

    /// Closes connections without channels.
    pub fn leave(&self) {
        let bastions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for bastion in bastions.values() {
            // One that is in use just now is left for another time.
            let Ok(mut state) = bastion.state.try_lock() else { continue };
            for line in state.lines.extract_if(.., |line| line.channels.load(Ordering::Relaxed) == 0) {
                tokio::spawn(async move { line.connection.close().await });
            }
        }
    }

    /// Forgets failures: what they were about is set right.
    pub fn forgive(&self) {
        let bastions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for bastion in bastions.values() {
            // One that is being connected to just now finds out anew.
            if let Ok(mut state) = bastion.state.try_lock() {
                state.failed = None;
            }
        }
    }
}

/// One jump host.
pub struct Bastion {
    address: Arc<Ssh>,
    /// Locked while a connection is made, so that all who need one wait for the same.
    state: Mutex<State>,
    freed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    lines: Vec<Arc<Line>>,
    failed: Option<Failed>,
}

/// The last try to connect.
struct Failed {
    at: Instant,
    pause: Duration,
    fault: Fault,
}

/// One connection.
struct Line {
    connection: Connection,
    channels: AtomicUsize,
    /// It refused a channel, and none was closed since.
    full: AtomicBool,
}

/// A place on a line, free again once dropped.
pub struct Place {
    line: Arc<Line>,
    freed: Arc<Notify>,
    is_taken: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.channels.fetch_sub(1, Ordering::Relaxed);
        if self.is_taken {
            self.line.full.store(false, Ordering::Relaxed);
            self.freed.notify_one();
        }
    }
}

impl Bastion {
    fn new(address: Arc<Ssh>) -> Self {
        Self { address, state: Mutex::default(), freed: Arc::default() }
    }

    /// A stream to `target` through this host, which is connected to as `jump` says.
    pub async fn open(
        &self,
        connector: &Connector,
        jump: &Ssh,
        target: &Ssh,
    ) -> Result<(Relay<Place>, Vec<Hop>), Fault> {
        let within = target.connect_timeout;
        let until = Instant::now() + within;
        let mut is_second = false;
        loop {
            let Some(line) = self.line(connector, jump).await? else {
                match timeout_at(until, self.freed.notified()).await {
                    Ok(()) => continue,
                    Err(_) => return Err(self.no_room(&format!("none came free within {}", seconds(within)))),
                }
            };
            let opening = tokio::spawn(open(
                Arc::clone(&line),
                Arc::clone(&self.freed),
                target.host.clone(),
                target.port,
            ));
            // A task: what is opened after we gave up is closed again.
            let Ok(opened) = timeout(within, opening).await else {
                // It may be this host that is gone, and not the one behind it.
                if !is_second && !line.connection.answers(ANSWER_WITHIN).await {
                    is_second = true;
                    self.forget(&line).await;
                    continue;
                }
                let message = format!(
                    "the jump host {} did not reach {}:{} within {}",
                    self.address,
                    target.host,
                    target.port,
                    seconds(within)
                );
                return Err(Fault::new(Phase::Tcp, "timeout", message).hint("--connect-timeout 60s"));
            };
            let error = match opened {
                Ok(Ok(relay)) => return Ok((relay, line.connection.hops_through())),
                Ok(Err(error)) => error,
                Err(_) => russh::Error::Disconnect,
            };
            match error {
                russh::Error::ChannelOpenFailure(ChannelOpenFailure::ResourceShortage) => {
                    if line.channels.load(Ordering::Relaxed) == 0 {
                        return Err(self.no_room("it refuses the first"));
                    }
                    line.full.store(true, Ordering::Relaxed);
                }
                russh::Error::ChannelOpenFailure(reason) => return Err(self.refused(reason, target)),
                // The connection broke: others may have noticed before, so it is made anew once.
                _ if is_second => {
                    let message = format!("the jump host {} closed the connection", self.address);
                    let fault = Fault::new(Phase::Tcp, KIND, message).because(&error);
                    return Err(fault.hint(format!("{} true", self.address.to_type())));
                }
                _ => {
                    is_second = true;
                    self.forget(&line).await;
                }
            }
        }
    }

    /// A connection that is of no more use.
    async fn forget(&self, line: &Arc<Line>) {
        self.state.lock().await.lines.retain(|open| !Arc::ptr_eq(open, line));
    }

    /// The connection with the most room; `None` where all are full and there shall be no more.
    async fn line(&self, connector: &Connector, jump: &Ssh) -> Result<Option<Arc<Line>>, Fault> {
        let mut state = self.state.lock().await;
        let is_good = |line: &Line| !line.connection.is_closed() && connector.trusts(&line.connection);
        state.lines.retain(|line| is_good(line));
        let with_room = state.lines.iter().filter(|line| !line.full.load(Ordering::Relaxed));
        if let Some(line) = with_room.min_by_key(|line| line.channels.load(Ordering::Relaxed)) {
            return Ok(Some(Arc::clone(line)));
        }
        if state.lines.len() >= MOST_LINES {
            return Ok(None);
        }
        let is_only = state.lines.is_empty();
        let pause = match &state.failed {
            Some(failed) if failed.at.elapsed() < failed.pause => {
                return if is_only { Err(failed.fault.clone()) } else { Ok(None) };
            }
            Some(failed) => (failed.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        match connector.connect_jump(jump).await {
            Ok(connection) => {
                let line = Arc::new(Line {
                    connection,
                    channels: AtomicUsize::new(0),
                    full: AtomicBool::new(false),
                });
                state.lines.push(Arc::clone(&line));
                state.failed = None;
                Ok(Some(line))
            }
            Err(fault) => {
                let fault = self.named(fault);
                state.failed = Some(Failed { at: Instant::now(), pause, fault: fault.clone() });
                if is_only { Err(fault) } else { Ok(None) }
            }
        }
    }

    /// The fault of this host, told of a target behind it.
    fn named(&self, fault: Fault) -> Fault {
        if fault.kind == KIND {
            return fault;
        }
        let phase = format!("{:?}", fault.phase).to_lowercase();
        let message = format!("the jump host {} failed in {phase}: {}", self.address, fault.message);
        let unknown =
            fault.unknown.map(|key| Box::new(UnknownKey { jump: Some(self.address.to_string()), ..*key }));
        Fault { kind: KIND.into(), message, unknown, ..fault }
    }

    fn refused(&self, reason: ChannelOpenFailure, target: &Ssh) -> Fault {
        let (bastion, Ssh { host, port, .. }) = (&self.address, target);
        let (jump, user) = (&bastion.host, &bastion.user);
        let to_type = format!("ssh -p {} {user}@{jump} nc -vz {host} {port}", bastion.port);
        match reason {
            ChannelOpenFailure::AdministrativelyProhibited => {
                let message = format!("the jump host {bastion} forwards nothing to {host}:{port}");
                Fault::new(Phase::Tcp, "forbidden", message)
                    .hint("AllowTcpForwarding yes, and PermitOpen, in its sshd_config")
            }
            ChannelOpenFailure::ConnectFailed => {
                let message = format!("the jump host {bastion} cannot connect to {host}:{port}");
                Fault::new(Phase::Tcp, "connect", message).hint(to_type)
            }
            reason => {
                let message = format!("the jump host {bastion} opens no channel to {host}:{port}");
                Fault::new(Phase::Tcp, "channel", message).cause(format!("it says {reason:?}")).hint(to_type)
            }
        }
    }

    fn no_room(&self, why: &str) -> Fault {
        let message = format!("the jump host {} has no room for another channel", self.address);
        Fault::new(Phase::Tcp, KIND, message).cause(why.to_owned()).hint("try again with fewer --forks")
    }
}

async fn open(
    line: Arc<Line>,
    freed: Arc<Notify>,
    host: String,
    port: u16,
) -> Result<Relay<Place>, russh::Error> {
    line.channels.fetch_add(1, Ordering::Relaxed);
    let mut place = Place { line, freed, is_taken: false };
    let channel = place.line.connection.open_direct(host, port).await?;
    place.is_taken = true;
    Ok(Relay::new(channel, place))
}

#[cfg(test)]
mod tests;
