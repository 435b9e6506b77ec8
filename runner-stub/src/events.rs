//! What the session waits for, from all its threads: `std::sync::mpsc` would be 10 kB more.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cronium_wire::message::ToStub;
use rustix::process::WaitStatus;

use crate::pump::PumpEnd;

/// Whoever has more to tell waits: an operator that floods us fills no memory.
const MOST: usize = 16;

pub enum Event {
    /// Over the link of this number.
    Down(u64, ToStub),
    /// The operator closed it or speaks nonsense.
    Gone(u64),
    /// There is a new one.
    Linked,
    /// The script has ended; whether anything it started is still there.
    Exited(WaitStatus, bool),
    Pumped(PumpEnd),
}

/// Shared by all threads; one of them takes.
#[derive(Clone, Default)]
pub struct Events(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<VecDeque<Event>>,
    changed: Condvar,
}

impl Events {
    pub fn push(&self, event: Event) {
        let waited = self.0.changed.wait_while(self.queue(), |queue| queue.len() >= MOST);
        waited.unwrap_or_else(PoisonError::into_inner).push_back(event);
        self.0.changed.notify_all();
    }

    /// The next one; `None` where there is none within this time.
    pub fn next(&self, within: Duration) -> Option<Event> {
        let waited = self.0.changed.wait_timeout_while(self.queue(), within, |queue| queue.is_empty());
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let event = queue.pop_front();
        drop(queue);
        self.0.changed.notify_all();
        event
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_arrive_in_order_and_a_flood_waits() {
        let events = Events::default();
        let flood = events.clone();
        let flood = std::thread::spawn(move || (0..100).for_each(|number| flood.push(Event::Gone(number))));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(events.queue().len(), MOST);
        for number in 0..100 {
            assert!(matches!(events.next(Duration::from_secs(9)), Some(Event::Gone(n)) if n == number));
        }
        flood.join().unwrap();
        assert!(events.next(Duration::ZERO).is_none());
    }
}
