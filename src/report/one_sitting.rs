use std::iter::Peekable;

use crate::event::{Event, EventKind};

/// The events of a run that was left and attached to, for whoever tells it when it is over: the ends
/// of earlier sittings, and that there were several, are left out. A reporter takes the last
/// `host_finished` of each host, so that the run reads as if nobody had ever left it.
pub struct OneSitting<I: Iterator> {
    events: Peekable<I>,
}

impl<I: Iterator<Item = Result<Event, E>>, E> OneSitting<I> {
    /// `events` from the run's first on.
    pub fn of(events: impl IntoIterator<IntoIter = I>) -> Self {
        Self { events: events.into_iter().peekable() }
    }
}

impl<I: Iterator<Item = Result<Event, E>>, E> Iterator for OneSitting<I> {
    type Item = Result<Event, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let event = self.events.next()?;
            let is_between = match &event {
                Ok(Event { kind: EventKind::RunResumed { .. }, .. }) => true,
                Ok(Event { kind: EventKind::RunFinished { .. }, .. }) => {
                    // A sitting whose process died has no end of its own.
                    self.events.peek().is_some()
                }
                _ => false,
            };
            if !is_between {
                return Some(event);
            }
        }
    }
}
