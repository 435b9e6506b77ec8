//! Frames to the operator, on stdout.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use cronium_wire::frame::{Frame, UNNUMBERED};
use cronium_wire::greeting;
use cronium_wire::message::{FromStub, Message};

/// Shared by all threads; each frame is one write, numbered in the order of writing.
#[derive(Clone)]
pub struct Uplink(Arc<Mutex<Numbered>>);

struct Numbered {
    out: File,
    next: u64,
}

impl Uplink {
    /// Takes over stdout and greets with `first` as the first frame.
    pub fn open(first: &FromStub) -> io::Result<Self> {
        let mut out = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?);
        let mut bytes = greeting::READY.to_vec();
        bytes.extend(first.to_frame(UNNUMBERED));
        out.write_all(&bytes)?;
        Ok(Self::behind(out))
    }

    fn behind(out: File) -> Self {
        Self(Arc::new(Mutex::new(Numbered { out, next: 0 })))
    }

    /// Frames alone, without a greeting.
    #[cfg(test)]
    pub fn new(out: File) -> Self {
        Self::behind(out)
    }

    /// Blocks while the link is full. An error means that the operator is gone.
    pub fn send(&self, message: &FromStub) -> io::Result<()> {
        let (kind, body) = message.encode();
        self.send_frame(kind, message.is_numbered(), &body)
    }

    fn send_frame(&self, kind: u8, is_numbered: bool, body: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut numbered = self.0.lock().expect("no thread panics while it writes");
        let seq = if is_numbered { numbered.next } else { UNNUMBERED };
        Frame::write(kind, seq, body, &mut bytes);
        numbered.next += u64::from(is_numbered);
        numbered.out.write_all(&bytes)
    }
}
