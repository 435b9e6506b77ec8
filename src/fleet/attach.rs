//! Asking a host for a run that it has been given: after a lost connection, or in a later command.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cronium_wire::message::{Attach, FromStub, Hello, RunState, ToStub};
use tokio::time::{Instant, sleep, timeout};

use super::host::Host;
use super::listening::{COLLECTING, Due, LATE, Stops, Talk, detached, interrupted, overdue};
use super::outcome::Verdict;
use super::reconnect::is_final;
use super::{Fleet, Stop, reached};
use crate::event::HostState;
use crate::plan::{Act, GRACE, Task};
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
        if act == Act::Cancel {
            self.cancel_by = Some(Instant::now() + GRACE + LATE);
        }
        let asked = self.reach(fleet, fleet.attach(&self.name, self.account.next())).await;
        // Nothing is sent that could be sent twice, and nothing is won by a second try.
        self.delivered = true;
        let Some((connection, link, hello)) = asked? else { return Err(interrupted()) };
        // The runner that answers need not be the one that ran.
        self.hello = Some(Hello { stub_digest: String::new(), ..hello });
        let mut talk = Talk::attached(connection, link, self.account.next());
        let mut left = fleet.stopped.clone();
        let state = tokio::select! {
            biased;
            () = reached(&mut left, Stop::Leave) => return Err(interrupted()),
            state = answer(&mut talk.link) => state?,
        };
        // Whoever collects does not wait.
        if act == Act::Collect && state == RunState::Running {
            return Ok(Verdict::detached());
        }
        match self.stands(fleet, &mut talk, &state, None).await {
            Some(verdict) => Ok(verdict),
            None => Ok(self.hear(fleet, talk, &[]).await),
        }
    }

    /// Makes a lost connection again and goes on from the last frame that came. The host's end where
    /// that is not to be had. `made`: when the connection was.
    pub async fn reconnect(
        &mut self,
        fleet: &Arc<Fleet>,
        lost: Fault,
        made: Instant,
    ) -> Result<Talk, Verdict> {
        let (since, lasted) = (Instant::now(), made.elapsed());
        tracing::info!(host = self.name, fault = lost.message, causes = ?lost.causes, "connection lost");
        self.tries.lost(lasted);
        if !fleet.plan.reconnect.is_zero() {
            self.enter(HostState::Reconnecting).await;
        }
        let (mut talk, state) = self.make_again(fleet, &lost, since).await?;
        if let Some(verdict) = self.stands(fleet, &mut talk, &state, Some(&lost)).await {
            return Err(verdict);
        }
        let causes: String = lost.causes.iter().map(|cause| format!(": {cause}")).collect();
        let message = format!(
            "connection lost after {} ({}{causes}), going on after {}",
            spoken(lasted),
            lost.message,
            spoken(since.elapsed())
        );
        self.account.warn(message).await.map_err(Verdict::from)?;
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
        loop {
            let window = fleet.plan.reconnect;
            let until = |by: Instant| window.min(by.saturating_duration_since(since));
            let window = self.cancel_by.map_or(window, until);
            let Some(pause) = self.tries.next(since.elapsed(), window) else {
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
                    () = reached(&mut stopped.cancelled, Stop::Cancel), if self.cancel_by.is_none() => {
                        if fleet.act() == Some(Act::Collect) {
                            return Err(Verdict::from(interrupted()));
                        }
                        // The host is to hear of it: there is a little time for that, and none to lose.
                        self.cancel_by = Some(Instant::now() + GRACE + LATE);
                        self.tries.hurry();
                        if Instant::now() < asks_at {
                            break Err(lost.clone());
                        }
                    }
                    () = detached(&mut stopped.detached), if self.cancel_by.is_none() => {
                        // It goes on by itself, as far as anybody knows.
                        return Err(match self.account.started {
                            true => Verdict::detached(),
                            false => given_up(fleet, lost, since, last),
                        });
                    }
                    asked = &mut asking => break asked,
                    () = overdue(self.cancel_by) => return Err(given_up(fleet, lost, since, last)),
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
        state: &RunState,
        lost: Option<&Fault>,
    ) -> Option<Verdict> {
        match state {
            RunState::Running => self.due = Due::of_script(fleet),
            RunState::Ended => {
                talk.is_over = true;
                self.due = Due::Files(Instant::now() + COLLECTING);
            }
            // Nothing ran, as was wanted.
            RunState::Barred if self.cancel_by.is_some() => return Some(Verdict::cancelled()),
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
}

impl Fleet {
    /// What this run was begun for, where it is one that has begun before.
    pub fn act(&self) -> Option<Act> {
        match &self.plan.task {
            Task::Resume(resume) => Some(resume.act),
            Task::Run(_) | Task::Deploy { .. } => None,
        }
    }

    /// Asks `host` for its account from this frame on.
    fn attach(&self, host: &str, from: u64) -> Flight {
        let follow = self.act() != Some(Act::Collect);
        flight(&self.plan.run, host, from, follow)
    }
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
fn end(state: &RunState, run: &str) -> Fault {
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
    use super::*;

    #[test]
    fn times_as_people_say_them() {
        for (ms, want) in [(0, "0.0 s"), (3200, "3.2 s"), (9940, "9.9 s"), (9960, "10 s"), (300_000, "300 s")]
        {
            assert_eq!(spoken(Duration::from_millis(ms)), want);
        }
    }
}
