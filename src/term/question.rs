use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;
use rustix::termios::{QueueSelector, tcflush};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use super::Term;

/// Longest answer in bytes: what a terminal hands over as one line.
const ANSWER: usize = 4096;

/// A question on the terminal. Output of the run goes on above the answer, progress does not.
#[derive(Debug)]
pub struct Question {
    term: Term,
    /// No pipe, but read like one: whoever is asked takes his time, and may be interrupted.
    terminal: Receiver,
}

impl Question {
    /// Only inside a runtime.
    pub(super) fn new(term: Term) -> io::Result<Self> {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let terminal = OpenOptions::new().read(true).custom_flags(flags).open("/dev/tty")?;
        let terminal = Receiver::from_file_unchecked(terminal)?;
        let mut screen = term.screen();
        screen.clear();
        screen.is_asking = true;
        drop(screen);
        Ok(Self { term, terminal })
    }

    /// Shows lines.
    pub fn show(&self, text: &str) -> io::Result<()> {
        self.term.data_err(text.as_bytes())
    }

    /// The line that is typed behind `prompt`, without blanks around it; `None` where the terminal
    /// says that there is no more (Ctrl-D). What was typed before answers nothing.
    pub async fn answer(&mut self, prompt: &str) -> io::Result<Option<String>> {
        tcflush(&self.terminal, QueueSelector::IFlush)?;
        self.show(prompt)?;
        let mut line = [0; ANSWER];
        Ok(match self.terminal.read(&mut line).await? {
            0 => None,
            length => Some(String::from_utf8_lossy(&line[..length]).trim().to_owned()),
        })
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.term.screen().is_asking = false;
    }
}
