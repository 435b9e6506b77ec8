//! Writes that this host answered by itself, on their way to the operator: in order, each once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use cronium_wire::frame::CHUNK;
use cronium_wire::message::{FromStub, Write};

use crate::session::spawn;
use crate::uplink::Uplink;

/// Bytes that wait for the link at most: a script that writes more while the link is stuck is told.
const MAX_WAITING: usize = 16 << 20;

/// A script never waits for the link: a thread of its own sends what stands here.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    uplink: Uplink,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// JSON with a line end each.
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The thread is there; it ends with the process.
    is_served: bool,
    /// A line is on its way.
    is_sending: bool,
    /// The operator is gone: nothing more can be sent.
    is_lost: bool,
}

/// There is no room for another write.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Journal {
    pub fn new(uplink: Uplink) -> Self {
        Self(Arc::new(Shared { uplink, queue: Mutex::default(), changed: Condvar::new() }))
    }

    pub fn push(&self, write: &Write) -> Result<(), Full> {
        let mut line = serde_json::to_vec(write).expect("plain data with string keys");
        line.push(b'\n');
        let mut queue = self.queue();
        if queue.bytes + line.len() > MAX_WAITING {
            return Err(Full);
        }
        if !queue.is_served {
            let journal = self.clone();
            spawn(move || journal.serve()).map_err(|_| Full)?;
            queue.is_served = true;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Waits until everything is sent, or cannot be sent any more.
    pub fn finish(&self) {
        let waiting = |queue: &mut Queue| !queue.is_lost && (queue.is_sending || !queue.lines.is_empty());
        let done = self.0.changed.wait_while(self.queue(), waiting);
        drop(done.unwrap_or_else(PoisonError::into_inner));
    }

    fn serve(&self) {
        loop {
            let idle = |queue: &mut Queue| queue.lines.is_empty();
            let waited = self.0.changed.wait_while(self.queue(), idle);
            let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
            let line = queue.lines.pop_front().expect("it was waited for");
            queue.is_sending = true;
            drop(queue);
            let sent = line
                .chunks(CHUNK)
                .try_for_each(|piece| self.0.uplink.send(&FromStub::Journal(piece.to_vec())));
            let mut queue = self.queue();
            queue.is_sending = false;
            queue.bytes -= line.len();
            queue.is_lost = sent.is_err();
            self.0.changed.notify_all();
            if queue.is_lost {
                return;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, pipe};

    use cronium_wire::frame::Decoder;
    use cronium_wire::message::{Message, Op};
    use serde_json::json;

    use super::*;

    fn write(id: usize, value: serde_json::Value) -> Write {
        Write { id: id.to_string(), op: Op::Output { value } }
    }

    #[test]
    fn all_writes_arrive_in_order_however_long() {
        let (mut reader, writer) = pipe().unwrap();
        let journal = Journal::new(Uplink::new(File::from(std::os::fd::OwnedFd::from(writer))));
        let writes: Vec<Write> =
            (0..20).map(|id| write(id, json!("x".repeat(if id == 7 { 900 << 10 } else { id })))).collect();
        writes.iter().for_each(|write| journal.push(write).unwrap());
        let sent = journal.clone();
        drop(journal);
        let reading = std::thread::spawn(move || {
            let (mut decoder, mut text, mut buffer) = (Decoder::default(), Vec::new(), [0; 4096]);
            while text.iter().filter(|byte| **byte == b'\n').count() < 20 {
                let count = reader.read(&mut buffer).unwrap();
                decoder.push(&buffer[..count]);
                while let Some(frame) = decoder.next().unwrap() {
                    let FromStub::Journal(piece) = FromStub::decode(frame).unwrap() else { panic!() };
                    assert!(piece.len() <= CHUNK);
                    text.extend(piece);
                }
            }
            text
        });
        sent.finish();
        let text = String::from_utf8(reading.join().unwrap()).unwrap();
        let seen: Vec<Write> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(seen, writes);
    }

    #[test]
    fn a_stuck_link_holds_nobody_and_is_told_in_the_end() {
        let (_reader, writer) = pipe().unwrap();
        let journal = Journal::new(Uplink::new(File::from(std::os::fd::OwnedFd::from(writer))));
        let large = write(0, json!("x".repeat(1 << 20)));
        let taken = (0..40).take_while(|_| journal.push(&large).is_ok()).count();
        assert!((15..=16).contains(&taken), "{taken}");
    }
}
