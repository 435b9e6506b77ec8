//! Finds the lines for a name.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use sha1::Sha1;

use super::glob;
use crate::error::{OrFail as _, Result};

/// Longer names match nothing, here as in `ssh`.
const MAX_PATTERN_BYTES: usize = 1023;

/// Line numbers by name. Thousands of hosts ask thousands of lines: a plain name is one look into
/// a map; only patterns and hashed names are tried one by one.
#[derive(Default)]
pub struct Names {
    plain: HashMap<String, Vec<usize>>,
    patterns: Vec<(Vec<Pattern>, usize)>,
    hashed: Vec<Hashed>,
    /// What the hashed lines said to names asked before: each host is looked up more than once.
    asked: Mutex<HashMap<String, Vec<usize>>>,
}

struct Pattern {
    negated: bool,
    glob: String,
}

struct Hashed {
    /// HMAC-SHA1 that has taken the salt: half of the work of every try.
    salted: Hmac<Sha1>,
    hash: [u8; 20],
    line: usize,
}

/// A name as `HashKnownHosts` has it written, with a salt of its own.
pub fn hashed(name: &str) -> Result<HostPatterns> {
    let mut salt = [0; 20];
    getrandom::fill(&mut salt).or_fail(|| "the system gives no random bytes")?;
    let salted = Hmac::<Sha1>::new_from_slice(&salt).expect("HMAC takes a key of any length");
    let hash = salted.chain_update(name).finalize().into_bytes().into();
    Ok(HostPatterns::HashedName { salt: salt.to_vec(), hash })
}

impl Names {
    pub fn add(&mut self, names: &HostPatterns, line: usize) {
        self.asked.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        match names {
            HostPatterns::HashedName { salt, hash } => {
                let salted = Hmac::new_from_slice(salt).expect("HMAC takes a key of any length");
                self.hashed.push(Hashed { salted, hash: *hash, line });
            }
            HostPatterns::Patterns(patterns)
                if patterns.iter().any(|name| name.contains(['*', '?', '!'])) =>
            {
                self.patterns.push((patterns.iter().map(|text| Pattern::parse(text)).collect(), line));
            }
            HostPatterns::Patterns(patterns) => {
                for name in patterns {
                    let lines = self.plain.entry(name.to_lowercase()).or_default();
                    if lines.last() != Some(&line) {
                        lines.push(line);
                    }
                }
            }
        }
    }

    /// The lines that match `name`, which is in lower case, in the order in which they were added.
    pub fn find(&self, name: &str) -> Vec<usize> {
        let mut lines = self.plain.get(name).cloned().unwrap_or_default();
        lines.extend(self.patterns.iter().filter(|(list, _)| list_matches(list, name)).map(|(_, line)| line));
        lines.extend(self.find_hashed(name));
        lines.sort_unstable();
        lines
    }

    fn find_hashed(&self, name: &str) -> Vec<usize> {
        let asked = || self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = asked().get(name) {
            return lines.clone();
        }
        // Not under the lock: other hosts go on meanwhile.
        let matching = self.hashed.iter().filter(|hashed| hashed.matches(name));
        let lines: Vec<usize> = matching.map(|hashed| hashed.line).collect();
        if !self.hashed.is_empty() {
            asked().insert(name.to_owned(), lines.clone());
        }
        lines
    }
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let text = text.to_lowercase();
        match text.strip_prefix('!') {
            Some(glob) => Self { negated: true, glob: glob.into() },
            None => Self { negated: false, glob: text },
        }
    }
}

/// One positive match is needed, and a single negated one is the end of it.
fn list_matches(patterns: &[Pattern], name: &str) -> bool {
    let mut found = false;
    for Pattern { negated, glob } in patterns {
        // `ssh` stops reading the list here. It would be wrong to skip the pattern: it may be negated.
        if glob.len() > MAX_PATTERN_BYTES {
            return false;
        }
        if glob::matches(glob, name) {
            if *negated {
                return false;
            }
            found = true;
        }
    }
    found
}

impl Hashed {
    fn matches(&self, name: &str) -> bool {
        self.salted.clone().chain_update(name).verify(&self.hash.into()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_patterns() {
        for (list, name, expected) in [
            ("web1", "web1", true),
            ("WEB1", "web1", true),
            ("web1,web2", "web2", true),
            ("web1,web1", "web1", true),
            ("web*", "web1", true),
            ("web*,!web1", "web1", false),
            ("!web1,web*", "web1", false),
            ("!web1,web*", "web2", true),
            ("!web1", "web2", false),
            ("[web1]:2222", "web1", false),
            ("[*]:2222", "[web1]:2222", true),
            ("*", "[web1]:2222", true),
            ("web1,", "web1", true),
            (",", "", true),
        ] {
            let mut names = Names::default();
            names.add(&list.parse().unwrap(), 7);
            assert_eq!(names.find(name), if expected { vec![7] } else { vec![] }, "{list} on {name}");
        }
    }

    #[test]
    fn a_hashed_name_made_by_ssh_keygen() {
        let mut names = Names::default();
        // `ssh-keygen -H` over `[web1.example.com]:2222`.
        names.add(&"|1|Y999mWAh2tiiHhxgzgEL5lpr8G8=|BHx7tokWFtLPd9Oez1PvyAgeQlo=".parse().unwrap(), 0);
        assert_eq!(names.find("[web1.example.com]:2222"), [0]);
        assert!(names.find("web1.example.com").is_empty());
    }
}
