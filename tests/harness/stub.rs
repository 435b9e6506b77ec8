use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use cronium_wire::digest::sha256_hex;
use cronium_wire::frame::{Decoder, UNNUMBERED};
use cronium_wire::greeting::{Greeter, Greeting};
use cronium_wire::message::{Attach, End, FromStub, Job, Message, RunState, ToStub};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The architecture tests run on.
    pub fn here() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }
}

/// The stub that `cronium-run` carries for `arch`, as a file that can be started: where `build.rs`
/// let the inner cargo put it.
pub fn stub_path(arch: Arch) -> PathBuf {
    if let Some(folder) = option_env!("CRONIUM_STUB_DIR") {
        return Path::new(folder).join(match arch {
            Arch::Amd64 => "runner-stub-amd64",
            Arch::Arm64 => "runner-stub-arm64",
        });
    }
    let triple = match arch {
        Arch::Amd64 => "x86_64-unknown-linux-musl",
        Arch::Arm64 => "aarch64-unknown-linux-musl",
    };
    let target = Path::new(env!("CARGO_BIN_EXE_cronium-run")).ancestors().nth(2).unwrap();
    target.join("stub").join(triple).join("release/runner-stub")
}

/// A key made from a number, to sign what the program itself would not sign.
pub struct TestKey {
    key: SigningKey,
}

impl TestKey {
    pub fn new(number: u8) -> Self {
        Self { key: SigningKey::from_slice(&[number; 32]).unwrap() }
    }

    /// DER, base64: [`Job::signature`].
    pub fn sign(&self, bytes: &[u8]) -> String {
        let signature: DerSignature = self.key.sign(bytes);
        Base64::encode_string(signature.as_bytes())
    }

    pub fn public_pem(&self) -> String {
        self.key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap()
    }

    /// A job for `payload`, signed by this key and trusted for the session.
    pub fn job(&self, payload: &[u8]) -> Job {
        Job {
            run: "01JAR0M5K8Q9Z3V7C2X4B6N8D0".into(),
            host: "pipe".into(),
            digest: sha256_hex(payload),
            size: payload.len() as u64,
            payload_follows: true,
            signature: self.sign(payload),
            session_key: self.public_pem(),
            timeout_ms: Some(20_000),
            grace_ms: 1_000,
            token: "not-a-token".into(),
            execution: "01JAR0M5K8Q9Z3V7C2X4B6N8D0-1".into(),
            lease_ms: 60_000,
            max_output: 64 << 20,
            ..Job::default()
        }
    }
}

/// A stub as a child process, spoken to as the operator's program does, without its checks.
pub struct SpokenStub {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Each message with its number.
    from: Receiver<(u64, FromStub)>,
    seq: u64,
}

impl SpokenStub {
    /// Starts the stub of this machine with `home` as its user's home.
    pub fn start(home: &Path) -> Self {
        Self::start_with(Command::new(stub_path(Arch::here())), home)
    }

    /// Starts `command`, which is a stub or runs one.
    pub fn start_with(mut command: Command, home: &Path) -> Self {
        let mut child = command
            .arg("run")
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().unwrap();
        let (send, from) = channel();
        thread::spawn(move || {
            let mut greeter = Greeter::default();
            let mut decoder = Decoder::default();
            let mut ready = false;
            let mut piece = vec![0; 64 << 10];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                if ready {
                    decoder.push(&piece[..count]);
                } else if let Some((greeting, behind)) = greeter.push(&piece[..count]).unwrap() {
                    assert_eq!(greeting, Greeting::Ready);
                    ready = true;
                    decoder.push(&behind);
                }
                while let Some(frame) = decoder.next().unwrap() {
                    let seq = frame.seq;
                    let message = FromStub::decode(frame).unwrap();
                    assert_eq!(message.is_numbered(), seq != UNNUMBERED, "{message:?}");
                    if send.send((seq, message)).is_err() {
                        return;
                    }
                }
            }
        });
        Self { child, stdin, from, seq: 0 }
    }

    /// A fresh stub that is asked for the run of [`TestKey::job`]; what it says of it.
    #[track_caller]
    pub fn attach(home: &Path, from: u64, follow: bool) -> (Self, RunState) {
        let Job { run, host, .. } = TestKey::new(1).job(b"");
        Self::attach_to(home, Attach { run, host, from, follow })
    }

    /// As [`attach`](Self::attach), for any run.
    #[track_caller]
    pub fn attach_to(home: &Path, attach: Attach) -> (Self, RunState) {
        let mut stub = Self::start(home);
        assert!(matches!(stub.next(), FromStub::Hello(_)));
        stub.send(&ToStub::Attach(attach));
        let answer = stub.next();
        let FromStub::Attached(state) = answer else { panic!("{answer:?}") };
        (stub, state)
    }

    /// Of the process that was started: the relay.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Of its child: the supervisor.
    #[track_caller]
    pub fn supervisor(&self) -> i32 {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let children = std::fs::read_to_string(&children).unwrap();
            if let Some(pid) = children.split_ascii_whitespace().next() {
                return pid.parse().unwrap();
            }
            assert!(Instant::now() < until, "no supervisor");
        }
    }

    pub fn send(&mut self, message: &ToStub) {
        let Some(stdin) = &mut self.stdin else { return };
        // A stub that refused already may have closed its end: its answer says more.
        let _ = stdin.write_all(&message.to_frame(self.seq));
        self.seq += 1;
    }

    /// Sends a job and its payload.
    pub fn send_job(&mut self, job: Job, payload: &[u8]) {
        self.send(&ToStub::Job(Box::new(job)));
        for piece in payload.chunks(cronium_wire::frame::CHUNK) {
            self.send(&ToStub::Payload(piece.to_vec()));
        }
    }

    /// The next message; panics when none comes.
    #[track_caller]
    pub fn next(&mut self) -> FromStub {
        self.next_numbered().1
    }

    /// With its number.
    #[track_caller]
    pub fn next_numbered(&mut self) -> (u64, FromStub) {
        self.from.recv_timeout(Duration::from_secs(30)).expect("the stub answers")
    }

    /// All there is until the stub ends; panics where it does not.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<FromStub> {
        let mut seen = Vec::new();
        loop {
            match self.from.recv_timeout(Duration::from_secs(30)) {
                Ok((_, message)) => seen.push(message),
                Err(RecvTimeoutError::Disconnected) => return seen,
                Err(RecvTimeoutError::Timeout) => panic!("the stub does not end: {seen:?}"),
            }
        }
    }

    /// Says that everything is recorded; waits for the stub's end.
    #[track_caller]
    pub fn acknowledge(&mut self) {
        self.send(&ToStub::Ack);
        assert_eq!(self.rest(), []);
        assert!(self.child.wait().unwrap().success());
    }

    /// All that comes up to the run's end, with its numbers.
    #[track_caller]
    pub fn until_finished(&mut self) -> Vec<(u64, FromStub)> {
        let mut seen = Vec::new();
        let until = Instant::now() + Duration::from_secs(60);
        while !matches!(seen.last(), Some((_, FromStub::Finished(_)))) {
            assert!(Instant::now() < until, "no end: {seen:?}");
            let (seq, message) = self.next_numbered();
            if matches!(message, FromStub::OpenTunnel { .. }) {
                self.send(&ToStub::TunnelRefused { reason: "no tunnel in this test".into() });
            }
            seen.push((seq, message));
        }
        seen
    }

    /// Sends a job and its payload, and acknowledges its end; all that comes until then.
    #[track_caller]
    pub fn run(&mut self, job: Job, payload: &[u8]) -> Vec<FromStub> {
        self.send_job(job, payload);
        let seen = self.until_finished();
        self.send(&ToStub::Ack);
        assert_eq!(self.rest(), []);
        seen.into_iter().map(|(_, message)| message).collect()
    }

    /// As [`run`](Self::run); how it ended and what it wrote to stdout.
    #[track_caller]
    pub fn end_of(&mut self, job: Job, payload: &[u8]) -> (End, Vec<u8>) {
        let seen = self.run(job, payload);
        let mut stdout = Vec::new();
        for message in &seen {
            if let FromStub::Stdout(bytes) = message {
                stdout.extend_from_slice(bytes);
            }
        }
        let Some(FromStub::Finished(finished)) = seen.into_iter().next_back() else { unreachable!() };
        (finished.end, stdout)
    }

    /// The operator says no more.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// The operator closes the link and hears no more.
    pub fn hang_up(mut self) {
        self.stdin = None;
        self.child.kill().unwrap();
    }
}

impl Drop for SpokenStub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
