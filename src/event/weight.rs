//! How much memory an event takes while it waits to be told or recorded.

use serde_json::Value;

use super::{EventKind, HostResult};

/// What an event takes beside its texts, bytes and values.
const AROUND: usize = 512;
/// Bytes of a map's node, which holds up to eleven entries.
const NODE: usize = 640;

impl EventKind {
    /// In bytes, not less than half of what is so. A host's JSON can take a hundred times the
    /// memory of its text.
    pub fn weight(&self) -> usize {
        AROUND
            + match self {
                Self::HostOutput { data, .. } => data.0.len(),
                Self::HostLog { level, message, context, .. } => level.len() + message.len() + value(context),
                Self::HostProgress { step, .. } => step.as_ref().map_or(0, String::len),
                Self::HostNotify { audience, message, .. } => audience.len() + message.len(),
                Self::HostWarning { message, .. } => message.len(),
                Self::HostFinished { result, .. } => of_result(result),
                _ => 0,
            }
    }
}

fn of_result(result: &HostResult) -> usize {
    let conflicts = result.conflicts.iter().map(|conflict| conflict.key.len() + conflict.reason.len());
    result.output.as_ref().map_or(0, value) + conflicts.sum::<usize>()
}

fn value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(|element| size_of::<Value>() + self::value(element)).sum(),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, entry)| key.len() + self::value(entry));
            map.len().div_ceil(11) * NODE + entries.sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_host_can_make_large() {
        let log = |context| EventKind::HostLog {
            host: "h".into(),
            level: "info".into(),
            message: "m".into(),
            context,
        };
        let objects: Vec<Value> = (0..1000).map(|_| json!({"": 0})).collect();
        for (event, least) in [
            (EventKind::HostWarning { host: "h".into(), message: "x".repeat(5000) }, 5000),
            (log(json!("x".repeat(5000))), 5000),
            (log(objects.into()), 600_000),
            (log(json!([{"a": [[[]]]}])), 700),
        ] {
            let weight = event.weight();
            assert!((least..2 * least + AROUND).contains(&weight), "{weight} for {least}");
        }
    }
}
