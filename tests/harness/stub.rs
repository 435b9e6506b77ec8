use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use cronium_wire::digest::sha256_hex;
use cronium_wire::frame::Decoder;
use cronium_wire::greeting::{Greeter, Greeting};
use cronium_wire::message::{End, FromStub, Job, Message, ToStub};
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
            ..Job::default()
        }
    }
}

/// A stub as a child process, spoken to as the operator's program does, without its checks.
pub struct SpokenStub {
    child: Child,
    stdin: ChildStdin,
    from: Receiver<FromStub>,
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
        let stdin = child.stdin.take().unwrap();
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
                    let _ = send.send(FromStub::decode(frame).unwrap());
                }
            }
        });
        Self { child, stdin, from, seq: 0 }
    }

    pub fn send(&mut self, message: &ToStub) {
        // A stub that refused already may have closed its end: its answer says more.
        let _ = self.stdin.write_all(&message.to_frame(self.seq));
        self.seq += 1;
    }

    /// The next message; panics when none comes.
    #[track_caller]
    pub fn next(&mut self) -> FromStub {
        self.from.recv_timeout(Duration::from_secs(30)).expect("the stub answers")
    }

    /// Sends a job and its payload; all that comes until its end.
    #[track_caller]
    pub fn run(&mut self, job: Job, payload: &[u8]) -> Vec<FromStub> {
        self.send(&ToStub::Job(Box::new(job)));
        for piece in payload.chunks(cronium_wire::frame::CHUNK) {
            self.send(&ToStub::Payload(piece.to_vec()));
        }
        let mut seen = Vec::new();
        let until = Instant::now() + Duration::from_secs(60);
        while !matches!(seen.last(), Some(FromStub::Finished(_))) {
            assert!(Instant::now() < until, "no end: {seen:?}");
            let message = self.next();
            if matches!(message, FromStub::OpenTunnel { .. }) {
                self.send(&ToStub::TunnelRefused { reason: "no tunnel in this test".into() });
            }
            seen.push(message);
        }
        seen
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
}

impl Drop for SpokenStub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
