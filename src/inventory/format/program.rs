//! Programs that print an inventory.
//!
//! A program is run as `FILE --list`, without a shell and with nothing on stdin, for at most
//! [`LIMIT`]. It stays in our process group: Ctrl-C ends it with us, and it may ask on the terminal
//! for what it needs. What it starts inherits a mark, so that all of it can be ended. Who can write it runs what he likes as the operator: a
//! program that somebody else can write, or replace, is refused.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, OrFail as _, Result};
use crate::ownership;

const LIMIT: Duration = Duration::from_secs(30);
/// In bytes.
const MAX_OUTPUT: usize = 64 << 20;
/// Of what it says on stderr, the end is shown.
const MAX_COMPLAINT: usize = 64 << 10;

/// The variable that marks a program and what it starts.
const MARK: &str = "CRONIUM_INVENTORY_CALL";

/// A file that somebody may execute.
pub fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What the program prints for `--list`.
pub fn list(path: &Path) -> Result<String> {
    list_within(path, LIMIT)
}

fn list_within(path: &Path, limit: Duration) -> Result<String> {
    let shown = path.display();
    // As a shell takes it.
    let typed = if path.components().count() == 1 { format!("./{shown}") } else { shown.to_string() };
    let us = rustix::process::getuid().as_raw();
    let doubt = ownership::doubt(path, us).or_fail(|| format!("cannot look at the inventory {shown}"))?;
    if let Some(doubt) = doubt {
        return Err(Error::failure(format!("the inventory {shown} is not run: {}", doubt.why))
            .hint(format!("look at it, then: {}", doubt.remedy)));
    }
    let cannot = || format!("cannot run the inventory {shown}");
    // A name without a slash would be looked for on PATH.
    let program = std::path::absolute(path).or_fail(cannot)?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mark = format!("{}-{}", std::process::id(), since.as_nanos());
    let mut child = Command::new(program)
        .arg("--list")
        .env(MARK, &mark)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Error::usage(cannot())
                .because(error)
                .hint(format!("chmod -x {typed}  reads it as text; a program begins with #!"))
        })?;
    let until = Instant::now() + limit;
    let stdout = collected(child.stdout.take().expect("it is piped"), MAX_OUTPUT);
    let stderr = collected(child.stderr.take().expect("it is piped"), MAX_COMPLAINT);
    let too_late = || {
        Error::failure(format!("the inventory {shown} has not ended within {} s", limit.as_secs()))
            .hint(format!("time {typed} --list"))
            .hint(format!("{typed} --list > hosts.json  and name that file"))
    };
    let Ok(output) = stdout.recv_timeout(limit) else {
        end(&mut child, &mark);
        return Err(too_late());
    };
    if output.len() > MAX_OUTPUT {
        end(&mut child, &mark);
        return Err(Error::failure(format!(
            "the inventory {shown} prints more than {} MiB",
            MAX_OUTPUT >> 20
        ))
        .hint(format!("{typed} --list | head")));
    }
    let status = loop {
        match child.try_wait().or_fail(cannot)? {
            Some(status) => break status,
            None if Instant::now() > until => {
                end(&mut child, &mark);
                return Err(too_late());
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    if !status.success() {
        // A process it left behind may hold the pipe open.
        let complaint = stderr.recv_timeout(Duration::from_millis(500)).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint).into_owned();
        let mut error = Error::failure(format!("the inventory {shown} failed: {status}"));
        if let Some(last) = complaint.lines().map(str::trim).rfind(|line| !line.is_empty()) {
            error = error.cause(last.chars().flat_map(char::escape_debug).collect::<String>());
        }
        return Err(error.hint(format!("{typed} --list")));
    }
    String::from_utf8(output).map_err(|error| {
        Error::failure(format!("the inventory {shown} prints text that is not UTF-8"))
            .because(error)
            .hint(format!("{typed} --list"))
    })
}

/// Kills the program and, where there is a `/proc` to look in, all that it has started.
fn end(child: &mut Child, mark: &str) {
    const LOOKS: usize = 5;
    let _ = child.kill();
    for _ in 0..LOOKS {
        let marked = marked(mark);
        if marked.is_empty() {
            break;
        }
        for pid in marked {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = child.wait();
}

/// The processes that have the mark in their environment. A zombie has none.
fn marked(mark: &str) -> Vec<Pid> {
    let mark = format!("{MARK}={mark}");
    let has_mark = |pid: &Pid| {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|process| process.file_name().to_str()?.parse().ok());
    pids.filter_map(Pid::from_raw).filter(has_mark).collect()
}

/// All of a pipe, or one byte more than `most`.
fn collected(pipe: impl Read + Send + 'static, most: usize) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.take(most as u64 + 1).read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(folder: &Path, text: &str) -> std::path::PathBuf {
        let path = folder.join("inventory");
        fs::write(&path, text).unwrap();
        set(&path, 0o755);
        path
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_it_prints_is_read_and_how_it_fails_is_told() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = program(folder.path(), "#!/bin/sh\necho \"$1\"\n");
        assert_eq!(list(&path).unwrap(), "--list\n");
        let path = program(folder.path(), "#!/bin/sh\necho no token >&2\nexit 3\n");
        let error = list(&path).unwrap_err();
        assert!(error.message.ends_with("failed: exit status: 3"), "{error}");
        assert_eq!(error.causes, ["no token"]);
        // Also where a child of it keeps the pipe, and whatever group that is in.
        for text in [
            "#!/bin/sh\necho $$ >>\"$0.pids\"; exec sleep 60\n",
            "#!/bin/sh\nsleep 60 &\necho $! >>\"$0.pids\"\n",
            "#!/bin/sh\nsetsid sh -c 'echo $$ >>\"$0.pids\"; exec sleep 60' \"$0\" &\nwait\n",
        ] {
            let path = program(folder.path(), text);
            let began = Instant::now();
            let error = list_within(&path, Duration::from_secs(1)).unwrap_err();
            assert!(error.message.contains("has not ended within"), "{error}");
            assert!(began.elapsed() < Duration::from_secs(30), "it was waited for");
        }
        let pids = fs::read_to_string(folder.path().join("inventory.pids")).unwrap();
        assert_eq!(pids.lines().count(), 3);
        for pid in pids.lines() {
            let status = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let is_alive = || !status().is_empty() && !status().contains(") Z ");
            let until = Instant::now() + Duration::from_secs(10);
            while is_alive() && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
            assert!(!is_alive(), "{}", status());
        }
    }

    #[test]
    fn what_somebody_else_could_have_written_is_not_run() {
        let root = tempfile::TempDir::new().unwrap();
        let folder = root.path().join("inventories");
        fs::create_dir(&folder).unwrap();
        let path = program(&folder, "#!/bin/sh\necho '{}'\n");
        for (file, around, runs) in [
            (0o755, 0o755, true),
            (0o775, 0o775, true),
            (0o757, 0o755, false),
            (0o755, 0o777, false),
            (0o755, 0o1777, true),
        ] {
            set(&path, file);
            set(&folder, around);
            assert_eq!(list(&path).is_ok(), runs, "{file:o} in {around:o}");
        }
        // A link from a safe folder is no way around.
        set(&folder, 0o777);
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(list(&link).unwrap_err().message.contains("every user can put files into"));
        set(&folder, 0o755);
        if rustix::process::getuid().is_root() {
            for given in [&path, &folder] {
                std::os::unix::fs::chown(given, Some(4242), None).unwrap();
                let error = list(&path).unwrap_err();
                assert!(error.message.ends_with("belongs to another user (uid 4242)"), "{error}");
                std::os::unix::fs::chown(given, Some(0), None).unwrap();
            }
        }
    }
}
