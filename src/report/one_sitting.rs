use std::borrow::Cow;
use std::collections::HashMap;

use jiff::Timestamp;

use crate::event::{Event, EventKind, HostResult};

/// The events of a run that was left and attached to, for whoever tells it when it is over: the ends
/// of earlier sittings, and that there were several, are left out. A reporter takes the last
/// `host_finished` of each host, so that the run reads as if nobody had ever left it.
///
/// An end is told as it settles what was known of the host, as the ledger has it; one that settles nothing
/// is left out.
#[derive(Default)]
pub struct OneSitting {
    began: Option<Timestamp>,
    was_left: bool,
    ends: HashMap<String, HostResult>,
}

impl OneSitting {
    /// An event of an earlier sitting, as it is told; `None` where it is not. In order, from the run's
    /// first.
    pub fn recalls<'e>(&mut self, event: &'e Event) -> Option<Cow<'e, Event>> {
        match &event.kind {
            EventKind::RunStopping { .. } | EventKind::RunFinished { .. } => None,
            _ => self.told(event),
        }
    }

    /// An event of the last sitting, likewise. A run that was left took from its start to its end.
    pub fn goes_on<'e>(&mut self, event: &'e Event) -> Option<Cow<'e, Event>> {
        let (EventKind::RunFinished { summary }, Some(began), true) =
            (&event.kind, self.began, self.was_left)
        else {
            return self.told(event);
        };
        let since = u64::try_from(event.at.duration_since(began).as_millis()).unwrap_or(0);
        let mut summary = summary.clone();
        summary.duration_ms = summary.duration_ms.max(since);
        Some(Cow::Owned(Event { kind: EventKind::RunFinished { summary }, ..event.clone() }))
    }

    fn told<'e>(&mut self, event: &'e Event) -> Option<Cow<'e, Event>> {
        match &event.kind {
            EventKind::RunStarted { .. } => self.began = Some(event.at),
            EventKind::RunResumed { .. } => {
                self.was_left = true;
                return None;
            }
            EventKind::HostFinished { host, result } => return self.ended(event, host, result),
            _ => {}
        }
        Some(Cow::Borrowed(event))
    }

    fn ended<'e>(&mut self, event: &'e Event, host: &str, result: &HostResult) -> Option<Cow<'e, Event>> {
        let Some(known) = self.ends.get(host) else {
            self.ends.insert(host.to_owned(), result.clone());
            return Some(Cow::Borrowed(event));
        };
        let stands = known.clone().settled_by(result.clone());
        if stands == *known {
            return None;
        }
        self.ends.insert(host.to_owned(), stands.clone());
        let kind = EventKind::HostFinished { host: host.to_owned(), result: Box::new(stands) };
        Some(Cow::Owned(Event { kind, ..event.clone() }))
    }
}
