//! Asking a host for a run that it has been given: after a lost connection, or in a later command.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cronium_wire::message::{Attach, FromStub, Hello, RunState, ToStub};
use tokio::time::{Instant, sleep, timeout};

use super::host::Host;
use super::listening::{COLLECTING, Due, Stops, Talk, detached, interrupted};
use super::outcome::Verdict;
use super::reconnect::is_final;
use super::{Fleet, Stop, reached};
use crate::event::{EventKind, HostState};
use crate::plan::{Act, Task};
use crate::transport::{Fault, Flight, Link, Phase};

/// How long a host may look for the run: the stub itself waits 30 s for a supervisor that begins or ends
/// just now.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

impl Host {
    /// The one conversation of `attach`, `collect` and `cancel` with this host. What keeps us from it
    /// says nothing of the run, so it is `unknown` as before.
    pub async fn resume(&mut self, fleet: &Arc<Fleet>, act: Act) -> Result<Verdict, Fault> {
        let target = &fleet.plan.targets[self.index];
        fleet.api.register(&target.name, &target.groups);
        self.warn(fleet).await;
        self.is_cancelling = act == Act::Cancel;
        let asked = self.reach(fleet, fleet.attach(&self.name, self.account.next())).await;
        // Nothing is sent that could be sent twice, and nothing is won by a second try.
        self.delivered = true;
        let Some((connection, link, hello)) = asked? else { return Err(fleet.not_asked()) };
        // The runner that answers need not be the one that ran.
        self.hello = Some(Hello { stub_digest: String::new(), ..hello });
        let mut talk = Talk::attached(connection, link, self.account.next());
        let mut cancelled = fleet.stopped.clone();
        let stands = tokio::select! {
            biased;
            () = reached(&mut cancelled, Stop::Cancel) => Err(fleet.not_asked()),
            state = answer(&mut talk.link) => state,
        };
        let verdict = match stands {
            // Whoever collects does not wait.
            Ok(RunState::Running) if act == Act::Collect => Ok(Verdict::detached()),
            Ok(state) => match self.stands(fleet, &mut talk, state, None).await {
                Some(verdict) => Ok(verdict),
                None => return Ok(self.hear(fleet, talk, &[]).await),
            },
            Err(fault) => Err(fault),
        };
        talk.close().await;
        verdict
    }

    /// Makes a lost connection again and goes on from the last frame that came. The host's end where
    /// that is not to be had. `made`: when the connection was.
    pub async fn reconnect(
        &mut self,
        fleet: &Arc<Fleet>,
        lost: Fault,
        made: Instant,
    ) -> Result<Talk, Verdict> {
        let (at, lasted) = (Instant::now(), made.elapsed());
        tracing::info!(host = self.name, fault = lost.message, causes = ?lost.causes, "connection lost");
        let since = self.tries.lost(self.account.next(), lasted, at);
        if !fleet.plan.reconnect.is_zero() {
            self.enter(HostState::Reconnecting).await;
        }
        let (mut talk, state) = self.make_again(fleet, &lost, since).await?;
        if let Some(verdict) = self.stands(fleet, &mut talk, state, Some(&lost)).await {
            talk.close().await;
            return Err(verdict);
        }
        let causes: String = lost.causes.iter().map(|cause| format!(": {cause}")).collect();
        let message = format!(
            "connection lost after {} ({}{causes}), going on after {}",
            spoken(lasted),
            lost.message,
            spoken(at.elapsed())
        );
        self.account.report(EventKind::HostWarning { host: self.name.clone(), message }).await;
        Ok(talk)
    }

    /// Asks until somebody answers, it is in vain, or the time for it is over.
    async fn make_again(
        &mut self,
        fleet: &Arc<Fleet>,
        lost: &Fault,
        since: Instant,
    ) -> Result<(Talk, RunState), Verdict> {
        let mut stopped = Stops::of(fleet);
        let mut last = None;
        let kills = fleet.act() == Some(Act::Cancel);
        loop {
            let Some(pause) = self.tries.next(since.elapsed(), fleet.plan.reconnect) else {
                return Err(given_up(fleet, lost, since, last));
            };
            let asks_at = Instant::now() + pause;
            let (name, index, from) = (self.name.clone(), self.index, self.account.next());
            let mut asking = pin!(async move {
                sleep(pause).await;
                let (target, flight) = (&fleet.plan.targets[index], fleet.attach(&name, from));
                let step = |step| tracing::debug!(host = name, ?step, "reconnecting");
                let (connection, link, _) = fleet.transport.start_anew(target, &flight, step).await?;
                let mut talk = Talk::attached(connection, link, from);
                let state = answer(&mut talk.link).await?;
                Ok((talk, state))
            });
            let asked: Result<_, Fault> = loop {
                tokio::select! {
                    biased;
                    () = reached(&mut stopped.left, Stop::Leave) => return Err(Verdict::from(interrupted())),
                    () = reached(&mut stopped.cancelled, Stop::Cancel), if !self.is_cancelling || kills => {
                        if kills || fleet.act() == Some(Act::Collect) {
                            return Err(Verdict::from(fleet.not_asked()));
                        }
                        // The host is to hear of it: no time is to be lost.
                        self.is_cancelling = true;
                        self.tries.hurry();
                        if Instant::now() < asks_at {
                            break Err(lost.clone());
                        }
                    }
                    () = detached(&mut stopped.detached), if !self.is_cancelling => {
                        // It goes on by itself, as far as anybody knows.
                        return Err(match self.account.started {
                            true => Verdict::detached(),
                            false => given_up(fleet, lost, since, last),
                        });
                    }
                    asked = &mut asking => break asked,
                }
            };
            match asked {
                Ok(made) => return Ok(made),
                Err(fault) if is_final(&fault) => return Err(given_up(fleet, lost, since, Some(fault))),
                Err(fault) => {
                    tracing::debug!(host = self.name, ?fault, "not reconnected");
                    last = Some(fault);
                }
            }
        }
    }

    /// What follows from the answer: the host's end, or its account goes on.
    async fn stands(
        &mut self,
        fleet: &Fleet,
        talk: &mut Talk,
        state: RunState,
        lost: Option<&Fault>,
    ) -> Option<Verdict> {
        let state = match state {
            // What is gone without a trace leaves as little behind as what never was.
            RunState::Barred if !self.never_began(fleet) => RunState::Absent,
            state => state,
        };
        self.is_forgotten = matches!(state, RunState::Barred | RunState::Absent | RunState::Dropped);
        match state {
            RunState::Running => self.due = Due::of_script(fleet),
            RunState::Ended => {
                talk.is_over = true;
                self.due = Due::Files(Instant::now() + COLLECTING);
            }
            // Nothing ran, as was wanted.
            RunState::Barred if self.is_cancelling => return Some(Verdict::cancelled()),
            RunState::Barred | RunState::Absent | RunState::Dropped => {
                let end = end(state, &fleet.plan.run);
                return Some(Verdict::from(match lost {
                    Some(Fault { message, causes, .. }) => causes
                        .iter()
                        .fold(end.cause(message.as_str()), |end, cause| end.cause(cause.as_str())),
                    None => end,
                }));
            }
        }
        self.account.started = true;
        self.enter(HostState::Running).await;
        None
    }

    /// Whether nothing says that the script was ever started there: neither what this process has heard
    /// nor what another one has recorded, which is not known of a run of another ledger. Of a host that
    /// was given up somebody else may have fetched the result.
    fn never_began(&self, fleet: &Fleet) -> bool {
        let is_known = match (&fleet.plan.task, fleet.standing(self.index)) {
            (Task::Resume(resume), standing) => {
                let outcome = standing.and_then(|standing| standing.outcome);
                resume.run.is_some() && outcome.is_none()
            }
            (Task::Run(_) | Task::Deploy { .. }, _) => true,
        };
        is_known && !self.account.started && self.account.next() == 0
    }
}

impl Fleet {
    /// What this run was begun for, where it is one that has begun before.
    pub fn act(&self) -> Option<Act> {
        match &self.plan.task {
            Task::Resume(resume) => Some(resume.act),
            Task::Run(_) | Task::Deploy { .. } => None,
        }
    }

    /// The operator has cancelled before the host was asked.
    fn not_asked(&self) -> Fault {
        match self.act() {
            Some(act) => interrupted().hint(to_type_again(act, &self.plan.run)),
            None => interrupted(),
        }
    }

    /// Asks `host` for its account from this frame on.
    fn attach(&self, host: &str, from: u64) -> Flight {
        let follow = self.act() != Some(Act::Collect);
        flight(&self.plan.run, host, from, follow)
    }
}

/// What does for a host later what was cancelled before it was asked.
pub fn to_type_again(act: Act, run: &str) -> String {
    let command = match act {
        // Who cancels what he follows wants it killed.
        Act::Follow | Act::Cancel => "cancel",
        Act::Collect => "collect",
    };
    format!("cronium-run {command} {run}")
}

/// Asks `host` for what there is of a run that is over.
pub fn asking(run: &str, host: &str, from: u64) -> Flight {
    flight(run, host, from, false)
}

fn flight(run: &str, host: &str, from: u64, follow: bool) -> Flight {
    Flight::new(&ToStub::Attach(Attach { run: run.to_owned(), host: host.to_owned(), from, follow }))
}

/// Of a run that has begun before: what keeps us from its host says nothing of it.
pub fn unasked(fault: Fault) -> Fault {
    if fault.phase == Phase::Lost {
        return fault;
    }
    let Fault { message, causes, hint, unknown, .. } = fault;
    let unasked = Fault::new(Phase::Lost, "unasked", "the host could not be asked").cause(message);
    let unasked = causes.into_iter().fold(unasked, Fault::cause);
    Fault { hint, unknown, ..unasked }
}

/// What an answer means where nothing follows it.
fn end(state: RunState, run: &str) -> Fault {
    const LOOK: &str = "the script may have finished: look at the host before you run it again";
    match state {
        RunState::Running | RunState::Ended => Fault::new(Phase::Lost, "running", "the script still runs")
            .hint(format!("cronium-run attach {run}")),
        RunState::Barred => Fault::new(
            Phase::Upload,
            "not-started",
            "the connection broke before the script was started, and now it will not be",
        )
        .hint(format!("cronium-run rerun {run} --unreachable")),
        RunState::Absent => {
            Fault::new(Phase::Lost, "absent", "the host knows nothing of this run").hint(LOOK)
        }
        RunState::Dropped => {
            let message = "the host has dropped the result, as nobody came for it in time";
            Fault::new(Phase::Lost, "dropped", message).hint(LOOK)
        }
    }
}

pub async fn answer(link: &mut Link) -> Result<RunState, Fault> {
    match timeout(ANSWER_WITHIN, link.receive()).await {
        Ok(Ok(FromStub::Attached(state))) => Ok(state),
        Ok(Ok(_)) => Err(Fault::foreign("the runner does not say how the run stands")),
        Ok(Err(fault)) => Err(fault),
        Err(_) => {
            Err(Fault::lost(format!("the runner did not find the run within {} s", ANSWER_WITHIN.as_secs())))
        }
    }
}

/// Of a link that is not made again: what is known of the loss, and of the last try.
fn given_up(fleet: &Fleet, lost: &Fault, since: Instant, last: Option<Fault>) -> Verdict {
    let mut fault = lost.clone();
    if let Some(Fault { message, causes, .. }) = last {
        fault = fault.cause(format!("for {} it could not be made again: {message}", spoken(since.elapsed())));
        fault = causes.into_iter().fold(fault, Fault::cause);
    }
    let hint = format!("cronium-run attach {}", fleet.plan.run);
    Verdict::from(fault.hint(hint))
}

/// As people say it: 3.2 s, 12 s.
fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds < 9.95 {
        true => format!("{seconds:.1} s"),
        false => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::sync::mpsc;

    use super::*;
    use crate::event::Outcome;
    use crate::fleet::sample;
    use crate::plan::{Resume, Run, Standing};

    fn run() -> Box<Run> {
        Box::new(sample::run(Value::Null))
    }

    fn resumed(act: Act, run: Option<Box<Run>>, standing: Standing) -> Task {
        let standings = vec![standing];
        Task::Resume(Box::new(Resume {
            act,
            run,
            standings,
            settled: Vec::new(),
            stopped: None,
            next_seq: 0,
        }))
    }

    #[tokio::test]
    async fn what_says_that_a_script_was_never_started() {
        let asked = |mark, outcome| {
            resumed(Act::Follow, Some(run()), Standing { mark, outcome, ..Standing::default() })
        };
        // task, what this process knows of the start, whether nothing says that it was started
        let table = [
            (Task::Run(run()), false, true),
            (Task::Run(run()), true, false),
            (asked(0, None), false, true),
            (asked(0, Some(Outcome::Unknown)), false, false),
            (asked(0, Some(Outcome::Detached)), false, false),
            (asked(1, Some(Outcome::Unknown)), false, false),
            (asked(0, None), true, false),
            // Of another ledger, or the order is lost.
            (resumed(Act::Follow, None, Standing::default()), false, false),
        ];
        for (at, (task, started, want)) in table.into_iter().enumerate() {
            let (fleet, reports, _inbox) = sample::fleet(sample::plan(&["a"], task));
            let mut host = Host::new(&fleet, 0, 1, reports, mpsc::channel(1).0);
            host.account.started = started;
            assert_eq!(host.never_began(&fleet), want, "{at}");
        }
    }

    #[tokio::test]
    async fn what_to_type_of_a_host_that_was_not_asked() {
        for (act, want) in [(Act::Follow, "cancel"), (Act::Cancel, "cancel"), (Act::Collect, "collect")] {
            let task = resumed(act, Some(run()), Standing::default());
            let (fleet, _, _inbox) = sample::fleet(sample::plan(&["a"], task));
            assert_eq!(fleet.not_asked().hint, Some(format!("cronium-run {want} 01R")), "{act:?}");
        }
    }

    #[test]
    fn times_as_people_say_them() {
        for (ms, want) in [(0, "0.0 s"), (3200, "3.2 s"), (9940, "9.9 s"), (9960, "10 s"), (300_000, "300 s")]
        {
            assert_eq!(spoken(Duration::from_millis(ms)), want);
        }
    }
}
