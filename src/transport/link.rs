//! Frames to and from a stub, whatever carries them.

use bytes::Bytes;
use cronium_wire::frame::{CHUNK, Decoder, UNNUMBERED};
use cronium_wire::message::{FromStub, Message, ToStub};

use super::inbox::Piece;
use super::keeper::KeptExec;
use super::local::Process;
use super::ssh::Exec;
use super::{Fault, Flight};

/// How much of what a failing start prints is kept for its error message.
const STDERR_KEPT: usize = 2 << 10;
/// Pieces of output are the largest messages of a stub; refusals may quote a few paths.
const MESSAGE_MAX: usize = CHUNK;

/// What carries the bytes.
pub enum Carrier {
    Ssh(Exec),
    Kept(KeptExec),
    Local(Box<Process>),
}

impl Carrier {
    /// Waits for the next piece. Safe to drop and call again.
    pub async fn read(&mut self) -> Piece {
        match self {
            Self::Ssh(exec) => exec.read().await,
            Self::Kept(exec) => exec.read().await,
            Self::Local(process) => process.read().await,
        }
    }

    /// Waits while the other end takes nothing. Whether all was sent; if not, reading tells why.
    pub async fn write(&mut self, bytes: Bytes) -> bool {
        match self {
            Self::Ssh(exec) => exec.write(bytes).await,
            Self::Kept(exec) => exec.write(bytes).await,
            Self::Local(process) => process.write(bytes).await,
        }
    }
}

/// A conversation with a stub that has greeted.
pub struct Link {
    carrier: Carrier,
    decoder: Decoder,
    next_seq: u64,
    /// The number of the next frame that belongs to the run.
    mark: u64,
    stderr: Tail,
}

impl Link {
    /// `behind`: bytes that came behind the greeting; `sent`: frames that are on their way already.
    pub fn new(carrier: Carrier, behind: &[u8], sent: u64, stderr: Tail) -> Self {
        let mut decoder = Decoder::limited(MESSAGE_MAX);
        decoder.push(behind);
        Self { carrier, decoder, next_seq: sent, mark: 0, stderr }
    }

    /// How many frames of the run have come: an [`Attach`](cronium_wire::message::Attach) goes on from
    /// here.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// The run was asked for from its frame `mark` on.
    pub fn resume_at(&mut self, mark: u64) {
        self.mark = mark;
    }

    /// Sends the first messages of the conversation.
    pub async fn send_first(&mut self, first: &Flight) {
        for piece in first.pieces() {
            self.carrier.write(piece).await;
        }
        self.next_seq += first.frames();
    }

    /// Waits while the stub takes nothing. A stub that has ended is told by [`Self::receive`],
    /// with its last words.
    pub async fn send(&mut self, message: &ToStub) {
        let bytes = message.to_frame(self.next_seq);
        self.next_seq += 1;
        self.carrier.write(bytes.into()).await;
    }

    /// The next message. Safe to drop and call again. After the last message the stub ends, so an
    /// end that comes first is a fault.
    pub async fn receive(&mut self) -> Result<FromStub, Fault> {
        loop {
            match self.next_message()? {
                // No news.
                Some(FromStub::Alive) => continue,
                Some(message) => return Ok(message),
                None => {}
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

    /// Waits for the end of the stub, and hears nothing of what it may say before. Whether it ended well.
    pub async fn ended(&mut self) -> bool {
        loop {
            match self.carrier.read().await {
                Piece::Ended(code) => return code == Some(0),
                Piece::Lost => return false,
                Piece::Stdout(_) | Piece::Stderr(_) => {}
            }
        }
    }

    fn next_message(&mut self) -> Result<Option<FromStub>, Fault> {
        let foreign = |error: &dyn std::error::Error| {
            Fault::foreign("the runner speaks another language").because(error)
        };
        let Some(frame) = self.decoder.next().map_err(|error| foreign(&error))? else { return Ok(None) };
        let seq = frame.seq;
        let message = FromStub::decode(frame).map_err(|error| foreign(&error))?;
        let due = if message.is_numbered() { self.mark } else { UNNUMBERED };
        // A host that went down may have lost frames that another operator had seen: the end of the run
        // stands behind those, and nothing between.
        let is_end = matches!(message, FromStub::Finished(_)) && (due..UNNUMBERED).contains(&seq);
        if seq != due && !is_end {
            let message = format!("frame {seq} came where {due} was due");
            return Err(Fault::foreign("the runner's frames are out of order").cause(message));
        }
        if message.is_numbered() {
            self.mark = seq + 1;
        }
        Ok(Some(message))
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

    pub fn all(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// Its last line that is not empty.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }
}
