use std::collections::HashMap;

use serde_json::Value;

use crate::error::Result;
use crate::event::EventKind;
use crate::ledger::Reader;
use crate::report::fold::who;
use crate::report::{Folded, Losses};
use crate::term::{Term, Tone};

/// What an operator should know of hosts, whatever their end is.
#[derive(Default)]
pub struct Warnings {
    by_host: HashMap<String, Vec<String>>,
    /// Alike ones once, and lost connections of a host as one.
    folded: Vec<(Vec<String>, String)>,
}

impl Warnings {
    pub fn read(reader: &Reader, run: &str) -> Result<Self> {
        let (mut folded, mut losses) = (Folded::default(), Losses::default());
        let mut by_host: HashMap<String, Vec<String>> = HashMap::new();
        for event in reader.events_of(run, None, &["host_warning", "host_state"])? {
            let event = event?;
            match event.kind {
                EventKind::HostState { host, state } => drop(losses.enter(&host, state, event.at)),
                EventKind::HostWarning { host, message } => {
                    if !losses.hear(&host, &message) {
                        folded.say(&host, &message);
                    }
                    by_host.entry(host).or_default().push(message);
                }
                _ => {}
            }
        }
        for (host, message) in losses.take() {
            folded.say(&host, &message);
        }
        Ok(Self { by_host, folded: folded.take() })
    }

    /// A line each: `web2: warning: connection lost 4 times, 4.4 s in all`.
    pub fn text(&self, term: &Term) -> String {
        let label = term.paint_out(Tone::Doubtful, "warning:");
        let line = |(hosts, message): &(Vec<String>, String)| {
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            format!("{}: {label} {message}\n", term.paint_out(Tone::Strong, &who(&hosts)))
        };
        self.folded.iter().map(line).collect()
    }

    /// Each host of `results` gets `warnings`, empty where there are none.
    pub fn add_to(&self, results: &mut Value) {
        for result in results.as_array_mut().into_iter().flatten() {
            let of_host = result["host"].as_str().and_then(|host| self.by_host.get(host));
            result["warnings"] = of_host.into_iter().flatten().cloned().collect();
        }
    }
}
