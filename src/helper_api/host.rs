//! What the API keeps for each host of the run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hyper::body::Bytes;
use tokio::sync::Semaphore;

use super::Limits;
use super::bucket::Bucket;

/// Who a host is to the API. Goes to its stub with the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostScope {
    /// As the operator's inventory names it.
    pub host: String,
    /// `RUN.N`: the run and the number, from 1, in which its hosts were registered. It stays the
    /// same when the host is tried again.
    pub execution_id: String,
    /// The scope of variables that the host reads and writes.
    pub scope: String,
}

pub struct Host {
    pub scope: HostScope,
    pub connections: Semaphore,
    pub bodies: Semaphore,
    bucket: Mutex<Bucket>,
    calls: AtomicU64,
    /// JSON text: parsed it would take up to 40 times the memory.
    output: Mutex<Option<Bytes>>,
    condition: Mutex<Option<bool>>,
}

impl Host {
    pub fn new(scope: HostScope, limits: &Limits) -> Self {
        Self {
            scope,
            connections: Semaphore::new(limits.connections),
            bodies: Semaphore::new(limits.bodies),
            bucket: Mutex::new(Bucket::new(limits.burst, limits.calls_per_second, Instant::now())),
            calls: AtomicU64::new(0),
            output: Mutex::new(None),
            condition: Mutex::new(None),
        }
    }

    /// Whether the host may call now.
    pub fn may_call(&self) -> bool {
        lock(&self.bucket).take(Instant::now())
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
