use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Pending, Reporter};
use crate::event::{Event, EventKind};
use crate::term::Term;

/// Between two looks at the board on a terminal.
const REDRAW: Duration = Duration::from_millis(100);

/// A run that is over before this shows no live display.
const PATIENCE: Duration = Duration::from_millis(300);

/// Between two lines where stderr is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// How far a run is, on stderr while it goes on: on a terminal a bar and at most a dozen hosts,
/// else a line every 10 seconds naming who is pending. A thread of its own draws, so that time
/// passes for hosts that say nothing. What a script tells of its progress stands beside its host;
/// the line names the few that are least far.
pub struct Progress {
    term: Term,
    /// Has heard every event before we do.
    pending: Pending,
    drawing: Option<JoinHandle<()>>,
}

impl Progress {
    pub fn new(term: &Term, pending: &Pending) -> Self {
        Self { term: term.clone(), pending: pending.clone(), drawing: None }
    }

    fn start(&mut self) {
        let (term, pending) = (self.term.clone(), self.pending.clone());
        // Without a thread there is no progress, and the run is as good.
        self.drawing =
            thread::Builder::new().name("progress".to_owned()).spawn(move || draw(&term, &pending)).ok();
    }

    fn stop(&mut self) {
        self.pending.end();
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
    }
}

fn draw(term: &Term, pending: &Pending) {
    let live = if term.err_is_tty() {
        if pending.wait(PATIENCE) {
            return;
        }
        term.live()
    } else {
        None
    };
    let pause = if live.is_some() { REDRAW } else { LINE };
    loop {
        match &live {
            Some(live) => live.draw(&pending.frame(term)),
            None if pending.age() >= LINE => term.note(&pending.line()),
            None => {}
        }
        if pending.wait(pause) {
            return;
        }
    }
}

impl Reporter for Progress {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { .. } | EventKind::RunResumed { .. } => self.start(),
            EventKind::RunFinished { .. } => self.stop(),
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop();
    }
}
