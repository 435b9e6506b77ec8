//! `--log-file` and `-v`: what the program says of its own doings, for whoever looks for a fault.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::Global;
use crate::error::{Error, Result};
use crate::term::Term;

/// To the file where one is named, else to stderr where `-v` asks for it, else nowhere.
pub fn start(global: &Global, term: &Term) -> Result<()> {
    let level = match global.verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
    match &global.log_file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
            let file = file.map_err(|error| {
                Error::failure(format!("cannot write the log file {}", path.display()))
                    .because(error)
                    .hint("--log-file FILE  in a folder that exists and is yours")
            })?;
            builder.with_writer(Mutex::new(file)).init();
        }
        None if global.verbose > 0 => builder.with_writer(Stderr(term.clone())).init(),
        None => {}
    }
    Ok(())
}

/// Log lines on the terminal, above whatever is live there.
struct Stderr(Term);

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0.clone())
    }
}

struct Line(Term);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.note(String::from_utf8_lossy(bytes).trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
