use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Held by the process that records a run, for as long as it does: the kernel lets go when the
/// process dies, however it dies. A file `LEDGER-run-ID` beside the ledger carries the lock.
#[derive(Debug)]
pub(super) struct RunLock {
    path: PathBuf,
    /// Locked until it is closed.
    _file: File,
}

impl RunLock {
    /// Fails where a living process records a run of this id.
    pub(super) fn take(ledger: &Path, run: &str) -> io::Result<Self> {
        let path = lock_path(ledger, run);
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::other(format!("run {run} is being recorded by another process")))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the process that recorded the run is surely gone. Where that cannot be found out
/// (permissions, a file system without locks) the run counts as alive.
pub(super) fn is_abandoned(ledger: &Path, run: &str) -> bool {
    match File::open(lock_path(ledger, run)) {
        // Shared, so that two who look at once do not see each other.
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Removes the lock file of a run whose process is gone.
pub(super) fn sweep(ledger: &Path, run: &str) {
    let _ = fs::remove_file(lock_path(ledger, run));
}

fn lock_path(ledger: &Path, run: &str) -> PathBuf {
    let mut path = ledger.as_os_str().to_owned();
    path.push("-run-");
    path.push(run);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_abandoned_once_its_lock_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        assert!(is_abandoned(&ledger, "R1"));
        let lock = RunLock::take(&ledger, "R1").unwrap();
        assert!(!is_abandoned(&ledger, "R1"));
        assert!(is_abandoned(&ledger, "R2"));
        assert!(RunLock::take(&ledger, "R1").is_err());
        // What a SIGKILL leaves: the file without its lock.
        let killed = lock_path(&ledger, "R3");
        fs::write(&killed, "").unwrap();
        assert!(is_abandoned(&ledger, "R3"));
        drop(lock);
        assert!(is_abandoned(&ledger, "R1"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
