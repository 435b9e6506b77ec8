use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of events that wait to be written: who tells more waits.
const MOST: usize = 8 << 20;

/// What events on their way to the writer take in memory.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: usize,
    /// The writer is gone: nobody waits for it.
    is_over: bool,
}

impl Backlog {
    /// Waits for room. One that is larger than all there is goes alone.
    pub(super) fn enter(&self, bytes: usize) {
        let full = |waiting: &mut Waiting| {
            !waiting.is_over && waiting.bytes > 0 && waiting.bytes.saturating_add(bytes) > MOST
        };
        let waited = self.changed.wait_while(self.lock(), full);
        waited.unwrap_or_else(PoisonError::into_inner).bytes += bytes;
    }

    pub(super) fn leave(&self, bytes: usize) {
        let mut waiting = self.lock();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        self.changed.notify_all();
    }

    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_tells_too_much_waits() {
        let backlog = Arc::new(Backlog::default());
        backlog.enter(2 * MOST);
        let entered = Arc::new(AtomicBool::new(false));
        let teller = thread::spawn({
            let (backlog, entered) = (backlog.clone(), entered.clone());
            move || {
                backlog.enter(1);
                entered.store(true, Ordering::SeqCst);
            }
        });
        thread::sleep(Duration::from_millis(50));
        assert!(!entered.load(Ordering::SeqCst));
        backlog.leave(2 * MOST);
        teller.join().unwrap();
        backlog.enter(MOST - 1);
        backlog.end();
        backlog.enter(MOST);
    }
}
