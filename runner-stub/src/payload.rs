//! The payload's bytes: small ones come with the job, others lie in the cache by digest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use cronium_wire::message::Job;

use crate::refusal::Refusal;
use crate::run_folder::{private_all, xdg};

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
}

impl Cache {
    pub fn open() -> Result<Self, Refusal> {
        let dir = xdg("XDG_CACHE_HOME", ".cache").join("payload");
        private_all(&dir).map_err(|error| Refusal::folder("make", &dir, &error))?;
        Ok(Self { dir })
    }

    fn path(&self, job: &Job) -> PathBuf {
        self.dir.join(&job.digest)
    }

    /// The cached payload, whose digest the caller checks as it does a fresh one's.
    pub fn find(&self, job: &Job) -> Option<Payload> {
        let file = File::open(self.path(job)).ok()?;
        (file.metadata().ok()?.len() == job.size).then_some(Payload::Cached(file))
    }

    /// Drops what turned out to be damaged, so that the next contact asks for it anew.
    pub fn forget(&self, job: &Job) {
        let _ = fs::remove_file(self.path(job));
    }

    pub fn receive(&self, job: &Job) -> Result<Incoming, Refusal> {
        let part = self.dir.join(format!(".{}.{}", job.digest, std::process::id()));
        let _ = fs::remove_file(&part);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&part);
        let file = file.map_err(|error| Refusal::folder("write", &part, &error))?;
        Ok(Incoming { file, part, path: self.path(job) })
    }
}

/// A payload on its way into the cache.
pub struct Incoming {
    file: File,
    part: PathBuf,
    path: PathBuf,
}

impl Incoming {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.file.write_all(bytes).map_err(|error| Refusal::folder("write", &self.part, &error))
    }

    /// Under its name only once it is whole, so that two runs at once never see half of it.
    pub fn finish(self) -> Result<Payload, Refusal> {
        fs::rename(&self.part, &self.path).map_err(|error| Refusal::folder("write", &self.path, &error))?;
        let file = self.file.try_clone().map_err(|error| Refusal::folder("read", &self.path, &error))?;
        Ok(Payload::Cached(file))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already where it was finished.
        let _ = fs::remove_file(&self.part);
    }
}
