//! Runs a plan on its hosts.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::error::{OrFail, Result};
use crate::event::{EventKind, Sink, StopReason, Summary};
use crate::helper_api::{Api, ArtifactStore};
use crate::plan::Plan;
use crate::transport::{Flight, Transport};

mod artifacts;
mod dispatcher;
mod host;
mod inputs;
mod interrupt;
mod job;
mod opening;
mod outcome;
mod told;

use dispatcher::Dispatcher;

/// Reports that wait for the dispatcher, and the bytes they take: beyond this, hosts wait, and with
/// them their output.
const BACKLOG: usize = 256;
const BACKLOG_BYTES: usize = 16 << 20;

/// How far a run is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    No,
    /// Running hosts finish, no further host starts.
    Drain,
    /// Running hosts are told to kill their scripts.
    Cancel,
    /// Nobody is waited for.
    Leave,
}

/// Does what the plan says on all its hosts and tells `sink` of it, in order and from one thread.
/// What scripts leave goes to `artifacts`.
///
/// `started` is the run's first event. Returns once every host has ended. What happens on a host
/// is data; an error means that we could not even begin.
pub fn run(
    plan: &Arc<Plan>,
    api: &Arc<Api>,
    artifacts: &Arc<dyn ArtifactStore>,
    started: EventKind,
    sink: &mut dyn Sink,
) -> Result<Summary> {
    tracing::info!(run = plan.run, hosts = plan.targets.len(), forks = plan.forks, "run begins");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .or_fail(|| "cannot start the threads that talk to hosts")?;
    let (reports, inbox) = mpsc::channel(BACKLOG);
    let (stop, stopped) = watch::channel(Stop::No);
    let stop = Arc::new(stop);
    let fleet = Fleet {
        plan: Arc::clone(plan),
        following: job::following(plan, api),
        transport: Transport::default(),
        api: Arc::clone(api),
        artifacts: Arc::clone(artifacts),
        backlog: Arc::new(Semaphore::new(BACKLOG_BYTES)),
        stopped,
    };
    let dispatcher = Dispatcher::new(plan, Arc::clone(&stop), sink);
    let summary = std::thread::scope(|scope| {
        let telling = scope.spawn(|| dispatcher.run(started, inbox));
        runtime.spawn(interrupt::watch(stop, reports.downgrade()));
        runtime.block_on(fleet.run_hosts(reports));
        telling.join().expect("the dispatcher does not panic")
    });
    tracing::info!(
        run = plan.run,
        exit_code = summary.exit_code() as u8,
        ms = summary.duration_ms,
        "run ended"
    );
    runtime.shutdown_background();
    Ok(summary)
}

/// What a host tells the dispatcher.
enum Report {
    Host {
        index: usize,
        kind: Box<EventKind>,
        /// Its share of [`BACKLOG_BYTES`]; none where nobody waits for room any more.
        room: Option<OwnedSemaphorePermit>,
    },
    Stopping {
        reason: StopReason,
    },
}

/// What all hosts of a run share.
struct Fleet {
    plan: Arc<Plan>,
    /// Behind every host's job.
    following: Flight,
    transport: Transport,
    api: Arc<Api>,
    artifacts: Arc<dyn ArtifactStore>,
    /// [`BACKLOG_BYTES`] permits.
    backlog: Arc<Semaphore>,
    stopped: watch::Receiver<Stop>,
}

impl Fleet {
    /// Starts hosts in the plan's order, `forks` at once.
    async fn run_hosts(self, reports: mpsc::Sender<Report>) {
        let fleet = Arc::new(self);
        let forks = Arc::new(Semaphore::new(fleet.plan.forks));
        let mut hosts = JoinSet::new();
        let mut stopped = fleet.stopped.clone();
        for index in 0..fleet.plan.targets.len() {
            let leave = tokio::select! {
                biased;
                () = host::reached(&mut stopped, Stop::Drain) => break,
                leave = Arc::clone(&forks).acquire_owned() => leave.expect("nobody closes it"),
            };
            while hosts.try_join_next().is_some() {}
            let (fleet, reports) = (Arc::clone(&fleet), reports.clone());
            hosts.spawn(async move {
                host::run(&fleet, index, reports).await;
                drop(leave);
            });
        }
        while hosts.join_next().await.is_some() {}
        // Hosts that never started are told by the dispatcher, who knows which have ended.
    }
}
