use std::collections::HashMap;
use std::iter::Peekable;

use crate::event::{Event, EventKind, Outcome};

/// The events of a run that was left and attached to, for whoever tells it when it is over: the ends
/// of earlier sittings, and that there were several, are left out. A reporter takes the last
/// `host_finished` of each host, so that the run reads as if nobody had ever left it.
///
/// An end that says less than is known (a host that was to be asked once more, and was not) is left
/// out, too.
pub struct OneSitting<I: Iterator> {
    events: Peekable<I>,
    ends: HashMap<String, Outcome>,
}

impl<I: Iterator<Item = Result<Event, E>>, E> OneSitting<I> {
    /// `events` from the run's first on.
    pub fn of(events: impl IntoIterator<IntoIter = I>) -> Self {
        Self { events: events.into_iter().peekable(), ends: HashMap::new() }
    }

    /// Whether it says more than is known of the host.
    fn is_news(&mut self, host: &str, outcome: Outcome) -> bool {
        let is_news = match self.ends.get(host) {
            None => true,
            Some(_) if outcome == Outcome::Skipped => false,
            Some(known) => known.is_open() || !outcome.is_open(),
        };
        if is_news {
            self.ends.insert(host.to_owned(), outcome);
        }
        is_news
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
                Ok(Event { kind: EventKind::HostFinished { host, result }, .. }) => {
                    !self.is_news(host, result.outcome)
                }
                _ => false,
            };
            if !is_between {
                return Some(event);
            }
        }
    }
}
