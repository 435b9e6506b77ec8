//! The check of host keys, as OpenSSH does it over known_hosts files.
//!
//! russh's own check knows neither markers nor patterns nor a second file. Format and order of the
//! rules: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"; the tests hold every rule against `ssh` itself.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use russh::keys::{Certificate, PublicKey};

use crate::error::Result;

mod algorithms;
mod append;
mod certificate;
mod glob;
mod line;
mod names;
mod table;
mod verdict;

#[cfg(test)]
mod openssh;

pub use algorithms::HostKeyAlgorithms;
pub use append::{Entry, append};
pub use verdict::{KnownKey, Place, Verdict};

use table::Table;

/// The lines of all known_hosts files of a run, read once and shared by its hosts.
///
/// A `name` is the host's name or address as the operator gave it, without a port. A host with a
/// `HostKeyAlias` is looked up by that alias and port 22, because an alias stands in known_hosts
/// without its port.
pub struct KnownHosts {
    /// Written to only when a new key is recorded.
    table: RwLock<Table>,
}

impl KnownHosts {
    /// Reads `paths` in order. A file that is missing is empty, and a line that does not parse is
    /// skipped, as `ssh` does; a file that cannot be read is logged and counts as empty.
    pub fn load(paths: &[PathBuf]) -> Self {
        let mut table = Table::default();
        for path in paths {
            match std::fs::read(path) {
                Ok(content) => table.add_file(&Arc::from(path.as_path()), &content),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(path = %path.display(), %error, "known_hosts file not read"),
            }
        }
        Self { table: RwLock::new(table) }
    }

    /// What the files say about `key`, shown by the server at `name` and `port`.
    pub fn check(&self, name: &str, port: u16, key: &PublicKey) -> Verdict {
        self.table().check(name, port, key.key_data())
    }

    /// What the files say about a host certificate, now. Where no authority vouches for it, the
    /// key inside is checked like a plain one.
    pub fn check_certificate(&self, name: &str, port: u16, certificate: &Certificate) -> Verdict {
        self.table().check_certificate(name, port, certificate, SystemTime::now())
    }

    /// What to offer the server at `name` and `port`, so that it shows a key that is recorded.
    pub fn algorithms(&self, name: &str, port: u16) -> HostKeyAlgorithms {
        self.table().algorithms(name, port)
    }

    /// Records a key in memory and at the end of the file `path`, if the host is still unknown.
    /// Returns [`Verdict::Known`] then, and what another host of this run caused otherwise: of two
    /// hosts under one name, the second must show the key of the first.
    pub fn record(&self, path: &Path, entry: Entry<'_>) -> Result<Verdict> {
        self.record_all(path, &[entry])?;
        Ok(self.check(entry.name, entry.port, entry.key))
    }

    /// [`record`](Self::record) for many, which are written at once or not at all.
    pub fn record_all(&self, path: &Path, entries: &[Entry<'_>]) -> Result<()> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let (mut seen, mut new) = (HashSet::new(), Vec::new());
        for entry in entries {
            let verdict = table.check(entry.name, entry.port, entry.key.key_data());
            // Of two hosts under one name the first counts.
            if verdict == Verdict::Unknown && seen.insert((entry.name, entry.port)) {
                new.push(*entry);
            }
        }
        append(path, &new)?;
        for Entry { name, port, key, .. } in new {
            table.add_recorded(&Arc::from(path), name, port, key);
        }
        Ok(())
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
