use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;

use super::spool::{Recording, Spool, TextId};
use crate::event::{Event, EventKind, Stream};

/// Takes down what all hosts write at once, for reporters that tell it at the end. A host that has
/// ended may go on: its run was attached to.
#[derive(Default)]
pub struct Recorder {
    pub spool: Spool,
    running: HashMap<(String, Stream), Recording>,
    told: HashMap<String, Recording>,
    ended: HashMap<(String, Stream), TextId>,
    ended_told: HashMap<String, TextId>,
}

/// What a host wrote; `None` where it wrote nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Written {
    pub stdout: Option<TextId>,
    pub stderr: Option<TextId>,
}

impl Recorder {
    /// An error is one of the spool's temporary file, here and in [`Recorder::end`].
    pub fn output(&mut self, host: &str, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (spool, recording) = self.recording(host, stream)?;
        spool.append(recording, bytes)
    }

    /// So many bytes of the stream are missing here.
    pub fn cut(&mut self, host: &str, stream: Stream, bytes: u64) -> io::Result<()> {
        let (spool, recording) = self.recording(host, stream)?;
        spool.cut(recording, bytes);
        Ok(())
    }

    fn recording(&mut self, host: &str, stream: Stream) -> io::Result<(&mut Spool, &mut Recording)> {
        let key = (host.to_owned(), stream);
        let before = self.ended.remove(&key);
        let recording = match self.running.entry(key) {
            Entry::Occupied(running) => running.into_mut(),
            Entry::Vacant(place) => place.insert(match before {
                Some(id) => self.spool.reopen(id)?,
                None => Recording::default(),
            }),
        };
        Ok((&mut self.spool, recording))
    }

    /// The host writes nothing more, as far as is known.
    pub fn end(&mut self, host: &str) -> io::Result<Written> {
        let mut keep = |stream| {
            let key = (host.to_owned(), stream);
            if let Some(recording) = self.running.remove(&key) {
                let id = self.spool.keep(recording)?;
                self.ended.insert(key, id);
                return Ok::<_, io::Error>(Some(id));
            }
            Ok(self.ended.get(&key).copied())
        };
        Ok(Written { stdout: keep(Stream::Stdout)?, stderr: keep(Stream::Stderr)? })
    }

    /// Takes down what a script tells, if the event is that; [`Recorder::told`] gives it back.
    pub fn hear(&mut self, event: &Event) -> io::Result<()> {
        let (EventKind::HostLog { host, .. }
        | EventKind::HostProgress { host, .. }
        | EventKind::HostNotify { host, .. }
        | EventKind::HostCondition { host, .. }) = &event.kind
        else {
            return Ok(());
        };
        let line = serde_json::to_string(event)? + "\n";
        let before = self.ended_told.remove(host);
        let recording = match self.told.entry(host.clone()) {
            Entry::Occupied(told) => told.into_mut(),
            Entry::Vacant(place) => place.insert(match before {
                Some(id) => self.spool.reopen(id)?,
                None => Recording::default(),
            }),
        };
        self.spool.append(recording, line.as_bytes())
    }

    /// The host tells nothing more, as far as is known.
    pub fn end_told(&mut self, host: &str) -> io::Result<Option<TextId>> {
        if let Some(recording) = self.told.remove(host) {
            let id = self.spool.keep(recording)?;
            self.ended_told.insert(host.to_owned(), id);
        }
        Ok(self.ended_told.get(host).copied())
    }

    /// The events taken down, in order.
    pub fn told(&self, id: Option<TextId>) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        self.each_told(id, |event| {
            events.push(event);
            Ok(())
        })?;
        Ok(events)
    }

    /// As [`Recorder::told`], with one event in memory at a time.
    pub fn each_told(
        &self,
        id: Option<TextId>,
        mut each: impl FnMut(Event) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(id) = id else { return Ok(()) };
        let mut line = Vec::new();
        self.spool.read(id, |piece| {
            for part in piece.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                if part.ends_with(b"\n") {
                    each(serde_json::from_slice(&line)?)?;
                    line.clear();
                }
            }
            Ok(())
        })
    }
}
