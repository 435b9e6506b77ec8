//! One connection, and what is known of who is at its other end.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use super::host::Host;
use super::reply::Refusal;

/// A stranger until a request shows a good token.
pub struct Caller {
    pub host: Arc<Host>,
    stranger: u64,
    /// Taken by the one who waits for it.
    gone: Mutex<Option<oneshot::Receiver<()>>>,
    /// A place among the connections that have shown a token, for as long as this one lives.
    admitted: OnceLock<OwnedSemaphorePermit>,
}

impl Caller {
    pub fn new(host: Arc<Host>) -> Self {
        let (stranger, gone) = host.strangers.enter();
        Self { host, stranger, gone: Mutex::new(Some(gone)), admitted: OnceLock::new() }
    }

    /// To be called after a good token; 429, and the end, where the host has too many connections.
    pub fn admit(&self) -> Result<(), Refusal> {
        if self.admitted.get().is_none() {
            let permit = Arc::clone(&self.host.connections).try_acquire_owned();
            let permit = permit.map_err(|_| Refusal::new(429, "too many connections at once").and_close())?;
            // Requests of one connection come one after the other: nobody else sets it.
            let _ = self.admitted.set(permit);
            self.host.strangers.leave(self.stranger);
        }
        Ok(())
    }

    /// Ends when a stranger is to be closed: it has shown no token for `patience`, or others came.
    pub async fn shown_out(&self, patience: Duration) {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(gone) = gone {
            let _ = timeout(patience, gone).await;
        }
        if self.admitted.get().is_some() {
            std::future::pending().await
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.host.strangers.leave(self.stranger);
    }
}
