//! A process whose stdin and stdout are the stream to a host.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::sleep;

use crate::transport::{Fault, Phase};

/// What is kept of what the command says on stderr, the last of it.
const KEPT: usize = 2048;
/// How long a command that has closed its stdout may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Killed with all that it started when dropped.
pub struct ProxyCommand {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

/// What a command says on stderr.
#[derive(Clone, Default)]
pub struct Words(Arc<Mutex<Vec<u8>>>);

impl ProxyCommand {
    /// Runs `line` as OpenSSH does: by the user's shell, which it replaces.
    pub fn start(line: &str) -> Result<(Self, Words), Fault> {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let mut child = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()))
            .arg("-c")
            .arg(format!("exec {line}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, to be ended as a whole; and an interrupt is ours to hear.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Fault::new(Phase::Tcp, "proxy-command", "the proxy command cannot be started")
                    .because(&error)
                    .hint("--jump none  connects without it")
            })?;
        let words = Words::default();
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else { unreachable!("all three are pipes") };
        tokio::spawn(listen(stderr, words.clone()));
        Ok((Self { child, stdin, stdout }, words))
    }
}

impl Words {
    /// Why the stream ended before the host had said anything.
    pub async fn explain(&self, line: &str) -> Fault {
        sleep(LAST_WORDS).await;
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8_lossy(&kept);
        let clean = |line: &str| line.trim().chars().filter(|c| !c.is_control()).collect::<String>();
        text.lines()
            .map(clean)
            .filter(|line| !line.is_empty())
            .fold(
                Fault::new(
                    Phase::Tcp,
                    "proxy-command",
                    "the proxy command ended before the host said anything",
                ),
                |fault, line| fault.cause(format!("it says '{line}'")),
            )
            // What follows may be secret, and causes are kept.
            .cause(format!("its first word is {}", line.split_whitespace().next().unwrap_or_default()))
            .hint("--jump none  connects without it")
    }
}

async fn listen(mut stderr: ChildStderr, words: Words) {
    let mut piece = [0; 512];
    while let Ok(count @ 1..) = stderr.read(&mut piece).await {
        let mut kept = words.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&piece[..count]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
}

impl Drop for ProxyCommand {
    fn drop(&mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = pid {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

impl AsyncRead for ProxyCommand {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(context, buffer)
    }
}

impl AsyncWrite for ProxyCommand {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(context)
    }
}
