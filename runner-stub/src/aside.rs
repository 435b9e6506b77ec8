//! Work that may hang on a dead disk, and is waited for only so long.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::session::spawn;

pub struct Aside<T>(Arc<(Mutex<Option<T>>, Condvar)>);

impl<T: Send + 'static> Aside<T> {
    /// In a thread of its own; at once where there can be none.
    pub fn start(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(None), Condvar::new()));
        let done = Arc::clone(&shared);
        let work = Arc::new(Mutex::new(Some(move || {
            let result = work();
            *done.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            done.1.notify_all();
        })));
        let taken = Arc::clone(&work);
        if spawn(move || run(&taken)).is_err() {
            run(&work);
        }
        Self(shared)
    }

    /// What came of it; `None` where it takes longer.
    pub fn wait(self, within: Duration) -> Option<T> {
        let (result, done) = &*self.0;
        let result = result.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = done.wait_timeout_while(result, within, |result| result.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

fn run(work: &Mutex<Option<impl FnOnce()>>) {
    let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(work) = work {
        work();
    }
}
