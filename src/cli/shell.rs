//! Shell commands of the operator on this machine: hooks and gates.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::term::{Term, Tone, visible, visible_line};

/// Longest value of the environment that is sure to reach a program: Linux takes 128 KiB.
const LONGEST_VALUE: usize = 100 << 10;

/// How long a program that a command left behind may hold its output open.
const LEFT_OPEN: Duration = Duration::from_millis(500);

/// A longer line of output is told in parts.
const LINE: usize = 64 << 10;

/// One command, to be run once. Data reaches it by its environment and stdin, never as a part of it.
pub struct Call {
    /// `on-notify of web1`, for what is said about it.
    pub name: String,
    pub command: String,
    pub environment: Vec<(&'static str, String)>,
    /// Variables of ours that it must not take over from our own environment.
    pub hidden: &'static [&'static str],
    pub stdin: String,
}

/// Runs commands as `/bin/sh -c`; what they print goes to stderr, behind their names.
pub struct Shell {
    term: Term,
    longest: Duration,
}

impl Shell {
    /// A command that takes longer than `longest` is killed with all it started.
    pub fn new(term: &Term, longest: Duration) -> Self {
        Self { term: term.clone(), longest }
    }

    /// Runs it to its end; why it failed, if so. Dropped before, it is killed with all it started.
    pub async fn run(&self, call: &Call) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(&call.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for us to hear, and a timeout takes all of it.
            .process_group(0);
        for name in call.hidden {
            command.env_remove(name);
        }
        command.envs(call.environment.iter().map(|(name, value)| (name, value)));
        let child = command.spawn().map_err(|error| format!("cannot start /bin/sh: {error}"))?;
        let mut group = Group::new(child);
        let stdin = group.child.stdin.take();
        let (out, err) = (group.child.stdout.take(), group.child.stderr.take());
        let telling = async {
            tokio::join!(self.relay(out, &call.name), self.relay(err, &call.name));
        };
        let feeding = async {
            if let Some(mut stdin) = stdin {
                // A hook need not read it.
                let _ = stdin.write_all(call.stdin.as_bytes()).await;
            }
        };
        let mut beside = Box::pin(async { tokio::join!(telling, feeding) });
        let mut silent = false;
        let ending = async {
            loop {
                tokio::select! {
                    status = group.child.wait() => return status,
                    _ = &mut beside, if !silent => silent = true,
                }
            }
        };
        let status = timeout(self.longest, ending).await;
        match status {
            Err(_) => {
                group.kill();
                let _ = group.child.wait().await;
                Err(format!("killed: it took longer than {} s", self.longest.as_secs_f64()))
            }
            Ok(status) => {
                group.over = true;
                // The last words of it; a program it left running keeps its pipes and nobody.
                if !silent {
                    let _ = timeout(LEFT_OPEN, beside).await;
                }
                verdict(status)
            }
        }
    }

    /// Its lines on our stderr, behind its name.
    async fn relay(&self, pipe: Option<impl AsyncRead + Unpin>, name: &str) {
        let Some(mut pipe) = pipe else { return };
        let (mut held, mut piece) = (Vec::new(), vec![0; 8 << 10]);
        let tell = |line: &[u8]| {
            let line = visible(line);
            self.term.note(&format!("{}: {}", visible_line(name), line.trim_end_matches('\n')));
        };
        while let Ok(count @ 1..) = pipe.read(&mut piece).await {
            held.extend_from_slice(&piece[..count]);
            while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let rest = held.split_off(end + 1);
                tell(&held);
                held = rest;
            }
            if held.len() > LINE {
                tell(&std::mem::take(&mut held));
            }
        }
        if !held.is_empty() {
            tell(&held);
        }
    }
}

/// A command that runs, with all it started. Dropped before its end, it is killed.
struct Group {
    child: Child,
    pid: Option<Pid>,
    over: bool,
}

impl Group {
    fn new(child: Child) -> Self {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Self { child, pid, over: false }
    }

    /// Only before the child was waited for: until then nobody else has its number.
    fn kill(&mut self) {
        if let Some(pid) = self.pid.filter(|_| !self.over) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        self.over = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn verdict(status: std::io::Result<ExitStatus>) -> Result<(), String> {
    let status = status.map_err(|error| format!("cannot wait for it: {error}"))?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("exit code {code}")),
        (None, signal) => Err(format!("killed by signal {}", signal.unwrap_or_default())),
    }
}

/// A value that an environment can hold: without NUL, and cut where it is too long.
pub fn cleaned(value: &str) -> String {
    let mut end = value.len().min(LONGEST_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].replace('\0', "\u{fffd}")
}

pub fn warn(term: &Term, message: &str) {
    term.note(&format!("{} {message}", term.paint_err(Tone::Doubtful, "warning:")));
}
