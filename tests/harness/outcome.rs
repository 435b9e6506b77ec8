use std::fmt;

/// What a run of the program printed and how it ended.
///
/// `Display` puts all three in one text for an inline snapshot, with what differs from run to run
/// replaced: run ids (`RUN`), times of day (`WHEN`), durations (`TIME`), and the texts the
/// environment named (temporary folders, ports, address blocks).
#[must_use = "an outcome that nobody checks is a test that cannot fail"]
#[derive(Clone)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// The exit code; 128 + the signal's number where a signal ended it.
    pub code: i32,
    pub(super) replace: Vec<(String, &'static str)>,
}

impl Outcome {
    /// Panics with all that was printed unless the exit code is `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == code, "exit code {} instead of {code}\n{self:?}", self.code);
        self
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits(0)
    }

    /// For an outcome that only had to happen.
    pub fn ignore(self) {}

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self:?}"))
    }

    /// Stdout as one JSON document a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let lines = self.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| {
                serde_json::from_slice(line).unwrap_or_else(|error| {
                    panic!("not JSON: {error}: {}", String::from_utf8_lossy(&line[..line.len().min(300)]))
                })
            })
            .collect()
    }

    /// A text as [`Display`](fmt::Display) shows it.
    pub fn normalised(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.replace {
            text = text.replace(from.as_str(), to);
        }
        let words = split_words(&text);
        let mut out = String::with_capacity(text.len());
        let mut rest = words.as_slice();
        while let [word, behind @ ..] = rest {
            rest = behind;
            out.push_str(match behind {
                _ if is_ulid(word) => "RUN",
                _ if is_timestamp(word) => "WHEN",
                _ if is_duration(word) => "TIME",
                [" ", unit, behind @ ..] if is_number(word) && is_unit(unit) => {
                    rest = behind;
                    "TIME"
                }
                _ => word,
            });
        }
        out
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block = |f: &mut fmt::Formatter<'_>, name: &str, bytes: &[u8]| {
            if bytes.is_empty() {
                return Ok(());
            }
            let text = self.normalised(&String::from_utf8_lossy(bytes));
            writeln!(f, "--- {name}")?;
            f.write_str(&text)?;
            if text.ends_with('\n') { Ok(()) } else { writeln!(f, "[no newline at the end]") }
        };
        block(f, "stdout", &self.stdout)?;
        block(f, "stderr", &self.stderr)?;
        writeln!(f, "--- exit code {}", self.code)
    }
}

/// For messages of failed assertions: nothing replaced, long output cut.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let shown = &bytes[..bytes.len().min(6000)];
            writeln!(f, "--- {name} ({} bytes)\n{}", bytes.len(), String::from_utf8_lossy(shown))?;
        }
        writeln!(f, "--- exit code {}", self.code)
    }
}

/// The text cut where words of letters, digits and `.:-+` begin and end.
fn split_words(text: &str) -> Vec<&str> {
    let in_word = |c: char| c.is_ascii_alphanumeric() || ".:-+µ".contains(c);
    let mut words = Vec::new();
    let mut start = 0;
    let mut inside = None;
    for (at, c) in text.char_indices() {
        if inside.is_some_and(|inside| inside != in_word(c)) {
            words.push(&text[start..at]);
            start = at;
        }
        inside = Some(in_word(c));
    }
    words.push(&text[start..]);
    words
}

fn is_ulid(word: &str) -> bool {
    word.len() == 26
        && word.starts_with(['0', '1', '2', '3', '4', '5', '6', '7'])
        && word.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
}

/// RFC 3339, such as `2026-11-21T05:06:07.123Z`, or the same cut by a blank.
fn is_timestamp(word: &str) -> bool {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape.starts_with("0000-00-00T00:00")
        || shape == "0000-00-00"
        || shape.trim_end_matches('Z') == "00:00:00"
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// `12.5ms` or `3s`, perhaps at the end of a sentence.
fn is_duration(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    unit.len() < word.len() && (is_unit(unit) || unit == "m")
}

fn is_unit(word: &str) -> bool {
    ["ns", "µs", "us", "ms", "s", "min"].contains(&word.trim_end_matches(['.', ':']))
}
