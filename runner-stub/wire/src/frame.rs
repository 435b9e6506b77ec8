//! Numbered frames on a byte stream: `length: u32 LE · kind: u8 · seq: u64 LE · body`.
//! The length counts the body alone.

use std::fmt;

/// No body may be longer. Output and payload pieces are far smaller ([`CHUNK`]); a job with its
/// bundle, arguments and environment is the largest.
pub const MAX_BODY: usize = 4 << 20;
/// The size of a piece of output or payload.
pub const CHUNK: usize = 64 << 10;
/// The number of frames that belong to one connection and not to a run.
pub const UNNUMBERED: u64 = u64::MAX;
/// Bytes in front of the body.
pub const HEADER: usize = 13;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    /// Position among the frames of this direction, from 0.
    pub seq: u64,
    pub body: Vec<u8>,
}

impl Frame {
    /// What the header in front of `bytes` says: how long the whole frame is, its kind and its number.
    /// `None` where that is no whole header.
    pub fn peek(bytes: &[u8]) -> Option<(usize, u8, u64)> {
        let header = bytes.get(..HEADER)?;
        let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
        let seq = u64::from_le_bytes(header[5..].try_into().expect("eight bytes"));
        Some((HEADER + length, header[4], seq))
    }

    /// Appends the frame's bytes to `out`.
    ///
    /// # Panics
    /// Where the body is longer than [`MAX_BODY`]: a fault of the caller, who bounds its input.
    pub fn write(kind: u8, seq: u64, body: &[u8], out: &mut Vec<u8>) {
        assert!(body.len() <= MAX_BODY, "a frame of {} bytes", body.len());
        out.reserve(HEADER + body.len());
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.push(kind);
        out.extend_from_slice(&seq.to_le_bytes());
        out.extend_from_slice(body);
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    TooLong { length: usize, max: usize },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, max } => write!(f, "a frame of {length} bytes, more than {max}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Turns a byte stream, cut anywhere, into frames. Holds at most one incomplete frame and what
/// was pushed behind it.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    max_body: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::limited(MAX_BODY)
    }
}

impl Decoder {
    /// Takes no frame with a longer body: one from a host that wants our memory is refused by its
    /// header.
    pub fn limited(max_body: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, max_body }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more bytes are pushed. After an error the stream is
    /// lost: the error comes again.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.buffer[self.start..];
        let Some((whole, kind, seq)) = Frame::peek(rest) else { return Ok(None) };
        let length = whole - HEADER;
        if length > self.max_body {
            return Err(FrameError::TooLong { length, max: self.max_body });
        }
        let Some(body) = rest.get(HEADER..whole) else { return Ok(None) };
        let frame = Frame { kind, seq, body: body.to_vec() };
        self.start += whole;
        Ok(Some(frame))
    }

    /// Overwrites what was taken from it already.
    pub fn wipe(&mut self) {
        self.buffer[..self.start].fill(0);
    }

    /// Whether bytes of an unfinished frame are held: at the end of the stream, a cut frame.
    pub fn is_mid_frame(&self) -> bool {
        self.start < self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exact_bytes() {
        let mut out = Vec::new();
        Frame::write(7, 258, b"hi", &mut out);
        assert_eq!(out, [2, 0, 0, 0, 7, 2, 1, 0, 0, 0, 0, 0, 0, b'h', b'i']);
    }

    #[test]
    fn too_long_is_refused_before_its_body_arrives() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_le_bytes());
        decoder.push(&[0; 9]);
        let error = FrameError::TooLong { length: u32::MAX as usize, max: MAX_BODY };
        assert_eq!(decoder.next(), Err(error.clone()));
        assert_eq!(decoder.next(), Err(error));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..10),
            cut in 1usize..64,
        ) {
            let mut stream = Vec::new();
            for (seq, body) in bodies.iter().enumerate() {
                Frame::write(seq as u8, seq as u64, body, &mut stream);
            }
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.push(piece);
                while let Some(frame) = decoder.next().unwrap() {
                    prop_assert_eq!(frame.seq, seen.len() as u64);
                    seen.push(frame.body);
                }
            }
            prop_assert_eq!(seen, bodies);
            prop_assert!(!decoder.is_mid_frame());
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), cut in 1usize..100) {
            let mut decoder = Decoder::default();
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                while let Ok(Some(_)) = decoder.next() {}
            }
        }
    }
}
