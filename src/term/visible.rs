use std::fmt::Write as _;

/// Turns bytes of hosts into text that cannot steer a terminal, piece by piece: control
/// characters become visible (`\x1b`), bytes that are no UTF-8 become `U+FFFD`. Tabs and newlines
/// stay; the carriage return of `\r\n` is dropped.
#[derive(Debug, Default)]
pub struct Visible {
    /// The beginning of a character, or a carriage return, whose next byte has not come yet.
    held: Vec<u8>,
}

impl Visible {
    /// Appends what is certain of `bytes` to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) {
        let joined;
        let mut rest = if self.held.is_empty() {
            bytes
        } else {
            self.held.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.held);
            &joined
        };
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(text) => return self.text(text, out),
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    self.text(std::str::from_utf8(good).expect("it was just found valid"), out);
                    self.flush_return(out);
                    let Some(length) = error.error_len() else {
                        self.held = bad.to_vec();
                        return;
                    };
                    out.push(char::REPLACEMENT_CHARACTER);
                    rest = &bad[length..];
                }
            }
        }
    }

    /// Appends what was held back: nothing more comes.
    pub fn finish(&mut self, out: &mut String) {
        self.flush_return(out);
        if !std::mem::take(&mut self.held).is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn flush_return(&mut self, out: &mut String) {
        if self.held == b"\r" {
            self.held.clear();
            escape('\r', out);
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\r' if characters.peek() == Some(&'\n') => {}
                '\r' if characters.peek().is_none() => self.held = vec![b'\r'],
                '\n' | '\t' => out.push(character),
                _ if is_steering(character) => escape(character, out),
                _ => out.push(character),
            }
        }
    }
}

/// Whether a terminal may take the character as a command: C0, DEL, C1 and those that turn the
/// direction of writing around.
pub fn is_steering(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(character: char, out: &mut String) {
    let number = u32::from(character);
    let written = match character {
        '\r' => write!(out, "\\r"),
        '\n' => write!(out, "\\n"),
        '\t' => write!(out, "\\t"),
        _ if number < 0x80 => write!(out, "\\x{number:02x}"),
        _ => write!(out, "\\u{{{number:x}}}"),
    };
    written.expect("a String takes all");
}

/// [`Visible`] for bytes that are all there.
pub fn visible(bytes: &[u8]) -> String {
    let (mut visible, mut out) = (Visible::default(), String::with_capacity(bytes.len()));
    visible.push(bytes, &mut out);
    visible.finish(&mut out);
    out
}

/// A message that must stay one line: tabs and newlines are made visible as well.
pub fn visible_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        if is_steering(character) { escape(character, &mut out) } else { out.push(character) }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_sees() {
        // bytes of a host, text on the terminal
        const TABLE: &[(&[u8], &str)] = &[
            (b"plain\ttext\n", "plain\ttext\n"),
            ("žluťoučký 馬\n".as_bytes(), "žluťoučký 馬\n"),
            (b"\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
            (b"dos\r\nline\r\n", "dos\nline\n"),
            (b"10%\r20%\r", r"10%\r20%\r"),
            (b"\x7f\x00\x08", r"\x7f\x00\x08"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("\u{9b}31m".as_bytes(), r"\u{9b}31m"),
            ("user\u{202e}nimda".as_bytes(), r"user\u{202e}nimda"),
            (b"cut \xe2\x82", "cut \u{fffd}"),
            (b"\r\xff\n", "\\r\u{fffd}\n"),
        ];
        for (bytes, text) in TABLE {
            assert_eq!(visible(bytes), *text);
        }
        assert_eq!(visible_line("two\nlines\r\n"), r"two\nlines");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..6),
                    "[a\r\né馬\u{9b}]{0,4}".prop_map(String::into_bytes),
                ],
                0..12,
            ),
        ) {
            let (mut visible, mut out) = (Visible::default(), String::new());
            pieces.iter().for_each(|piece| visible.push(piece, &mut out));
            visible.finish(&mut out);
            prop_assert_eq!(&out, &super::visible(&pieces.concat()));
            prop_assert!(!out.chars().any(|c| is_steering(c) && c != '\n' && c != '\t'));
        }
    }
}
