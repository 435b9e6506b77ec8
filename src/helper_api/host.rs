//! What the API keeps for each host of the run.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hyper::body::Bytes;
use tokio::sync::{Semaphore, watch};

use super::Limits;
use super::bucket::Bucket;
use super::strangers::Strangers;

/// Who a host is to the API. Goes to its stub with the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostScope {
    /// As the operator's inventory names it.
    pub host: String,
    /// `RUN.N`: the run and the number, from 1, in which its hosts were registered. It stays the
    /// same when the host is tried again.
    pub execution_id: String,
    /// The widest scope of variables that the host reads and writes: the token's claim.
    pub scope: String,
    /// All of them, nearest first: `run:ID`, `host:NAME`, `group:NAME`…, `project:NAME`, `global`.
    pub scopes: Vec<String>,
}

pub struct Host {
    pub scope: HostScope,
    /// For those that have shown a good token.
    pub connections: Arc<Semaphore>,
    pub strangers: Strangers,
    pub bodies: Semaphore,
    pub reads: Semaphore,
    bucket: Mutex<Bucket>,
    calls: AtomicU64,
    /// See [`Limits::stalls`].
    stalls: AtomicU32,
    cut_off: watch::Sender<bool>,
    /// JSON text: parsed it would take up to 40 times the memory.
    output: Mutex<Option<Bytes>>,
    condition: Mutex<Option<bool>>,
}

impl Host {
    pub fn new(scope: HostScope, limits: &Limits) -> Self {
        Self {
            scope,
            connections: Arc::new(Semaphore::new(limits.connections)),
            strangers: Strangers::new(limits.strangers),
            bodies: Semaphore::new(limits.bodies),
            reads: Semaphore::new(limits.reads),
            bucket: Mutex::new(Bucket::new(limits.burst, limits.calls_per_second, Instant::now())),
            calls: AtomicU64::new(0),
            stalls: AtomicU32::new(0),
            cut_off: watch::Sender::new(false),
            output: Mutex::new(None),
            condition: Mutex::new(None),
        }
    }

    /// Whether the host may call now.
    pub fn may_call(&self) -> bool {
        lock(&self.bucket).take(Instant::now())
    }

    /// A body of it did not end, or an answer was not taken.
    pub fn count_stall(&self, limits: &Limits) {
        if self.stalls.fetch_add(1, Ordering::Relaxed) + 1 == limits.stalls {
            tracing::warn!(host = self.scope.host, "helper calls are answered no more: too many did not end");
            self.cut_off.send_replace(true);
        }
    }

    pub fn is_cut_off(&self) -> bool {
        *self.cut_off.borrow()
    }

    /// Ends when the host is cut off.
    pub async fn cut_off(&self) {
        if self.cut_off.subscribe().wait_for(|is_so| *is_so).await.is_err() {
            std::future::pending().await
        }
    }

    pub fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn set_output(&self, json: Bytes) {
        *lock(&self.output) = Some(json);
    }

    pub fn take_output(&self) -> Option<Bytes> {
        lock(&self.output).take()
    }

    pub fn set_condition(&self, condition: bool) {
        *lock(&self.condition) = Some(condition);
    }

    pub fn condition(&self) -> Option<bool> {
        *lock(&self.condition)
    }
}

/// No critical section here can leave its data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
