//! How *we* fail, as opposed to hosts, whose ends are data ([`crate::event::Outcome`]).

use std::fmt;

/// The exit codes of the program (design, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Success = 0,
    /// Our own failure: ledger, configuration, I/O.
    Failure = 1,
    Usage = 2,
    HostFailed = 3,
    Unreachable = 4,
    TimedOut = 5,
    /// A signature or policy refusal.
    Rejected = 6,
    /// Stopped by canary, `--max-fail` or `--gate`.
    Stopped = 7,
    Unknown = 8,
    Interrupted = 130,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A sentence of what failed on what, its causes, and commands that help.
///
/// Printed once, by [`crate::term`]: `error:` line, `caused by:` lines, a blank line, `hint:` lines.
/// The message never repeats its causes.
#[derive(Debug)]
pub struct Error {
    pub code: ExitCode,
    pub message: String,
    pub causes: Vec<String>,
    pub hints: Vec<String>,
}

impl Error {
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// What failed and why, in a line: for a warning, of something that goes on without it.
    pub fn in_one_line(self) -> String {
        [self.message].into_iter().chain(self.causes).collect::<Vec<_>>().join(": ")
    }

    /// Our own failure: exit code 1.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Failure, message)
    }

    /// The command line or a file it names is wrong: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// A signature or policy says no: exit code 6.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Rejected, message)
    }

    /// Adds an error and everything beneath it as causes.
    pub fn because(mut self, cause: impl std::error::Error) -> Self {
        self.causes.push(cause.to_string());
        let mut next = cause.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some libraries repeat their cause in their own message.
            if !self.causes.last().is_some_and(|last| last.ends_with(&text)) {
                self.causes.push(text);
            }
            next = cause.source();
        }
        self
    }

    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// A command to type, or what to change.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        for cause in &self.causes {
            writeln!(f, "caused by: {cause}")?;
        }
        if !self.hints.is_empty() {
            writeln!(f)?;
        }
        for hint in &self.hints {
            writeln!(f, "hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// `std::fs::read(path).or_fail(|| format!("cannot read {path}"))?`
pub trait OrFail<T> {
    fn or_fail<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: std::error::Error> OrFail<T> for std::result::Result<T, E> {
    fn or_fail<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| Error::failure(message()).because(error))
    }
}
