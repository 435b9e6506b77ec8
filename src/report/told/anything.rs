//! Scripts that tell anything at all.

use proptest::prelude::*;

use super::*;
use crate::report::pretend::tells;
use crate::term::is_steering;

/// Anything that a host can make a script tell.
fn anything_told() -> impl Strategy<Value = EventKind> {
    let text = || "(warn|debug|Error|tell1|\\PC|\x1b\\[2J|\n|\r|\u{9b}|\u{202e}|: | ){0,8}";
    let host = || "tell[12]";
    prop_oneof![
        (host(), text(), text(), text()).prop_map(|(host, level, message, context)| EventKind::HostLog {
            host,
            level,
            message,
            context: if context.is_empty() { serde_json::Value::Null } else { context.into() },
        }),
        (host(), -10.0..110.0, proptest::option::of(text()))
            .prop_map(|(host, percent, step)| EventKind::HostProgress { host, percent, step }),
        (host(), text(), text()).prop_map(|(host, audience, message)| EventKind::HostNotify {
            host,
            audience,
            message
        }),
        (host(), any::<bool>()).prop_map(|(host, condition)| EventKind::HostCondition { host, condition }),
        (host(), text(), any::<u64>()).prop_map(|(host, path, bytes)| EventKind::HostArtifact {
            host,
            path,
            digest: "cd".repeat(32),
            bytes,
            mode: 0o644,
        }),
    ]
}

proptest! {
    /// Whatever scripts tell: live and again it is the same, and no terminal is steered by it.
    #[test]
    fn whatever_is_told(kinds in prop::collection::vec(anything_told(), 0..12)) {
        let mut told = events(&[tells("tell1"), answers("tell2", "")]);
        for kind in kinds {
            told.insert(told.len() - 3, Event { kind, ..told[3].clone() });
        }
        for output in [Output::Auto, Output::Stream, Output::Json, Output::Jsonl, Output::Quiet] {
            let captured = told_on(output, &told, Term::captured(), Term::captured());
            let all = captured.out() + &captured.err();
            prop_assert!(!all.chars().any(|c| is_steering(c) && c != '\n'), "{output:?}: {all:?}");
            if output == Output::Json {
                let document: serde_json::Value = serde_json::from_str(&all).unwrap();
                prop_assert!(document["hosts"][0]["told"].as_array().unwrap().len() >= 9);
            }
        }
    }
}
