//! Ends a script with everything it started.
//!
//! The stub is a subreaper: whatever forks, detaches or takes a session of its own stays our
//! descendant, so a walk over `/proc` finds it all.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PAUSE: Duration = Duration::from_millis(10);
/// A process that the kernel cannot end sooner (a dead disk, NFS) is given up.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// TERM, then KILL after `grace`, until no descendant of ours is left. Blocks at most a moment
/// longer than `grace`.
pub fn end(grace: Duration) {
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

/// Every living process below this one; zombies have ended and do not count.
fn descendants() -> Vec<Pid> {
    // Parent and child.
    let mut all: Vec<(i32, i32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some((parent, false)) = parent_and_zombie(&stat) {
            all.push((parent, pid));
        }
    }
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

/// From `pid (name) state parent …`; the name may hold anything, `)` too (proc(5)).
fn parent_and_zombie(stat: &str) -> Option<(i32, bool)> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    Some((fields.next()?.parse().ok()?, zombie))
}

#[cfg(test)]
mod tests {
    use super::parent_and_zombie;

    #[test]
    fn names_may_hold_anything() {
        assert_eq!(parent_and_zombie("7 (a) b) S 3 7 7"), Some((3, false)));
        assert_eq!(parent_and_zombie("7 (sh) Z 1 7"), Some((1, true)));
        assert_eq!(parent_and_zombie("7"), None);
    }
}
