//! Answers the calls of helpers: HTTP router, tokens, variables.
//!
//! A stub calls through its host's tunnel, with HTTP/1.1 and JSON: the paths, bodies and status
//! codes stand in [`route`] and [`call`]. Everything that comes in is from a host that may be
//! hostile: [`Limits`] says what it may use up.

use std::sync::Arc;

use serde_json::Value;

use crate::error::Result;

mod api;
mod body;
mod bucket;
mod call;
mod host;
mod limits;
mod reply;
mod route;
mod stall;
mod token;

#[cfg(test)]
mod floods;
#[cfg(test)]
mod http;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tests;

pub use api::{Api, RunContext};
pub use host::HostScope;
pub use limits::Limits;

/// A variable as the API and the ledger see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    pub key: String,
    pub value: Value,
    /// 1 for the first value, one more for each that follows.
    pub version: u64,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    Done(Variable),
    /// `ifVersion` named another version than `current` (0: the key is not there).
    Conflict {
        current: u64,
    },
}

/// Where variables live. Calls block for as long as a disk takes; each is atomic, over all hosts
/// of all runs that share the store.
pub trait VariableStore: Send + Sync {
    fn get(&self, scope: &str, key: &str) -> Result<Option<Variable>>;
    /// `by` says who, for the history: run and host.
    fn set(
        &self,
        scope: &str,
        key: &str,
        value: &Value,
        if_version: Option<u64>,
        by: &str,
    ) -> Result<Written>;
    /// Whether there was something to remove.
    fn remove(&self, scope: &str, key: &str, by: &str) -> Result<bool>;
}

/// Shared by the tunnels of all hosts of a run.
pub type Variables = Arc<dyn VariableStore>;
