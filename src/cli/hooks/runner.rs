use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Waiting, count};
use crate::cli::shell::{Call, Shell, warn};
use crate::term::{Term, visible_line};

/// Failures that are told one by one; the others are counted.
const TOLD: u64 = 10;

/// How it went with all hooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    pub failed: u64,
    /// Ctrl-C or SIGTERM came twice while hooks were waiting.
    pub left: bool,
}

/// Runs calls one after the other.
pub struct Runner {
    term: Term,
    waiting: Arc<Waiting>,
    shell: Shell,
    ended: Ended,
}

impl Runner {
    pub fn new(term: Term, waiting: Arc<Waiting>, longest: Duration) -> Self {
        Self { shell: Shell::new(&term, longest), term, waiting, ended: Ended::default() }
    }

    /// Until the queue is closed and empty, or the operator leaves.
    pub async fn run(mut self, mut calls: mpsc::Receiver<Call>) -> Ended {
        let (leave, mut leaving) = watch::channel(false);
        tokio::spawn(interrupted_twice(leave));
        loop {
            let call = tokio::select! {
                biased;
                () = told(&mut leaving) => break,
                call = calls.recv() => match call {
                    Some(call) => call,
                    None => break,
                },
            };
            let failure = tokio::select! {
                biased;
                () = told(&mut leaving) => Some("left behind by Ctrl-C and killed".to_owned()),
                ended = self.shell.run(&call) => ended.err(),
            };
            self.waiting.remove(&call);
            if let Some(why) = failure {
                self.ended.failed += 1;
                if self.ended.failed <= TOLD {
                    warn(&self.term, &format!("{}: {why}", visible_line(&call.name)));
                }
            }
        }
        if self.ended.failed > TOLD {
            warn(&self.term, &format!("{} more failed", count(self.ended.failed - TOLD)));
        }
        self.leave(calls, *leaving.borrow())
    }

    /// Counts what will not be run any more.
    fn leave(mut self, mut calls: mpsc::Receiver<Call>, interrupted: bool) -> Ended {
        let mut left = 0;
        calls.close();
        while let Ok(call) = calls.try_recv() {
            self.waiting.remove(&call);
            left += 1;
        }
        if left > 0 {
            warn(&self.term, &format!("{} not run: interrupted", count(left)));
        }
        self.ended.left = interrupted && (left > 0 || self.ended.failed > 0);
        self.ended
    }
}

/// Counts Ctrl-C and SIGTERM from the beginning of the run: the first one is for the run.
async fn interrupted_twice(leave: watch::Sender<bool>) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    leave.send_replace(true);
}

async fn told(leaving: &mut watch::Receiver<bool>) {
    // An error means that signals cannot be had.
    if leaving.wait_for(|leave| *leave).await.is_err() {
        std::future::pending().await
    }
}
