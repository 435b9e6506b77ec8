//! Ends a script with everything it started.
//!
//! The stub is a subreaper: whatever forks, detaches or takes a session of its own stays our
//! descendant, so a walk over `/proc` finds it all.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

use crate::cgroup::Cgroup;

const PAUSE: Duration = Duration::from_millis(10);
/// A process that the kernel cannot end sooner (a dead disk, NFS) is given up.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// TERM, then KILL after `grace`, until no descendant of ours is left. Blocks at most a moment
/// longer than `grace`. `group` holds them, too.
pub fn end(grace: Duration, group: Option<&Cgroup>) {
    let begun = Instant::now();
    let mut told = Vec::new();
    while begun.elapsed() < grace {
        let alive = descendants();
        if alive.is_empty() {
            return;
        }
        for pid in alive {
            if !told.contains(&pid) {
                told.push(pid);
                let _ = kill_process(pid, Signal::TERM);
                // A stopped process takes its TERM only when it goes on.
                let _ = kill_process(pid, Signal::CONT);
            }
        }
        thread::sleep(PAUSE);
    }
    // A process that forks faster than we look loses, as each round kills all there are.
    let begun = Instant::now();
    while begun.elapsed() < KILL_WITHIN {
        if let Some(group) = group {
            group.kill();
        }
        let alive = descendants();
        if alive.is_empty() {
            return;
        }
        for pid in alive {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(PAUSE);
    }
}

/// Whether there are descendants: all are below a child of ours, as orphans become ours.
pub fn has_children() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Kills what is left of the script that ran in the folder `work`, whose supervisor is dead: whatever
/// it started has inherited the name of the folder, unless it took care not to.
pub fn end_of(work: &Path) {
    let mut mark = b"CRONIUM_WORK_DIR=".to_vec();
    mark.extend_from_slice(work.as_os_str().as_encoded_bytes());
    let is_marked = |pid: &Pid| {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark)
    };
    let begun = Instant::now();
    while begun.elapsed() < KILL_WITHIN {
        let mut is_clean = true;
        for (_, pid) in all() {
            if let Some(pid) = Pid::from_raw(pid).filter(is_marked) {
                is_clean = false;
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if is_clean {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// Every living process below this one; zombies have ended and do not count.
fn descendants() -> Vec<Pid> {
    let mut all = all();
    let mut found = Vec::new();
    let mut next = vec![std::process::id() as i32];
    while let Some(pid) = next.pop() {
        for (_, child) in all.extract_if(.., |(parent, _)| *parent == pid) {
            found.extend(Pid::from_raw(child));
            next.push(child);
        }
    }
    found
}

/// Every living process: its parent's number and its own.
fn all() -> Vec<(i32, i32)> {
    let mut all: Vec<(i32, i32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = stat_of(pid) else { continue };
        if let Some((_, parent)) = name_and_parent(&stat) {
            all.push((parent, pid));
        }
    }
    all
}

/// What the kernel says of a process. Its name may hold any bytes, those of no text among them.
pub fn stat_of(pid: i32) -> io::Result<String> {
    fs::read(format!("/proc/{pid}/stat")).map(|stat| String::from_utf8_lossy(&stat).into_owned())
}

/// From `pid (name) state parent …`; the name may hold anything, `)` too (proc(5)). `None` for a zombie.
pub fn name_and_parent(stat: &str) -> Option<(&str, i32)> {
    let (start, end) = (stat.find('(')?, stat.rfind(')')?);
    let mut fields = stat[end + 1..].split_ascii_whitespace();
    let is_alive = !matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    is_alive.then_some((stat.get(start + 1..end)?, parent))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn lines_of_stat() {
        assert_eq!(name_and_parent("7 (a) b) S 3 7 7"), Some(("a) b", 3)));
        assert_eq!(name_and_parent("7 (sh) Z 1 7"), None);
        assert_eq!(name_and_parent("7"), None);
    }

    /// A script may take any name, and is not hidden by it.
    #[test]
    fn a_name_that_is_no_text() {
        let folder = std::env::temp_dir().join(crate::run_folder::random_word().unwrap());
        fs::create_dir(&folder).unwrap();
        let program = folder.join(OsStr::from_bytes(b"\xff x"));
        fs::copy("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("100").spawn().unwrap();
        let pid = child.id() as i32;
        assert_eq!(descendants().into_iter().filter(|found| found.as_raw_nonzero().get() == pid).count(), 1);
        let stat = stat_of(pid).unwrap();
        assert_eq!(name_and_parent(&stat), Some(("\u{fffd} x", std::process::id() as i32)));
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
