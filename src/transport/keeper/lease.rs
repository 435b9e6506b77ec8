//! A connection in the hands of one command.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::pool::Idle;
use super::spare::{Spare, Started};
use crate::inventory::Ssh;
use crate::transport::Fault;
use crate::transport::ssh::{Connection, boot_time};

/// Programs of one command at once. One job needs one after the other.
const PROGRAMS: u32 = 16;
/// For programs of a command that is gone to be told so.
const PROGRAMS_END_WITHIN: Duration = Duration::from_secs(5);

pub struct Lease {
    pub identity: Ssh,
    pub connection: Arc<Connection>,
    spare: Mutex<Option<Spare>>,
    /// What is to be started for whoever comes next.
    again: Mutex<Option<String>>,
    programs: Arc<Semaphore>,
}

impl Lease {
    pub fn new(identity: Ssh, connection: Arc<Connection>, spare: Option<Spare>) -> Self {
        let programs = Arc::new(Semaphore::new(PROGRAMS as usize));
        Self { identity, connection, spare: Mutex::new(spare), again: Mutex::default(), programs }
    }

    /// Starts `command`, or takes the one that was started before.
    pub async fn exec(&self, command: &str, terminal: bool, again: bool) -> Result<Started, Fault> {
        if again {
            *self.again.lock().unwrap_or_else(PoisonError::into_inner) = Some(command.to_owned());
        }
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(spare) = spare.filter(|_| !terminal)
            && let Some(started) = spare.take(command).await
        {
            return Ok(started);
        }
        let exec = self.connection.exec(command, terminal).await?;
        Ok(Started { exec, said: Vec::new() })
    }

    /// Held for as long as a program of this command runs.
    /// `None` where the lease is over.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.programs).acquire_owned().await.ok()
    }

    /// Waits for what the command left. The connection, to be kept for so long; `None` where it is
    /// of no further use.
    pub async fn end(&self, has_tunnels: bool, keep: Duration) -> Option<Idle> {
        let _all = timeout(PROGRAMS_END_WITHIN, self.programs.acquire_many(PROGRAMS)).await.ok()?.ok()?;
        self.programs.close();
        if has_tunnels {
            timeout(PROGRAMS_END_WITHIN, self.connection.close_tunnels()).await.ok()?;
        }
        if self.connection.is_closed() {
            return None;
        }
        let unused = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        let again = self.again.lock().unwrap_or_else(PoisonError::into_inner).take();
        let spare = unused.filter(Spare::runs);
        let since = boot_time();
        Some(Idle {
            connection: Arc::clone(&self.connection),
            again: again.filter(|_| spare.is_none()),
            spare,
            since,
            until: since + keep,
        })
    }
}
