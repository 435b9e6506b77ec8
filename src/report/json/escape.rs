use std::borrow::Cow;
use std::io::{self, Write};

use crate::term::is_steering;

/// JSON that means the same and cannot steer a terminal: what `serde_json` leaves as it is of
/// DEL, C1 and the like becomes `\u….`
pub fn escape_steering(json: &str) -> Cow<'_, str> {
    let steering = |character: char| character != '\n' && is_steering(character);
    if !json.contains(steering) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if steering(character) {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Passes JSON on with [`escape_steering`]. `serde_json` writes whole characters.
pub struct Escaped<W>(pub W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(escape_steering(text).as_bytes())?,
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meaning_stays() {
        let text = "a\u{7f}\u{9b}31m\u{202e}\u{1b}馬\n";
        let json = serde_json::to_string(text).unwrap();
        let escaped = escape_steering(&json);
        assert_eq!(escaped, r#""a\u007f\u009b31m\u202e\u001b馬\n""#);
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
