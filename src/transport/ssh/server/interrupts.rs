//! Signals that would end the process before it has cleared up behind its hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{OrFail, Result};

/// From its making on, Ctrl-C, SIGTERM and SIGHUP are remembered and no longer deadly.
#[derive(Clone, Default)]
pub struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    pub fn watch(runtime: &Runtime) -> Result<Self> {
        let interrupts = Self::default();
        let _entered = runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind).or_fail(|| "cannot watch for Ctrl-C")?;
            let seen = Arc::clone(&interrupts.0);
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    seen.store(true, Ordering::Relaxed);
                }
            });
        }
        Ok(interrupts)
    }

    /// Whether one of them came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
