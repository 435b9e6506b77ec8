//! What the operator must be told of the run's variables.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// More are not told: the first say what is wrong.
const MAX: usize = 32;

/// Each sentence counts once in a run, however many hosts come upon it.
#[derive(Default)]
pub struct Warnings(Mutex<State>);

#[derive(Default)]
struct State {
    seen: HashSet<String>,
    /// Not taken yet, in order.
    new: Vec<String>,
}

impl Warnings {
    pub fn add(&self, message: String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen.len() < MAX && state.seen.insert(message.clone()) {
            tracing::warn!("{message}");
            state.new.push(message);
        }
    }

    pub fn take(&self) -> Vec<String> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).new)
    }
}
