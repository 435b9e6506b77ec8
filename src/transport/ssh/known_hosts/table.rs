//! The lines of all files, and the rules over them.

use std::path::Path;
use std::sync::Arc;

use russh::keys::ssh_key::known_hosts::{HostPatterns, Marker};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PublicKey};

use super::line;
use super::names::Names;
use super::verdict::{KnownKey, Place, Verdict};

/// The port whose hosts stand in known_hosts without one.
pub const SSH_PORT: u16 = 22;

#[derive(Default)]
pub struct Table {
    lines: Vec<Line>,
    names: Names,
}

pub struct Line {
    pub marker: Option<Marker>,
    pub key: KeyData,
    pub place: Place,
}

impl Table {
    pub fn add_file(&mut self, file: &Arc<Path>, content: &[u8]) {
        for (index, text) in content.split(|&byte| byte == b'\n').enumerate() {
            if let Some(entry) = line::parse(text) {
                let place = Place { file: Arc::clone(file), line: index + 1 };
                let key = entry.public_key().key_data().clone();
                self.add(entry.host_patterns(), Line { marker: entry.marker().copied(), key, place });
            }
        }
    }

    /// A key that has just been put at the end of `file`.
    pub fn add_recorded(&mut self, file: &Arc<Path>, name: &str, port: u16, key: &PublicKey) {
        let place = Place { file: Arc::clone(file), line: 0 };
        let names = HostPatterns::Patterns(vec![with_port(name, port)]);
        self.add(&names, Line { marker: None, key: key.key_data().clone(), place });
    }

    fn add(&mut self, names: &HostPatterns, line: Line) {
        self.names.add(names, self.lines.len());
        self.lines.push(line);
    }

    /// The lines for exactly this lookup name, in the order of the files.
    pub fn lines(&self, lookup: &str) -> Vec<&Line> {
        self.names.find(lookup).into_iter().map(|index| &self.lines[index]).collect()
    }

    pub fn check(&self, name: &str, port: u16, key: &KeyData) -> Verdict {
        let verdict = verdict(&self.lines(&with_port(name, port)), key);
        if verdict != Verdict::Unknown || port == SSH_PORT {
            return verdict;
        }
        // A host on another port may be recorded by its bare name. It counts only where it says
        // yes or revoked: the sshd on port 22 may rightly have another key.
        match self::verdict(&self.lines(&with_port(name, SSH_PORT)), key) {
            bare @ (Verdict::Known | Verdict::Revoked { .. }) => bare,
            _ => Verdict::Unknown,
        }
    }
}

/// How a host is written in a known_hosts file.
pub fn with_port(name: &str, port: u16) -> String {
    let name = name.to_lowercase();
    if port == SSH_PORT { name } else { format!("[{name}]:{port}") }
}

fn verdict(lines: &[&Line], key: &KeyData) -> Verdict {
    if let Some(place) = revoked(lines, &[key]) {
        return Verdict::Revoked { place };
    }
    let plain: Vec<&Line> = lines.iter().copied().filter(|line| line.marker.is_none()).collect();
    if plain.iter().any(|line| line.key == *key) {
        return Verdict::Known;
    }
    if plain.is_empty() {
        return Verdict::Unknown;
    }
    Verdict::Changed { known: plain.into_iter().map(Line::known).collect() }
}

/// The first line that revokes one of `keys`.
pub fn revoked(lines: &[&Line], keys: &[&KeyData]) -> Option<Place> {
    let found = lines.iter().find(|line| line.marker == Some(Marker::Revoked) && keys.contains(&&line.key));
    found.map(|line| line.place.clone())
}

impl Line {
    fn known(&self) -> KnownKey {
        KnownKey {
            algorithm: self.key.algorithm().as_str().to_owned(),
            fingerprint: self.key.fingerprint(HashAlg::Sha256).to_string(),
            place: self.place.clone(),
        }
    }
}
