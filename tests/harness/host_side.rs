use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use super::Fleet;

/// A process of a host, as `ps` would show it.
#[derive(Debug, Clone)]
pub struct HostProcess {
    pub pid: u32,
    pub command: String,
}

impl HostProcess {
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_raw(self.pid as i32).unwrap(), signal);
    }

    /// `runner-stub run`, whichever of its two processes.
    fn is_stub(&self) -> bool {
        self.command.split(' ').nth(1) == Some("run")
    }

    /// Whether its parent is sshd, or the shell that sshd started.
    fn is_in_session(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let parent = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1);
        let comm = fs::read_to_string(format!("/proc/{}/comm", parent.unwrap_or("0"))).unwrap_or_default();
        comm.starts_with("sshd") || comm.trim().ends_with("sh")
    }
}

/// What goes on behind sshd.
impl Fleet {
    /// Where host `number`, which may have mounts of its own, sees its home.
    pub fn home_inside(&self, number: u8) -> PathBuf {
        let sshd = self.sshd(number).expect("its sshd runs");
        Path::new("/proc")
            .join(sshd.to_string())
            .join("root")
            .join(self.home(number).strip_prefix("/").unwrap())
    }

    /// The sshd that listens for host `number`.
    pub fn sshd(&self, number: u8) -> Option<u32> {
        let conf = self.folder().join(format!("host{number}.conf"));
        let conf = conf.to_str().unwrap();
        all().into_iter().find_map(|(pid, path)| {
            let command = command(&path);
            (command.contains("sshd") && command.contains(conf) && !command.starts_with("/bin/sh"))
                .then_some(pid)
        })
    }

    /// Kills what sshd of host `number` has forked; how many.
    pub fn kill_sessions(&self, number: u8) -> usize {
        let Some(main) = self.sshd(number) else { return 0 };
        let children = |pid: u32| -> Vec<u32> {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
        };
        let is_sshd = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().starts_with("sshd")
        };
        let sessions: Vec<u32> = children(main).into_iter().filter(is_sshd).collect();
        let inner: Vec<u32> = sessions.iter().flat_map(|pid| children(*pid)).filter(is_sshd).collect();
        for pid in sessions.iter().chain(&inner) {
            let _ = kill_process(Pid::from_raw(*pid as i32).unwrap(), Signal::KILL);
        }
        sessions.len()
    }

    /// Every process that was started by a login of host `number`: they share its home.
    pub fn processes(&self, number: u8) -> Vec<HostProcess> {
        let home = format!("HOME={}", self.home(number).display());
        let is_of_host = |path: &Path| {
            let environ = fs::read(path.join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes())
        };
        let of_host = all().into_iter().filter(|(_, path)| is_of_host(path));
        of_host.map(|(pid, path)| HostProcess { pid, command: command(&path) }).collect()
    }

    /// The processes that own runs: what started them is one, too, or gone.
    pub fn supervisors(&self, number: u8) -> Vec<HostProcess> {
        self.processes(number).into_iter().filter(|one| one.is_stub() && !one.is_in_session()).collect()
    }

    /// The processes between sshd and those.
    pub fn relays(&self, number: u8) -> Vec<HostProcess> {
        self.processes(number).into_iter().filter(|one| one.is_stub() && one.is_in_session()).collect()
    }

    /// What runs have left on host `number`: processes, run folders, and what else is in the state folder.
    /// Tombstones, of which nothing is left after an hour, do not count.
    pub fn left_behind(&self, number: u8) -> Vec<String> {
        let processes = self.processes(number).into_iter();
        let mut left: Vec<String> =
            processes.map(|one| format!("process {}: {}", one.pid, one.command)).collect();
        let state = self.home_inside(number).join(".local/state/cronium-run");
        let mut folders = vec![state];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type().unwrap().is_dir() {
                    true if is_tombstone(&path) => {}
                    true => folders.push(path),
                    false => left.push(format!("file {}", path.display())),
                }
            }
        }
        left
    }
}

/// A run folder that stands for a run which must never start.
fn is_tombstone(folder: &Path) -> bool {
    let about = fs::read(folder.join("about")).unwrap_or_default();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap_or_default();
    about["state"] == "barred" && !folder.join("spool").exists()
}

fn all() -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    entries.filter_map(|path| Some((path.file_name()?.to_str()?.parse().ok()?, path))).collect()
}

fn command(path: &Path) -> String {
    let bytes = fs::read(path.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
}
