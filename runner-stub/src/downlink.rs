//! Frames from the operator.

use std::fs::File;
use std::io::{self, Read};

use cronium_wire::frame::Decoder;
use cronium_wire::message::{Message, ToStub};

/// Reads messages until the operator is gone.
pub struct Downlink {
    link: File,
    decoder: Decoder,
}

impl Downlink {
    pub fn new(link: File) -> Self {
        Self { link, decoder: Decoder::default() }
    }

    /// The next message; `None` when the operator has closed the link.
    pub fn receive(&mut self) -> io::Result<Option<ToStub>> {
        let mut buffer = [0; 64 << 10];
        loop {
            if let Some(frame) = self.decoder.next().map_err(invalid)? {
                return ToStub::decode(frame).map(Some).map_err(invalid);
            }
            match self.link.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.decoder.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
