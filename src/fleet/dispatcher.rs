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
use crate::plan::Plan;

pub struct Dispatcher<'a> {
    plan: Arc<Plan>,
    stop: Arc<watch::Sender<Stop>>,
    sink: &'a mut dyn Sink,
    next_seq: u64,
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
        let summary = Summary { hosts: open.len() as u64, ..Summary::default() };
        Self {
            plan: Arc::clone(plan),
            stop,
            sink,
            next_seq: 0,
            begun: Instant::now(),
            open,
            begun_hosts: BTreeSet::new(),
            summary,
        }
    }

    /// Tells everything until the last host has hung up, then what never started, then the end.
    pub fn run(mut self, started: EventKind, mut inbox: mpsc::Receiver<Report>) -> Summary {
        self.tell(started);
        while let Some(report) = inbox.blocking_recv() {
            match report {
                Report::Host { index, kind, room } => {
                    match &*kind {
                        EventKind::HostFinished { result, .. } => {
                            self.open.remove(&index);
                            self.summary.add(result.outcome);
                        }
                        // It is to be tried again, and nothing of it is at work.
                        EventKind::HostState { state: HostState::Queued, .. } => {
                            self.begun_hosts.remove(&index);
                        }
                        EventKind::HostState { .. } => drop(self.begun_hosts.insert(index)),
                        _ => {}
                    }
                    self.tell(*kind);
                    drop(room);
                }
                Report::Stopping { reason } => self.stopping(reason),
            }
        }
        // Word of it is lost where it came while the queue was full.
        let level = *self.stop.borrow();
        match level {
            Stop::Cancel | Stop::Leave => self.stopping(StopReason::Interrupted),
            Stop::Detach => self.stopping(StopReason::Detached),
            Stop::No | Stop::Drain => {}
        }
        for index in std::mem::take(&mut self.open) {
            self.untold(index);
        }
        self.summary.duration_ms = self.begun.elapsed().as_millis() as u64;
        self.tell(EventKind::RunFinished { summary: self.summary.clone() });
        self.summary
    }

    /// A host that never said how it ended: one that never began, or that was left behind.
    fn untold(&mut self, index: usize) {
        let mut result = HostResult::bare(Outcome::Skipped, Timestamp::now());
        if self.begun_hosts.contains(&index) {
            result.outcome = Outcome::Unknown;
            let hint = match self.plan.run() {
                Some(_) => format!("cronium-run attach {}", self.plan.run),
                None => "run the same command again".to_owned(),
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
        self.tell(EventKind::HostFinished { host, result: Box::new(result) });
    }

    fn tell(&mut self, kind: EventKind) {
        let event = Event { seq: self.next_seq, at: Timestamp::now(), mark: None, kind };
        self.next_seq += 1;
        if let Err(error) = self.sink.event(&event) {
            tracing::error!(%error, "an event could not be recorded");
            self.stop.send_modify(|stop| *stop = (*stop).max(Stop::Drain));
            self.stopping(StopReason::Ledger);
        }
    }

    /// Tells a reason once, and no lesser one after it.
    fn stopping(&mut self, reason: StopReason) {
        if self.summary.stopped.is_none_or(|known| rank(known) < rank(reason)) {
            self.summary.stopped = Some(reason);
            self.tell(EventKind::RunStopping { reason });
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
