//! What large bodies and answers of all hosts together may take.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::reply::Refusal;

/// Up to so many bytes are free: the number of connections bounds them. Also the unit of the rest.
pub const SMALL: usize = 64 << 10;

/// Room for so many bytes, shared by all hosts.
#[derive(Clone)]
pub struct Memory {
    units: Arc<Semaphore>,
    all: usize,
}

/// Room that is given back when this is dropped.
pub type Room = OwnedSemaphorePermit;

impl Memory {
    pub fn new(bytes: usize) -> Self {
        let all = bytes.div_ceil(SMALL).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(all)), all }
    }

    /// Room for `bytes`; 503 where there is none within `patience`.
    pub async fn room(&self, bytes: usize, patience: Duration) -> Result<Room, Refusal> {
        let granted = timeout(patience, Arc::clone(&self.units).acquire_many_owned(self.units_of(bytes)));
        match granted.await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(full()),
        }
    }

    /// `answer`, which keeps its room until it has been written or dropped. 503 where there is no
    /// room now: it is in memory already, so it cannot wait.
    pub fn keep(&self, answer: Bytes) -> Result<Bytes, Refusal> {
        if answer.len() <= SMALL {
            return Ok(answer);
        }
        let room = Arc::clone(&self.units).try_acquire_many_owned(self.units_of(answer.len()));
        Ok(Bytes::from_owner(Kept { answer, _room: room.map_err(|_| full())? }))
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(SMALL).min(self.all)).unwrap_or(u32::MAX)
    }
}

struct Kept {
    answer: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

fn full() -> Refusal {
    Refusal::new(503, "too many large values are on their way: call again").and_close()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_holds_its_room() {
        let memory = Memory::new(4 * SMALL);
        let large = || Bytes::from(vec![b'x'; 3 * SMALL]);
        let kept = memory.keep(large()).unwrap();
        assert_eq!(kept, large());
        assert_eq!(memory.keep(large()).unwrap_err().status(), 503);
        assert_eq!(memory.keep(Bytes::from(vec![0; SMALL])).unwrap().len(), SMALL, "small ones are free");
        let part = kept.slice(1..2);
        drop(kept);
        assert!(memory.room(2 * SMALL, Duration::ZERO).await.is_err(), "a part of it holds it, too");
        drop(part);
        assert!(memory.room(2 * SMALL, Duration::ZERO).await.is_ok());
        assert!(memory.room(100 * SMALL, Duration::ZERO).await.is_ok(), "what asks for more takes all");
    }
}
