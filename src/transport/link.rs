//! Frames to and from a stub, whatever carries them.

use std::collections::VecDeque;

use bytes::Bytes;
use cronium_wire::frame::{CHUNK, Decoder, Frame};
use cronium_wire::message::{FromStub, Message, ToStub};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::Fault;
use super::ssh::Exec;

/// How much of what a failing start prints is kept for its error message.
const STDERR_KEPT: usize = 2 << 10;

/// What carries the bytes.
pub enum Carrier {
    Ssh(Exec),
    Local(Box<Process>),
}

/// A stub that is a child of ours.
pub struct Process {
    pub child: Child,
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
    /// `None` once it is closed.
    pub stderr: Option<ChildStderr>,
}

/// Something that came from the other end.
pub enum Piece {
    Stdout(Bytes),
    Stderr(Bytes),
    /// The program ended; its exit code where it is known.
    Ended(Option<u32>),
    /// The connection is gone, without a word of the program's end.
    Lost,
}

impl Carrier {
    /// Waits for the next piece. Safe to drop and call again.
    pub async fn read(&mut self) -> Piece {
        match self {
            Self::Ssh(exec) => exec.read().await,
            Self::Local(process) => process.read().await,
        }
    }

    /// Blocks while the other end takes nothing.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        match self {
            Self::Ssh(exec) => exec.write(bytes).await,
            Self::Local(process) => {
                let written = process.stdin.write_all(&bytes).await;
                written.map_err(|error| Fault::lost("the connection broke while sending").because(&error))
            }
        }
    }
}

impl Process {
    async fn read(&mut self) -> Piece {
        let (mut out, mut err) = (vec![0; CHUNK], vec![0; STDERR_KEPT]);
        if let Some(stderr) = &mut self.stderr {
            tokio::select! {
                biased;
                count = self.stdout.read(&mut out) => return piece(count, out, &mut self.child).await,
                count = stderr.read(&mut err) => match count {
                    Ok(count) if count > 0 => {
                        err.truncate(count);
                        return Piece::Stderr(err.into());
                    }
                    _ => self.stderr = None,
                },
            }
        }
        let count = self.stdout.read(&mut out).await;
        piece(count, out, &mut self.child).await
    }
}

async fn piece(count: std::io::Result<usize>, mut bytes: Vec<u8>, child: &mut Child) -> Piece {
    match count {
        Ok(count) if count > 0 => {
            bytes.truncate(count);
            Piece::Stdout(bytes.into())
        }
        _ => match child.wait().await {
            Ok(status) => Piece::Ended(status.code().map(|code| code as u32)),
            Err(_) => Piece::Lost,
        },
    }
}

/// A conversation with a stub that has greeted.
pub struct Link {
    carrier: Carrier,
    decoder: Decoder,
    ready: VecDeque<FromStub>,
    next_seq: u64,
    seen_seq: u64,
    stderr: Tail,
}

impl Link {
    /// `behind`: bytes that came behind the greeting; `sent`: frames that are on their way already.
    pub fn new(carrier: Carrier, behind: &[u8], sent: u64, stderr: Tail) -> Self {
        let mut decoder = Decoder::default();
        decoder.push(behind);
        Self { carrier, decoder, ready: VecDeque::new(), next_seq: sent, seen_seq: 0, stderr }
    }

    pub async fn send(&mut self, message: &ToStub) -> Result<(), Fault> {
        let bytes = message.to_frame(self.next_seq);
        self.next_seq += 1;
        self.carrier.write(bytes.into()).await
    }

    /// The next message. Safe to drop and call again. After the last message the stub ends, so an
    /// end that comes first is a fault.
    pub async fn receive(&mut self) -> Result<FromStub, Fault> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            if let Some(frame) = self.next_frame()? {
                let message = FromStub::decode(frame);
                self.ready.extend([message
                    .map_err(|error| Fault::lost("the runner speaks another language").because(&error))?]);
                continue;
            }
            match self.carrier.read().await {
                Piece::Stdout(bytes) => self.decoder.push(&bytes),
                Piece::Stderr(bytes) => self.stderr.push(&bytes),
                Piece::Ended(code) => {
                    let code = code.map(|code| format!("it exited with {code}")).unwrap_or_default();
                    return Err(Fault::lost("the runner ended without a result")
                        .cause(code)
                        .cause(self.stderr.text()));
                }
                Piece::Lost => return Err(Fault::lost("the connection broke").cause(self.stderr.text())),
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, Fault> {
        let frame = self
            .decoder
            .next()
            .map_err(|error| Fault::lost("the runner speaks another language").because(&error))?;
        if let Some(frame) = &frame {
            if frame.seq != self.seen_seq {
                let message = format!("frame {} came where {} was due", frame.seq, self.seen_seq);
                return Err(Fault::lost("the runner's frames are out of order").cause(message));
            }
            self.seen_seq += 1;
        }
        Ok(frame)
    }
}

/// The last bytes of a stream, for an error message.
#[derive(Default)]
pub struct Tail(Vec<u8>);

impl Tail {
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let over = self.0.len().saturating_sub(STDERR_KEPT);
        self.0.drain(..over);
    }

    /// Its last line that is not empty.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }
}
