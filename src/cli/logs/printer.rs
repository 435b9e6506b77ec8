use std::io;

use crate::error::Error;
use crate::event::Stream;
use crate::term::{Term, Visible};

/// Why printing ends early.
pub(super) enum Halt {
    /// Our stdout or stderr is gone.
    Write(io::Error),
    Ledger(Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Ledger(error)
    }
}

/// Prints one stream of one host on ours of the same name.
pub(super) struct Printer<'a> {
    term: &'a Term,
    stream: Stream,
    /// Where ours is a terminal.
    visible: Option<Visible>,
    /// The host's name, put before each line.
    name: Option<&'a str>,
    in_line: bool,
    /// Whether what was printed last has not ended its line.
    is_line_open: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(term: &'a Term, stream: Stream, name: Option<&'a str>) -> Self {
        let tty = match stream {
            Stream::Stdout => term.out_is_tty(),
            Stream::Stderr => term.err_is_tty(),
        };
        Self { term, stream, visible: tty.then(Visible::default), name, in_line: false, is_line_open: false }
    }

    pub(super) fn stream(&self) -> Stream {
        self.stream
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        match &mut self.visible {
            Some(visible) => {
                let mut text = String::with_capacity(bytes.len());
                visible.push(bytes, &mut text);
                self.lines(text.as_bytes())
            }
            None => self.lines(bytes),
        }
    }

    /// Says what was held back, and ends the last line where names stand before lines.
    pub(super) fn finish(&mut self) -> Result<(), Halt> {
        self.visible_rest()?;
        if self.name.is_some() && self.in_line {
            self.in_line = false;
            self.put(b"\n")?;
        }
        Ok(())
    }

    /// A line of ours, whatever line is open.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Halt> {
        self.visible_rest()?;
        let begin = if self.is_line_open { "\n" } else { "" };
        let name = self.name.map(|name| format!("{name}: ")).unwrap_or_default();
        self.in_line = false;
        self.put(format!("{begin}{name}{line}\n").as_bytes())
    }

    /// Whether what comes next on stderr would stand behind what was printed.
    pub(super) fn is_before_stderr(&self) -> bool {
        let one_page = self.term.out_is_tty() && self.term.err_is_tty();
        self.is_line_open && (self.stream == Stream::Stderr || one_page)
    }

    /// What was held back, as a character may go on.
    fn visible_rest(&mut self) -> Result<(), Halt> {
        let mut text = String::new();
        if let Some(visible) = &mut self.visible {
            visible.finish(&mut text);
        }
        self.lines(text.as_bytes())
    }

    fn lines(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        let Some(name) = self.name else { return self.put(bytes) };
        let mut named = Vec::with_capacity(bytes.len() + bytes.len() / 4);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.in_line {
                named.extend_from_slice(name.as_bytes());
                named.extend_from_slice(b": ");
            }
            named.extend_from_slice(line);
            self.in_line = !line.ends_with(b"\n");
        }
        self.put(&named)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.is_line_open = *last != b'\n';
        match self.stream {
            Stream::Stdout => self.term.data(bytes)?,
            Stream::Stderr => self.term.data_err(bytes)?,
        }
        Ok(())
    }
}
