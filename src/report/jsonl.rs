use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::Reporter;
use super::json::escape_steering;
use crate::error::{OrFail, Result};
use crate::event::Event;
use crate::term::Term;

/// `-o jsonl`: each event as one line on stdout as soon as it happens. The lines are
/// [`crate::event::Event`] in JSON: `seq`, `at`, `kind` and the fields of the kind.
pub struct Jsonl {
    term: Term,
}

impl Jsonl {
    pub fn new(term: &Term) -> Self {
        Self { term: term.clone() }
    }
}

impl Reporter for Jsonl {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.term.data(line(event)?.as_bytes())
    }
}

/// `--events FILE`: the same lines in a file.
pub struct EventsFile {
    file: File,
}

impl EventsFile {
    /// Creates or empties the file.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).or_fail(|| format!("cannot create {}", path.display())).map_err(|error| {
                error.hint("name a file in a folder you may write to: --events ./events.jsonl")
            })?;
        Ok(Self { file })
    }
}

impl Reporter for EventsFile {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.file.write_all(line(event)?.as_bytes())
    }
}

fn line(event: &Event) -> io::Result<String> {
    Ok(escape_steering(&serde_json::to_string(event)?).into_owned() + "\n")
}
