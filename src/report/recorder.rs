use std::collections::HashMap;
use std::io;

use super::spool::{Recording, Spool, TextId};
use crate::event::Stream;

/// Takes down what all hosts write at once, for reporters that tell it at the end.
#[derive(Default)]
pub struct Recorder {
    pub spool: Spool,
    running: HashMap<(String, Stream), Recording>,
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
}
