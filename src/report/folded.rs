use std::collections::{BTreeSet, HashMap};

use super::fate::Pattern;
use super::fold;

/// Sentences about hosts; alike ones, the host's own name aside, are kept once for all their hosts.
#[derive(Default)]
pub struct Folded {
    said: HashMap<Pattern, BTreeSet<String>>,
}

impl Folded {
    pub fn say(&mut self, host: &str, sentence: &str) {
        let hosts = self.said.entry(Pattern::new(sentence, host)).or_default();
        if !hosts.contains(host) {
            hosts.insert(host.to_owned());
        }
    }

    /// Each sentence with its hosts, in the natural order of hosts and then of words.
    pub fn take(&mut self) -> Vec<(Vec<String>, String)> {
        let mut said: Vec<(Vec<String>, String)> = std::mem::take(&mut self.said)
            .into_iter()
            .map(|(sentence, hosts)| {
                let mut hosts: Vec<String> = hosts.into_iter().collect();
                hosts.sort_by(|one, other| fold::natural(one, other));
                let sentence = sentence.fill(&hosts.iter().map(String::as_str).collect::<Vec<_>>());
                (hosts, sentence)
            })
            .collect();
        said.sort_by(|(ones, one), (others, other)| {
            fold::natural(&ones[0], &others[0]).then_with(|| one.cmp(other))
        });
        said
    }
}
