use std::collections::BTreeSet;

use base64ct::{Base64, Encoding};
use serde_json::Value;

/// Panics unless `events` (of `-o jsonl`) obey the grammar of a run over `hosts`.
#[track_caller]
pub fn check_grammar(events: &[Value], hosts: &[String]) {
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], number as u64, "seq has a gap: {event}");
        let kind = event["kind"].as_str().unwrap();
        assert_eq!(kind == "run_started", number == 0, "run_started stands first and once");
        assert_eq!(kind == "run_finished", number + 1 == events.len(), "run_finished stands last and once");
    }
    let planned: BTreeSet<&str> =
        events[0]["hosts"].as_array().unwrap().iter().map(|host| host.as_str().unwrap()).collect();
    assert_eq!(planned, hosts.iter().map(String::as_str).collect(), "the hosts of run_started");
    for host in hosts {
        let of_host = |event: &&Value| event["host"] == host.as_str();
        let last = events.iter().rfind(of_host).unwrap_or_else(|| panic!("nothing is told of {host}"));
        assert_eq!(last["kind"], "host_finished", "{host}");
        let ends = events.iter().filter(of_host).filter(|event| event["kind"] == "host_finished");
        assert_eq!(ends.count(), 1, "{host} ends once");
    }
}

/// The `host_finished` of `host`.
#[track_caller]
pub fn finished<'a>(events: &'a [Value], host: &str) -> &'a Value {
    let found = events.iter().find(|event| event["kind"] == "host_finished" && event["host"] == host);
    found.unwrap_or_else(|| panic!("{host} does not end"))
}

/// All that `host` wrote to `stream`.
pub fn bytes_of(events: &[Value], host: &str, stream: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        if event["kind"] == "host_output" && event["host"] == host && event["stream"] == stream {
            match (event["text"].as_str(), event["base64"].as_str()) {
                (Some(text), None) => bytes.extend_from_slice(text.as_bytes()),
                (None, Some(text)) => bytes.extend(Base64::decode_vec(text).unwrap()),
                _ => panic!("neither text nor base64: {event}"),
            }
        }
    }
    bytes
}
