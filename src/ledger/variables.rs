use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Number, Value};

use super::fault::Fault;
use super::reader::Reader;
use super::{Ledger, fault};
use crate::error::{Error, Result};

mod answer;
mod bulk;
mod key_file;
pub(super) mod row;
pub(super) mod sealing;
pub(super) mod write;

use bulk::Wanted;
pub use bulk::{Bulk, Unread};
use row::nearest;
use sealing::Keyring;

/// A value that scripts of many runs share, as a script sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// `run:ID`, `host:NAME`, `group:NAME`, `project:NAME` or `global`.
    pub scope: String,
    pub key: String,
    pub value: Value,
    /// 1 for the first value of a key, one more for each that follows, never used again, also
    /// after a removal.
    pub version: u64,
}

/// A variable without its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub scope: String,
    pub key: String,
    pub version: u64,
    pub secret: bool,
}

/// A write as somebody asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub key: String,
    /// `None`: the nearest scope that has the key, else the widest.
    pub scope: Option<String>,
    pub act: Act,
    /// Seals the value. A secret stays one in any case.
    pub secret: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Set {
        value: Value,
        /// The version that the key must have; 0: it must not be there.
        if_version: Option<u64>,
        /// The id of an earlier write by the same host of the same run: the key must be as that
        /// write left it, and `if_version` does not count.
        after: Option<String>,
    },
    Remove,
    /// Adds to a number; a key that is not there counts as 0.
    Increment {
        by: Number,
    },
}

/// Who writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Author {
    Script {
        run: String,
        host: String,
        /// A write with an id is made or refused once in its run and host: whoever repeats it
        /// gets the answer of the first time.
        write: Option<String>,
    },
    /// `user@machine`.
    Operator(String),
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// The variable as it is now. After a removal: null, version 0.
    Done(Variable),
    /// Another version than the one named is `current` (0: the key is not there).
    Conflict { current: u64 },
    /// The key is not as the write named by `after` left it, which was not even made where `made`
    /// is false. Its version is `current` (0: the key is not there).
    NotAfter { made: bool, current: u64 },
    /// Nothing to remove.
    Missing,
    /// An increment of what is no number, or beyond what one can hold. One sentence, without values:
    /// they may be secret.
    NoNumber { reason: String },
}

/// The variables of a ledger, for scripts. Every call is one transaction, atomic also against
/// other processes with the same ledger; writes of many threads share commits. Blocks until it is
/// on disk.
///
/// Scopes are given nearest first: what a narrower one has hides what a wider one has.
#[derive(Clone)]
pub struct Variables {
    ledger: Ledger,
    keyring: Arc<Keyring>,
    /// Reading waits for no writer: each who reads takes one of these, or opens another.
    idle: Arc<Mutex<Vec<Reader>>>,
}

/// How many readers wait for the next call.
const MAX_IDLE: usize = 4;

impl Variables {
    /// `key_file` is read once a secret is met, and made for the ledger's first one.
    pub(super) fn new(ledger: Ledger, key_file: PathBuf) -> Self {
        Self { ledger, keyring: Arc::new(Keyring::new(key_file)), idle: Arc::default() }
    }

    /// From the nearest of `scopes` that has it; secrets are opened.
    pub fn get(&self, scopes: &[String], key: &str) -> Result<Option<Variable>> {
        let found = self.read(|reader| reader.worded(|| nearest(reader.connection(), scopes, key)))?;
        let Some(row) = found else { return Ok(None) };
        let value = row.value(&self.keyring, key).map_err(|fault| self.worded(fault, "read"))?;
        Ok(Some(Variable { scope: row.scope, key: key.to_owned(), value, version: row.version }))
    }

    pub fn write(&self, scopes: &[String], write: Write, by: Author) -> Result<Written> {
        let in_sight = |scope: &String| scopes.contains(scope);
        if scopes.is_empty() || !write.scope.as_ref().is_none_or(in_sight) {
            let scope = write.scope.as_deref().unwrap_or("any");
            return Err(Error::failure(format!("variables of the scope {scope} are out of sight"))
                .hint(format!("the scopes in sight: {}", scopes.join(", "))));
        }
        let (scopes, keyring) = (scopes.to_vec(), self.keyring.clone());
        self.ledger.call(move |connection| write::write(connection, &keyring, &scopes, write, &by))
    }

    /// Every key in sight once, where it is nearest, by key.
    pub fn list(&self, scopes: &[String]) -> Result<Vec<Listed>> {
        self.read(|reader| reader.worded(|| row::in_sight(reader.connection(), scopes)))
    }

    /// The wanted variables of `scopes` with their values, each where it is nearest, by key, in one
    /// state of the ledger. Stops before the first with which they would take more than `max_bytes`.
    ///
    /// Looks only at keys that begin with one of `prefixes`. `size` says how many bytes one counts,
    /// or `None` where its key is not wanted. Reads no value and opens no secret that it does not
    /// give. Without `secrets` it gives none; one that does not open is left out, too.
    pub fn read_all(
        &self,
        scopes: &[String],
        prefixes: &[&str],
        secrets: bool,
        max_bytes: usize,
        size: impl Fn(Unread) -> Option<usize>,
    ) -> Result<Bulk> {
        self.read(|reader| {
            let wanted = Wanted { prefixes, secrets, max_bytes, size: &size };
            reader.worded(|| bulk::read(reader.connection(), &self.keyring, scopes, &wanted))
        })
    }

    fn read<T>(&self, query: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let reader = match taken {
            Some(reader) => reader,
            None => self.ledger.reader()?,
        };
        let answer = query(&reader)?;
        let mut idle = idle();
        if idle.len() < MAX_IDLE {
            idle.push(reader);
        }
        Ok(answer)
    }

    fn worded(&self, fault: fault::Fault, doing: &str) -> Error {
        fault.on(&self.ledger.inner.shared.path, doing)
    }
}

impl Author {
    /// For the history.
    fn text(&self) -> String {
        match self {
            Self::Script { run, host, .. } => format!("run {run} host {host}"),
            Self::Operator(name) => format!("operator {name}"),
        }
    }
}

/// JSON of scopes for SQLite's `json_each`.
fn scopes_json(scopes: &[String]) -> Result<String, Fault> {
    Ok(serde_json::to_string(scopes)?)
}
