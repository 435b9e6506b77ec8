//! Finds the question for a password in what a host prints.

use super::MARKER;
use crate::inventory::Method;

/// A question is no longer than this.
const LONGEST: usize = 256;

/// The last line so far, which a question never ends.
#[derive(Debug)]
pub struct Prompt {
    method: Method,
    pending: Vec<u8>,
}

impl Prompt {
    pub fn new(method: Method) -> Self {
        Self { method, pending: Vec::new() }
    }

    /// Whether a question for the password stands at the end now. Each is told once.
    pub fn hear(&mut self, bytes: &[u8]) -> bool {
        let line = bytes.rsplit(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        if line.len() < bytes.len() {
            self.pending.clear();
        }
        self.pending.extend_from_slice(line);
        let over = self.pending.len().saturating_sub(LONGEST);
        self.pending.drain(..over);
        let is_asked = self.asks();
        if is_asked {
            self.pending.clear();
        }
        is_asked
    }

    /// `sudo` asks in our words, sudo-rs in these among others. doas and su have their own, which
    /// end as `Password:` does.
    fn asks(&self) -> bool {
        let text = self.pending();
        match self.method {
            Method::Sudo => text.contains(MARKER),
            Method::Doas | Method::Su => text.to_ascii_lowercase().trim_end().ends_with("password:"),
        }
    }

    pub fn pending(&self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many questions are in these pieces.
    fn questions(method: Method, pieces: &[&str]) -> usize {
        let mut prompt = Prompt::new(method);
        pieces.iter().filter(|piece| prompt.hear(piece.as_bytes())).count()
    }

    #[test]
    fn questions_are_found_however_they_come() {
        for (method, pieces, want) in [
            (Method::Sudo, &["lecture\n\n", MARKER][..], 1),
            (Method::Sudo, &["cronium-run-pass", "word:"], 1),
            (Method::Sudo, &[MARKER, "Sorry, try again.\n", MARKER], 2),
            (Method::Sudo, &["[sudo: cronium-run-password:] Password: "], 1),
            (Method::Sudo, &["[sudo: cronium-run-password:", "] Password: "], 1),
            (Method::Sudo, &["Password: "], 0),
            (Method::Sudo, &[MARKER, " and more"], 1),
            (Method::Su, &["Password: "], 1),
            (Method::Su, &["Welcome.\nPassword:"], 1),
            (Method::Su, &["Password: \n", "su: Authentication failure\n"], 0),
            (Method::Su, &["Passw", "ord", ": "], 1),
            (Method::Su, &["Verification code: "], 0),
            (Method::Doas, &["\rdoas (ann@web1) password: "], 1),
            (Method::Doas, &["\rdoas (ann@web1) password: ", "\r\n"], 1),
        ] {
            assert_eq!(questions(method, pieces), want, "{method:?} {pieces:?}");
        }
    }
}
