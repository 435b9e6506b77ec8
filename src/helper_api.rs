//! Answers the calls of helpers: HTTP router, tokens, variables.
//!
//! A stub calls through its host's tunnel, with HTTP/1.1 and JSON: the paths, bodies and status
//! codes stand in [`route`] and [`call`]. One that cannot call answers its script from the
//! [`snapshot`] that left with the job, and sends its writes as a [`Journal`]. What a script may do
//! with which variable is the same in both cases and stands in [`access`].
//!
//! Everything that comes in is from a host that may be hostile, or from another user of it who
//! has no token: [`Limits`] says what they may use up.

use std::sync::Arc;

use cronium_wire::manifest::KeyPatterns;
use serde::Serialize;
use serde_json::{Number, Value};

use crate::error::{Error, Result};

mod access;
mod api;
mod artifact_store;
mod body;
mod bucket;
mod call;
mod caller;
mod host;
mod journal;
mod json_size;
mod limits;
mod memory;
mod reply;
mod route;
mod snapshot;
mod stall;
mod strangers;
mod token;
mod warnings;

#[cfg(test)]
mod floods;
#[cfg(test)]
mod http;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tests;

pub use api::{Api, RunContext};
pub use artifact_store::{ArtifactSink, ArtifactStore};
pub use host::HostScope;
pub use journal::{Journal, JournalFault};
pub use limits::Limits;

/// A variable as the API and the ledger see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    pub key: String,
    pub value: Value,
    /// 1 for the first value, one more for each that follows.
    pub version: u64,
    /// Where it was found or written: `run:ID`, `host:NAME`, `group:NAME`, `project:NAME`, `global`.
    pub scope: String,
}

/// A variable without its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    pub key: String,
    pub version: u64,
    pub scope: String,
    /// Whether it is sealed where it is kept: scripts may read it, but it goes nowhere unasked.
    #[serde(skip)]
    pub secret: bool,
}

/// A write, as a helper asks for it. `scope` is one of the scopes in sight; without one, the
/// nearest that has the key, else the widest.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub key: String,
    pub scope: Option<String>,
    pub act: Act,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Set {
        value: Value,
        if_version: Option<u64>,
        /// The id of an earlier write of the same host in the same run: the variable must be as
        /// that write left it, and `if_version` does not count.
        after: Option<String>,
    },
    Remove,
    /// Adds to a number; a key that is not there counts as 0.
    Increment {
        by: Number,
    },
}

/// Who writes, for the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Author {
    pub run: String,
    pub host: String,
    /// A write with an id that this host has used in this run is answered as it was the first
    /// time, also where it was refused, and not made again.
    pub write: Option<String>,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// The variable as it is now. After a removal: null, version 0.
    Done(Variable),
    /// `ifVersion` named another version than `current` (0: the key is not there).
    Conflict { current: u64 },
    /// The variable is not as the write named by `after` left it, which was not even made where
    /// `made` is false. Its version is `current` (0: the key is not there).
    NotAfter { made: bool, current: u64 },
    /// Nothing to remove.
    Missing,
    /// An increment of what is no number, or beyond what a number can hold. One sentence, without
    /// values: they may be secret.
    NoNumber { reason: String },
}

/// Where variables live. Calls block for as long as a disk takes; each is atomic, over all hosts
/// of all runs that share the store.
pub trait VariableStore: Send + Sync {
    /// From the nearest of `scopes` that has it; they are given nearest first.
    fn get(&self, scopes: &[String], key: &str) -> Result<Option<Variable>>;
    fn write(&self, scopes: &[String], change: Change, by: Author) -> Result<Written>;
    /// Every key in sight once, where it is nearest, by key.
    fn list(&self, scopes: &[String]) -> Result<Vec<Listed>>;

    /// Every variable in sight with its value, once, where it is nearest, by key: those whose keys
    /// match `only`, or, where there is `None`, all that are no secrets. Stops before the first with
    /// which they would take more than `max_bytes`, by [`Variable::bytes`]. A secret that does not
    /// open is left out.
    ///
    /// It is called for each host that starts, so a store should read no more than what it gives,
    /// and as little as possible where there is nothing.
    fn read_all(&self, scopes: &[String], only: Option<&KeyPatterns>, max_bytes: usize) -> Result<Bulk> {
        let mut bulk = Bulk { variables: Vec::new(), complete: true, withheld: 0, unopened: Vec::new() };
        let mut left = max_bytes;
        for listed in self.list(scopes)? {
            if only.is_some_and(|patterns| !patterns.match_key(&listed.key)) {
                continue;
            }
            if listed.secret && only.is_none() {
                bulk.withheld += 1;
                continue;
            }
            let variable = match self.get(scopes, &listed.key) {
                Ok(Some(variable)) => variable,
                // Gone since it was listed.
                Ok(None) => continue,
                Err(error) if listed.secret => {
                    bulk.withheld += 1;
                    bulk.unopened.push(sentence(&error));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(rest) = left.checked_sub(variable.bytes()) else {
                bulk.complete = false;
                break;
            };
            left = rest;
            bulk.variables.push(variable);
        }
        Ok(bulk)
    }
}

/// What [`VariableStore::read_all`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    /// By key.
    pub variables: Vec<Variable>,
    /// Whether nothing was left out for want of room.
    pub complete: bool,
    /// Secrets that were left out: of those that nobody named, all.
    pub withheld: usize,
    /// Why some of these did not open, a sentence each.
    pub unopened: Vec<String>,
}

/// The error in one line, for an operator.
fn sentence(Error { message, causes, hints, .. }: &Error) -> String {
    let parts = [message].into_iter().chain(causes).chain(hints);
    parts.map(String::as_str).collect::<Vec<_>>().join(": ")
}

impl Variable {
    /// What it counts in bulk: bytes of its key, its scope and its value's JSON text, and 64 for
    /// what is around them.
    pub fn bytes(&self) -> usize {
        Self::bytes_of(&self.key, &self.scope, json_size::json_size(&self.value))
    }

    /// The same, of one whose value is only known by the bytes of its JSON text.
    pub fn bytes_of(key: &str, scope: &str, json_bytes: usize) -> usize {
        64 + key.len() + scope.len() + json_bytes
    }
}

/// Shared by the tunnels of all hosts of a run.
pub type Variables = Arc<dyn VariableStore>;
