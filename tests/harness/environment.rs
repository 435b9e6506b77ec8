use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{Fleet, Ledger, Outcome};

/// An operator's machine of its own: an empty home, no agent, no settings, UTC, plain C locale.
pub struct Environment {
    root: tempfile::TempDir,
}

impl Environment {
    pub fn new() -> Self {
        // Short, whatever TMPDIR says: paths of Unix sockets end at 107 bytes.
        let root = tempfile::Builder::new().prefix("cr-op").tempdir_in("/tmp").unwrap();
        for folder in ["home", "work", "tmp"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// A path in the folder commands run in.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// The operator's TMPDIR: empty again once a command is over.
    pub fn temporary(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// Writes a file in the folder commands run in, with the folders above it.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn ledger_path(&self) -> PathBuf {
        self.home().join(".local/state/cronium-run/ledger.db")
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::open(&self.ledger_path())
    }

    /// `cronium-run ARGS…`
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation {
        self.program(env!("CARGO_BIN_EXE_cronium-run"), args)
    }

    /// Another program in this environment, with `cronium-run` on its PATH.
    pub fn program<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Invocation {
        let ours = Path::new(env!("CARGO_BIN_EXE_cronium-run")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let home = self.home();
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs([("TERM", "dumb"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("COLUMNS", "100")])
            .env("PATH", format!("{}:{path}", ours.display()))
            .env("HOME", &home)
            .env("USER", super::fleet::user())
            .env("LOGNAME", super::fleet::user())
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("TMPDIR", self.temporary())
            .current_dir(self.path(""))
            // A group of its own, so that a test's end can take all of it.
            .process_group(0);
        let replace = vec![(self.root.path().display().to_string(), "/ENV")];
        Invocation { command, stdin: Vec::new(), is_typing: false, limit: Duration::from_secs(90), replace }
    }

    /// `cronium-run ARGS…` to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        self.command(args).run()
    }

    /// `cronium-run exec TARGETS` with all that reaches the hosts of `fleet`.
    pub fn exec(&self, fleet: &Fleet, targets: &str) -> Invocation {
        self.reaching(fleet, ["exec", targets])
    }

    /// `cronium-run ARGS…` followed by the flags that reach the hosts of `fleet`.
    pub fn reaching<const N: usize>(&self, fleet: &Fleet, args: [&str; N]) -> Invocation {
        self.reaching_as(super::fleet::user(), fleet, args)
    }

    /// The same, logging in as `user`.
    pub fn reaching_as<const N: usize>(&self, user: &str, fleet: &Fleet, args: [&str; N]) -> Invocation {
        let mut invocation = self.command(args);
        invocation.replace.extend(fleet.replacements());
        invocation
            // What this machine's /etc/ssh/ssh_config says is not ours to test: Debian's hashes host names.
            .env("CRONIUM_RUN_SSH_CONFIG", "none")
            .args(["-u", user, "-p", &fleet.port().to_string()])
            .args(["--private-key".as_ref(), fleet.private_key().as_os_str()])
            .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
            .args(["--connect-timeout", "3s"])
    }
}

/// A command about to be run.
pub struct Invocation {
    command: Command,
    stdin: Vec<u8>,
    is_typing: bool,
    limit: Duration,
    replace: Vec<(String, &'static str)>,
}

impl Invocation {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Its stdin stays open for [`Running::types`].
    pub fn typing(mut self) -> Self {
        self.is_typing = true;
        self
    }

    /// The same command on a terminal of its own, typed by a test: what it prints is on stdout.
    pub fn on_a_terminal(self, environment: &Environment) -> Self {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words: Vec<String> = words.map(|word| word.to_str().unwrap().to_owned()).collect();
        // No shell stays above it: it would take a Ctrl-C for its own.
        let line = format!("exec {}", shlex::try_join(words.iter().map(String::as_str)).unwrap());
        let mut outer = environment.program("script", ["-E", "never", "-qec", &line, "/dev/null"]);
        outer.command.env("SHELL", "/bin/sh");
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                outer.command.env(name, value);
            }
        }
        Self { command: outer.command, replace: self.replace, limit: self.limit, ..outer }.typing()
    }

    /// The same command where process `pid` stands: with its mounts.
    pub fn beside(self, environment: &Environment, pid: u32) -> Self {
        let folder = environment.path("");
        let mut outer = Command::new("nsenter");
        outer.args(["-t", &pid.to_string(), "-m", "--wd=.", "--"]);
        outer.arg(self.command.get_program()).args(self.command.get_args()).env_clear().current_dir(folder);
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                outer.env(name, value);
            }
        }
        outer.process_group(0);
        Self { command: outer, ..self }
    }

    /// How long it may take before it is killed and the test fails. 90 s unless told.
    pub fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Outcome {
        self.start().wait()
    }

    /// Starts it and comes back at once.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let name = format!("{:?}", self.command.get_program());
        let mut child = self
            .command
            .stdin(if self.stdin.is_empty() && !self.is_typing { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        if !self.is_typing
            && let Some(mut pipe) = child.stdin.take()
        {
            let bytes = std::mem::take(&mut self.stdin);
            // It may end without having read everything.
            thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let stdout = Collected::from(child.stdout.take().unwrap());
        let stderr = Collected::from(child.stderr.take().unwrap());
        Running { child, stdout, stderr, until: Instant::now() + self.limit, replace: self.replace }
    }
}

/// A command that runs. Dropped before its end, it is killed with all of its process group.
pub struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
    until: Instant,
    replace: Vec<(String, &'static str)>,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed on stdout so far.
    pub fn stdout_so_far(&self) -> Vec<u8> {
        self.stdout.bytes.lock().unwrap().clone()
    }

    pub fn stderr_so_far(&self) -> Vec<u8> {
        self.stderr.bytes.lock().unwrap().clone()
    }

    /// Waits until it has printed `text`, then types `keys`.
    #[track_caller]
    pub fn types(&mut self, text: &str, keys: &str) {
        let shown = || String::from_utf8_lossy(&self.stdout_so_far()).into_owned();
        assert!(super::until(30, || shown().contains(text)), "{text} was not shown: {}", shown());
        self.child.stdin.as_mut().expect("it is typed to").write_all(keys.as_bytes()).unwrap();
    }

    /// Sends a signal to the program alone, as `kill` does.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; kills it and panics when the limit is over.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > self.until {
                self.kill_group();
                let outcome = self.collect(-1);
                panic!("still running at its limit\n{outcome:?}");
            }
            thread::sleep(Duration::from_millis(3));
        };
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        self.collect(code)
    }

    fn collect(&mut self, code: i32) -> Outcome {
        // A process left behind may hold the pipes open: what came by then is what there is.
        for stream in [&mut self.stdout, &mut self.stderr] {
            let until = Instant::now() + Duration::from_secs(10);
            while !stream.reader.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let take = |stream: &Collected| std::mem::take(&mut *stream.bytes.lock().unwrap());
        Outcome {
            stdout: take(&self.stdout),
            stderr: take(&self.stderr),
            code,
            replace: std::mem::take(&mut self.replace),
        }
    }

    fn kill_group(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill_group();
        }
    }
}

/// A pipe read by a thread until it closes.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collected {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = bytes.clone();
        let reader = thread::spawn(move || {
            let mut piece = vec![0; 64 << 10];
            while let Ok(count @ 1..) = pipe.read(&mut piece) {
                shared.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        Self { bytes, reader }
    }
}
