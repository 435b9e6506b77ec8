//! Between two batches.

use std::collections::BTreeMap;
use std::pin::Pin;

use serde::Serialize;

use crate::event::Outcome;

/// How far a run is when a batch is over and another waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub run: String,
    /// The batch that is over, from 1.
    pub batch: usize,
    pub batches: usize,
    /// Whether it was that of `--canary`.
    pub canary: bool,
    /// Its hosts.
    pub hosts: Vec<Ended>,
    /// All hosts of the run.
    pub total: usize,
    /// Hosts that have not started.
    pub left: usize,
    /// How many hosts of the run ended in each way so far; an outcome nobody had is absent.
    pub outcomes: BTreeMap<Outcome, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    pub host: String,
    pub outcome: Outcome,
}

/// Says whether a rollout goes on.
pub trait Gate: Send + Sync {
    /// Dropping the future ends whatever it does: the run is being stopped.
    fn opens<'a>(&'a self, checkpoint: &'a Checkpoint) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}
