//! One host, from its first connection to its result.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cronium_wire::message::{Finished, FromStub, Hello, ToStub, Told};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::artifacts::Receiver;
use super::inputs::Inputs;
use super::job::{First, pieces};
use super::opening::{Opened, Opening};
use super::outcome::Verdict;
use super::told;
use super::{Fleet, Reports, Stop, reached};
use crate::event::{Bytes, EventKind, HostResult, HostState, Outcome, Stream, Trust};
use crate::helper_api::{Journal, JournalFault};
use crate::plan::{GRACE, Task};
use crate::transport::{Connection, Fault, Flight, Link, Phase, Step, Tunnel, UnknownKey, tunnel};

/// The stub keeps the deadlines; a host that is later than its own by this is lost.
const LATE: Duration = Duration::from_secs(60);
/// From the runner's hello to its script's start: verifying and unpacking, on a slow disk.
const STAGING: Duration = Duration::from_secs(300);
/// Bytes of all warnings of a runner: they are kept until the run's end.
const WARNINGS: usize = 1 << 20;
/// How long a piece of the payload may wait for the host to take it.
pub const PIECE_WITHIN: Duration = Duration::from_secs(60);

/// How one try ended.
pub struct Tried {
    pub result: Box<HostResult>,
    /// The job was on its way: from then on nobody but the host knows what it did.
    pub delivered: bool,
    /// The key that kept us out, where the operator may vouch for it.
    pub unknown: Option<Box<UnknownKey>>,
}

/// Runs the plan's task on one host and reports everything but its end. `met` is told its index
/// once its key is known to be right.
pub async fn run(
    fleet: &Arc<Fleet>,
    index: usize,
    attempt: u32,
    reports: Reports,
    met: mpsc::Sender<usize>,
) -> Tried {
    let mut host = Host::new(fleet, index, attempt, reports, met);
    let (verdict, unknown) = match host.run(fleet).await {
        Ok(verdict) => (verdict, None),
        Err(mut fault) => {
            let unknown = fault.unknown.take();
            (Verdict::from(fault), unknown)
        }
    };
    Tried { unknown, ..host.finish(fleet, verdict).await }
}

struct Host {
    index: usize,
    name: String,
    attempt: u32,
    reports: Reports,
    /// Until it was told.
    met: Option<mpsc::Sender<usize>>,
    delivered: bool,
    started_at: Timestamp,
    begun: Instant,
    clock: Clock,
    hello: Option<Hello>,
    trust: Option<Trust>,
    finished: Option<Finished>,
    condition: Option<bool>,
    journal: Journal,
    bytes: [u64; 2],
}

impl Host {
    fn new(fleet: &Fleet, index: usize, attempt: u32, reports: Reports, met: mpsc::Sender<usize>) -> Self {
        Self {
            index,
            name: fleet.plan.targets[index].name.clone(),
            attempt,
            reports,
            met: Some(met),
            delivered: false,
            started_at: Timestamp::now(),
            begun: Instant::now(),
            clock: Clock::default(),
            hello: None,
            trust: None,
            finished: None,
            condition: None,
            journal: Journal::default(),
            bytes: [0; 2],
        }
    }

    async fn run(&mut self, fleet: &Arc<Fleet>) -> Result<Verdict, Fault> {
        let firsts = fleet.first_messages(&fleet.plan.targets[self.index]).await;
        self.warn(fleet).await;
        let mut verdict = Verdict::cancelled();
        for first in firsts {
            verdict = self.converse(fleet, first).await?;
            if verdict.outcome != Outcome::Succeeded {
                break;
            }
        }
        Ok(verdict)
    }

    async fn converse(&mut self, fleet: &Arc<Fleet>, first: First<'_>) -> Result<Verdict, Fault> {
        let First { flight, payload } = first;
        let Some((connection, mut link, hello)) = self.reach(fleet, flight).await? else {
            return Ok(Verdict::cancelled());
        };
        self.delivered = true;
        self.hello = Some(hello);
        let connection = Arc::new(connection);
        let verdict = self.listen(fleet, &mut link, &connection, payload).await;
        self.enter(HostState::Collecting).await;
        drop(link);
        connection.close().await;
        verdict
    }

    /// Connects and sends what starts the task, which is held no longer than that; `None` where the
    /// run was cancelled before.
    async fn reach(
        &mut self,
        fleet: &Arc<Fleet>,
        flight: Flight,
    ) -> Result<Option<(Connection, Link, Hello)>, Fault> {
        let target = &fleet.plan.targets[self.index];
        let mut stopped = fleet.stopped.clone();
        // There are six others at most, so it never fills.
        let (steps, mut seen) = mpsc::channel(8);
        let start = fleet.transport.start(target, &flight, |step| {
            if step != Step::Uploading {
                let _ = steps.try_send(step);
            }
        });
        let mut start = std::pin::pin!(start);
        loop {
            tokio::select! {
                biased;
                Some(step) = seen.recv() => {
                    self.stepped(step).await;
                }
                () = reached(&mut stopped, Stop::Cancel) => {
                    return match self.delivered {
                        true => Err(Fault::lost("cronium-run was interrupted while the runner started")),
                        false => Ok(None),
                    };
                }
                session = &mut start => {
                    while let Ok(step) = seen.try_recv() {
                        self.stepped(step).await;
                    }
                    return session.map(Some);
                }
            }
        }
    }

    /// A cold host turns out to have no use for what was sent ahead; a first conversation counts
    /// for all that follow it.
    async fn stepped(&mut self, step: Step) {
        if step != Step::Connecting
            && let Some(met) = self.met.take()
        {
            // The driver outlives every host.
            let _ = met.send(self.index).await;
        }
        self.delivered = self.hello.is_some() || step == Step::Delivered;
        if let Some(state) = state(step) {
            self.enter(state).await;
        }
    }

    /// Hears the stub out.
    async fn listen(
        &mut self,
        fleet: &Arc<Fleet>,
        link: &mut Link,
        connection: &Arc<Connection>,
        payload: &[u8],
    ) -> Result<Verdict, Fault> {
        let (mut stopped, mut left) = (fleet.stopped.clone(), fleet.stopped.clone());
        let (mut tunnel, mut opening, mut cancelled, mut started) = (None, None, false, false);
        // A Unix socket first, a port where that is not to be had.
        let mut entrances = 2;
        let (mut artifacts, mut inputs) = (Receiver::new(fleet, &self.name), Inputs::default());
        let mut deadline = Some(Instant::now() + STAGING);
        let mut warned = 0;
        loop {
            let message = tokio::select! {
                biased;
                () = reached(&mut left, Stop::Leave) => {
                    return Err(Fault::lost("cronium-run was interrupted before the host had ended"));
                }
                () = reached(&mut stopped, Stop::Cancel), if !cancelled => {
                    cancelled = true;
                    deadline = Some(Instant::now() + GRACE + LATE);
                    tell(link, &ToStub::Cancel, &mut left).await?;
                    continue;
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
                    tell(link, &message, &mut left).await?;
                    continue;
                }
                stream = accept(&mut tunnel) => {
                    match stream {
                        Some(stream) => self.serve(fleet, stream),
                        None => tunnel = None,
                    }
                    continue;
                }
                () = overdue(deadline) => return Err(late(started)),
                // What is here already is no proof of slowness.
                message = link.receive() => message?,
                () = overdue(self.journal.deadline()) => return Err(cut_off(JournalFault::TooSlow)),
            };
            let is_overdue = self.journal.deadline().is_some_and(|deadline| deadline < Instant::now());
            // Other messages meanwhile are no progress.
            if is_overdue && !matches!(message, FromStub::Journal(_)) {
                return Err(cut_off(JournalFault::TooSlow));
            }
            match message {
                FromStub::Hello(_) => return Err(Fault::lost("the runner said hello twice")),
                FromStub::NeedPayload => {
                    tokio::select! {
                        biased;
                        // Nothing runs yet; a stub whose link closes now ends without a trace.
                        () = reached(&mut stopped, Stop::Cancel) => return Ok(Verdict::cancelled()),
                        sent = send_payload(link, payload) => sent?,
                    }
                    deadline = Some(Instant::now() + STAGING);
                }
                FromStub::Started(_) if started => return Err(Fault::lost("the runner started twice")),
                FromStub::Started(word) => {
                    started = true;
                    self.trust = Some(if word.pinned { Trust::Pinned } else { Trust::Session });
                    if !cancelled {
                        deadline = fleet.script_deadline();
                    }
                    self.enter(HostState::Running).await;
                }
                // Of a run that was asked for; this one was begun here.
                FromStub::Attached(_) | FromStub::Superseded => {
                    return Err(Fault::lost("the runner answers what nobody asked"));
                }
                FromStub::Cut { stderr, bytes } => {
                    let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
                    let host = self.name.clone();
                    self.report(EventKind::HostOutputCut { host, stream, bytes }).await;
                }
                FromStub::Stdout(data) => self.output(Stream::Stdout, data).await,
                FromStub::Stderr(data) => self.output(Stream::Stderr, data).await,
                FromStub::OpenTunnel { .. } if entrances == 0 || opening.is_some() => {
                    return Err(Fault::lost("the runner asks for too many tunnels"));
                }
                FromStub::OpenTunnel { path: Some(_) } if self.is_privileged(fleet) => {
                    entrances -= 1;
                    let reason = "it would lie in the folder of another user".to_owned();
                    tell(link, &ToStub::TunnelRefused { reason }, &mut left).await?;
                }
                FromStub::OpenTunnel { path } => {
                    entrances -= 1;
                    opening = Some(Opening::begin(connection, path));
                }
                FromStub::Warning { message } => {
                    warned += message.len();
                    if warned > WARNINGS {
                        return Err(Fault::lost("the runner sent warnings without end"));
                    }
                    self.report(EventKind::HostWarning { host: self.name.clone(), message }).await;
                }
                FromStub::Told(told) => {
                    if let Told::Condition { condition } = told {
                        self.condition = Some(condition);
                    }
                    self.report(told::event(&self.name, told)?).await;
                }
                FromStub::Journal(bytes) => {
                    // The script may have ended; a host whose writes still come is not late.
                    if !cancelled {
                        deadline = deadline.map(|deadline| deadline.max(Instant::now() + LATE));
                    }
                    let merged = self.journal.push(&fleet.api, &self.name, &bytes).await;
                    merged.map_err(cut_off)?;
                }
                FromStub::NeedFile { .. } if started => {
                    return Err(Fault::lost("the runner asked for a file of the script that runs already"));
                }
                FromStub::NeedFile { digest } => {
                    tokio::select! {
                        biased;
                        () = reached(&mut stopped, Stop::Cancel) => return Ok(Verdict::cancelled()),
                        sent = inputs.send(fleet, link, digest) => sent?,
                    }
                    deadline = Some(Instant::now() + STAGING);
                }
                message @ (FromStub::Artifact(_)
                | FromStub::ArtifactPiece(_)
                | FromStub::ArtifactEnd { .. }) => {
                    if !started {
                        return Err(Fault::lost("the runner sent artifacts of no script"));
                    }
                    // The script has ended; a host whose files still come is not late.
                    if !cancelled {
                        deadline = deadline.map(|deadline| deadline.max(Instant::now() + LATE));
                    }
                    if let Some(told) = artifacts.take(message).await? {
                        self.report(told).await;
                    }
                }
                FromStub::Finished(finished) => {
                    if let Some(told) = artifacts.close() {
                        self.report(told).await;
                    }
                    let verdict = Verdict::from(finished.end.clone());
                    self.finished = Some(finished);
                    return Ok(verdict);
                }
            }
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

    /// Of the run's variables: told once, by the host that came upon it.
    async fn warn(&self, fleet: &Fleet) {
        for message in fleet.api.take_warnings() {
            self.report(EventKind::HostWarning { host: self.name.clone(), message }).await;
        }
    }

    async fn enter(&mut self, state: HostState) {
        tracing::debug!(host = self.name, state = state.as_str());
        self.clock.enter(state);
        self.report(EventKind::HostState { host: self.name.clone(), state }).await;
    }

    async fn output(&mut self, stream: Stream, data: Vec<u8>) {
        self.bytes[stream as usize] += data.len() as u64;
        self.report(EventKind::HostOutput { host: self.name.clone(), stream, data: Bytes(data) }).await;
    }

    async fn report(&self, kind: EventKind) {
        self.reports.host(self.index, kind).await;
    }

    async fn finish(mut self, fleet: &Fleet, verdict: Verdict) -> Tried {
        let failure = verdict.failure.as_ref();
        tracing::info!(
            host = self.name,
            attempt = self.attempt,
            outcome = verdict.outcome.as_str(),
            exit_code = verdict.exit_code,
            signal = verdict.signal,
            phase = failure.map(|failure| failure.phase.as_str()),
            reason = failure.map(|failure| failure.message.as_str()),
            ms = self.begun.elapsed().as_millis() as u64,
            "ended"
        );
        self.warn(fleet).await;
        let hello = self.hello.take().unwrap_or_default();
        let known = |text: String| (!text.is_empty()).then_some(text);
        let finished = self.finished.take();
        // A script that has found its own way to the operator's API.
        let condition = fleet.api.condition(&self.name);
        if let (None, Some(condition)) = (self.condition, condition) {
            self.report(EventKind::HostCondition { host: self.name.clone(), condition }).await;
        }
        let condition = self.condition.or(condition);
        let helpers = finished.as_ref().and_then(|finished| finished.helpers.clone());
        let result = HostResult {
            outcome: verdict.outcome,
            attempt: self.attempt,
            exit_code: verdict.exit_code,
            signal: verdict.signal,
            failure: verdict.failure,
            started_at: Some(self.started_at),
            finished_at: Timestamp::now(),
            duration_ms: self.begun.elapsed().as_millis() as u64,
            timings: self.clock.stop(),
            cpu_ms: finished.as_ref().and_then(|finished| finished.cpu_ms),
            max_rss_kb: finished.as_ref().and_then(|finished| finished.max_rss_kb),
            helper_mode: helpers.as_ref().map(|helpers| told::mode(helpers.mode)),
            helper_reason: helpers.and_then(|helpers| helpers.reason),
            conflicts: told::conflicts(self.journal.conflicts()),
            condition,
            trust: self.trust,
            stub_digest: known(hello.stub_digest),
            arch: known(hello.arch),
            output: fleet.api.take_output(&self.name),
            stdout_bytes: self.bytes[0],
            stderr_bytes: self.bytes[1],
        };
        Tried { result: Box::new(result), delivered: self.delivered, unknown: None }
    }
}

/// The state that a step begins, if it begins one.
fn state(step: Step) -> Option<HostState> {
    match step {
        Step::Connecting => Some(HostState::Connecting),
        Step::Authenticating => Some(HostState::Authenticating),
        Step::Bootstrapping => Some(HostState::Bootstrapping),
        Step::Uploading | Step::Delivered => None,
    }
}

/// A runner that is later than all its deadlines.
fn late(started: bool) -> Fault {
    match started {
        true => Fault::lost("the runner kept none of its deadlines"),
        false => Fault::lost(format!("the runner did not start the script within {} s", STAGING.as_secs()))
            .hint("df -h; uptime  on the host"),
    }
}

fn cut_off(fault: JournalFault) -> Fault {
    Fault::lost("the runner's journal of helper calls is no journal").because(&fault)
}

impl Fleet {
    /// When a script that has just started is overdue, seen from here: the stub kills it far sooner.
    fn script_deadline(&self) -> Option<Instant> {
        let Task::Run(run) = &self.plan.task else { return None };
        run.timeout.map(|timeout| Instant::now() + timeout + GRACE + LATE)
    }
}

/// A word to the stub, which must take it: a host that does not is not waited for.
async fn tell(link: &mut Link, message: &ToStub, left: &mut watch::Receiver<Stop>) -> Result<(), Fault> {
    tokio::select! {
        biased;
        () = reached(left, Stop::Leave) => Err(Fault::lost("cronium-run was interrupted before the host had ended")),
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

async fn overdue(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Milliseconds spent in each state.
#[derive(Default)]
struct Clock {
    since: Option<(HostState, Instant)>,
    timings: BTreeMap<String, u64>,
}

impl Clock {
    fn enter(&mut self, state: HostState) {
        let now = Instant::now();
        if let Some((before, since)) = self.since.replace((state, now)) {
            *self.timings.entry(before.as_str().into()).or_default() += (now - since).as_millis() as u64;
        }
    }

    fn stop(&mut self) -> BTreeMap<String, u64> {
        self.enter(HostState::Ended);
        std::mem::take(&mut self.timings)
    }
}
