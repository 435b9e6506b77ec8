use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

use super::fate::{Fate, Pattern};
use super::fold::{self, who};
use super::units;
use crate::error::Error;
use crate::event::HostResult;
use crate::term::Term;

/// Different failures that are told one by one. All of it fits a screen.
const TOLD: usize = 10;

/// Hosts that did not succeed, as far as is known last. Those whose words are alike, causes and hint
/// among them, are one failure: two hosts with two wrong keys are two.
#[derive(Default)]
pub struct Failures {
    hosts: HashMap<String, Words>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Words {
    fate: Fate,
    causes: Vec<Pattern>,
    hint: Option<Pattern>,
}

impl Failures {
    pub fn add(&mut self, host: &str, result: &HostResult) {
        let fate = Fate::of(host, result);
        if fate.is_ok() {
            self.hosts.remove(host);
            return;
        }
        let failure = result.failure.as_ref();
        let causes = failure.map_or(&[][..], |failure| &failure.causes);
        let words = Words {
            fate,
            causes: causes.iter().map(|cause| Pattern::new(cause, host)).collect(),
            hint: failure.and_then(|failure| failure.hint.as_deref()).map(|hint| Pattern::new(hint, host)),
        };
        self.hosts.insert(host.to_owned(), words);
    }

    /// From a script's failure to what we know nothing of; of equals the largest first.
    pub(super) fn list(&self) -> Vec<Failed> {
        let mut alike: HashMap<&Words, Vec<String>> = HashMap::new();
        for (host, words) in &self.hosts {
            alike.entry(words).or_default().push(host.clone());
        }
        let mut failed: Vec<Failed> = alike
            .into_iter()
            .map(|(words, mut hosts)| {
                hosts.sort_unstable_by(|one, other| fold::natural(one, other));
                let alike = hosts.len();
                Failed { words: words.clone(), hosts, alike, fates_differ: false, words_differ: false }
            })
            .collect();
        failed.sort_by(|one, two| {
            let by_size = || two.hosts.len().cmp(&one.hosts.len());
            let by_host = || fold::natural(&one.hosts[0], &two.hosts[0]);
            one.words.fate.compare(&two.words.fate).then_with(by_size).then_with(by_host)
        });
        failed
    }

    /// Tells all of them on stderr. `all` is the command that shows each host's own words.
    pub fn tell(&self, term: &Term, all: &str) {
        tell(self.list(), term, all);
    }
}

/// One error for each failure. Where they are too many, first causes and hints of hosts with the
/// same fate are told of one host, then fates of the same kind.
pub(super) fn tell(mut failed: Vec<Failed>, term: &Term, all: &str) {
    if failed.len() > TOLD {
        failed = merged(failed, Fate::clone);
    }
    if failed.len() > TOLD {
        failed = merged(failed, Fate::kind_text);
    }
    let mut roomy = false;
    for failed in failed.iter().take(TOLD) {
        let error = failed.error(all);
        // Errors of one line stand together, longer ones apart.
        let long = !error.causes.is_empty() || !error.hints.is_empty();
        if roomy || long {
            term.note("");
        }
        roomy = long;
        term.error(&error);
    }
    if roomy {
        term.note("");
    }
    if failed.len() > TOLD {
        let more: usize = failed[TOLD..].iter().map(|failed| failed.hosts.len()).sum();
        term.note(&format!("and {} more: {all}", units::hosts(more)));
    }
}

/// Failures with the same key as one, in the words of the first. The largest come first.
fn merged<K: Hash + Eq>(failures: Vec<Failed>, key: impl Fn(&Fate) -> K) -> Vec<Failed> {
    let mut places = HashMap::new();
    let mut all: Vec<Failed> = Vec::new();
    for failed in failures {
        let place = *places.entry(key(&failed.words.fate)).or_insert(all.len());
        match all.get_mut(place) {
            Some(first) => first.absorb(failed),
            None => all.push(failed),
        }
    }
    all.sort_by_key(|failed| Reverse(failed.hosts.len()));
    all
}

/// One error as it is told.
pub(super) struct Failed {
    words: Words,
    pub hosts: Vec<String>,
    /// So many of the hosts, the first ones, the words are about.
    alike: usize,
    fates_differ: bool,
    words_differ: bool,
}

impl Failed {
    pub fn fate(&self) -> &Fate {
        &self.words.fate
    }

    fn absorb(&mut self, mut other: Self) {
        self.fates_differ |= other.fates_differ || self.words.fate != other.words.fate;
        self.words_differ |= other.words_differ || self.words != other.words;
        self.hosts.append(&mut other.hosts);
    }

    fn error(&self, all: &str) -> Error {
        let Words { fate, causes, hint } = &self.words;
        let (hosts, alike) = (names(&self.hosts), names(&self.hosts[..self.alike]));
        let text = if self.fates_differ { fate.kind_text() } else { fate.text(&hosts) };
        let mut error = Error::failure(format!("{}: {text}", who(&hosts)));
        let mut causes = causes.iter().map(|cause| cause.fill(&alike));
        let example = match (self.fates_differ, self.words_differ) {
            (true, _) => Some(fate.text(&alike)),
            (false, true) => causes.next(),
            (false, false) => None,
        };
        error.causes.extend(example.map(|example| format!("{}: {example} (others differ)", who(&alike))));
        error.causes.extend(causes);
        // A command is about one host.
        error.hints.extend(hint.as_ref().map(|hint| hint.fill(&alike[..1])));
        if self.words_differ {
            error.hints.push(format!("{all}  has the words of each host"));
        }
        error
    }
}

fn names(hosts: &[String]) -> Vec<&str> {
    hosts.iter().map(String::as_str).collect()
}
