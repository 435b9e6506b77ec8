//! Against the real ssh-agent.

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use russh::Signer as _;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;

/// An agent that holds one key. It ends with the test.
struct Real {
    process: Child,
    folder: TempDir,
}

impl Real {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let quiet =
            |command: &mut Command| assert!(command.output().unwrap().status.success(), "{command:?}");
        quiet(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path("key")));
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(path("agent")).stdout(Stdio::null()).stderr(Stdio::null());
        let process = agent.spawn().expect("openssh-client is installed");
        while !path("agent").exists() {
            thread::sleep(Duration::from_millis(5));
        }
        quiet(Command::new("ssh-add").arg("-q").arg(path("key")).env("SSH_AUTH_SOCK", path("agent")));
        Self { process, folder }
    }

    /// The same agent behind a line of one: whoever comes while it is taken is turned away, as a
    /// busy agent does with those that its own line does not hold.
    fn with_a_short_line(&self) -> PathBuf {
        let path = self.folder.path().join("short");
        let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 0).unwrap();
        let (listener, behind) = (UnixListener::from(listener), self.folder.path().join("agent"));
        thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), UnixStream::connect(&behind).unwrap());
                let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                thread::spawn(move || std::io::copy(&mut &far, &mut &near));
                thread::sleep(Duration::from_millis(5));
            }
        });
        path
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_logins_at_once_do_not_drown_it() {
    let real = Real::start();
    let socket = real.with_a_short_line();
    // It is this that is waited for.
    let crowd: Vec<_> = (0..8).map(|_| tokio::net::UnixStream::connect(&socket)).collect();
    let mut turned_away = 0;
    let mut held = Vec::new();
    for one in crowd {
        match one.await {
            Ok(stream) => held.push(stream),
            Err(error) => turned_away += usize::from(error.kind() == io::ErrorKind::WouldBlock),
        }
    }
    assert!(turned_away > 0, "the line holds all");
    drop(held);
    let agent = Arc::new(Agent::open(&socket).await);
    let key = agent.keys[0].clone();
    let mut logins = JoinSet::new();
    for login in 0..200 {
        let (agent, key) = (Arc::clone(&agent), key.clone());
        logins.spawn(async move {
            let mut signing = Signing { agent: &agent, key: None };
            let signed = signing.auth_sign(&key.into(), None, format!("login {login}").into_bytes()).await;
            signed.map_err(|error| error.to_string())
        });
    }
    let failed: Vec<String> = logins.join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(failed, Vec::<String>::new());
}
