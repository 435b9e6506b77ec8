//! What a script tells beside its output, in the words of events.

use cronium_wire::message::{Mode, Told};

use crate::event::{Conflict, EventKind, HelperMode};

pub fn event(host: &str, told: Told) -> EventKind {
    let host = host.to_owned();
    match told {
        Told::Log { level, message, context } => EventKind::HostLog { host, level, message, context },
        Told::Progress { percent, step } => {
            // A host may send anything; JSON has no infinity.
            let percent = if percent.is_finite() { percent.clamp(0.0, 100.0) } else { 0.0 };
            EventKind::HostProgress { host, percent, step }
        }
        Told::Notify { audience, message } => EventKind::HostNotify { host, audience, message },
        Told::Condition { condition } => EventKind::HostCondition { host, condition },
    }
}

pub fn mode(mode: Mode) -> HelperMode {
    match mode {
        Mode::Api => HelperMode::Api,
        Mode::Tcp => HelperMode::Tcp,
        Mode::Bundled => HelperMode::Bundled,
    }
}

/// `refused`: key and reason of each write.
pub fn conflicts(refused: Vec<(String, String)>) -> Vec<Conflict> {
    refused.into_iter().map(|(key, reason)| Conflict { key, reason }).collect()
}
