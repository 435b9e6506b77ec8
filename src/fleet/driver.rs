//! Does what the rollout says: starts hosts, waits, pauses, asks the gate.

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::gate::{Checkpoint, Ended, Gate};
use super::host::{self, Tried};
use super::outcome::Verdict;
use super::parting::{Parting, Partings};
use super::rollout::{Rollout, Step, Turn, retry};
use super::stranger::{Stranger, Vouch};
use super::{Fleet, Report, Reports, Stop, reached};
use crate::event::{EventKind, HostResult, HostState, Outcome, StopReason};
use crate::transport::{Fault, UnknownKey};

/// Hosts that wait to say that their keys are right.
const MEETINGS: usize = 64;

/// Between a [`Rollout`], which knows whose turn it is, and the hosts of a run.
pub struct Driver {
    fleet: Arc<Fleet>,
    reports: Reports,
    gate: Option<Box<dyn Gate>>,
    vouch: Option<Arc<dyn Vouch>>,
    rollout: Rollout,
    stopped: watch::Receiver<Stop>,
    running: JoinSet<Tried>,
    hosts: HashMap<Id, usize>,
    /// When hosts have waited long enough for their retry.
    resting: BTreeSet<(Instant, usize)>,
    /// How the last try of hosts that wait ended.
    last: HashMap<usize, Box<HostResult>>,
    /// Hosts whose keys turned out to be right.
    met: (mpsc::Sender<usize>, mpsc::Receiver<usize>),
    /// Keys that nobody knows, by the hosts that wait because of them.
    unknown: HashMap<usize, UnknownKey>,
    asking: Option<Asking>,
    partings: Partings,
}

/// Hosts that do not go on after the operator was asked: he said no, or why their key cannot be
/// recorded.
type Refused = Vec<(usize, Option<Fault>)>;

/// The question that the operator has before him.
type Asking = Pin<Box<dyn Future<Output = Refused> + Send>>;

enum Happened {
    Stopped,
    Met(usize),
    Answered(Refused),
    Tried(Result<(Id, Tried), Id>),
    Rested(Instant, usize),
}

impl Driver {
    pub fn new(
        fleet: Fleet,
        reports: Reports,
        gate: Option<Box<dyn Gate>>,
        vouch: Option<Arc<dyn Vouch>>,
    ) -> Self {
        let plan = &fleet.plan;
        Self {
            rollout: Rollout::new(&plan.strategy, plan.forks, plan.targets.len()),
            stopped: fleet.stopped.clone(),
            fleet: Arc::new(fleet),
            reports,
            gate,
            vouch,
            running: JoinSet::new(),
            hosts: HashMap::new(),
            resting: BTreeSet::new(),
            last: HashMap::new(),
            met: mpsc::channel(MEETINGS),
            unknown: HashMap::new(),
            asking: None,
            partings: Partings::default(),
        }
    }

    /// Returns once no host is at work and none will start, with those that are still to be taken leave
    /// of. Hosts that never started are told by the dispatcher, who knows which have ended.
    pub async fn run(mut self) -> Partings {
        loop {
            // Between two starts nothing is waited for, so this is asked each time.
            if *self.stopped.borrow() >= Stop::Drain && !self.rollout.is_stopped() {
                self.stop().await;
            }
            match self.rollout.step() {
                Step::Start { host, attempt } => self.start(host, attempt),
                Step::Wait => self.wait().await,
                Step::Ask => self.ask(),
                Step::Between => self.between().await,
                Step::Done => return self.partings,
            }
        }
    }

    fn start(&mut self, index: usize, attempt: u32) {
        let (fleet, reports) = (Arc::clone(&self.fleet), self.reports.clone());
        let met = self.met.0.clone();
        let task = self.running.spawn(async move { host::run(&fleet, index, attempt, reports, met).await });
        self.hosts.insert(task.id(), index);
    }

    async fn wait(&mut self) {
        let next = self.resting.first().copied();
        let happened = tokio::select! {
            biased;
            () = reached(&mut self.stopped, Stop::Drain), if !self.rollout.is_stopped() => Happened::Stopped,
            // Before the ends of hosts, so that it is not said of a later try.
            Some(index) = self.met.1.recv() => Happened::Met(index),
            Some(tried) = self.running.join_next_with_id() => {
                Happened::Tried(tried.map_err(|panicked| panicked.id()))
            }
            answer = answered(&mut self.asking) => Happened::Answered(answer),
            Some((at, index)) = rest(next) => Happened::Rested(at, index),
        };
        match happened {
            Happened::Stopped => self.stop().await,
            Happened::Met(index) => self.rollout.met(index),
            Happened::Answered(answer) => self.answered(answer).await,
            Happened::Tried(Ok((id, tried))) => {
                if let Some(index) = self.hosts.remove(&id) {
                    self.tried(index, tried).await;
                }
            }
            Happened::Tried(Err(id)) => {
                // The dispatcher sees that it never said how it ended.
                if let Some(index) = self.hosts.remove(&id) {
                    self.rollout.ended(index, Outcome::Unknown, false);
                    self.settle().await;
                }
            }
            Happened::Rested(at, index) => {
                self.resting.remove(&(at, index));
                self.rollout.rested(index);
            }
        }
    }

    async fn tried(&mut self, index: usize, tried: Tried) {
        let Tried { result, mark, delivered, unknown, parting, is_forgotten } = tried;
        if let (Some(unknown), Some(_)) = (unknown, &self.vouch) {
            self.rollout.parked(index);
            self.unknown.insert(index, *unknown);
            self.last.insert(index, result);
            let host = self.name(index);
            self.tell(index, EventKind::HostState { host, state: HostState::Queued }).await;
            return;
        }
        let failure = result.failure.as_ref().filter(|_| !delivered);
        let transient = failure.filter(|failure| retry::is_transient(failure));
        match self.rollout.ended(index, result.outcome, transient.is_some()) {
            Turn::Over => {
                // A host whose end is not told keeps it.
                if self.finished(index, result, mark).await {
                    self.partings.forgotten(is_forgotten.then_some(index));
                    self.part(index, parting).await;
                }
            }
            Turn::Again => {
                let why = transient.map(|failure| failure.message.as_str()).unwrap_or_default();
                let all = self.fleet.plan.strategy.retries + 1;
                let host = self.name(index);
                let message = format!("try {} of {all} failed: {why}", result.attempt);
                self.tell(index, EventKind::HostWarning { host: host.clone(), message }).await;
                self.tell(index, EventKind::HostState { host, state: HostState::Queued }).await;
                // Without chance they come back together: worse for them, and no reason to end.
                let pause = retry::pause(result.attempt, getrandom::u32().unwrap_or(u32::MAX));
                self.resting.insert((Instant::now() + pause, index));
                self.last.insert(index, result);
            }
        }
        self.settle().await;
    }

    /// Asks about all hosts that show keys nobody knows; the others go on meanwhile.
    fn ask(&mut self) {
        let Some(vouch) = self.vouch.clone() else { return };
        let asked = self.rollout.ask();
        let targets = &self.fleet.plan.targets;
        let stranger = |index: &usize| {
            let key = self.unknown.remove(index)?;
            Some((*index, Stranger { host: targets[*index].name.clone(), key }))
        };
        let (hosts, strangers): (Vec<usize>, Vec<Stranger>) = asked.iter().filter_map(stranger).unzip();
        let fleet = Arc::clone(&self.fleet);
        self.asking = Some(Box::pin(async move {
            if !vouch.vouches_for(&strangers).await {
                return hosts.into_iter().map(|host| (host, None)).collect();
            }
            let keys: Vec<UnknownKey> = strangers.into_iter().map(|stranger| stranger.key).collect();
            let accepted = fleet.transport.accept(&keys).await;
            let refused = |(host, accepted): (usize, Result<(), Fault>)| Some((host, Some(accepted.err()?)));
            hosts.into_iter().zip(accepted).filter_map(refused).collect()
        }));
    }

    async fn answered(&mut self, refused: Refused) {
        self.asking = None;
        let hosts: Vec<usize> = refused.iter().map(|(host, _)| *host).collect();
        self.rollout.refused(&hosts, Outcome::Unreachable);
        for (index, fault) in refused {
            if let Some(mut result) = self.last.remove(&index) {
                result.failure = fault.and_then(|fault| Verdict::from(fault).failure).or(result.failure);
                self.finished(index, result, None).await;
            }
        }
        self.rollout.accepted();
        self.settle().await;
    }

    /// Tells what follows from the end of a host: that the run is being stopped, and the end of
    /// those who wait for a retry that never comes.
    async fn settle(&mut self) {
        let given_up = self.rollout.take_given_up();
        if self.rollout.limit().is_some() {
            // The dispatcher tells it once.
            self.reports.send(Report::Stopping { reason: StopReason::Limit }).await;
        }
        for index in given_up {
            if let Some(result) = self.last.remove(&index) {
                self.finished(index, result, None).await;
            }
        }
        if self.rollout.is_stopped() {
            self.resting.clear();
            self.asking = None;
        }
    }

    async fn stop(&mut self) {
        self.rollout.stop();
        self.settle().await;
    }

    /// Waits and asks; the run may be stopped at any moment of it.
    async fn between(&mut self) {
        let checkpoint = self.checkpoint();
        tracing::info!(batch = checkpoint.batch, of = checkpoint.batches, "batch over");
        let pause = self.fleet.plan.strategy.pause;
        let gate = self.gate.as_deref();
        let opening = async {
            sleep(pause).await;
            match gate {
                Some(gate) => gate.opens(&checkpoint).await,
                None => true,
            }
        };
        let opened = tokio::select! {
            biased;
            () = reached(&mut self.stopped, Stop::Drain) => None,
            opened = opening => Some(opened),
        };
        match opened {
            Some(true) => self.rollout.proceed(),
            Some(false) => {
                self.reports.send(Report::Stopping { reason: StopReason::Gate }).await;
                self.stop().await;
            }
            None => self.stop().await,
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        let (batch, batches) = self.rollout.batch();
        let hosts = self.rollout.batch_hosts();
        let total = self.fleet.plan.targets.len();
        let ended = |index: usize| {
            let outcome = self.rollout.outcome(index)?;
            Some(Ended { host: self.name(index), outcome })
        };
        Checkpoint {
            run: self.fleet.plan.run.clone(),
            batch: batch + 1,
            batches,
            canary: self.rollout.in_canary(),
            left: total - hosts.end,
            hosts: hosts.filter_map(ended).collect(),
            total,
            outcomes: self.rollout.outcomes().clone(),
        }
    }

    /// Whether it was told.
    async fn finished(&self, index: usize, result: Box<HostResult>, mark: Option<u64>) -> bool {
        let kind = EventKind::HostFinished { host: self.name(index), result };
        self.reports.host(index, kind, mark).await
    }

    /// Takes leave of a host, once its end that was told just now is kept.
    async fn part(&mut self, index: usize, parting: Option<Box<Parting>>) {
        if let Some(parting) = parting {
            let kept = self.partings.begin(&self.fleet, index, *parting);
            self.reports.send(Report::Keep { kept }).await;
        }
    }

    async fn tell(&self, index: usize, kind: EventKind) {
        self.reports.host(index, kind, None).await;
    }

    fn name(&self, index: usize) -> String {
        self.fleet.plan.targets[index].name.clone()
    }
}

async fn answered(asking: &mut Option<Asking>) -> Refused {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// Until the next host has waited long enough.
async fn rest(next: Option<(Instant, usize)>) -> Option<(Instant, usize)> {
    let (at, index) = next?;
    sleep_until(at).await;
    Some((at, index))
}
