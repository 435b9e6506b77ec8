//! One host, from its first connection to its result.

use std::collections::BTreeMap;
use std::sync::Arc;

use cronium_wire::message::Hello;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::account::Account;
use super::attach::unasked;
use super::job::First;
use super::listening::{Due, STAGING, Stops, Talk, interrupted};
use super::outcome::Verdict;
use super::parting::Parting;
use super::reconnect::Tries;
use super::{Fleet, Reports, Stop, reached, told};
use crate::event::{EventKind, HostResult, HostState, Outcome};
use crate::plan::{Standing, Task};
use crate::transport::{Connection, Fault, Flight, Link, Step, UnknownKey};

/// A script may say that it took so long: a hundred years.
const LONGEST_MS: u64 = 100 * 366 * 24 * 3_600_000;

/// How one try ended.
pub struct Tried {
    pub result: Box<HostResult>,
    /// How far its account is known with that.
    pub mark: Option<u64>,
    /// The job was on its way: from then on nobody but the host knows what it did.
    pub delivered: bool,
    /// The key that kept us out, where the operator may vouch for it.
    pub unknown: Option<Box<UnknownKey>>,
    /// What is left to say to the host.
    pub parting: Option<Box<Parting>>,
    /// The host has said that it keeps nothing of the run.
    pub is_forgotten: bool,
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
            let fault = if fleet.act().is_some() { unasked(fault) } else { fault };
            (Verdict::from(fault), unknown)
        }
    };
    Tried { unknown, ..host.finish(fleet, verdict).await }
}

pub struct Host {
    pub index: usize,
    pub name: String,
    attempt: u32,
    /// Until it was told.
    met: Option<mpsc::Sender<usize>>,
    pub delivered: bool,
    started_at: Timestamp,
    begun: Instant,
    clock: Clock,
    pub hello: Option<Hello>,
    pub account: Account,
    pub due: Due,
    /// It has been found late before.
    pub was_late: bool,
    /// Another connection has taken the place of ours before.
    pub was_superseded: bool,
    /// Its script is to be killed.
    pub is_cancelling: bool,
    pub tries: Tries,
    parting: Option<Box<Parting>>,
    pub is_forgotten: bool,
}

impl Host {
    pub fn new(
        fleet: &Fleet,
        index: usize,
        attempt: u32,
        reports: Reports,
        met: mpsc::Sender<usize>,
    ) -> Self {
        let standing = fleet.standing(index);
        Self {
            index,
            name: fleet.plan.targets[index].name.clone(),
            attempt: standing.map_or(attempt, |standing| standing.attempt.max(1)),
            met: Some(met),
            delivered: false,
            started_at: standing.and_then(|standing| standing.started_at).unwrap_or_else(Timestamp::now),
            begun: Instant::now(),
            clock: Clock::default(),
            hello: None,
            account: Account::new(fleet, index, reports, standing),
            due: Due::At(Instant::now() + STAGING),
            was_late: false,
            was_superseded: false,
            is_cancelling: false,
            tries: Tries::default(),
            parting: None,
            is_forgotten: false,
        }
    }

    async fn run(&mut self, fleet: &Arc<Fleet>) -> Result<Verdict, Fault> {
        if let Some(act) = fleet.act() {
            return self.resume(fleet, act).await;
        }
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
        let begun = Instant::now();
        self.account.begin();
        let reached = self.reach(fleet, flight).await;
        let talk = match reached {
            Ok(Some((connection, link, hello))) => {
                self.delivered = true;
                self.hello = Some(hello);
                self.due = Due::At(Instant::now() + STAGING);
                Talk::new(connection, link)
            }
            Ok(None) => return Ok(Verdict::cancelled()),
            Err(fault) if self.delivered && self.is_spooled(fleet) && fault.is_broken_link() => {
                match self.reconnect(fleet, fault, begun).await {
                    Ok(talk) => talk,
                    Err(verdict) => return Ok(verdict),
                }
            }
            Err(fault) => return Err(fault),
        };
        Ok(self.hear(fleet, talk, payload).await)
    }

    /// Hears the runner out, over as many connections as that takes.
    pub async fn hear(&mut self, fleet: &Arc<Fleet>, mut talk: Talk, payload: &[u8]) -> Verdict {
        loop {
            let heard = self.listen(fleet, &mut talk, payload).await;
            let Talk { link, connection, made, .. } = talk;
            let verdict = match heard {
                Err(fault) if self.is_spooled(fleet) && fault.is_broken_link() => {
                    // It may be dead, so it is not waited for.
                    tokio::spawn(async move {
                        drop(link);
                        connection.close().await;
                    });
                    match self.reconnect(fleet, fault, made).await {
                        Ok(again) => talk = again,
                        Err(verdict) => return verdict,
                    }
                    continue;
                }
                Err(fault) => Verdict::from(fault),
                Ok(verdict) => verdict,
            };
            self.enter(HostState::Collecting).await;
            if self.is_spooled(fleet) && self.account.finished.is_some() {
                let mark = self.account.next();
                self.parting = Some(Box::new(Parting { link, connection, mark }));
            } else {
                drop(link);
                connection.close().await;
            }
            return verdict;
        }
    }

    /// Whether the host keeps the account until it is acknowledged.
    pub fn is_spooled(&self, fleet: &Fleet) -> bool {
        !matches!(fleet.plan.task, Task::Deploy { .. })
    }

    /// Connects and sends what starts the task, which is held no longer than that; `None` where the
    /// run was cancelled before.
    pub async fn reach(
        &mut self,
        fleet: &Arc<Fleet>,
        flight: Flight,
    ) -> Result<Option<(Connection, Link, Hello)>, Fault> {
        let target = &fleet.plan.targets[self.index];
        let mut stopped = Stops::of(fleet);
        let mut is_cancelled = false;
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
                    if is_cancelled && !self.delivered {
                        return Ok(None);
                    }
                }
                () = reached(&mut stopped.left, Stop::Leave), if self.delivered => return Err(interrupted()),
                () = reached(&mut stopped.cancelled, Stop::Cancel), if !is_cancelled => {
                    if !self.delivered || fleet.act().is_some() {
                        return Ok(None);
                    }
                    // The script may run: the host is to hear of it.
                    (is_cancelled, self.is_cancelling) = (true, true);
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

    /// Of the run's variables: told once, by the host that came upon it.
    pub async fn warn(&mut self, fleet: &Fleet) {
        for message in fleet.api.take_warnings() {
            self.account.report(EventKind::HostWarning { host: self.name.clone(), message }).await;
        }
    }

    /// Tells where it stands, unless it stands there already.
    pub async fn enter(&mut self, state: HostState) {
        if self.clock.state() == Some(state) {
            return;
        }
        tracing::debug!(host = self.name, state = state.as_str());
        self.clock.enter(state);
        self.account.report(EventKind::HostState { host: self.name.clone(), state }).await;
    }

    async fn finish(mut self, fleet: &Fleet, verdict: Verdict) -> Tried {
        let verdict = verdict.or_hint(|| fleet.what_to_type());
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
        // A script that has found its own way to the operator's API.
        let condition = fleet.api.condition(&self.name);
        if let (None, Some(condition)) = (self.account.condition, condition) {
            self.account.report(EventKind::HostCondition { host: self.name.clone(), condition }).await;
        }
        let condition = self.account.condition.or(condition);
        // Behind all that is told of it but its end.
        let mark = self.account.last_mark();
        let finished = self.account.finished.take();
        let helpers = finished.as_ref().and_then(|finished| finished.helpers.clone());
        let begun = self.begun.elapsed();
        let (finished_at, duration_ms) = match fleet.standing(self.index) {
            Some(standing) => {
                let wall_ms = finished.as_ref().and_then(|finished| finished.wall_ms);
                let (end, ms) = since(self.started_at, wall_ms, Timestamp::now());
                // Of a run of another ledger nobody here knows when it began.
                let told = wall_ms.filter(|ms| standing.started_at.is_none() && *ms <= LONGEST_MS);
                (end, told.unwrap_or(ms))
            }
            None => (Timestamp::now(), begun.as_millis() as u64),
        };
        let result = HostResult {
            outcome: verdict.outcome,
            attempt: self.attempt,
            exit_code: verdict.exit_code,
            signal: verdict.signal,
            failure: verdict.failure,
            started_at: Some(self.started_at),
            finished_at,
            duration_ms,
            timings: self.clock.stop(),
            cpu_ms: finished.as_ref().and_then(|finished| finished.cpu_ms),
            max_rss_kb: finished.as_ref().and_then(|finished| finished.max_rss_kb),
            helper_mode: helpers.as_ref().map(|helpers| told::mode(helpers.mode)),
            helper_reason: helpers.and_then(|helpers| helpers.reason),
            conflicts: told::conflicts(self.account.journal.conflicts()),
            condition,
            trust: self.account.trust,
            stub_digest: known(hello.stub_digest),
            arch: known(hello.arch),
            output: fleet.api.take_output(&self.name),
            stdout_bytes: self.account.bytes[0],
            stderr_bytes: self.account.bytes[1],
        };
        // A host of whose account something was not told keeps it.
        let parting = self.parting.take().filter(|_| mark.is_some());
        let (delivered, is_forgotten) = (self.delivered, self.is_forgotten);
        Tried { result: Box::new(result), mark, delivered, unknown: None, parting, is_forgotten }
    }
}

impl Fleet {
    /// How far this host's account was known before, where the run is one that has begun before.
    pub fn standing(&self, index: usize) -> Option<&Standing> {
        match &self.plan.task {
            Task::Resume(resume) => resume.standings.get(index),
            Task::Run(_) | Task::Deploy { .. } => None,
        }
    }

    /// Where nobody knows how a host has ended.
    fn what_to_type(&self) -> String {
        match &self.plan.task {
            Task::Deploy { .. } => "run the same command again".to_owned(),
            Task::Run(_) | Task::Resume(_) => format!("cronium-run attach {}", self.plan.run),
        }
    }
}

/// When a host has ended that another process has begun, and how long it took: its script's own time
/// where the host has told it. Else only the clock knows.
fn since(started_at: Timestamp, wall_ms: Option<u64>, now: Timestamp) -> (Timestamp, u64) {
    let end = wall_ms.and_then(|ms| {
        let wall = SignedDuration::from_millis(i64::try_from(ms).ok()?);
        started_at.checked_add(wall).ok().filter(|end| *end <= now).zip(Some(ms))
    });
    end.unwrap_or_else(|| (now, now.duration_since(started_at).as_millis().max(0) as u64))
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

/// Milliseconds spent in each state.
#[derive(Default)]
struct Clock {
    since: Option<(HostState, Instant)>,
    timings: BTreeMap<String, u64>,
}

impl Clock {
    fn state(&self) -> Option<HostState> {
        self.since.map(|(state, _)| state)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_host_that_another_process_has_begun() {
        let at = |second| Timestamp::from_second(second).unwrap();
        // What the host says of its script's time, the end, milliseconds
        for (wall_ms, end, ms) in [
            (Some(2500), Timestamp::from_millisecond(102_500).unwrap(), 2500),
            (None, at(900), 800_000),
            // It cannot have ended after it was asked.
            (Some(800_001), at(900), 800_000),
            (Some(u64::MAX), at(900), 800_000),
        ] {
            assert_eq!(since(at(100), wall_ms, at(900)), (end, ms), "{wall_ms:?}");
        }
        // Somebody has set the clock back.
        assert_eq!(since(at(900), None, at(100)), (at(100), 0));
    }
}
