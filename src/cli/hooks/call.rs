use crate::cli::shell::{Call, cleaned};
use crate::event::Event;

/// Variables of ours that a hook gets only where they mean its own event.
const OURS: &[&str] =
    &["CRONIUM_RUN_ID", "CRONIUM_HOST", "CRONIUM_CONDITION", "CRONIUM_AUDIENCE", "CRONIUM_MESSAGE"];

/// One hook, to be run for one event. `flag` is the name of the hook; `data` is put into its
/// environment.
pub fn of_event(flag: &str, command: &str, run: &str, event: &Event, data: &[(&'static str, &str)]) -> Call {
    let host = event.kind.host().unwrap_or_default();
    let all = [("CRONIUM_RUN_ID", run), ("CRONIUM_HOST", host)].into_iter().chain(data.iter().copied());
    Call {
        name: format!("{flag} of {host}"),
        command: command.to_owned(),
        environment: all.map(|(name, value)| (name, cleaned(value))).collect(),
        hidden: OURS,
        stdin: serde_json::to_string(event).expect("an event is plain data with string keys") + "\n",
    }
}

/// What a call takes up.
pub fn bytes(call: &Call) -> usize {
    let environment: usize = call.environment.iter().map(|(_, value)| value.len()).sum();
    call.name.len() + call.command.len() + environment + call.stdin.len()
}
