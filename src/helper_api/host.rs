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
    output: Mutex<Output>,
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
            output: Mutex::default(),
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

    /// Takes what the script gave, unless a later one is here already. `id`: of the write; outputs
    /// with ids `WORD-N` of one word have the order of their numbers, however they come. Any other
    /// counts when it comes.
    pub fn set_output(&self, json: Bytes, id: Option<&str>) {
        let mut output = lock(&self.output);
        if let Some((word, number)) = id.and_then(numbered) {
            let last = output.last.replace((word.to_owned(), number));
            if let Some(last) = last.filter(|(before, last)| before == word && *last >= number) {
                output.last = Some(last);
                return;
            }
        }
        output.json = Some(json);
    }

    pub fn take_output(&self) -> Option<Bytes> {
        lock(&self.output).json.take()
    }

    pub fn set_condition(&self, condition: bool) {
        *lock(&self.condition) = Some(condition);
    }

    pub fn condition(&self) -> Option<bool> {
        *lock(&self.condition)
    }
}

#[derive(Default)]
struct Output {
    /// JSON text: parsed it would take up to 40 times the memory.
    json: Option<Bytes>,
    /// Word and number of the last one that had them. A runner that starts anew has another word.
    last: Option<(String, u64)>,
}

/// Word and number of an id `WORD-N`.
fn numbered(id: &str) -> Option<(&str, u64)> {
    let (word, number) = id.rsplit_once('-')?;
    // Digits alone: `parse` would take a sign.
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.parse().ok()).flatten().map(|number| (word, number))
}

/// No critical section here can leave its data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_output_undoes_nothing() {
        let scope = HostScope {
            host: "web1".into(),
            execution_id: "R.1".into(),
            scope: "global".into(),
            scopes: Vec::new(),
        };
        let host = Host::new(scope, &Limits::default());
        // In order: id of the output, whose output is the run's then.
        for (id, wanted) in [
            (Some("a-b-1"), "a-b-1"),
            (Some("a-b-0"), "a-b-1"),
            (Some("a-b-10"), "a-b-10"),
            (Some("a-b-9"), "a-b-10"),
            (Some("a-b-10"), "a-b-10"),
            // Without a number: as it comes. What is late stays late.
            (Some("a-b-+11"), "a-b-+11"),
            (Some("a-b-"), "a-b-"),
            (Some("free"), "free"),
            (None, ""),
            (Some("a-b-8"), ""),
            (Some("a-b-11"), "a-b-11"),
            // A runner that started anew counts anew.
            (Some("c-0"), "c-0"),
            (Some("c-1"), "c-1"),
            (Some("c-99999999999999999999"), "c-99999999999999999999"),
        ] {
            let before = lock(&host.output).json.clone();
            host.set_output(id.unwrap_or("").to_owned().into(), id);
            assert_eq!(lock(&host.output).json.as_deref(), Some(wanted.as_bytes()), "{id:?} on {before:?}");
        }
        // Also once it was taken.
        host.set_output("c-2".into(), Some("c-2"));
        assert_eq!(host.take_output().as_deref(), Some(b"c-2".as_slice()));
        host.set_output("c-1".into(), Some("c-1"));
        assert_eq!(host.take_output(), None);
    }
}
