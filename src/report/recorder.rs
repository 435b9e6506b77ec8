use std::collections::HashMap;
use std::io;

use super::spool::{Recording, Spool, TextId};
use crate::event::{Event, EventKind, Stream};

/// Takes down what all hosts write at once, for reporters that tell it at the end.
#[derive(Default)]
pub struct Recorder {
    pub spool: Spool,
    running: HashMap<(String, Stream), Recording>,
    told: HashMap<String, Recording>,
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
        let recording = self.running.entry((host.to_owned(), stream)).or_default();
        self.spool.append(recording, bytes)
    }

    /// The host writes nothing more.
    pub fn end(&mut self, host: &str) -> io::Result<Written> {
        let mut keep = |stream| {
            let recording = self.running.remove(&(host.to_owned(), stream));
            recording.map(|recording| self.spool.keep(recording)).transpose()
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
        let recording = self.told.entry(host.clone()).or_default();
        self.spool.append(recording, line.as_bytes())
    }

    /// The host tells nothing more.
    pub fn end_told(&mut self, host: &str) -> io::Result<Option<TextId>> {
        self.told.remove(host).map(|recording| self.spool.keep(recording)).transpose()
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
