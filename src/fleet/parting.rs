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

/// An open way to a runner that has nothing more to tell.
pub struct Parting {
    link: Link,
    connection: Arc<Connection>,
    /// It waits for word that its result is kept.
    acknowledging: bool,
}

impl Parting {
    /// From a host that keeps its account until it hears that we have it.
    pub fn acknowledging(link: Link, connection: Arc<Connection>) -> Self {
        Self { link, connection, acknowledging: true }
    }

    /// From a host that goes on alone, and knows it.
    pub fn leaving(link: Link, connection: Arc<Connection>) -> Self {
        Self { link, connection, acknowledging: false }
    }
}

/// The hosts of a run that are taken leave of. None of them holds a place that another host waits for.
#[derive(Default)]
pub struct Partings(JoinSet<()>);

impl Partings {
    /// Begins to. Where word is waited for, it comes by calling what is returned; where that is dropped
    /// instead, the host keeps its account.
    pub fn begin(&mut self, parting: Parting) -> Option<Kept> {
        while self.0.try_join_next().is_some() {}
        let Parting { mut link, connection, acknowledging } = parting;
        let (kept, keeping) = oneshot::channel();
        self.0.spawn(async move {
            if !acknowledging || keeping.await.is_ok() {
                let ending = async {
                    if acknowledging {
                        link.send(&ToStub::Ack).await;
                    }
                    link.ended().await;
                };
                // One that does not hear it keeps its account, and nothing is lost but its room.
                let _ = timeout(END_WITHIN, ending).await;
            }
            drop(link);
            connection.close().await;
        });
        acknowledging.then(|| -> Kept {
            Box::new(move || {
                let _ = kept.send(());
            })
        })
    }

    /// Waits until all are gone, for no longer than this. Whether they are.
    pub async fn end(mut self, within: Duration) -> bool {
        timeout(within, async { while self.0.join_next().await.is_some() {} }).await.is_ok()
    }
}
