//! Orders, stamps and counts what hosts report; the only one who tells the sink.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::attach::to_type_again;
use super::{Report, Stop};
use crate::event::{
    Event, EventKind, Failure, HostResult, HostState, Outcome, Phase, Sink, StopReason, Summary,
};
use crate::plan::{Act, Plan, Task};

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
        let (settled, stopped, next_seq) = match &plan.task {
            Task::Resume(resume) => (resume.settled.as_slice(), resume.stopped, resume.next_seq),
            Task::Run(_) | Task::Deploy { .. } => (&[][..], None, 0),
        };
        let mut summary = Summary { stopped, ..Summary::of(settled.iter().copied()) };
        summary.hosts += open.len() as u64;
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
        let is_begun = self.begun_hosts.contains(&index);
        result.outcome = match &self.plan.task {
            _ if is_begun => Outcome::Unknown,
            // One that was given the run before is no more known than it was.
            Task::Resume(resume) => {
                let standing = resume.standings.get(index).cloned().unwrap_or_default();
                result.attempt = standing.attempt.max(1);
                result.started_at = standing.started_at;
                [result.stdout_bytes, result.stderr_bytes] = standing.bytes;
                standing.outcome.unwrap_or(Outcome::Unknown)
            }
            Task::Run(_) | Task::Deploy { .. } => Outcome::Skipped,
        };
        if result.outcome == Outcome::Unknown {
            let stop = *self.stop.borrow();
            let hint = match &self.plan.task {
                Task::Deploy { .. } => "run the same command again".to_owned(),
                Task::Resume(resume) if !is_begun && (stop == Stop::Cancel || resume.act != Act::Follow) => {
                    to_type_again(resume.act, &self.plan.run)
                }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;
    use crate::error::{Error, Result};
    use crate::event::Kept;
    use crate::fleet::sample;
    use crate::plan::{Resume, Standing};

    /// Takes so many events.
    struct Ledger {
        room: usize,
        told: Vec<Event>,
    }

    impl Sink for Ledger {
        fn event(&mut self, event: &Event) -> Result<()> {
            self.told.push(event.clone());
            if self.told.len() > self.room { Err(Error::failure("it is full")) } else { Ok(()) }
        }

        fn keep(&mut self, kept: Kept) {
            kept();
        }
    }

    fn started() -> EventKind {
        let (run, command, version) = ("01R".to_owned(), String::new(), String::new());
        EventKind::RunStarted { run, command, version, payload: None, hosts: Vec::new() }
    }

    fn ended(index: usize, outcome: Outcome, mark: Option<u64>) -> Report {
        let result = Box::new(HostResult::bare(outcome, Timestamp::UNIX_EPOCH));
        let kind = EventKind::HostFinished { host: format!("h{index}"), result };
        Report::Host { index, kind: Box::new(kind), mark, room: None }
    }

    /// What was told, as words, and how the run ended; and whose results were said to be kept.
    fn told(plan: Plan, room: usize, reports: Vec<Report>) -> (Vec<String>, Summary) {
        let (sender, inbox) = mpsc::channel(100);
        reports.into_iter().for_each(|report| assert!(sender.try_send(report).is_ok()));
        drop(sender);
        let mut ledger = Ledger { room, told: Vec::new() };
        let stop = Arc::new(watch::channel(Stop::No).0);
        let summary = Dispatcher::new(&Arc::new(plan), stop, &mut ledger).run(started(), inbox);
        let word = |event: &Event| {
            let outcome = match &event.kind {
                EventKind::HostFinished { result, .. } => result.outcome.as_str(),
                EventKind::HostWarning { message, .. } => message,
                _ => "",
            };
            let mark = event.mark.map(|mark| format!(" @{mark}")).unwrap_or_default();
            format!("{} {} {outcome}{mark}", event.seq, event.kind.name())
        };
        (ledger.told.iter().map(word).collect(), summary)
    }

    #[test]
    fn a_run_that_has_begun_before_goes_on() {
        let resume = Resume {
            act: Act::Follow,
            run: None,
            standings: [None, Some(Outcome::Detached), None, Some(Outcome::Detached)]
                .map(|outcome| Standing { outcome, ..Standing::default() })
                .into(),
            settled: vec![Outcome::Succeeded, Outcome::Failed],
            stopped: Some(StopReason::Limit),
            next_seq: 40,
        };
        let plan = sample::plan(&["h0", "h1", "h2", "h3"], Task::Resume(Box::new(resume)));
        let connecting = EventKind::HostState { host: "h3".into(), state: HostState::Connecting };
        let connecting = Report::Host { index: 3, kind: Box::new(connecting), mark: None, room: None };
        let (told, summary) = told(plan, 100, vec![ended(2, Outcome::Succeeded, Some(9)), connecting]);
        // h0 and h1 were never asked: they are no more known than they were, and no less.
        let want = [
            "40 run_started ",
            "41 host_finished succeeded @9",
            "42 host_state ",
            "43 host_finished unknown",
            "44 host_finished detached",
            "45 host_finished unknown",
            "46 run_finished ",
        ];
        assert_eq!(told, want);
        assert_eq!((summary.hosts, summary.stopped), (6, Some(StopReason::Limit)));
        let counted = [Outcome::Succeeded, Outcome::Failed, Outcome::Unknown, Outcome::Detached];
        assert_eq!(counted.map(|one| summary.count(one)), [2, 1, 2, 1]);
    }

    #[test]
    fn what_the_ledger_does_not_take_is_not_acknowledged() {
        // Events that it takes, results that are kept
        for (room, want) in [(100, vec![0, 1]), (3, vec![0]), (2, vec![]), (1, vec![])] {
            let kept = Arc::new(Mutex::new(Vec::new()));
            let keep = |index: usize| {
                let kept = Arc::clone(&kept);
                Report::Keep { kept: Box::new(move || kept.lock().unwrap().push(index)) }
            };
            let reports = vec![
                Report::Stopping { reason: StopReason::Limit },
                ended(0, Outcome::Succeeded, Some(5)),
                keep(0),
                ended(1, Outcome::Succeeded, Some(6)),
                keep(1),
            ];
            let task = Task::Run(Box::new(sample::run(Value::Null)));
            let (told, _) = told(sample::plan(&["h0", "h1"], task), room, reports);
            assert_eq!(*kept.lock().unwrap(), want, "{room}: {told:#?}");
            let unkept = told.iter().filter(|told| told.contains("cronium-run collect 01R")).count();
            // The very event that fails is told before anybody knows.
            assert!(unkept + want.len() >= 1 && unkept + want.len() <= 2, "{room}: {told:#?}");
        }
    }
}
