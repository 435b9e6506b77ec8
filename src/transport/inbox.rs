//! What comes from a host, heard also while something is sent to it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;

use bytes::Bytes;

/// Pieces that are kept while a message is on its way out. A host that says more instead of
/// reading is not heard further until it reads.
const KEPT: usize = 64;

/// Something that came from the other end.
pub enum Piece {
    Stdout(Bytes),
    Stderr(Bytes),
    /// The program ended; its exit code where it is known.
    Ended(Option<u32>),
    /// The connection is gone, without a word of the program's end.
    Lost,
}

/// The receiving half of a carrier.
pub trait Hear {
    /// Waits for the next piece. Safe to drop and call again.
    fn hear(&mut self) -> impl Future<Output = Piece> + Send;
}

pub struct Inbox<H> {
    host: H,
    early: VecDeque<Piece>,
}

impl<H: Hear> Inbox<H> {
    pub fn new(host: H) -> Self {
        Self { host, early: VecDeque::new() }
    }

    /// The next piece. Safe to drop and call again.
    pub async fn read(&mut self) -> Piece {
        match self.early.pop_front() {
            Some(piece) => piece,
            None => self.host.hear().await,
        }
    }

    /// Waits for `sending`, keeping what comes meanwhile: a program that ends instead of reading
    /// would else be waited for in vain, and its last words never heard. Whether all was sent.
    pub async fn while_sending<E>(&mut self, sending: impl Future<Output = Result<(), E>>) -> bool {
        let mut sending = pin!(sending);
        loop {
            tokio::select! {
                biased;
                // A failure is told better by what is read next: the end, or words before it.
                sent = &mut sending => return sent.is_ok(),
                piece = self.host.hear(), if self.early.len() < KEPT => {
                    let over = matches!(piece, Piece::Ended(_) | Piece::Lost);
                    self.early.push_back(piece);
                    if over {
                        return false;
                    }
                }
            }
        }
    }
}
