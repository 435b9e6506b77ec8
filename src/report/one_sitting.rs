use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;

use crate::event::{Event, EventKind, Outcome};

/// The events of a run that was left and attached to, for whoever tells it when it is over: the ends
/// of earlier sittings, and that there were several, are left out. A reporter takes the last
/// `host_finished` of each host, so that the run reads as if nobody had ever left it.
///
/// An end that says less than is known (a host that was to be asked once more, and was not) is left
/// out, too.
#[derive(Default)]
pub struct OneSitting {
    began: Option<Timestamp>,
    was_left: bool,
    ends: HashMap<String, Outcome>,
}

impl OneSitting {
    /// Whether an event of an earlier sitting is told. In order, from the run's first.
    pub fn recalls(&mut self, event: &Event) -> bool {
        match &event.kind {
            EventKind::RunStopping { .. } | EventKind::RunFinished { .. } => false,
            _ => self.is_told(event),
        }
    }

    /// An event of the last sitting, as it is told; `None` where it is not. A run that was left took
    /// from its start to its end.
    pub fn goes_on<'e>(&mut self, event: &'e Event) -> Option<Cow<'e, Event>> {
        if !self.is_told(event) {
            return None;
        }
        let (EventKind::RunFinished { summary }, Some(began), true) =
            (&event.kind, self.began, self.was_left)
        else {
            return Some(Cow::Borrowed(event));
        };
        let since = u64::try_from(event.at.duration_since(began).as_millis()).unwrap_or(0);
        let mut summary = summary.clone();
        summary.duration_ms = summary.duration_ms.max(since);
        Some(Cow::Owned(Event { kind: EventKind::RunFinished { summary }, ..event.clone() }))
    }

    fn is_told(&mut self, event: &Event) -> bool {
        match &event.kind {
            EventKind::RunStarted { .. } => {
                self.began = Some(event.at);
                true
            }
            EventKind::RunResumed { .. } => {
                self.was_left = true;
                false
            }
            EventKind::HostFinished { host, result } => self.is_news(host, result.outcome),
            _ => true,
        }
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
