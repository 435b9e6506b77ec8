//! The only code that writes to the terminal: data on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use crate::error::Error;

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The two streams of this process and what they can show. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Term {
    color_out: bool,
    color_err: bool,
    out_is_tty: bool,
    err_is_tty: bool,
}

impl Term {
    pub fn new(color: Color) -> Self {
        let (out_is_tty, err_is_tty) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let wanted = |tty: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            Color::Auto if std::env::var_os("CLICOLOR").is_some_and(|value| value == "0") => false,
            Color::Auto => tty,
        };
        Self { color_out: wanted(out_is_tty), color_err: wanted(err_is_tty), out_is_tty, err_is_tty }
    }

    /// Writes data to stdout, unchanged.
    pub fn data(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Writes a line for people to stderr. A closed stderr is no reason to stop.
    pub fn note(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    pub fn error(&self, error: &Error) {
        let _ = write!(io::stderr().lock(), "{error}");
    }

    pub fn color_out(&self) -> bool {
        self.color_out
    }

    pub fn color_err(&self) -> bool {
        self.color_err
    }

    pub fn out_is_tty(&self) -> bool {
        self.out_is_tty
    }

    pub fn err_is_tty(&self) -> bool {
        self.err_is_tty
    }
}
