//! What stubs left behind that did not live to remove it: a killed process, a host that went down.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::payload::Cache;
use crate::run_folder::{LEASE, RunFolder, SPOOL, remove_all, runs, xdg};

/// Nothing younger is touched: it may be just on its way to its lease or its name.
const AGE: Duration = Duration::from_secs(3600);
/// How many entries of a folder are looked at in one contact.
const AT_ONCE: usize = 64;

/// Removes the run folders without a living run beside `own`, and the half files of both caches.
pub fn collect(own: &RunFolder) {
    if own.path().parent() == Some(&runs()) {
        remove_runs(&runs(), own.path());
    }
    remove_parts(&Cache::dir());
    remove_parts(&xdg("XDG_CACHE_HOME", ".cache").join("stub"));
}

fn remove_runs(runs: &Path, own: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten().take(AT_ONCE) {
        let path = entry.path();
        if path == own || !entry.metadata().is_ok_and(|meta| meta.is_dir() && is_old(&meta)) {
            continue;
        }
        // The lock is held while the folder goes, so that only one of us works on it.
        if let Ok(_lease) = lease(&path)
            && !path.join(SPOOL).exists()
        {
            let _ = remove_all(&path);
        }
    }
}

/// The lock of a run that has ended, `None` where there is nothing to lock; an error while it lives.
pub fn lease(run: &Path) -> io::Result<Option<File>> {
    // A script may have put anything in its place.
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(run.join(LEASE), flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(lease) => {
            rustix::fs::flock(&lease, FlockOperation::NonBlockingLockExclusive)?;
            Ok(Some(lease.into()))
        }
    }
}

/// Files on their way into a cache are called `.NAME.WORD` until they are whole.
pub fn remove_parts(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let is_part = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_part && entry.metadata().is_ok_and(|meta| meta.is_file() && is_old(&meta)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_old(meta: &fs::Metadata) -> bool {
    let age = meta.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > AGE)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::run_folder::{private, random_word};

    fn folder() -> PathBuf {
        let path = std::env::temp_dir().join(random_word().unwrap());
        private(&path).unwrap();
        path
    }

    fn make_old(path: &Path) {
        let at = SystemTime::now() - AGE - Duration::from_secs(60);
        File::open(path).unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn only_old_runs_that_nobody_holds_are_removed() {
        let runs = folder();
        let run = |name: &str, has_lease: bool| {
            private(&runs.join(name)).unwrap();
            has_lease.then(|| File::create(runs.join(name).join(LEASE)).unwrap())
        };
        run("own", true);
        run("young", false);
        run("without-lease", false);
        run("ended", true);
        let living = run("living", true).unwrap();
        rustix::fs::flock(&living, FlockOperation::LockExclusive).unwrap();
        for name in ["own", "without-lease", "ended", "living"] {
            make_old(&runs.join(name));
        }
        remove_runs(&runs, &runs.join("own"));
        let table =
            [("own", true), ("young", true), ("without-lease", false), ("ended", false), ("living", true)];
        for (name, stays) in table {
            assert_eq!(runs.join(name).exists(), stays, "{name}");
        }
        fs::remove_dir_all(&runs).unwrap();
    }

    #[test]
    fn only_old_parts_are_removed() {
        let cache = folder();
        let table = [(".old", true, false), (".young", false, true), ("payload", true, true)];
        for (name, old, _) in table {
            fs::write(cache.join(name), "").unwrap();
            if old {
                make_old(&cache.join(name));
            }
        }
        remove_parts(&cache);
        for (name, _, stays) in table {
            assert_eq!(cache.join(name).exists(), stays, "{name}");
        }
        fs::remove_dir_all(&cache).unwrap();
    }
}
