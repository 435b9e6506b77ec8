//! How many connections to one address are on their way in at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// OpenSSH drops the eleventh unauthenticated connection now and then (MaxStartups 10:30:100), and
/// we are not alone.
const MOST: usize = 8;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Every endpoint of a run by the address that is connected to, and the way there.
#[derive(Default)]
pub struct Endpoints(Mutex<HashMap<String, Arc<Endpoint>>>);

impl Endpoints {
    pub fn at(&self, place: String) -> Arc<Endpoint> {
        let mut endpoints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(endpoints.entry(place).or_default())
    }
}

/// A server that is only asked by so many at once as it takes.
pub struct Endpoint {
    turns: Arc<Semaphore>,
    room: Mutex<Room>,
}

struct Room {
    limit: usize,
    /// Logins since the limit changed.
    welcomed: usize,
}

impl Default for Endpoint {
    fn default() -> Self {
        let room = Room { limit: MOST, welcomed: 0 };
        Self { turns: Arc::new(Semaphore::new(MOST)), room: Mutex::new(room) }
    }
}

impl Endpoint {
    /// Waits in line. Whoever has a turn holds it until the server has let it in or sent it away.
    pub async fn turn(self: &Arc<Self>) -> Turn {
        let permit = Arc::clone(&self.turns).acquire_owned().await.expect("nobody closes it");
        Turn { permit, endpoint: Arc::clone(self) }
    }
}

pub struct Turn {
    permit: OwnedSemaphorePermit,
    endpoint: Arc<Endpoint>,
}

impl Turn {
    /// The server let us in: once it has done so for all that it takes at once, it may take more.
    pub fn welcomed(self) {
        let mut room = self.endpoint.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.welcomed += 1;
        if room.limit < MOST && room.welcomed > room.limit {
            *room = Room { limit: room.limit + 1, welcomed: 0 };
            self.endpoint.turns.add_permits(1);
        }
    }

    /// The server dropped us unheard: it takes fewer at once, though always one.
    pub fn dropped(self) {
        let mut room = self.endpoint.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.welcomed = 0;
        if room.limit > 1 {
            room.limit -= 1;
            self.permit.forget();
        }
    }
}

/// Pauses between tries, longer each time and never the same for two hosts.
pub struct Patience {
    left: Duration,
    pause: Duration,
    /// Tries that were made.
    pub tries: usize,
}

impl Patience {
    /// Tries and pauses may take this long together; the last try may take longer.
    pub fn new(within: Duration) -> Self {
        Self { left: within, pause: FIRST_PAUSE, tries: 0 }
    }

    /// The pause after a try that took `spent`; `None` where there is no time for another.
    pub fn after(&mut self, spent: Duration) -> Option<Duration> {
        self.tries += 1;
        let pause = self.pause.mul_f64(0.5 + random());
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.left = self.left.checked_sub(spent + pause)?;
        Some(pause)
    }
}

/// From 0 to 1.
fn random() -> f64 {
    // Without randomness of the system, all wait the same.
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_drops_us_is_asked_by_fewer_and_by_more_again() {
        let endpoint = Endpoints::default().at("10.0.0.1:22".into());
        let room = |endpoint: &Arc<Endpoint>| endpoint.turns.available_permits();
        for left in [7, 6, 5, 4, 3, 2, 1, 1, 1] {
            endpoint.turn().await.dropped();
            assert_eq!(room(&endpoint), left);
        }
        for left in [1, 2, 2, 2, 3, 3, 3, 3, 4] {
            endpoint.turn().await.welcomed();
            assert_eq!(room(&endpoint), left);
        }
        drop(endpoint.turn().await);
        assert_eq!(room(&endpoint), 4, "a refusal for another reason says nothing of its room");
    }

    #[test]
    fn patience_ends_with_its_time() {
        let mut patience = Patience::new(Duration::from_secs(3));
        let mut waited = Duration::ZERO;
        while let Some(pause) = patience.after(Duration::from_millis(10)) {
            waited += pause + Duration::from_millis(10);
            assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE * 3 / 2, "{pause:?}");
        }
        assert!(waited <= Duration::from_secs(3), "{waited:?}");
        assert!((3..=8).contains(&patience.tries), "{}", patience.tries);
    }
}
