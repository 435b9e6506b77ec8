use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::call::Call;
use super::{Waiting, count};
use crate::term::{Term, Tone, visible, visible_line};

/// Failures that are told one by one; the others are counted.
const TOLD: u64 = 10;

/// How long a program that a hook left behind may hold its output open.
const LEFT_OPEN: Duration = Duration::from_millis(500);

/// A longer line of a hook is told in parts.
const LINE: usize = 64 << 10;

/// Variables of ours that a hook gets only where they mean its own event.
const OURS: [&str; 5] =
    ["CRONIUM_RUN_ID", "CRONIUM_HOST", "CRONIUM_CONDITION", "CRONIUM_AUDIENCE", "CRONIUM_MESSAGE"];

/// How it went with all hooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    pub failed: u64,
    /// Ctrl-C or SIGTERM came twice while hooks were waiting.
    pub left: bool,
}

/// Runs calls one after the other.
pub struct Runner {
    term: Term,
    waiting: Arc<Waiting>,
    longest: Duration,
    ended: Ended,
}

impl Runner {
    pub fn new(term: Term, waiting: Arc<Waiting>, longest: Duration) -> Self {
        Self { term, waiting, longest, ended: Ended::default() }
    }

    /// Until the queue is closed and empty, or the operator leaves.
    pub async fn run(mut self, mut calls: mpsc::Receiver<Call>) -> Ended {
        let (leave, mut leaving) = watch::channel(false);
        tokio::spawn(interrupted_twice(leave));
        loop {
            let call = tokio::select! {
                biased;
                () = told(&mut leaving) => break,
                call = calls.recv() => match call {
                    Some(call) => call,
                    None => break,
                },
            };
            let failure = tokio::select! {
                biased;
                () = told(&mut leaving) => Some("left behind by Ctrl-C and killed".to_owned()),
                ended = self.one(&call) => ended.err(),
            };
            self.waiting.remove(&call);
            if let Some(why) = failure {
                self.ended.failed += 1;
                if self.ended.failed <= TOLD {
                    warn(&self.term, &format!("{}: {why}", visible_line(&call.name)));
                }
            }
        }
        if self.ended.failed > TOLD {
            warn(&self.term, &format!("{} more failed", count(self.ended.failed - TOLD)));
        }
        self.leave(calls, *leaving.borrow())
    }

    /// Counts what will not be run any more.
    fn leave(mut self, mut calls: mpsc::Receiver<Call>, interrupted: bool) -> Ended {
        let mut left = 0;
        calls.close();
        while let Ok(call) = calls.try_recv() {
            self.waiting.remove(&call);
            left += 1;
        }
        if left > 0 {
            warn(&self.term, &format!("{} not run: interrupted", count(left)));
        }
        self.ended.left = interrupted && (left > 0 || self.ended.failed > 0);
        self.ended
    }

    /// Runs one hook to its end; why it failed, if so.
    async fn one(&self, call: &Call) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(&call.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for us to hear, and a timeout takes all of it.
            .process_group(0);
        for name in OURS {
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

/// A hook that runs, with all it started. Dropped before its end, it is killed.
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

pub fn warn(term: &Term, message: &str) {
    term.note(&format!("{} {message}", term.paint_err(Tone::Doubtful, "warning:")));
}

/// Counts Ctrl-C and SIGTERM from the beginning of the run: the first one is for the run.
async fn interrupted_twice(leave: watch::Sender<bool>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    leave.send_replace(true);
}

async fn told(leaving: &mut watch::Receiver<bool>) {
    // An error means that signals cannot be had.
    if leaving.wait_for(|leave| *leave).await.is_err() {
        std::future::pending().await
    }
}
