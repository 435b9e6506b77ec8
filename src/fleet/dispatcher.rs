//! Orders, stamps and counts what hosts report; the only one who tells the sink.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::{Report, Stop};
use crate::event::{
    Event, EventKind, Failure, HostResult, HostState, Outcome, Phase, Sink, StopReason, Summary,
};
use crate::plan::{Plan, Task};

pub struct Dispatcher<'a> {
    plan: Arc<Plan>,
    stop: Arc<watch::Sender<Stop>>,
    sink: &'a mut dyn Sink,
    next_seq: u64,
    /// The sink keeps nothing any more.
    failed: bool,
    begun: Instant,
    /// Hosts of the plan that have not ended.
    open: BTreeSet<usize>,
    /// Hosts that have been connected to.
    begun_hosts: BTreeSet<usize>,
    summary: Summary,
}

impl<'a> Dispatcher<'a> {
    pub fn new(plan: &Arc<Plan>, stop: Arc<watch::Sender<Stop>>, sink: &'a mut dyn Sink) -> Self {
        let open = (0..plan.targets.len()).collect::<BTreeSet<_>>();
        let (settled, next_seq) = match &plan.task {
            Task::Resume(resume) => (resume.settled.as_slice(), resume.next_seq),
            Task::Run(_) | Task::Deploy { .. } => (&[][..], 0),
        };
        let mut summary = Summary { hosts: (open.len() + settled.len()) as u64, ..Summary::default() };
        settled.iter().for_each(|outcome| summary.add(*outcome));
        Self {
            plan: Arc::clone(plan),
            stop,
            sink,
            next_seq,
            failed: false,
            begun: Instant::now(),
            open,
            begun_hosts: BTreeSet::new(),
            summary,
        }
    }

    /// Tells everything until the last host has hung up, then what never started, then the end.
    pub fn run(mut self, started: EventKind, mut inbox: mpsc::Receiver<Report>) -> Summary {
        self.tell(started, None);
        while let Some(report) = inbox.blocking_recv() {
            match report {
                Report::Host { index, kind, mark, room } => {
                    match &*kind {
                        EventKind::HostFinished { host, result } => {
                            self.open.remove(&index);
                            if self.failed && mark.is_some() {
                                self.unkept(host.clone());
                            }
                            self.summary.add(result.outcome);
                        }
                        // It is to be tried again, and nothing of it is at work.
                        EventKind::HostState { state: HostState::Queued, .. } => {
                            self.begun_hosts.remove(&index);
                        }
                        EventKind::HostState { .. } => drop(self.begun_hosts.insert(index)),
                        _ => {}
                    }
                    self.tell(*kind, mark);
                    drop(room);
                }
                // Dropped, it is never called, and the host keeps what it has.
                Report::Keep { kept } if !self.failed => self.sink.keep(kept),
                Report::Keep { .. } => {}
                Report::Stopping { reason } => self.stopping(reason),
            }
        }
        // Word of it is lost where it came while the queue was full.
        let stop = *self.stop.borrow();
        match stop {
            Stop::No | Stop::Drain => {}
            Stop::Detach => self.stopping(StopReason::Detached),
            Stop::Cancel | Stop::Leave => self.stopping(StopReason::Interrupted),
        }
        for index in std::mem::take(&mut self.open) {
            self.untold(index);
        }
        self.summary.duration_ms = self.begun.elapsed().as_millis() as u64;
        self.tell(EventKind::RunFinished { summary: self.summary.clone() }, None);
        self.summary
    }

    /// A host that never said how it ended: one that never began, or that was left behind.
    fn untold(&mut self, index: usize) {
        let mut result = HostResult::bare(Outcome::Skipped, Timestamp::now());
        // One that was given the run before is no more known than it was.
        let is_asked = matches!(self.plan.task, Task::Resume(_));
        if is_asked || self.begun_hosts.contains(&index) {
            result.outcome = Outcome::Unknown;
            let hint = match self.plan.task {
                Task::Deploy { .. } => "run the same command again".to_owned(),
                Task::Run(_) | Task::Resume(_) => format!("cronium-run attach {}", self.plan.run),
            };
            result.failure = Some(Failure {
                phase: Phase::Lost,
                kind: "left".into(),
                message: "cronium-run left before the host had ended".into(),
                causes: Vec::new(),
                hint: Some(hint),
            });
        }
        self.summary.add(result.outcome);
        let host = self.plan.targets[index].name.clone();
        self.tell(EventKind::HostFinished { host, result: Box::new(result) }, None);
    }

    /// Of a host whose result the ledger did not take: it is not lost.
    fn unkept(&mut self, host: String) {
        let message = format!(
            "the ledger takes no more, so the host keeps the result: cronium-run collect {}",
            self.plan.run
        );
        self.tell(EventKind::HostWarning { host, message }, None);
    }

    fn tell(&mut self, kind: EventKind, mark: Option<u64>) {
        let event = Event { seq: self.next_seq, at: Timestamp::now(), mark, kind };
        self.next_seq += 1;
        if let Err(error) = self.sink.event(&event) {
            tracing::error!(%error, "an event could not be recorded");
            self.failed = true;
            self.stop.send_modify(|stop| *stop = (*stop).max(Stop::Drain));
            self.stopping(StopReason::Ledger);
        }
    }

    /// Tells a reason once, and no lesser one after it.
    fn stopping(&mut self, reason: StopReason) {
        if self.summary.stopped.is_none_or(|known| rank(known) < rank(reason)) {
            self.summary.stopped = Some(reason);
            self.tell(EventKind::RunStopping { reason }, None);
        }
    }
}

/// As the exit code has it: an operator who interrupts a run that is being stopped anyway has
/// interrupted it.
fn rank(reason: StopReason) -> u8 {
    match reason {
        StopReason::Limit | StopReason::Gate => 0,
        StopReason::Ledger => 1,
        StopReason::Detached => 2,
        StopReason::Interrupted => 3,
    }
}
