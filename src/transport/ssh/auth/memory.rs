//! Which key let us in, from run to run.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use russh::keys::HashAlg;

use super::KeyId;

/// Hosts that are remembered; of more, those that worked last.
const HOSTS: usize = 20_000;
/// A longer file is not ours.
const MAX_BYTES: u64 = 8 << 20;

/// Fingerprints of keys by host. A line of the file is `user@host:port SHA256:…`, with `cert` behind
/// it where a certificate was shown; who worked last stands last.
#[derive(Debug, Default)]
pub struct Memory {
    file: Option<PathBuf>,
    known: HashMap<String, String>,
    /// What this run has learnt.
    new: BTreeMap<String, String>,
}

impl Memory {
    /// A file that is missing, damaged or not to be read is as good as empty: it saves tries only.
    pub fn open(file: PathBuf) -> Self {
        let known = read(&file).into_iter().collect();
        Self { file: Some(file), known, new: BTreeMap::new() }
    }

    pub fn key_of(&self, host: &str) -> Option<&str> {
        self.new.get(host).or_else(|| self.known.get(host)).map(String::as_str)
    }

    pub fn worked(&mut self, host: String, key: String) {
        // What is written already costs no second write.
        if self.key_of(&host) != Some(&key) && is_word(&host) {
            self.new.insert(host, key);
        }
    }

    /// Once, at the end of a run. Other runs may end now, too: each puts a whole file in the place
    /// of the one before, with what it has read there.
    pub fn save(&mut self) {
        let (Some(file), false) = (&self.file, self.new.is_empty()) else { return };
        let new = std::mem::take(&mut self.new);
        let old = read(file).into_iter().filter(|(host, _)| !new.contains_key(host));
        let mut lines: Vec<(String, String)> = old.collect();
        lines.extend(new.iter().map(|(host, key)| (host.clone(), key.clone())));
        lines.drain(..lines.len().saturating_sub(HOSTS));
        if let Err(error) = write(file, &lines) {
            tracing::debug!(file = %file.display(), %error, "keys that worked are not remembered");
        }
        self.known.extend(new);
    }
}

/// What tells one key from another in the file.
pub fn name((key, certified): &KeyId) -> String {
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    if *certified { format!("{fingerprint} cert") } else { fingerprint.to_string() }
}

fn read(file: &Path) -> Vec<(String, String)> {
    let is_ours = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_BYTES);
    let text = is_ours.then(|| fs::read_to_string(file).ok()).flatten().unwrap_or_default();
    let line = |line: &str| {
        let (host, key) = line.split_once(' ')?;
        let known = key.strip_suffix(" cert").unwrap_or(key);
        (known.starts_with("SHA256:") && is_word(known)).then(|| (host.to_owned(), key.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn write(file: &Path, lines: &[(String, String)]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // It is made with mode 0600.
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    let text: String = lines.iter().map(|(host, key)| format!("{host} {key}\n")).collect();
    new.write_all(text.as_bytes())?;
    new.persist(file)?;
    Ok(())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn key(number: usize) -> String {
        format!("SHA256:{number:043}")
    }

    #[test]
    fn what_one_run_learns_the_next_one_knows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/login-keys");
        let mut first = Memory::open(file.clone());
        first.worked("ann@web1:22".into(), key(1));
        first.worked("ann@web2:22".into(), format!("{} cert", key(2)));
        first.worked("a b@web3:22".into(), key(3));
        let mut beside = Memory::open(file.clone());
        beside.worked("ann@db1:22".into(), key(4));
        beside.save();
        first.save();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let mut next = Memory::open(file.clone());
        for (host, expected) in [
            ("ann@web1:22", Some(key(1))),
            ("ann@web2:22", Some(format!("{} cert", key(2)))),
            ("ann@db1:22", Some(key(4))),
            ("a b@web3:22", None),
        ] {
            assert_eq!(next.key_of(host), expected.as_deref(), "{host}");
        }
        next.worked("ann@web1:22".into(), key(1));
        fs::remove_file(&file).unwrap();
        next.save();
        assert!(!file.exists(), "nothing new is nothing to write");
        next.worked("ann@web1:22".into(), key(5));
        assert_eq!(next.key_of("ann@web1:22"), Some(key(5).as_str()));
    }

    #[test]
    fn damage_and_size_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("login-keys");
        fs::write(&file, format!("web1\n\nweb2 MD5:x\nweb3 {}\n \0 {}", key(1), key(2))).unwrap();
        assert_eq!(Memory::open(file.clone()).key_of("web3"), Some(key(1).as_str()));
        fs::write(&file, [0xff, 0xfe]).unwrap();
        let mut memory = Memory::open(file.clone());
        (0..HOSTS + 10).for_each(|number| memory.worked(format!("web{number:06}"), key(number)));
        memory.save();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), HOSTS);
        assert!(text.starts_with("web000010 ") && text.len() < MAX_BYTES as usize);
        assert!(Memory::open(folder.path().to_owned()).known.is_empty());
    }

    #[test]
    fn runs_that_end_together_leave_a_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("login-keys");
        std::thread::scope(|scope| {
            for run in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for round in 0..20 {
                        let mut memory = Memory::open(file.clone());
                        (0..50).for_each(|host| memory.worked(format!("run{run}-{host}"), key(round)));
                        memory.save();
                    }
                });
            }
        });
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.lines().count() >= 50);
        assert!(text.lines().all(|line| line.split(' ').count() == 2 && line.contains(" SHA256:")), "{text}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }
}
