//! Runs a plan on its hosts.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::error::{OrFail, Result};
use crate::event::{EventKind, Kept, Sink, StopReason, Summary};
use crate::helper_api::{Api, ArtifactStore};
use crate::plan::{Plan, Task};
use crate::transport::{Flight, Transport};

mod account;
mod artifacts;
mod attach;
mod dispatcher;
mod driver;
mod gate;
mod host;
mod inputs;
mod interrupt;
mod job;
mod leave;
mod listening;
mod opening;
mod operator;
mod outcome;
mod parting;
mod reconnect;
mod rollout;
#[cfg(test)]
mod sample;
mod stranger;
mod told;

use dispatcher::Dispatcher;
use driver::Driver;
pub use gate::{Checkpoint, Ended, Gate};
pub use leave::take_leave;
pub use operator::{Choice, Operator};
pub use outcome::Verdict;
pub use stranger::{Stranger, Vouch};

/// Reports that wait for the dispatcher, and the bytes they take: beyond this, hosts wait, and with
/// them their output.
const BACKLOG: usize = 256;
const BACKLOG_BYTES: usize = 16 << 20;

/// At a run's end: for the last results to be kept, and their hosts to hear of it.
const PARTED_WITHIN: Duration = Duration::from_secs(10);

/// How far a run is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    No,
    /// Running hosts finish, no further host starts.
    Drain,
    /// Running hosts are left to themselves.
    Detach,
    /// Running hosts are told to kill their scripts.
    Cancel,
    /// Nobody is waited for.
    Leave,
}

/// What a run needs beside its plan.
pub struct Means {
    pub transport: Transport,
    pub api: Arc<Api>,
    /// Where what scripts leave goes to.
    pub artifacts: Arc<dyn ArtifactStore>,
    /// Says whether the next batch may start.
    pub gate: Option<Box<dyn Gate>>,
    /// Says whether unknown host keys are right; without it, such hosts are refused.
    pub vouch: Option<Arc<dyn Vouch>>,
    /// Is told who is pending, and asked what becomes of an interrupted run.
    pub operator: Arc<dyn Operator>,
}

/// Does what the plan says on all its hosts and tells `sink` of it, in order and from one thread.
///
/// `started` is the run's first event. Returns once every host has ended. What happens on a host
/// is data; an error means that we could not even begin.
pub fn run(plan: &Arc<Plan>, means: Means, started: EventKind, sink: &mut dyn Sink) -> Result<Summary> {
    let Means { transport, api, artifacts, gate, vouch, operator } = means;
    let transport = Arc::new(transport);
    tracing::info!(run = plan.run, hosts = plan.targets.len(), forks = plan.forks, "run begins");
    let runtime = runtime()?;
    let (sender, inbox) = mpsc::channel(BACKLOG);
    let (stop, stopped) = watch::channel(Stop::No);
    let to_interrupt = sender.downgrade();
    let backlog = Arc::new(Semaphore::new(BACKLOG_BYTES));
    let reports = Reports { sender, backlog, left: stopped.clone() };
    let (stop, mut leaving) = (Arc::new(stop), stopped.clone());
    let fleet = Fleet {
        plan: Arc::clone(plan),
        following: job::following(plan, &api),
        transport: Arc::clone(&transport),
        api,
        artifacts,
        stopped,
    };
    let dispatcher = Dispatcher::new(plan, Arc::clone(&stop), &mut *sink);
    let may_detach = match &plan.task {
        Task::Run(run) => !run.lease.is_zero(),
        Task::Resume(_) => true,
        Task::Deploy { .. } => false,
    };
    let (ended, over) = oneshot::channel();
    let (summary, gone) = std::thread::scope(|scope| {
        let telling = scope.spawn(|| dispatcher.run(started, inbox));
        runtime.spawn(interrupt::watch(stop, to_interrupt, operator, may_detach, over));
        let mut partings = runtime.block_on(Driver::new(fleet, reports, gate, vouch).run());
        let level = *leaving.borrow();
        drop(ended);
        let summary = telling.join().expect("the dispatcher does not panic");
        let gone = runtime.block_on(async {
            tokio::select! {
                biased;
                // A signal that has come since.
                () = passed(&mut leaving, level) => partings.end(Duration::ZERO).await.0,
                (gone, are_all) = partings.end(PARTED_WITHIN) => {
                    if !are_all {
                        tracing::warn!(run = plan.run, "not all hosts have heard that their results are kept");
                    }
                    gone
                }
            }
        });
        (summary, gone)
    });
    let names = gone.iter().map(|index| plan.targets[*index].name.clone());
    sink.forgotten(names.collect());
    transport.save();
    tracing::info!(
        run = plan.run,
        exit_code = summary.exit_code() as u8,
        ms = summary.duration_ms,
        "run ended"
    );
    runtime.shutdown_background();
    Ok(summary)
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .or_fail(|| "cannot start the threads that talk to hosts")
}

/// What the dispatcher is told.
enum Report {
    Host {
        index: usize,
        kind: Box<EventKind>,
        /// As [`Event::mark`](crate::event::Event::mark).
        mark: Option<u64>,
        /// Its share of [`BACKLOG_BYTES`]; none where nobody waits for room any more.
        room: Option<OwnedSemaphorePermit>,
    },
    /// Called once all that was told before is kept.
    Keep {
        kept: Kept,
    },
    Stopping {
        reason: StopReason,
    },
}

/// The way to the dispatcher.
#[derive(Clone)]
struct Reports {
    sender: mpsc::Sender<Report>,
    /// [`BACKLOG_BYTES`] permits.
    backlog: Arc<Semaphore>,
    left: watch::Receiver<Stop>,
}

impl Reports {
    /// Tells of a host, when there is room for it. `mark`: how far its account is known with that.
    /// Whether it was told: nothing waits for room once the run is left.
    async fn host(&self, index: usize, kind: EventKind, mark: Option<u64>) -> bool {
        let mut left = self.left.clone();
        let share = u32::try_from(kind.weight().min(BACKLOG_BYTES)).unwrap_or(u32::MAX);
        let room = tokio::select! {
            biased;
            room = Arc::clone(&self.backlog).acquire_many_owned(share) => room.ok(),
            () = reached(&mut left, Stop::Leave) => return false,
        };
        self.send(Report::Host { index, kind: Box::new(kind), mark, room }).await
    }

    /// Waits until there is room, so that what is told stays in order. Whether it was told.
    async fn send(&self, report: Report) -> bool {
        let mut left = self.left.clone();
        tokio::select! {
            biased;
            // The dispatcher outlives every host.
            sent = self.sender.send(report) => sent.is_ok(),
            // A reader that has stopped reading holds nobody who is told to leave; the dispatcher
            // says of this host what is known then.
            () = reached(&mut left, Stop::Leave) => false,
        }
    }
}

/// Waits until the run is stopped so far.
async fn reached(stopped: &mut watch::Receiver<Stop>, level: Stop) {
    // An error means that nobody can stop it any more.
    if stopped.wait_for(|stop| *stop >= level).await.is_err() {
        std::future::pending().await
    }
}

/// Waits until the run is stopped further.
async fn passed(stopped: &mut watch::Receiver<Stop>, level: Stop) {
    if stopped.wait_for(|stop| *stop > level).await.is_err() {
        std::future::pending().await
    }
}

/// What all hosts of a run share.
struct Fleet {
    plan: Arc<Plan>,
    /// Behind every host's job.
    following: Flight,
    transport: Arc<Transport>,
    api: Arc<Api>,
    artifacts: Arc<dyn ArtifactStore>,
    stopped: watch::Receiver<Stop>,
}
