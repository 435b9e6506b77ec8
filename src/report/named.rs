use std::io;

use super::Reporter;
use crate::event::{Event, EventKind};
use crate::term::Term;

/// The run's id, alone in a line on stdout, for a script that comes back to it: `R=$(… --detach -q)`.
pub struct Named {
    term: Term,
}

impl Named {
    pub fn new(term: &Term) -> Self {
        Self { term: term.clone() }
    }
}

impl Reporter for Named {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { run, .. } => self.term.data(format!("{run}\n").as_bytes()),
            _ => Ok(()),
        }
    }
}
