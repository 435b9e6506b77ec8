use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{Event, EventKind};
use crate::term::Term;

mod board;

use board::Board;

/// Who is pending in a run that goes on: what the live display draws, and what can be asked for at any
/// moment. Clones are of the same run.
///
/// It is asked beside the run, not through it: an answer must come above all when the run is stuck,
/// say because whoever reads our stdout does not.
#[derive(Clone)]
pub struct Pending {
    shared: Arc<Shared>,
}

struct Shared {
    board: Mutex<Board>,
    ended: Condvar,
}

impl Default for Pending {
    fn default() -> Self {
        let shared = Shared { board: Mutex::new(Board::new(&[], Instant::now())), ended: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }
}

impl Pending {
    pub(super) fn hear(&self, event: &Event) {
        let now = Instant::now();
        let mut board = self.board();
        match &event.kind {
            EventKind::RunStarted { hosts, .. } | EventKind::RunResumed { hosts, .. } => {
                *board = Board::new(hosts, now);
            }
            EventKind::HostState { host, state } => board.entered(host, *state, now),
            EventKind::HostOutput { host, .. } => board.heard(host, now),
            EventKind::HostProgress { host, percent, step } => {
                board.progressed(host, *percent, step.as_deref());
            }
            EventKind::HostFinished { host, result } => board.finished(host, result.outcome),
            EventKind::RunStopping { .. } => board.stopping(),
            EventKind::RunFinished { .. } => {
                board.end();
                self.shared.ended.notify_all();
            }
            _ => {}
        }
    }

    /// Whether a host has been begun with and has not ended.
    pub fn is_any_at_work(&self) -> bool {
        self.board().is_any_at_work()
    }

    /// Lines about hosts that have not ended: their state, since when, and when they were last heard
    /// of. A thousand hosts fit a screen.
    pub fn lines(&self) -> Vec<String> {
        self.board().roll(Instant::now())
    }

    pub(super) fn frame(&self, term: &Term) -> Vec<String> {
        self.board().frame(term, Instant::now())
    }

    pub(super) fn line(&self) -> String {
        self.board().line(Instant::now())
    }

    /// How long the run goes on.
    pub(super) fn age(&self) -> Duration {
        self.board().age(Instant::now())
    }

    /// Waits for at most `time`; whether the run is over.
    pub(super) fn wait(&self, time: Duration) -> bool {
        self.shared
            .ended
            .wait_timeout_while(self.board(), time, |board| !board.is_over())
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .is_over()
    }

    /// Ends whoever waits for the run's end.
    pub(super) fn end(&self) {
        self.board().end();
        self.shared.ended.notify_all();
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.shared.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
