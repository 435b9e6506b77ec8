//! Many hosts in one process.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Config, run_stream};
use russh::{MethodKind, MethodSet};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::handler::Handler;
use super::host::Host;
use super::interrupts::Interrupts;
use super::leftovers;
use crate::error::{Error, OrFail, Result};
use crate::inventory::{Account, Address, HostKeyPolicy, Passphrases, Ssh, Target};

/// All hosts share this machine's processors: the last of 200 waits for its turn.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// What a client may have on its way to a command.
const WINDOW: u32 = 1 << 20;
/// OpenSSH's MaxAuthTries.
const AUTH_TRIES: usize = 6;
/// For connections to end, and then for processes that lost their connection.
const STOP_WITHIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);
/// Without file descriptors, accepting fails at once and again.
const BREATH: Duration = Duration::from_millis(100);

/// SSH servers on ports of 127.0.0.1 that the system chose, with keys made for them alone, and all
/// their files in one temporary folder. Dropping it ends what runs there and removes the folder.
pub struct Fleet {
    /// There until the fleet is stopped.
    runtime: Option<Runtime>,
    interrupts: Interrupts,
    targets: Vec<Target>,
    folder: TempDir,
}

impl Fleet {
    /// Starts `count` hosts, called `demo01` and so on, in a folder below `$TMPDIR`.
    ///
    /// From here on Ctrl-C, SIGTERM and SIGHUP do not end the process: see [`Fleet::interrupted`].
    pub fn start(count: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("demo-host")
            .enable_all()
            .build()
            .or_fail(|| "cannot start the threads of the demo hosts")?;
        let interrupts = Interrupts::watch(&runtime)?;
        allow_many_files();
        // A short name: the paths of Unix sockets below it have some 100 bytes.
        let folder = tempfile::Builder::new().prefix("cronium-").tempdir().map_err(|error| {
            Error::failure(format!("cannot make a folder in {}", std::env::temp_dir().display()))
                .because(error)
                .hint("TMPDIR=/var/tmp cronium-run demo")
        })?;
        let mut fleet = Self { runtime: Some(runtime), interrupts, targets: Vec::new(), folder };
        fleet.open(count)?;
        Ok(fleet)
    }

    fn open(&mut self, count: usize) -> Result<()> {
        let folder = self.folder.path().to_owned();
        let (identity, known_hosts) = (folder.join("key"), folder.join("known_hosts"));
        let user = Account::current()?.user;
        let key = new_key()?;
        let pem = key.to_openssh(LineEnding::LF).or_fail(|| "cannot write a key")?;
        write_private(&identity, pem.as_bytes())?;
        let mut known = String::new();
        let digits = count.to_string().len().max(2);
        for number in 1..=count {
            let name = format!("demo{number:0digits$}");
            let home = folder.join(&name);
            DirBuilder::new()
                .mode(0o700)
                .create(&home)
                .or_fail(|| format!("cannot make {}", home.display()))?;
            let host =
                Host { user: user.clone(), key: key.public_key().clone(), home, folder: folder.clone() };
            let (port, host_key) = self.listen(host)?;
            let public = host_key.to_openssh().or_fail(|| "cannot write a host key")?;
            known.push_str(&format!("[{}]:{port} {public}\n", Ipv4Addr::LOCALHOST));
            self.targets.push(target(name, port, &user, &identity, &known_hosts));
        }
        write_private(&known_hosts, known.as_bytes())
    }

    /// Opens a host's port; gives it with the host's key.
    fn listen(&self, host: Host) -> Result<(u16, PublicKey)> {
        let runtime = self.runtime.as_ref().expect("it is there until the fleet is stopped");
        let failed = || "cannot listen on 127.0.0.1";
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).or_fail(failed)?;
        listener.set_nonblocking(true).or_fail(failed)?;
        let port = listener.local_addr().or_fail(failed)?.port();
        let key = new_key()?;
        let public = key.public_key().clone();
        let _entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).or_fail(failed)?;
        runtime.spawn(serve(listener, Arc::new(config(key)), Arc::new(host)));
        Ok((port, public))
    }

    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The fleet's folder, for files that are to go away with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether a signal asked the process to end since the fleet was started.
    pub fn interrupted(&self) -> bool {
        self.interrupts.came()
    }

    /// Ends what runs there and removes the folder, as dropping does, but says if it cannot.
    pub fn stop(mut self) -> Result<()> {
        self.end();
        let folder = self.folder.path();
        std::fs::remove_dir_all(folder).map_err(|error| {
            Error::failure(format!("cannot remove {}", folder.display()))
                .because(error)
                .hint(format!("rm -rf {}", folder.display()))
        })
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(STOP_WITHIN);
            leftovers::end(self.folder.path(), PATIENCE);
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}

fn target(name: String, port: u16, user: &str, identity: &Path, known_hosts: &Path) -> Target {
    let ssh = Ssh {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port,
        user: user.into(),
        host_key_alias: None,
        identities: vec![identity.into()],
        named: 1,
        agent: None,
        identities_only: true,
        known_hosts: vec![known_hosts.into()],
        host_key: HostKeyPolicy::Strict,
        hash_known_hosts: false,
        batch_mode: false,
        connect_timeout: CONNECT_TIMEOUT,
        proxy: None,
        protocol: crate::inventory::Protocol::default(),
        certificates: Vec::new(),
        passphrases: Passphrases::default(),
        password: None,
    };
    Target { name, address: Address::Ssh(Box::new(ssh)), groups: Vec::new(), privilege: None }
}

fn new_key() -> Result<PrivateKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Error::failure("the system gives no randomness for a key").cause(error.to_string())
    })?;
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
}

fn config(key: PrivateKey) -> Config {
    Config {
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        // Every client's first question is which methods there are.
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: AUTH_TRIES,
        keys: vec![key],
        window_size: WINDOW,
        // A script may be silent for as long as it likes.
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    }
}

async fn serve(listener: tokio::net::TcpListener, config: Arc<Config>, host: Arc<Host>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        // russh asks for it only on streams it accepts itself.
        let _ = stream.set_nodelay(true);
        let (config, handler) = (Arc::clone(&config), Handler::new(Arc::clone(&host)));
        tokio::spawn(async move {
            let ended = match run_stream(config, stream, handler).await {
                Ok(session) => session.await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to a demo host ended");
            }
        });
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
    };
    write().or_fail(|| format!("cannot write {}", path.display()))
}

/// Both ends of every connection and all pipes are in this one process: the usual 1,024 files are
/// few for 200 hosts.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
