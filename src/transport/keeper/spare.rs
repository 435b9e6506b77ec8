//! A program that was started on a host for whoever comes next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::transport::inbox::Piece;
use crate::transport::ssh::{Connection, Exec};

/// A runner says hello in some hundred bytes; a message of the day may come before it.
const MOST: usize = 64 << 10;

pub struct Spare {
    command: String,
    has_spoken: Arc<AtomicBool>,
    hand_over: oneshot::Sender<()>,
    held: JoinHandle<Option<Started>>,
}

/// A program that runs, with what it has said so far.
pub struct Started {
    pub exec: Exec,
    pub said: Vec<Piece>,
}

impl Spare {
    /// Starts `command` and hears it, since what is not read holds up the whole connection.
    pub fn start(connection: Arc<Connection>, command: String) -> Self {
        let (hand_over, mut asked) = oneshot::channel();
        let has_spoken = Arc::<AtomicBool>::default();
        let speaks = Arc::clone(&has_spoken);
        let line = command.clone();
        let held = tokio::spawn(async move {
            let mut exec = connection.exec(&line, false).await.ok()?;
            let (mut said, mut bytes) = (Vec::new(), 0);
            loop {
                let piece = tokio::select! {
                    biased;
                    // An error means that it is not wanted any more.
                    asked = &mut asked => return asked.is_ok().then_some(Started { exec, said }),
                    piece = exec.read() => piece,
                };
                match &piece {
                    Piece::Stdout(data) | Piece::Stderr(data) => bytes += data.len(),
                    Piece::Ended(_) | Piece::Lost => return None,
                }
                if bytes > MOST {
                    return None;
                }
                said.push(piece);
                speaks.store(true, Ordering::Relaxed);
            }
        });
        Self { command, has_spoken, hand_over, held }
    }

    pub fn runs(&self) -> bool {
        !self.held.is_finished()
    }

    /// Whether it runs and has said something: a runner says hello.
    pub fn is_ready(&self) -> bool {
        self.runs() && self.has_spoken.load(Ordering::Relaxed)
    }

    /// The program, if it is the one that is wanted and still runs.
    pub async fn take(self, command: &str) -> Option<Started> {
        if self.command != command {
            return None;
        }
        self.hand_over.send(()).ok()?;
        self.held.await.ok()?
    }
}
