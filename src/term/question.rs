use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;
use rustix::termios::{QueueSelector, tcflush};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

use super::Term;

/// Longest answer in bytes: what a terminal hands over as one line.
const ANSWER: usize = 4096;

/// A question on the terminal. Output of the run goes on above the answer, progress does not.
///
/// Of several questions the one that was asked last is answered first: the others make way, and ask
/// again when it is gone.
#[derive(Debug)]
pub struct Question {
    term: Term,
    /// No pipe, but read like one: whoever is asked takes his time, and may be interrupted.
    terminal: Receiver,
    number: u64,
    asked: watch::Receiver<Asked>,
}

/// The questions that are open.
#[derive(Debug, Default)]
pub(super) struct Asked {
    next: u64,
    /// The last one is before the operator.
    open: Vec<u64>,
}

impl Asked {
    pub(super) fn is_any(&self) -> bool {
        !self.open.is_empty()
    }
}

/// The terminal that the process belongs to, to read from without being held.
pub(super) fn terminal() -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open("/dev/tty")
}

impl Question {
    /// Only inside a runtime.
    pub(super) fn new(term: Term) -> io::Result<Self> {
        let terminal = Receiver::from_file_unchecked(terminal()?)?;
        let mut number = 0;
        // Under its lock, so that no display is drawn between the two.
        let mut screen = term.screen();
        screen.clear();
        screen.prompt = None;
        term.shared.asked.send_modify(|asked| {
            number = asked.next;
            asked.next += 1;
            asked.open.push(number);
        });
        drop(screen);
        let asked = term.shared.asked.subscribe();
        Ok(Self { term, terminal, number, asked })
    }

    /// Shows lines.
    pub fn show(&self, text: &str) -> io::Result<()> {
        self.term.data_err(text.as_bytes())
    }

    /// The line that is typed behind `prompt`, without blanks around it; `None` where the terminal
    /// says that there is no more (Ctrl-D). What was typed before answers nothing.
    pub async fn answer(&mut self, prompt: &str) -> io::Result<Option<String>> {
        loop {
            self.turn(true).await;
            tcflush(&self.terminal, QueueSelector::IFlush)?;
            self.term.prompt(Some(prompt));
            let (mut asked, number, mut line) = (self.asked.clone(), self.number, [0; ANSWER]);
            let length = tokio::select! {
                length = self.terminal.read(&mut line) => length?,
                () = turn(&mut asked, number, false) => continue,
            };
            // It stands there with its answer.
            self.term.screen().prompt = None;
            let line = String::from_utf8_lossy(&line[..length]);
            return Ok((length > 0).then(|| line.trim().to_owned()));
        }
    }

    /// Waits until it is this question's turn, or no more.
    async fn turn(&mut self, ours: bool) {
        turn(&mut self.asked, self.number, ours).await;
    }
}

async fn turn(asked: &mut watch::Receiver<Asked>, number: u64, ours: bool) {
    // The sender lives as long as the terminal.
    let _ = asked.wait_for(|asked| (asked.open.last() == Some(&number)) == ours).await;
}

impl Drop for Question {
    fn drop(&mut self) {
        let was_ours = self.asked.borrow().open.last() == Some(&self.number);
        if was_ours {
            self.term.prompt(None);
        }
        let number = self.number;
        self.term.shared.asked.send_modify(|asked| asked.open.retain(|open| *open != number));
    }
}
