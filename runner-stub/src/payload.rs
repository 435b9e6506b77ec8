//! The payload's bytes: small ones come with the job, others lie in the cache by digest, and
//! beside them the files that go with a payload.
//!
//! The cache is kept small: what was used last stays.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::refusal::Refusal;
use crate::run_folder::{SHARED, private_all, random_word, xdg};
use crate::stale;

/// What the cache holds at most after something new was put into it. The new one stays, however
/// large it is.
const MAX_FILES: usize = 512;
/// 512 MiB.
const MAX_BYTES: u64 = 512 << 20;

/// Bytes that can be read from their start again and again: once for the digest, once for the
/// check, once for unpacking.
pub enum Payload {
    Memory(io::Cursor<Vec<u8>>),
    Cached(File),
}

impl Read for Payload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(cursor) => cursor.read(buffer),
            Self::Cached(file) => file.read(buffer),
        }
    }
}

impl Seek for Payload {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        match self {
            Self::Memory(cursor) => cursor.seek(to),
            Self::Cached(file) => file.seek(to),
        }
    }
}

/// `~/.cache/cronium-run/payload/DIGEST`.
pub struct Cache {
    dir: PathBuf,
    /// What cannot be kept is held for this run alone.
    is_spare: bool,
}

impl Cache {
    pub fn open() -> Result<Self, Refusal> {
        let dir = Self::dir();
        private_all(&dir).map_err(|error| Refusal::folder("make", &dir, &error))?;
        Ok(Self { dir, is_spare: false })
    }

    /// Of a run, which goes on where the home is read-only or missing.
    pub fn of_run() -> Self {
        let dir = Self::dir();
        // Whether it is there shows when something is put into it.
        let _ = private_all(&dir);
        Self { dir, is_spare: true }
    }

    pub fn dir() -> PathBuf {
        xdg("XDG_CACHE_HOME", ".cache").join("payload")
    }

    /// What is cached, whose digest the caller checks as it does that of fresh bytes.
    pub fn find(&self, digest: &str, size: u64) -> Option<Payload> {
        let file = File::open(self.dir.join(digest)).ok()?;
        let is_whole = file.metadata().ok()?.len() == size;
        // For `shrink`: many file systems are mounted not to tell when a file was read.
        let _ = file.set_modified(SystemTime::now());
        is_whole.then_some(Payload::Cached(file))
    }

    /// Drops what turned out to be damaged, so that the next contact asks for it anew.
    pub fn forget(&self, digest: &str) {
        let _ = fs::remove_file(self.dir.join(digest));
    }

    pub fn receive(&self, digest: &str) -> Result<Incoming, Refusal> {
        let incoming = self.part(digest);
        match incoming {
            Err(refusal) if self.is_spare => {
                let file = SHARED.iter().find_map(|dir| unnamed(Path::new(dir)).ok()).ok_or(refusal)?;
                Ok(Incoming { file, names: None })
            }
            incoming => incoming,
        }
    }

    fn part(&self, digest: &str) -> Result<Incoming, Refusal> {
        let word = random_word().map_err(|error| Refusal::folder("write", &self.dir, &error))?;
        let part = self.dir.join(format!(".{digest}.{word}"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&part);
        let file = file.map_err(|error| Refusal::folder("write", &part, &error))?;
        Ok(Incoming { file, names: Some(Names { part, path: self.dir.join(digest) }) })
    }
}

/// A file that is gone once nobody has it open.
fn unnamed(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!(".cronium-run.{}", random_word()?));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Bytes on their way into the cache.
pub struct Incoming {
    file: File,
    /// `None` where it is not kept.
    names: Option<Names>,
}

struct Names {
    part: PathBuf,
    path: PathBuf,
}

impl Incoming {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.file.write_all(bytes).map_err(|error| Refusal::folder("write", self.shown(), &error))
    }

    /// For messages.
    fn shown(&self) -> &Path {
        self.names.as_ref().map_or(Path::new(SHARED[0]), |names| &names.part)
    }

    /// Under its name only once it is whole, so that two runs at once never see half of it.
    pub fn finish(self) -> Result<Payload, Refusal> {
        if let Some(Names { part, path }) = &self.names {
            fs::rename(part, path).map_err(|error| Refusal::folder("write", path, &error))?;
            if let Some(dir) = path.parent() {
                stale::remove_parts(dir);
                shrink(dir, path, MAX_FILES, MAX_BYTES);
            }
        }
        let file = self.file.try_clone().map_err(|error| Refusal::folder("read", self.shown(), &error))?;
        Ok(Payload::Cached(file))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already where it was finished.
        let _ = self.names.as_ref().map(|names| fs::remove_file(&names.part));
    }
}

/// Removes what was not used for the longest time until at most `files` of together `bytes` are
/// left; `new` is among them. A run that reads one of those removed still has it open.
pub fn shrink(dir: &Path, new: &Path, files: usize, bytes: u64) {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_part = entry.file_name().as_encoded_bytes().starts_with(b".");
        match entry.metadata() {
            Ok(meta) if meta.is_file() && !is_part => {
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let found_now = (entry.path() != new, std::cmp::Reverse(used), meta.len(), entry.path());
                // The new one first, then the one used last.
                found.insert(found.partition_point(|other| *other < found_now), found_now);
            }
            _ => {}
        }
    }
    let mut sum = 0u64;
    for (place, (is_old, _, length, path)) in found.into_iter().enumerate() {
        sum = sum.saturating_add(length);
        if is_old && (place >= files || sum > bytes) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let table: [(usize, u64, &[&str]); 5] = [
            (9, 99, &["a", "b", "c", "new"]),
            (3, 99, &["b", "c", "new"]),
            (9, 30, &["b", "c", "new"]),
            (9, 29, &["c", "new"]),
            (1, 1, &["new"]),
        ];
        for (files, bytes, want) in table {
            let dir = std::env::temp_dir().join(random_word().unwrap());
            private_all(&dir).unwrap();
            // "new" seems the oldest: it stays all the same. A part is none of our business here.
            for (age, name) in [(1, ".part"), (4, "new"), (3, "a"), (2, "b"), (1, "c")] {
                fs::write(dir.join(name), [0; 10]).unwrap();
                let used = SystemTime::now() - Duration::from_secs(age * 60);
                File::options().write(true).open(dir.join(name)).unwrap().set_modified(used).unwrap();
            }
            shrink(&dir, &dir.join("new"), files, bytes);
            let names = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
            let mut left: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
            left.sort();
            assert_eq!(left[0], ".part");
            assert_eq!(left[1..], *want, "{files} of {bytes} bytes");
            fs::remove_dir_all(&dir).unwrap();
        }
    }
}
