//! This machine: the same stub, as a child process.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use cronium_wire::frame::CHUNK;
use cronium_wire::message::Hello;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

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

pub struct Local;

impl Local {
    pub async fn start(&self, first: &Flight) -> Result<(Link, Hello), Fault> {
        let program = install().map_err(|error| {
            Fault::new(Phase::Tempdir, "folder", "cannot put the runner into the cache of this machine")
                .because(&error)
        })?;
        let carrier = start(&program, &["run"], first.pieces()).await?;
        match greet(carrier, first.frames()).await? {
            Answer::Stub(started) => Ok(*started),
            Answer::NeedsStub { .. } => {
                // Damaged in the cache: the next start writes it anew.
                let _ = fs::remove_file(&program);
                Err(Fault::new(Phase::Upload, "damaged", "the cached runner was damaged and is removed")
                    .hint("run the same command again"))
            }
            Answer::Mute(mute) => {
                Err(Fault::new(Phase::Upload, "start", format!("{} does not start", program.display()))
                    .cause(mute.said))
            }
        }
    }

    /// A shell that reads `script` from its stdin.
    pub async fn shell(&self, script: Bytes) -> Result<Carrier, Fault> {
        start(Path::new("sh"), &[], [script]).await
    }

    pub fn open_tunnel(&self, at: &Entrance) -> Result<Tunnel, Fault> {
        let Entrance::Socket(path) = at else {
            return Err(Fault::new(Phase::Upload, "forward", "this machine needs no port"));
        };
        // The socket lies in the run's private folder.
        UnixListener::bind(path).map(Tunnel::Local).map_err(|error| {
            Fault::new(Phase::Tempdir, "socket", format!("cannot listen on {path}")).because(&error)
        })
    }
}

/// A child and its input. As little of the operator's environment as sshd would pass on: a script
/// can read it.
async fn start(
    program: &Path,
    args: &[&str],
    input: impl IntoIterator<Item = Bytes>,
) -> Result<Carrier, Fault> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .env_clear();
    if let Ok(account) = Account::current() {
        command.env("HOME", account.home).env("USER", &account.user).env("LOGNAME", account.user);
    }
    command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    let child = command.spawn().map_err(|error| {
        Fault::new(Phase::Upload, "start", format!("cannot start {}", program.display())).because(&error)
    })?;
    let mut carrier = Carrier::Local(Box::new(Process::new(child)));
    for piece in input {
        carrier.write(piece).await;
    }
    Ok(carrier)
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
        part.persist(&program)?;
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
    /// What a read of stdout says: bytes, or the end.
    async fn told(&mut self, count: io::Result<usize>, mut bytes: Vec<u8>) -> Piece {
        match count {
            Ok(count) if count > 0 => {
                bytes.truncate(count);
                Piece::Stdout(bytes.into())
            }
            _ => match self.child.wait().await {
                Ok(status) => Piece::Ended(status.code().map(|code| code as u32)),
                Err(_) => Piece::Lost,
            },
        }
    }
}
