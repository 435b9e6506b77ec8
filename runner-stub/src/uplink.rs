//! Frames to the operator, on stdout.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use cronium_wire::frame::Frame;
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
        bytes.extend(first.to_frame(0));
        out.write_all(&bytes)?;
        Ok(Self::behind(out, 1))
    }

    fn behind(out: File, next: u64) -> Self {
        Self(Arc::new(Mutex::new(Numbered { out, next })))
    }

    /// Frames alone, without a greeting.
    #[cfg(test)]
    pub fn new(out: File) -> Self {
        Self::behind(out, 0)
    }

    /// Blocks while the link is full. An error means that the operator is gone.
    pub fn send(&self, message: &FromStub) -> io::Result<()> {
        let (kind, body) = message.encode();
        self.send_frame(kind, &body)
    }

    fn send_frame(&self, kind: u8, body: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut numbered = self.0.lock().expect("no thread panics while it writes");
        Frame::write(kind, numbered.next, body, &mut bytes);
        numbered.next += 1;
        numbered.out.write_all(&bytes)
    }
}
