//! Connections that have not yet shown a good token.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A host's, `places` at most. A forwarded TCP port can be reached by every user of the host, so
/// whoever comes when all places are taken pushes out the one who has said nothing the longest:
/// the stub shows its token at once and is seldom that one.
pub struct Strangers {
    places: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// Oldest first. A sender that is dropped tells its connection to go.
    guests: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Strangers {
    pub fn new(places: usize) -> Self {
        Self { places, waiting: Mutex::default() }
    }

    /// A number to leave with, and what ends when the connection is to be closed, or has left.
    pub fn enter(&self) -> (u64, oneshot::Receiver<()>) {
        let (sender, gone) = oneshot::channel();
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.guests.push_back((number, sender));
        if waiting.guests.len() > self.places {
            waiting.guests.pop_front();
        }
        (number, gone)
    }

    pub fn leave(&self, number: u64) {
        self.lock().guests.retain(|(guest, _)| *guest != number);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let strangers = Strangers::new(2);
        let (_, mut first) = strangers.enter();
        let (second_number, mut second) = strangers.enter();
        let (_, mut third) = strangers.enter();
        let stays =
            |gone: &mut oneshot::Receiver<()>| gone.try_recv() == Err(oneshot::error::TryRecvError::Empty);
        assert_eq!([stays(&mut first), stays(&mut second), stays(&mut third)], [false, true, true]);

        strangers.leave(second_number);
        let (_, mut fourth) = strangers.enter();
        assert_eq!([stays(&mut third), stays(&mut fourth)], [true, true], "there was room");
    }
}
