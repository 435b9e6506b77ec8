use std::collections::HashMap;
use std::sync::Arc;

use super::Ledger;
use super::fault::again;
use super::run::Known;
use super::writer::Message;
use crate::error::Result;
use crate::event::{Event, EventKind, Kept, Sink, Stream};

/// Records the events of one run. An event is on disk some 25 ms after it was told, and all of
/// them once [`RunRecorder::finish`] returns. Blocks while the disk cannot follow.
pub struct RunRecorder {
    ledger: Ledger,
    run: Arc<str>,
    /// How much of each stream of each host has come.
    offsets: HashMap<String, [u64; Stream::ALL.len()]>,
}

impl RunRecorder {
    pub(super) fn new(ledger: Ledger, run: &str) -> Self {
        Self { ledger, run: run.into(), offsets: HashMap::new() }
    }

    /// A run that goes on: `known` says how much of each host is there.
    pub(super) fn go_on(&mut self, known: &[Known]) {
        self.offsets.extend(known.iter().map(|known| (known.host.clone(), known.bytes)));
    }

    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Waits until every event told so far is committed.
    pub fn finish(&mut self) -> Result<()> {
        self.healthy()?;
        self.ledger.call(|_| Ok(()))?;
        self.healthy()
    }

    fn healthy(&self) -> Result<()> {
        match self.ledger.inner.shared.failed.get() {
            Some(error) => Err(again(error)),
            None => Ok(()),
        }
    }

    /// Where the bytes of a `host_output` begin; counts them.
    fn place(&mut self, host: &str, stream: Stream, bytes: usize) -> u64 {
        if !self.offsets.contains_key(host) {
            self.offsets.insert(host.to_owned(), Default::default());
        }
        let offsets = self.offsets.get_mut(host).expect("it was just put there");
        let offset = &mut offsets[stream as usize];
        let begin = *offset;
        *offset += bytes as u64;
        begin
    }
}

impl Sink for RunRecorder {
    /// Fails once the writer has failed (disk full, file locked, …): nothing is recorded any more.
    fn event(&mut self, event: &Event) -> Result<()> {
        self.healthy()?;
        let offset = match &event.kind {
            EventKind::HostOutput { host, stream, data } => self.place(host, *stream, data.0.len()),
            _ => 0,
        };
        let weight = event.kind.weight();
        self.ledger.inner.shared.backlog.enter(weight);
        let (run, event) = (self.run.clone(), Box::new(event.clone()));
        self.ledger.send(Message::Event { run, event, offset, weight })
    }

    fn keep(&mut self, kept: Kept) {
        // Dropped where the writer is gone: it is not kept then.
        let _ = self.ledger.send(Message::Keep(kept));
    }

    fn forgotten(&mut self, hosts: Vec<String>) {
        // Where it cannot be written, they are asked once more than needed.
        if let Err(error) = self.ledger.forgotten(&self.run, hosts) {
            tracing::warn!(run = &*self.run, %error, "which hosts have forgotten the run is not recorded");
        }
    }
}

impl Drop for RunRecorder {
    fn drop(&mut self) {
        let _ = self.ledger.send(Message::Release { run: self.run.clone() });
    }
}
