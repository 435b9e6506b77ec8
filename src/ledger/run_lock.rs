use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::fault::Fault;
use crate::error::Error;

/// Held by the process that records a run, for as long as it does: the kernel lets go when the
/// process dies, however it dies. A file `LEDGER-run-ID` beside the ledger carries the lock, and the
/// id of the process for people.
#[derive(Debug)]
pub(super) struct RunLock {
    path: PathBuf,
    /// Locked until it is closed.
    _file: File,
}

/// How long whoever only looks whether a run is abandoned may hold its lock, and some.
const LOOKS: Duration = Duration::from_secs(1);

impl RunLock {
    /// Fails where a living process works on a run of this id.
    pub(super) fn take(ledger: &Path, run: &str) -> Result<Self, Fault> {
        let path = lock_path(ledger, run);
        let deadline = Instant::now() + LOOKS;
        loop {
            let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
            match file.try_lock() {
                // Swept away meanwhile: whoever comes next would lock another file.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => {
                    file.set_len(0)?;
                    write!(file, "{}", std::process::id())?;
                    return Ok(Self { path, _file: file });
                }
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(taken(&path, run).into()),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
    }
}

/// The error of who finds another process at work on the run.
pub(super) fn at_work(ledger: &Path, run: &str) -> Error {
    taken(&lock_path(ledger, run), run)
}

fn taken(path: &Path, run: &str) -> Error {
    let error = Error::failure(format!("run {run} is being worked on by another cronium-run"));
    match fs::read_to_string(path).ok().and_then(|text| text.parse::<u32>().ok()) {
        Some(pid) => error
            .cause(format!("it is process {pid}"))
            .hint(format!("kill -TERM {pid}  cancels it on all hosts that it follows"))
            .hint(format!("kill -HUP {pid}  makes it leave its hosts to themselves; then try again")),
        None => error.hint(format!("fuser -v {}", path.display())),
    }
}

/// Whether the path still leads to the file.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    let (Ok(ours), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    id(&ours) == id(&named)
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

/// Removes the lock file of a run whose process is gone, unless somebody has taken the run up.
pub(super) fn sweep(ledger: &Path, run: &str) {
    let path = lock_path(ledger, run);
    // Removed under the lock: whoever opened it before sees that his is no longer the one.
    if let Ok(file) = File::open(&path)
        && file.try_lock().is_ok()
        && is_at(&file, &path)
    {
        let _ = fs::remove_file(&path);
    }
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
