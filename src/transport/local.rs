//! This machine: the same stub, as a child process.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use cronium_wire::frame::CHUNK;
use cronium_wire::message::Hello;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::greet::{Answer, greet};
use super::inbox::{Hear, Inbox, Piece};
use super::link::{Carrier, Link};
use super::{Entrance, Fault, Flight, Phase, Tunnel, bootstrap};
use crate::inventory::Account;

/// What the stub on this machine gets of our environment.
const KEPT: [&str; 10] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "PATH",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
];

/// Somebody whom a process that has ended left behind may hold its stderr open.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

pub struct Local;

impl Local {
    pub async fn start(&self, first: &Flight) -> Result<(Link, Hello), Fault> {
        let program = install().map_err(|error| {
            Fault::new(Phase::Tempdir, "folder", "cannot put the runner into the cache of this machine")
                .because(&error)
                .hint("df -h ~/.cache; ls -ld ~/.cache")
        })?;
        let mut command = Command::new(&program);
        command.arg("run");
        let mut carrier = Carrier::Local(Box::new(Process::start(command)?));
        for piece in first.pieces() {
            carrier.write(piece).await;
        }
        match greet(carrier, first.frames(), None).await? {
            Answer::Stub(started) => Ok(*started),
            Answer::NeedsStub { .. } => {
                // Damaged in the cache: the next start writes it anew.
                let _ = fs::remove_file(&program);
                Err(Fault::new(Phase::Upload, "damaged", "the cached runner was damaged and is removed")
                    .hint("run the same command again"))
            }
            Answer::Mute(mute) => {
                Err(Fault::new(Phase::Upload, "start", format!("{} does not start", program.display()))
                    .cause(mute.said)
                    .hint("dmesg | tail; ulimit -a"))
            }
        }
    }

    /// A line for the shell, as sshd would run it.
    pub fn exec(&self, line: &str) -> Result<Process, Fault> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]);
        Process::start(command)
    }

    /// With a port, its number.
    pub async fn open_tunnel(&self, at: Entrance) -> Result<(Tunnel, Option<u16>), Fault> {
        let refused = |what: &str, error: &io::Error| {
            Fault::new(Phase::Tempdir, "socket", format!("cannot listen on {what}"))
                .because(error)
                .hint("ulimit -n; df -h ~")
        };
        match at {
            // The socket lies in the run's private folder.
            Entrance::Socket(path) => {
                let listener = UnixListener::bind(&path).map_err(|error| refused(&path, &error))?;
                Ok((Tunnel::Local(listener), None))
            }
            // Where that is another user's.
            Entrance::Port(port) => {
                let address = (Ipv4Addr::LOCALHOST, port);
                let listener = TcpListener::bind(address).await;
                let listener = listener.map_err(|error| refused("127.0.0.1", &error))?;
                let port = listener.local_addr().map_err(|error| refused("127.0.0.1", &error))?.port();
                Ok((Tunnel::LocalPort(listener), Some(port)))
            }
        }
    }
}

/// The stub of this machine in its cache: `~/.cache/cronium-run/stub/DIGEST`.
fn install() -> io::Result<PathBuf> {
    let stub = bootstrap::stub(std::env::consts::ARCH)
        .ok_or_else(|| io::Error::other(format!("there is no runner for {}", std::env::consts::ARCH)))?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = match cache {
        Some(cache) => cache,
        None => Account::current().map_err(|error| io::Error::other(error.message))?.home.join(".cache"),
    };
    let dir = cache.join("cronium-run/stub");
    let program = dir.join(stub.digest);
    let whole = fs::read(&program).is_ok_and(|bytes| cronium_wire::digest::sha256_hex(&bytes) == stub.digest);
    if !whole {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        // Under its name only once it is whole.
        let mut part =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempfile_in(&dir)?;
        part.write_all(&stub.program())?;
        // Closed: what is open for writing cannot be started, by another cronium-run neither.
        part.into_temp_path().persist(&program)?;
    }
    Ok(program)
}

/// A stub that is a child of ours.
pub struct Process {
    stdin: ChildStdin,
    inbox: Inbox<Reader>,
}

struct Reader {
    child: Child,
    stdout: ChildStdout,
    /// `None` once it is closed.
    stderr: Option<ChildStderr>,
}

impl Process {
    /// Starts it with pipes for all three streams and as little of the operator's environment as
    /// sshd would pass on: the script can read it.
    fn start(mut command: Command) -> Result<Self, Fault> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.env_clear();
        if let Ok(account) = Account::current() {
            command.env("HOME", account.home).env("USER", &account.user).env("LOGNAME", account.user);
        }
        command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.spawn().map(Self::new).map_err(|error| {
            let program = command.as_std().get_program().display();
            Fault::new(Phase::Upload, "start", format!("cannot start {program}"))
                .because(&error)
                .hint(format!("ls -l {program}; ulimit -u"))
        })
    }

    /// `child` has pipes for all three streams.
    fn new(mut child: Child) -> Self {
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take();
        Self { stdin, inbox: Inbox::new(Reader { child, stdout, stderr }) }
    }

    pub async fn read(&mut self) -> Piece {
        self.inbox.read().await
    }

    /// Whether all was sent; if not, reading tells why.
    pub async fn write(&mut self, bytes: Bytes) -> bool {
        self.inbox.while_sending(self.stdin.write_all(&bytes)).await
    }
}

impl Hear for Reader {
    async fn hear(&mut self) -> Piece {
        let (mut out, mut err) = (vec![0; CHUNK], [0; 512]);
        loop {
            let Some(stderr) = &mut self.stderr else {
                let count = self.stdout.read(&mut out).await;
                return self.told(count, out).await;
            };
            tokio::select! {
                biased;
                count = self.stdout.read(&mut out) => return self.told(count, out).await,
                count = stderr.read(&mut err) => match count {
                    Ok(count) if count > 0 => return Piece::Stderr(Bytes::copy_from_slice(&err[..count])),
                    _ => self.stderr = None,
                },
            }
        }
    }
}

impl Reader {
    /// What a read of stdout says: bytes, or the end, before which come the last words on stderr.
    async fn told(&mut self, count: io::Result<usize>, mut bytes: Vec<u8>) -> Piece {
        match count {
            Ok(count) if count > 0 => {
                bytes.truncate(count);
                Piece::Stdout(bytes.into())
            }
            _ => {
                if let Some(stderr) = &mut self.stderr {
                    let mut last = [0; 512];
                    if let Ok(Ok(count @ 1..)) = timeout(LAST_WORDS_WITHIN, stderr.read(&mut last)).await {
                        return Piece::Stderr(Bytes::copy_from_slice(&last[..count]));
                    }
                    self.stderr = None;
                }
                match self.child.wait().await {
                    Ok(status) => Piece::Ended(status.code().map(|code| code as u32)),
                    Err(_) => Piece::Lost,
                }
            }
        }
    }
}
