//! This machine: the same stub, as a child process.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;

use cronium_wire::message::Hello;
use tokio::net::UnixListener;
use tokio::process::Command;

use super::greet::{Answer, greet};
use super::link::{Carrier, Link, Process};
use super::{Fault, Flight, Phase, Tunnel, bootstrap};

pub struct Local;

impl Local {
    pub async fn start(&self, first: &Flight) -> Result<(Link, Hello), Fault> {
        let program = install().map_err(|error| {
            Fault::new(Phase::Tempdir, "folder", "cannot put the runner into the cache of this machine")
                .because(&error)
        })?;
        let mut command = Command::new(&program);
        command
            .arg("run")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(|error| {
            Fault::new(Phase::Upload, "start", format!("cannot start {}", program.display())).because(&error)
        })?;
        let (stdin, stdout) =
            (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
        let stderr = child.stderr.take();
        let mut carrier = Carrier::Local(Box::new(Process { child, stdin, stdout, stderr }));
        for piece in first.pieces() {
            carrier.write(piece).await?;
        }
        match greet(carrier, first.frames()).await? {
            Answer::Stub(started) => Ok(*started),
            Answer::NeedsStub { .. } => {
                // Damaged in the cache: the next start writes it anew.
                let _ = fs::remove_file(&program);
                Err(Fault::new(Phase::Upload, "damaged", "the cached runner was damaged and is removed")
                    .hint("run the same command again"))
            }
            Answer::Mute { stderr, .. } => {
                Err(Fault::new(Phase::Upload, "start", format!("{} does not start", program.display()))
                    .cause(stderr))
            }
        }
    }

    pub fn open_tunnel(&self, path: &str) -> Result<Tunnel, Fault> {
        // The socket lies in the run's private folder.
        UnixListener::bind(path).map(Tunnel::Local).map_err(|error| {
            Fault::new(Phase::Tempdir, "socket", format!("cannot listen on {path}")).because(&error)
        })
    }
}

/// The stub of this machine in its cache: `~/.cache/cronium-run/stub/DIGEST`.
fn install() -> io::Result<PathBuf> {
    let stub = bootstrap::stub(std::env::consts::ARCH)
        .ok_or_else(|| io::Error::other(format!("there is no runner for {}", std::env::consts::ARCH)))?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let dir = cache.unwrap_or_else(home).join("cronium-run/stub");
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
