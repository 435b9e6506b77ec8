//! Processes that commands of the pretend hosts left behind.
//!
//! Scripts have sessions of their own, so process groups do not tell. What tells is the home
//! folder in their environment: its name is in no other process.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A process that starts others faster than it is killed.
const GIVE_UP: Duration = Duration::from_secs(5);

/// Gives all processes whose HOME lies in `folder` a while to end, then kills them.
pub fn end(folder: &Path, patience: Duration) {
    let begun = Instant::now();
    loop {
        let found = find(folder);
        if found.is_empty() || begun.elapsed() > patience + GIVE_UP {
            return;
        }
        if begun.elapsed() > patience {
            for pid in found {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Zombies have no environment any more and are not found.
pub fn find(folder: &Path) -> Vec<Pid> {
    let mut home = b"HOME=".to_vec();
    home.extend_from_slice(folder.as_os_str().as_bytes());
    home.push(b'/');
    let own = rustix::process::getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            let ours = environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(&home));
            (ours && pid != own).then_some(pid)
        })
        .collect()
}
