//! The first line from a host: either the stub is there and frames follow, or the bootstrap shell
//! line asks for it or says why it cannot go on. Login shells that print a banner of their own
//! before it are read over.

/// What precedes the word of every greeting.
const MARK: &[u8] = b"cronium-run:";
/// A host that prints more than this before its greeting does not speak our language.
pub const MAX_NOISE: usize = 64 << 10;

/// The line the stub prints before its first frame.
pub const READY: &[u8] = b"cronium-run:ready\n";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// Frames follow.
    Ready,
    /// No stub: `machine` is what `uname -m` printed.
    Need { machine: String },
    /// The host can hold no stub; `reason` is for people.
    Fail { reason: String },
}

#[derive(Debug, PartialEq, Eq)]
pub enum GreetingError {
    /// More than [`MAX_NOISE`] bytes without a greeting.
    Noise,
    /// A greeting of another program or version.
    Unknown(String),
}

/// Collects bytes until a greeting stands in them.
#[derive(Debug, Default)]
pub struct Greeter {
    buffer: Vec<u8>,
}

impl Greeter {
    /// The greeting, and the bytes behind it, once they are there.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<(Greeting, Vec<u8>)>, GreetingError> {
        self.buffer.extend_from_slice(bytes);
        let Some(at) = self.buffer.windows(MARK.len()).position(|window| window == MARK) else {
            return if self.buffer.len() > MAX_NOISE { Err(GreetingError::Noise) } else { Ok(None) };
        };
        let rest = &self.buffer[at + MARK.len()..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return if rest.len() > MAX_NOISE { Err(GreetingError::Noise) } else { Ok(None) };
        };
        let line = String::from_utf8_lossy(&rest[..end]).trim_end_matches('\r').to_owned();
        let behind = rest[end + 1..].to_vec();
        let greeting = match line.split_once(' ').unwrap_or((&line, "")) {
            ("ready", "") => Greeting::Ready,
            ("need", machine) => Greeting::Need { machine: machine.trim().to_owned() },
            ("fail", reason) => Greeting::Fail { reason: reason.trim().to_owned() },
            _ => return Err(GreetingError::Unknown(line)),
        };
        Ok(Some((greeting, behind)))
    }

    /// What a host printed instead of a greeting, for an error message.
    pub fn noise(&self) -> String {
        String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(200)]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings() {
        let found = |greeting, behind: &[u8]| Ok(Some((greeting, behind.to_vec())));
        let machine = "x86_64".to_owned();
        let reason = "no room".to_owned();
        let table = [
            (READY, found(Greeting::Ready, b"")),
            (b"Welcome!\ncronium-run:ready\n\x01\x02", found(Greeting::Ready, b"\x01\x02")),
            (b"cronium-run:need x86_64\r\n", found(Greeting::Need { machine }, b"")),
            (b"cronium-run:fail no room\n", found(Greeting::Fail { reason }, b"")),
            (b"cronium-run:later\n", Err(GreetingError::Unknown("later".into()))),
            (b"cronium-run:rea", Ok(None)),
            (b"", Ok(None)),
        ];
        for (bytes, want) in table {
            assert_eq!(Greeter::default().push(bytes), want, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn byte_by_byte() {
        let mut greeter = Greeter::default();
        let stream = b"motd\ncronium-run:ready\nX";
        for byte in &stream[..stream.len() - 2] {
            assert_eq!(greeter.push(&[*byte]), Ok(None));
        }
        assert_eq!(greeter.push(b"\nX"), Ok(Some((Greeting::Ready, b"X".to_vec()))));
    }

    #[test]
    fn endless_noise_ends() {
        let mut greeter = Greeter::default();
        assert_eq!(greeter.push(&vec![b'.'; MAX_NOISE + 1]), Err(GreetingError::Noise));
    }
}
