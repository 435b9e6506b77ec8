use std::fs::File;
use std::io::{self, Read as _};
use std::time::Duration;

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use tokio::time::sleep;

use super::{Term, question};

/// Between two looks at what was typed. To wait for it would be to take it: what is typed ahead makes
/// a terminal ready for good.
const LOOK: Duration = Duration::from_millis(150);

/// Enter, pressed while nothing is asked.
///
/// A line that was typed ahead stays there for whoever reads the terminal next, which is the shell: only
/// one that is empty is taken.
#[derive(Debug)]
pub struct Enter {
    term: Term,
    terminal: File,
}

impl Enter {
    pub(super) fn new(term: Term) -> io::Result<Self> {
        Ok(Self { term, terminal: question::terminal()? })
    }

    /// Waits for the next time. An error means that there is no terminal any more. May be dropped at
    /// any time. Only inside a runtime.
    pub async fn pressed(&self) -> io::Result<()> {
        loop {
            sleep(LOOK).await;
            // In the background, reading would stop us.
            let is_ours = tcgetpgrp(&self.terminal)? == getpgrp();
            if !is_ours || self.term.is_asking() || rustix::io::ioctl_fionread(&self.terminal)? != 1 {
                continue;
            }
            let mut byte = [0];
            match (&self.terminal).read(&mut byte) {
                Ok(_) if byte == *b"\n" => {
                    self.term.back_to_live();
                    return Ok(());
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }
}
