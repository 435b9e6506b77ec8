//! The last word to hosts that have not heard that their results are recorded: they may forget them.

use std::future;
use std::path::Path;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{Context, shell};
use crate::error::{OrFail as _, Result};
use crate::fleet;
use crate::inventory::Target;
use crate::ledger::Ledger;
use crate::transport::Transport;

/// A host with the frames of its account that are recorded.
pub type Marked = (Target, u64);

/// Hosts of one run that are to hear it.
pub struct Leave {
    pub run: String,
    pub hosts: Vec<Marked>,
    /// How many at once.
    pub forks: usize,
}

impl Leave {
    /// Waits for hosts, a minute for each at most. `true` where SIGINT or SIGTERM came meanwhile: nobody is
    /// waited for any more, and the next `collect` says it. What goes wrong is told; no result depends on it.
    pub fn take(self, ledger: &Path, context: &Context) -> bool {
        if self.hosts.is_empty() {
            return false;
        }
        let run = self.run.clone();
        self.taken(ledger, context).unwrap_or_else(|error| {
            let why = error.in_one_line();
            shell::warn(&context.term, &format!("hosts of {run} go on keeping what is recorded: {why}"));
            false
        })
    }

    fn taken(self, ledger: &Path, context: &Context) -> Result<bool> {
        let Self { run, hosts, forks } = self;
        let transport = Transport::remembering(context.login_keys_path()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.or_fail(|| "cannot start the threads that talk to hosts")?;
        let (tell, told) = oneshot::channel();
        let asked = run.clone();
        let left = runtime.block_on(async {
            // Heard from here on: a run before may have taken them over already.
            let stopped = stopped();
            // By itself: it ends with the process where nobody waits for it.
            thread::spawn(move || tell.send(fleet::take_leave(&asked, hosts, transport, forks)));
            tokio::select! {
                biased;
                left = told => left.ok(),
                () = stopped => None,
            }
        });
        match left {
            Some(gone) => Ledger::open(ledger)?.forgotten(&run, gone?).map(|()| false),
            None => Ok(true),
        }
    }
}

/// Never, where signals cannot be had: they keep their deadly default then.
fn stopped() -> impl Future<Output = ()> {
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    async {
        let [Ok(mut interrupt), Ok(mut terminate)] = signals else { return future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
