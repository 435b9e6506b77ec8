use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Reporter;
use crate::event::{Event, EventKind};
use crate::term::Term;

mod board;

use board::Board;

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
    shared: Arc<Shared>,
    drawing: Option<JoinHandle<()>>,
}

struct Shared {
    board: Mutex<Board>,
    ended: Condvar,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for at most `time`; whether the run is over.
    fn wait(&self, time: Duration) -> bool {
        self.ended
            .wait_timeout_while(self.board(), time, |board| !board.is_over())
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .is_over()
    }
}

impl Progress {
    pub fn new(term: &Term) -> Self {
        let shared = Shared { board: Mutex::new(Board::new(&[], Instant::now())), ended: Condvar::new() };
        Self { term: term.clone(), shared: Arc::new(shared), drawing: None }
    }

    fn start(&mut self) {
        let (term, shared) = (self.term.clone(), Arc::clone(&self.shared));
        // Without a thread there is no progress, and the run is as good.
        self.drawing =
            thread::Builder::new().name("progress".to_owned()).spawn(move || draw(&term, &shared)).ok();
    }

    fn stop(&mut self) {
        self.shared.board().end();
        self.shared.ended.notify_all();
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
    }
}

fn draw(term: &Term, shared: &Shared) {
    let live = if term.err_is_tty() {
        if shared.wait(PATIENCE) {
            return;
        }
        term.live()
    } else {
        None
    };
    let pause = if live.is_some() { REDRAW } else { LINE };
    loop {
        match &live {
            Some(live) => {
                let frame = shared.board().frame(term, Instant::now());
                live.draw(&frame);
            }
            None if shared.board().age(Instant::now()) >= LINE => {
                let line = shared.board().line(Instant::now());
                term.note(&line);
            }
            None => {}
        }
        if shared.wait(pause) {
            return;
        }
    }
}

impl Reporter for Progress {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { hosts, .. } => {
                *self.shared.board() = Board::new(hosts, Instant::now());
                self.start();
            }
            EventKind::HostState { host, state } => {
                self.shared.board().entered(host, *state, Instant::now());
            }
            EventKind::HostProgress { host, percent, step } => {
                self.shared.board().progressed(host, *percent, step.as_deref());
            }
            EventKind::HostFinished { host, result } => self.shared.board().finished(host, result.outcome),
            EventKind::RunStopping { .. } => self.shared.board().stopping(),
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
