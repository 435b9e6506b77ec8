//! The connections there may be at once, and who must go where they are too many.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::Limits;
use super::owners::Owners;

/// A connection that waits for its next request for less may just get one.
const REST: Duration = Duration::from_secs(1);
/// How long a connection waits for a place among those with good tokens, and how often it looks.
const PROVE_WITHIN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

pub struct Seats {
    limits: Limits,
    taken: Mutex<Taken>,
    changed: Condvar,
}

#[derive(Default)]
struct Taken {
    last: u64,
    seats: Vec<Seat>,
}

struct Seat {
    number: u64,
    stream: Arc<TcpStream>,
    /// Whether a good token has come.
    proven: bool,
    /// Since when it waits for its next request.
    idle: Option<Instant>,
}

impl Seats {
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Mutex::default(), changed: Condvar::new() }
    }

    /// A place among those without a token, by its number. Where none is free, other users'
    /// connections are closed, this one (`None`) or those that have a place: whoever may not call
    /// keeps nobody out. Others leave when they have shown a token or their time is over; until
    /// then this waits, and with it all that follow.
    pub fn take(&self, stream: &Arc<TcpStream>) -> Option<u64> {
        let mut taken = self.lock();
        if taken.count(false) >= self.limits.unproven {
            let owners = Owners::read();
            if owners.is_stranger(stream) {
                return None;
            }
            for seat in taken.seats.iter().filter(|seat| !seat.proven && owners.is_stranger(&seat.stream)) {
                // Its thread reads the end, and leaves.
                let _ = seat.stream.shutdown(Shutdown::Both);
            }
        }
        while taken.count(false) >= self.limits.unproven {
            taken = self.changed.wait(taken).expect("no holder panics");
        }
        taken.last += 1;
        let number = taken.last;
        taken.seats.push(Seat { number, stream: Arc::clone(stream), proven: false, idle: None });
        Some(number)
    }

    /// A good token has come: whether there is a place among those that have one. The connection
    /// that waits longest for its next request makes room.
    pub fn prove(&self, number: u64) -> bool {
        let until = Instant::now() + PROVE_WITHIN;
        let mut taken = self.lock();
        loop {
            if taken.count(true) < self.limits.proven {
                taken.set(number, |seat| seat.proven = true);
                self.changed.notify_all();
                return true;
            }
            let rested = |seat: &Seat| seat.idle.filter(|since| seat.proven && since.elapsed() >= REST);
            let waiting = taken.seats.iter().filter(|seat| rested(seat).is_some());
            if let Some(longest) = waiting.min_by_key(|seat| seat.idle).map(|seat| seat.number) {
                taken.remove(longest);
            } else if Instant::now() >= until {
                return false;
            } else {
                taken = self.changed.wait_timeout(taken, LOOK).expect("no holder panics").0;
            }
        }
    }

    /// Whether the connection waits for its next request.
    pub fn rest(&self, number: u64, rests: bool) {
        self.lock().set(number, |seat| seat.idle = rests.then(Instant::now));
    }

    pub fn leave(&self, number: u64) {
        self.lock().remove(number);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("no holder panics")
    }
}

impl Taken {
    fn count(&self, proven: bool) -> usize {
        self.seats.iter().filter(|seat| seat.proven == proven).count()
    }

    fn set(&mut self, number: u64, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.number == number) {
            change(seat);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(at) = self.seats.iter().position(|seat| seat.number == number) {
            let _ = self.seats.swap_remove(at).stream.shutdown(Shutdown::Both);
        }
    }
}
