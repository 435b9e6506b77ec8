use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was written to a terminal made for a test. Clones share their contents.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Streams>>);

#[derive(Debug, Default)]
struct Streams {
    out: Vec<u8>,
    err: Vec<u8>,
    closed: bool,
}

impl Captured {
    /// What stdout was given so far; bytes that are no UTF-8 are replaced.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.streams().out).into_owned()
    }

    /// What stderr was given so far; bytes that are no UTF-8 are replaced.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.streams().err).into_owned()
    }

    /// What stdout was given so far, to the byte.
    pub fn out_bytes(&self) -> Vec<u8> {
        self.streams().out.clone()
    }

    /// What stderr was given so far, to the byte.
    pub fn err_bytes(&self) -> Vec<u8> {
        self.streams().err.clone()
    }

    /// From now on both streams are broken pipes.
    pub fn close(&self) {
        self.streams().closed = true;
    }

    pub(super) fn write_out(&self, bytes: &[u8]) -> io::Result<()> {
        self.write(|streams| &mut streams.out, bytes)
    }

    pub(super) fn write_err(&self, bytes: &[u8]) -> io::Result<()> {
        self.write(|streams| &mut streams.err, bytes)
    }

    fn write(&self, stream: impl Fn(&mut Streams) -> &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        let mut streams = self.streams();
        if streams.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        stream(&mut streams).extend_from_slice(bytes);
        Ok(())
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
