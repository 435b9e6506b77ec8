//! When the other end was last heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the machine was started. Unlike the runtime's clock it goes on while the machine
/// sleeps, and connections die.
pub fn boot_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Cheap to clone; all clones hear the same.
#[derive(Debug, Clone)]
pub struct Heard(Arc<AtomicU64>);

impl Heard {
    pub fn now() -> Self {
        let heard = Self(Arc::default());
        heard.again();
        heard
    }

    pub fn again(&self) {
        self.0.store(boot_time().as_millis() as u64, Ordering::Relaxed);
    }

    pub fn ago(&self) -> Duration {
        boot_time().saturating_sub(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }
}
