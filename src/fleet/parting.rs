//! The last word to a host: its result is in the ledger, and it may forget the run.

use std::sync::Arc;
use std::time::Duration;

use cronium_wire::message::{RunState, ToStub};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Fleet;
use super::attach::{answer, asking};
use crate::event::Kept;
use crate::inventory::Target;
use crate::transport::{Connection, Fault, Link, Transport};

/// How long a host may take to end once it is told to.
const END_WITHIN: Duration = Duration::from_secs(1);
/// Where the word was lost with the connection, it is said again over new ones.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// An open way to a runner that has nothing more to tell, and keeps its account until it hears that we
/// have it.
pub struct Parting {
    pub link: Link,
    pub connection: Arc<Connection>,
    /// How many frames the account has.
    pub mark: u64,
}

/// The hosts of a run that are taken leave of. None of them holds a place that another host waits for.
#[derive(Default)]
pub struct Partings {
    /// The host's index in the plan, where it has forgotten the run.
    under_way: JoinSet<Option<usize>>,
    gone: Vec<usize>,
}

impl Partings {
    /// Acknowledges once what is returned is called; where it is dropped instead, the host keeps its
    /// account.
    pub fn begin(&mut self, fleet: &Arc<Fleet>, index: usize, parting: Parting) -> Kept {
        while let Some(parted) = self.under_way.try_join_next() {
            self.forgotten(parted.ok().flatten());
        }
        let Parting { mut link, connection, mark } = parting;
        let (kept, keeping) = oneshot::channel();
        let fleet = Arc::clone(fleet);
        self.under_way.spawn(async move {
            let is_kept = keeping.await.is_ok();
            let mut is_gone = is_kept && acknowledge(&mut link).await;
            drop(link);
            connection.close().await;
            for pause in PAUSES {
                if is_gone || !is_kept {
                    break;
                }
                sleep(pause).await;
                let target = &fleet.plan.targets[index];
                let heard = acknowledge_anew(&fleet.transport, &fleet.plan.run, target, mark).await;
                is_gone = heard.unwrap_or(false);
            }
            is_gone.then_some(index)
        });
        Box::new(move || {
            let _ = kept.send(());
        })
    }

    /// This host keeps nothing of the run.
    pub fn forgotten(&mut self, index: Option<usize>) {
        self.gone.extend(index);
    }

    /// Waits until all are gone, for no longer than this: those that are, and whether these are all.
    pub async fn end(&mut self, within: Duration) -> (Vec<usize>, bool) {
        let all = async {
            while let Some(parted) = self.under_way.join_next().await {
                self.forgotten(parted.ok().flatten());
            }
        };
        let are_all = timeout(within, all).await.is_ok();
        (std::mem::take(&mut self.gone), are_all)
    }
}

/// Over a connection of its own, to a host whose account has `mark` frames and is all recorded. Whether
/// the host has forgotten the run.
pub async fn acknowledge_anew(
    transport: &Transport,
    run: &str,
    target: &Target,
    mark: u64,
) -> Result<bool, Fault> {
    let (connection, mut link, _) =
        transport.start_anew(target, &asking(run, &target.name, mark), |_| {}).await?;
    link.resume_at(mark);
    let is_gone = match answer(&mut link).await? {
        RunState::Ended => acknowledge(&mut link).await,
        RunState::Absent | RunState::Barred | RunState::Dropped => true,
        RunState::Running => false,
    };
    drop(link);
    connection.close().await;
    Ok(is_gone)
}

/// Whether the runner has taken it and ended.
async fn acknowledge(link: &mut Link) -> bool {
    let ending = async {
        link.send(&ToStub::Ack).await;
        link.ended().await
    };
    timeout(END_WITHIN, ending).await.unwrap_or(false)
}
