//! A request's body, taken out of the bytes as they come (RFC 9112, sections 6 and 7).

use super::head::Framing;
use super::response::Response;

/// Bytes of a body; 413 to more.
pub const MAX_BODY: usize = 1 << 20;
/// Bytes of a line with a chunk's size, and of the trailers.
const MAX_LINE: usize = 256;
const MAX_TRAILERS: usize = 4 << 10;

/// Does no input itself. Holds what has come and never what was announced.
pub struct Body {
    state: State,
    read: Vec<u8>,
}

#[derive(Clone, Copy)]
enum State {
    /// Bytes still to come, and nothing behind them.
    Plain(u64),
    /// A line with a chunk's size comes.
    Size,
    /// Bytes of a chunk still to come, then an empty line.
    Chunk(u64),
    /// Lines up to an empty one, and how many bytes of them were seen.
    Trailers(usize),
    Whole,
}

impl Body {
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Absent | Framing::Length(0) => State::Whole,
            Framing::Length(length) => State::Plain(length),
            Framing::Chunked => State::Size,
        };
        Self { state, read: Vec::new() }
    }

    /// Whether the next byte is the next request's.
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }

    /// What has come of it.
    pub fn bytes(&self) -> &[u8] {
        &self.read
    }

    /// Takes what is the body's from the front of `buffer`. 400 for chunks that are none, 413 as
    /// soon as it is known that the body is too large.
    pub fn take(&mut self, buffer: &mut Vec<u8>) -> Result<(), Response> {
        let mut rest = buffer.as_slice();
        while self.step(&mut rest)? {}
        let taken = buffer.len() - rest.len();
        buffer.drain(..taken);
        Ok(())
    }

    /// Whether there may be more to take.
    fn step(&mut self, rest: &mut &[u8]) -> Result<bool, Response> {
        self.state = match self.state {
            State::Whole => return Ok(false),
            State::Plain(missing) => match self.data(missing, rest)? {
                0 => State::Whole,
                missing => State::Plain(missing),
            },
            State::Size => match line(rest, MAX_LINE)? {
                None => return Ok(false),
                Some(line) => match size_of(line)? {
                    0 => State::Trailers(0),
                    size => State::Chunk(size),
                },
            },
            State::Chunk(0) => match line(rest, MAX_LINE)? {
                None => return Ok(false),
                Some(b"") => State::Size,
                Some(_) => return Err(broken()),
            },
            State::Chunk(missing) => State::Chunk(self.data(missing, rest)?),
            State::Trailers(seen) => match line(rest, MAX_TRAILERS - seen)? {
                None => return Ok(false),
                Some(b"") => State::Whole,
                Some(line) => match seen + line.len() {
                    seen @ ..MAX_TRAILERS => State::Trailers(seen),
                    _ => return Err(broken()),
                },
            },
        };
        Ok(!rest.is_empty())
    }

    /// How many of `missing` bytes are missing still.
    fn data(&mut self, missing: u64, rest: &mut &[u8]) -> Result<u64, Response> {
        let room = MAX_BODY - self.read.len();
        let Some(missing) = usize::try_from(missing).ok().filter(|missing| *missing <= room) else {
            return Err(Response::refused(413, "the body is larger than 1048576 bytes"));
        };
        let (data, behind) = rest.split_at(missing.min(rest.len()));
        self.read.extend_from_slice(data);
        *rest = behind;
        Ok((missing - data.len()) as u64)
    }
}

/// The next line without its end, which may have `limit` bytes; `None` until it is whole.
fn line<'a>(rest: &mut &'a [u8], limit: usize) -> Result<Option<&'a [u8]>, Response> {
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) if end <= limit => {
            let line = rest[..end].strip_suffix(b"\r").ok_or_else(broken)?;
            *rest = &rest[end + 1..];
            Ok(Some(line))
        }
        None if rest.len() <= limit => Ok(None),
        _ => Err(broken()),
    }
}

/// Hex digits, then perhaps an extension that means nothing to us.
fn size_of(line: &[u8]) -> Result<u64, Response> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    if !matches!(size.len(), 1..=16) {
        return Err(broken());
    }
    size.iter().try_fold(0, |sum: u64, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or_else(broken)?;
        Ok(sum << 4 | u64::from(digit))
    })
}

fn broken() -> Response {
    Response::refused(400, "the body's chunks are broken")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body and what stands behind it, given in pieces of `piece` bytes.
    fn read(framing: Framing, bytes: &[u8], piece: usize) -> Result<(Option<Vec<u8>>, Vec<u8>), u16> {
        let mut body = Body::new(framing);
        let mut buffer = Vec::new();
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            body.take(&mut buffer).map_err(|response| response.status)?;
        }
        Ok((body.is_whole().then(|| body.bytes().to_vec()), buffer))
    }

    #[test]
    fn bodies() {
        let long = format!("0\r\n{}", "x: y\r\n".repeat(MAX_TRAILERS));
        for (framing, text, want) in [
            (Framing::Absent, "GET", Ok((Some(""), "GET"))),
            (Framing::Length(0), "GET", Ok((Some(""), "GET"))),
            (Framing::Length(3), "abcGET", Ok((Some("abc"), "GET"))),
            (Framing::Length(4), "abc", Ok((None, ""))),
            (Framing::Length(u64::MAX), "abc", Err(413)),
            (Framing::Length(MAX_BODY as u64 + 1), "a", Err(413)),
            (Framing::Chunked, "3\r\nabc\r\n0\r\n\r\nGET", Ok((Some("abc"), "GET"))),
            (Framing::Chunked, "1\r\na\r\n0002;x=y\r\nbc\r\n0\r\n\r\n", Ok((Some("abc"), ""))),
            (Framing::Chunked, "A \r\n0123456789\r\n0\r\n\r\n", Ok((Some("0123456789"), ""))),
            (Framing::Chunked, "0\r\nx: y\r\nz: a\r\n\r\nGET", Ok((Some(""), "GET"))),
            (Framing::Chunked, "3\r\nab", Ok((None, ""))),
            (Framing::Chunked, "3\r\nabcd\r\n", Err(400)),
            (Framing::Chunked, "3\nabc\r\n", Err(400)),
            (Framing::Chunked, "\r\n", Err(400)),
            (Framing::Chunked, "-1\r\n", Err(400)),
            (Framing::Chunked, "+1\r\n", Err(400)),
            (Framing::Chunked, "1 1\r\n", Err(400)),
            (Framing::Chunked, "00000000000000001\r\na\r\n", Err(400)),
            (Framing::Chunked, "ffffffffffffffff\r\na", Err(413)),
            (Framing::Chunked, "100001\r\na", Err(413)),
            (Framing::Chunked, &"0".repeat(MAX_LINE * 2), Err(400)),
            (Framing::Chunked, &long, Err(400)),
        ] {
            for piece in [1, 2, 7, usize::MAX] {
                let got = read(framing, text.as_bytes(), piece.min(text.len()));
                let want = want.map(|(body, rest)| {
                    (body.map(|body| body.as_bytes().to_vec()), rest.as_bytes().to_vec())
                });
                assert_eq!(got, want, "{framing:?} {text:.40} by {piece}");
            }
        }
    }

    #[test]
    fn small_chunks_add_up_to_the_limit() {
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        let whole = format!("{}0\r\n\r\n", chunk.repeat(MAX_BODY / 0x1000));
        assert_eq!(read(Framing::Chunked, whole.as_bytes(), 9999).unwrap().0.unwrap().len(), MAX_BODY);
        let over = format!("{}1\r\nx\r\n0\r\n\r\n", chunk.repeat(MAX_BODY / 0x1000));
        assert_eq!(read(Framing::Chunked, over.as_bytes(), 9999), Err(413));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_end(text in "([0-9a-fA-F;\r\n]{0,4}(\r\n)?){0,20}", piece in 1usize..20) {
            let _ = read(Framing::Chunked, text.as_bytes(), piece);
        }

        #[test]
        fn any_chunks_are_put_together(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..9), piece in 1usize..50) {
            let mut text = Vec::new();
            for chunk in &chunks {
                text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\nbehind");
            let want = (Some(chunks.concat()), b"behind".to_vec());
            prop_assert_eq!(read(Framing::Chunked, &text, piece), Ok(want));
        }
    }
}
