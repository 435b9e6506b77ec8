//! The last word to a host: its result is in the ledger, and it may forget the run.

use std::sync::Arc;
use std::time::Duration;

use cronium_wire::message::ToStub;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::event::Kept;
use crate::transport::{Connection, Link};

/// How long a host may take to end once it is told to.
const END_WITHIN: Duration = Duration::from_secs(1);

/// An open way to a runner that has nothing more to tell, and keeps its account until it hears that we
/// have it.
pub struct Parting {
    pub link: Link,
    pub connection: Arc<Connection>,
}

/// The hosts of a run that are taken leave of. None of them holds a place that another host waits for.
#[derive(Default)]
pub struct Partings(JoinSet<()>);

impl Partings {
    /// Acknowledges once what is returned is called; where it is dropped instead, the host keeps its
    /// account.
    pub fn begin(&mut self, parting: Parting) -> Kept {
        while self.0.try_join_next().is_some() {}
        let Parting { mut link, connection } = parting;
        let (kept, keeping) = oneshot::channel();
        self.0.spawn(async move {
            if keeping.await.is_ok() {
                let ending = async {
                    link.send(&ToStub::Ack).await;
                    link.ended().await;
                };
                // One that does not hear it keeps its account, and nothing is lost but its room.
                let _ = timeout(END_WITHIN, ending).await;
            }
            drop(link);
            connection.close().await;
        });
        Box::new(move || {
            let _ = kept.send(());
        })
    }

    /// Waits until all are gone, for no longer than this. Whether they are.
    pub async fn end(mut self, within: Duration) -> bool {
        timeout(within, async { while self.0.join_next().await.is_some() {} }).await.is_ok()
    }
}
