//! What a script tells beside its output, in the words of events.

use cronium_wire::message::{MAX_CONTEXT, Mode, Told};
use serde_json::Value;

use crate::event::{Conflict, EventKind, HelperMode};
use crate::transport::Fault;

/// An error where no runner of ours says such a thing.
pub fn event(host: &str, told: Told) -> Result<EventKind, Fault> {
    let host = host.to_owned();
    Ok(match told {
        Told::Log { level, message, context } => {
            let foreign = || Fault::foreign("the runner sends a log with a context of its own kind");
            let context = match context.len() {
                0 => Value::Null,
                1..=MAX_CONTEXT => serde_json::from_str(&context).map_err(|_| foreign())?,
                _ => return Err(foreign()),
            };
            EventKind::HostLog { host, level, message, context }
        }
        Told::Progress { percent, step } => {
            // A host may send anything; JSON has no infinity.
            let percent = if percent.is_finite() { percent.clamp(0.0, 100.0) } else { 0.0 };
            EventKind::HostProgress { host, percent, step }
        }
        Told::Notify { audience, message } => EventKind::HostNotify { host, audience, message },
        Told::Condition { condition } => EventKind::HostCondition { host, condition },
    })
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
