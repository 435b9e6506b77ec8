//! What the commands that only look have in common: columns, JSON, and a reader who leaves early.

use std::io;

use serde::Serialize;

use crate::error::{Error, ExitCode, OrFail as _, Result};
use crate::term::{Term, Tone, is_steering, visible_line};

/// `-o/--output` of commands that list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text for people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// Left-aligned columns, two spaces apart; the last one as long as it likes.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<(String, Option<Tone>)>>,
}

impl Table {
    /// A table under these names; without names, without a head.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        let mut table = Self::default();
        if N > 0 {
            table.row(head.map(|name| (name.to_owned(), Some(Tone::Faint))));
        }
        table
    }

    /// Text may come from a host: what could steer a terminal is made visible.
    pub fn row<const N: usize>(&mut self, cells: [(String, Option<Tone>); N]) {
        self.rows.push(cells.into_iter().map(|(text, tone)| (visible_line(&text), tone)).collect());
    }

    pub fn text(&self, term: &Term) -> String {
        let length = |text: &str| text.chars().count();
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| length(text)).max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            for (column, (text, tone)) in row.iter().enumerate() {
                match tone {
                    Some(tone) => out.push_str(&term.paint_out(*tone, text)),
                    None => out.push_str(text),
                }
                if row[column + 1..].iter().any(|(text, _)| !text.is_empty()) {
                    out.extend(std::iter::repeat_n(' ', widths[column] - length(text) + 2));
                }
            }
            out.push('\n');
        }
        out
    }
}

/// A cell without a tone.
pub fn plain(text: impl Into<String>) -> (String, Option<Tone>) {
    (text.into(), None)
}

/// Indented JSON with a newline. Characters that steer a terminal are escaped: JSON asks for that
/// below U+0020 only.
pub fn json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).or_fail(|| "cannot write JSON")?;
    let mut out = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if is_steering(character) && character != '\n' {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            out.push(character);
        }
    }
    out.push('\n');
    Ok(out)
}

/// Success, also where the reader of our output has seen enough and closed the pipe.
pub fn printed(result: io::Result<()>) -> Result<ExitCode> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::failure("cannot write the output").because(error))
        }
        _ => Ok(ExitCode::Success),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["HOST", "EXIT"]);
        table.row([plain("žluťoučký"), plain("0")]);
        table.row([plain("web1\x1b[2J"), plain("")]);
        let (term, _) = Term::captured();
        insta::assert_snapshot!(table.text(&term), @r"
        HOST         EXIT
        žluťoučký    0
        web1\x1b[2J
        ");
    }

    #[test]
    fn json_cannot_steer_a_terminal() {
        let text = json(&["\u{9b}31m\u{1b}\n\u{202e}ž"]).unwrap();
        assert_eq!(text, "[\n  \"\\u009b31m\\u001b\\n\\u202ež\"\n]\n");
        assert_eq!(serde_json::from_str::<[String; 1]>(&text).unwrap(), ["\u{9b}31m\u{1b}\n\u{202e}ž"]);
    }
}
