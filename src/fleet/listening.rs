//! One connection's talk with a host's runner.

use std::sync::Arc;
use std::time::Duration;

use cronium_wire::message::{FromStub, ToStub};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::account::{Progress, cut_off};
use super::host::Host;
use super::inputs::Inputs;
use super::job::pieces;
use super::opening::{Opened, Opening};
use super::outcome::Verdict;
use super::{Fleet, Stop, reached};
use crate::event::HostState;
use crate::helper_api::JournalFault;
use crate::plan::{Act, GRACE, LEASE, Task};
use crate::transport::{Connection, Fault, Link, Phase, Tunnel, tunnel};

/// The stub keeps the deadlines; a host that is later than its own by this is lost.
pub const LATE: Duration = Duration::from_secs(60);
/// From the runner's hello to its script's start: verifying and unpacking, on a slow disk.
pub const STAGING: Duration = Duration::from_secs(300);
/// Between two frames once the script has ended, with what takes the stub longest: reading a file of
/// its own from a slow disk, and removing its folder.
pub const COLLECTING: Duration = Duration::from_secs(120);
/// How long a piece of the payload may wait for the host to take it.
pub const PIECE_WITHIN: Duration = Duration::from_secs(60);

/// An open way to a runner.
pub struct Talk {
    pub link: Link,
    pub connection: Arc<Connection>,
    pub made: Instant,
    /// It was begun by asking for a run, not with a job.
    pub is_attached: bool,
    /// The script had ended by then.
    pub is_over: bool,
}

impl Talk {
    pub fn new(connection: Connection, link: Link) -> Self {
        let connection = Arc::new(connection);
        Self { link, connection, made: Instant::now(), is_attached: false, is_over: false }
    }

    /// For a run that was asked for from its frame `from` on.
    pub fn attached(connection: Connection, mut link: Link, from: u64) -> Self {
        link.resume_at(from);
        Self { is_attached: true, ..Self::new(connection, link) }
    }

    pub async fn close(self) {
        drop(self.link);
        self.connection.close().await;
    }
}

/// When a host is late.
#[derive(Debug, Clone, Copy)]
pub enum Due {
    /// At once, where the stub has kept none of its own deadlines.
    At(Instant),
    /// After its script, which may run as long as it likes.
    Open,
    /// So long after each frame.
    Files(Instant),
}

impl Due {
    fn at(self) -> Option<Instant> {
        match self {
            Self::At(at) | Self::Files(at) => Some(at),
            Self::Open => None,
        }
    }

    /// A script that starts now, seen from here: the stub kills it far sooner.
    pub fn of_script(fleet: &Fleet) -> Self {
        let timeout = fleet.plan.run().and_then(|run| run.timeout);
        timeout.map_or(Self::Open, |timeout| Self::At(Instant::now() + timeout + GRACE + LATE))
    }

    /// A script that is told to end now.
    fn of_cancel(self) -> Self {
        match self {
            // It has ended, and what it left is waited for as ever.
            Self::Files(_) => self,
            Self::At(_) | Self::Open => Self::At(Instant::now() + GRACE + LATE),
        }
    }

    fn after(self, progress: Progress, fleet: &Fleet) -> Self {
        let files = Self::Files(Instant::now() + COLLECTING);
        match (progress, self) {
            (Progress::Started, _) => Self::of_script(fleet),
            (Progress::Files, _) | (Progress::Rest, Self::Files(_)) => files,
            // The script may have ended; a host whose output still comes is not late.
            (Progress::Rest, Self::At(at)) => Self::At(at.max(Instant::now() + LATE)),
            _ => self,
        }
    }
}

impl Host {
    /// Hears the stub out. A fault of the link alone leaves all that is known in place.
    pub async fn listen(
        &mut self,
        fleet: &Arc<Fleet>,
        talk: &mut Talk,
        payload: &[u8],
    ) -> Result<Verdict, Fault> {
        let mut stopped = Stops::of(fleet);
        let Talk { link, connection, is_attached, is_over, .. } = talk;
        let (mut tunnel, mut opening) = (None, None);
        // A Unix socket first, a port where that is not to be had.
        let mut entrances = 2;
        let mut inputs = Inputs::default();
        if self.is_cancelling && !*is_over {
            tell(link, &ToStub::Cancel, &mut stopped.left).await?;
            self.due = self.due.of_cancel();
        }
        loop {
            let due = self.due.at();
            let is_leaving = self.account.started && !self.is_cancelling && !*is_over;
            let message = tokio::select! {
                biased;
                () = reached(&mut stopped.left, Stop::Leave) => return Err(interrupted()),
                () = reached(&mut stopped.cancelled, Stop::Cancel), if !self.is_cancelling => {
                    // Whoever stops collecting stops no script.
                    if fleet.act() == Some(Act::Collect) {
                        return Err(interrupted());
                    }
                    self.is_cancelling = true;
                    if !*is_over {
                        tell(link, &ToStub::Cancel, &mut stopped.left).await?;
                        self.due = self.due.of_cancel();
                    }
                    continue;
                }
                () = detaching(&mut stopped.detached, fleet), if is_leaving => {
                    // Its job had the same lease, so it is well where it does not hear this.
                    tell(link, &fleet.detach(), &mut stopped.left).await?;
                    return Ok(Verdict::detached());
                }
                opened = answer(&mut opening) => {
                    opening = None;
                    let message = match opened {
                        Ok((open, port)) => {
                            tunnel = Some(open);
                            ToStub::TunnelOpen { port }
                        }
                        Err(fault) => ToStub::TunnelRefused { reason: fault.message },
                    };
                    tell(link, &message, &mut stopped.left).await?;
                    continue;
                }
                stream = accept(&mut tunnel) => {
                    match stream {
                        Some(stream) => self.serve(fleet, stream),
                        None => tunnel = None,
                    }
                    continue;
                }
                // What is here already is no proof of slowness.
                message = link.receive() => message?,
                () = overdue(due) => return Err(self.late()),
                () = overdue(self.account.journal.deadline()) => return Err(cut_off(JournalFault::TooSlow)),
            };
            let is_overdue = |deadline: Option<Instant>| deadline.is_some_and(|at| at < Instant::now());
            // Other messages meanwhile are no progress.
            if is_overdue(self.account.journal.deadline()) && !matches!(message, FromStub::Journal(_)) {
                return Err(cut_off(JournalFault::TooSlow));
            }
            if message.is_numbered() {
                let was_overdue = is_overdue(due);
                let progress = self.account.take(fleet, message, link.mark()).await?;
                if progress == Progress::Finished
                    && let Some(finished) = &self.account.finished
                {
                    return Ok(Verdict::from(finished.end.clone()));
                }
                if progress != Progress::Started || !self.is_cancelling {
                    self.due = self.due.after(progress, fleet);
                }
                if progress == Progress::Started {
                    self.enter(HostState::Running).await;
                }
                // An endless stream of words must not hide that its end is due.
                if was_overdue && is_overdue(self.due.at()) {
                    return Err(self.late());
                }
                continue;
            }
            match message {
                FromStub::Superseded if *is_attached || self.is_spooled(fleet) => {
                    let message = "another cronium-run has attached to it";
                    // It may be an older connection of our own that arrived late.
                    if !self.was_superseded && !fleet.plan.reconnect.is_zero() {
                        self.was_superseded = true;
                        self.tries.give_way();
                        return Err(Fault::lost(message));
                    }
                    return Err(Fault::new(Phase::Lost, "superseded", message));
                }
                FromStub::OpenTunnel { .. } if entrances == 0 || opening.is_some() => {
                    return Err(Fault::foreign("the runner asks for too many tunnels"));
                }
                FromStub::OpenTunnel { .. } if *is_attached => {
                    entrances -= 1;
                    let reason = "the connection that it began with is lost".to_owned();
                    tell(link, &ToStub::TunnelRefused { reason }, &mut stopped.left).await?;
                }
                FromStub::OpenTunnel { path: Some(_) } if self.is_privileged(fleet) => {
                    entrances -= 1;
                    let reason = "it would lie in the folder of another user".to_owned();
                    tell(link, &ToStub::TunnelRefused { reason }, &mut stopped.left).await?;
                }
                FromStub::OpenTunnel { path } => {
                    entrances -= 1;
                    opening = Some(Opening::begin(connection, path));
                }
                FromStub::NeedPayload | FromStub::NeedFile { .. } if *is_attached || self.account.started => {
                    return Err(Fault::foreign(
                        "the runner asked for a part of the script that runs already",
                    ));
                }
                FromStub::NeedPayload => {
                    tokio::select! {
                        biased;
                        // Nothing runs yet; a stub whose link closes now ends without a trace.
                        () = reached(&mut stopped.cancelled, Stop::Cancel) => return Ok(Verdict::cancelled()),
                        sent = send_payload(link, payload) => sent?,
                    }
                    self.due = Due::At(Instant::now() + STAGING);
                }
                FromStub::NeedFile { digest } => {
                    tokio::select! {
                        biased;
                        () = reached(&mut stopped.cancelled, Stop::Cancel) => return Ok(Verdict::cancelled()),
                        sent = inputs.send(fleet, link, digest) => sent?,
                    }
                    self.due = Due::At(Instant::now() + STAGING);
                }
                FromStub::Hello(_) => return Err(Fault::foreign("the runner said hello twice")),
                _ => return Err(Fault::foreign("the runner answers what nobody asked")),
            }
        }
    }

    /// A runner that is later than all its deadlines. It is asked once more over another connection, as
    /// the answer may have been lost, or we may have been asleep.
    fn late(&mut self) -> Fault {
        let again = !std::mem::replace(&mut self.was_late, true);
        let fault = match self.account.started {
            true => Fault::new(Phase::Lost, "late", "the runner kept none of its deadlines"),
            false => Fault::new(
                Phase::Lost,
                "late",
                format!("the runner did not start the script within {} s", STAGING.as_secs()),
            ),
        };
        match again {
            true => Fault { kind: "lost".into(), ..fault },
            false => fault,
        }
    }

    /// Whether the script runs as another user than the connection.
    fn is_privileged(&self, fleet: &Fleet) -> bool {
        fleet.plan.targets[self.index].privilege.is_some()
    }

    /// Answers one connection of helpers in a task of its own.
    fn serve(&self, fleet: &Arc<Fleet>, stream: Box<dyn tunnel::Stream>) {
        let (api, host) = (Arc::clone(&fleet.api), self.name.clone());
        tokio::spawn(async move { api.serve(stream, &host).await });
    }
}

impl Fleet {
    fn detach(&self) -> ToStub {
        let lease = self.plan.run().map_or(LEASE, |run| run.lease);
        ToStub::Detach { lease_ms: lease.as_millis() as u64 }
    }

    /// Whether hosts are left as soon as their scripts have started.
    fn is_detached(&self) -> bool {
        matches!(&self.plan.task, Task::Run(run) if run.detach)
    }
}

/// How far the run is stopped, for each who asks.
pub struct Stops {
    pub left: watch::Receiver<Stop>,
    pub cancelled: watch::Receiver<Stop>,
    pub detached: watch::Receiver<Stop>,
}

impl Stops {
    pub fn of(fleet: &Fleet) -> Self {
        let receiver = || fleet.stopped.clone();
        Self { left: receiver(), cancelled: receiver(), detached: receiver() }
    }
}

/// Waits until a script that runs is to be left to itself.
async fn detaching(stopped: &mut watch::Receiver<Stop>, fleet: &Fleet) {
    if !fleet.is_detached() {
        detached(stopped).await;
    }
}

/// Waits until the operator leaves the run to its hosts.
pub async fn detached(stopped: &mut watch::Receiver<Stop>) {
    // An error means that nobody can stop it any more.
    if stopped.wait_for(|stop| *stop == Stop::Detach).await.is_err() {
        std::future::pending().await
    }
}

pub fn interrupted() -> Fault {
    Fault::new(Phase::Lost, "left", "cronium-run was interrupted before the host had ended")
}

/// A word to the stub, which must take it: a host that does not is not waited for.
async fn tell(link: &mut Link, message: &ToStub, left: &mut watch::Receiver<Stop>) -> Result<(), Fault> {
    tokio::select! {
        biased;
        () = reached(left, Stop::Leave) => Err(interrupted()),
        sent = timeout(PIECE_WITHIN, link.send(message)) => {
            sent.map_err(|_| Fault::lost("the host stopped taking messages"))
        }
    }
}

async fn send_payload(link: &mut Link, payload: &[u8]) -> Result<(), Fault> {
    for piece in pieces(payload) {
        let sent = timeout(PIECE_WITHIN, link.send(&piece)).await;
        sent.map_err(|_| Fault::new(Phase::Upload, "timeout", "the host stopped taking the payload"))?;
    }
    Ok(())
}

async fn answer(opening: &mut Option<Opening>) -> Opened {
    match opening {
        Some(opening) => opening.answer().await,
        None => std::future::pending().await,
    }
}

async fn accept(tunnel: &mut Option<Tunnel>) -> Option<Box<dyn tunnel::Stream>> {
    match tunnel {
        Some(tunnel) => tunnel.accept().await,
        None => std::future::pending().await,
    }
}

/// Never, where there is none.
pub async fn overdue(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fleet::sample;

    /// When it is late, in whole seconds from now.
    fn seconds(due: Due) -> String {
        let left = |at: Instant| (at - Instant::now()).as_secs_f64().round();
        match due {
            Due::At(at) => format!("in {}", left(at)),
            Due::Open => "open".into(),
            Due::Files(at) => format!("files {}", left(at)),
        }
    }

    /// Neither what was printed before nor the files of a script that was killed have to come in no time.
    #[tokio::test]
    async fn how_long_a_cancelled_host_is_waited_for() {
        let in_seconds = |seconds| Instant::now() + Duration::from_secs(seconds);
        let (fleet, ..) = sample::fleet(sample::plan(&["a"], Task::Run(Box::new(sample::run(Value::Null)))));
        // before, what comes behind the word, when it is late
        let table: [(Due, &[Progress], &str); 7] = [
            (Due::Open, &[], "in 70"),
            (Due::At(in_seconds(9000)), &[], "in 70"),
            (Due::Files(in_seconds(100)), &[], "files 100"),
            (Due::Open, &[Progress::None, Progress::Rest], "in 70"),
            (Due::Open, &[Progress::Files], "files 120"),
            (Due::Open, &[Progress::Rest, Progress::Files, Progress::Rest], "files 120"),
            (Due::Files(in_seconds(100)), &[Progress::Files], "files 120"),
        ];
        for (due, heard, want) in table {
            let due = heard.iter().fold(due.of_cancel(), |due, progress| due.after(*progress, &fleet));
            assert_eq!(seconds(due), want, "{due:?} {heard:?}");
        }
    }
}
