//! The writes of a host that answered its script by itself, made here as they come in: the
//! operator's side of bundled mode.

use std::fmt;
use std::mem;
use std::sync::Arc;

use cronium_wire::message::{Op, Write};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::access::{check_key, is_write_id, scope_of, write};
use super::api::Api;
use super::host::Host;
use super::json_size::{json_size, parsed_size};
use super::memory::SMALL;
use super::reply::Refusal;
use super::{Act, Change};

#[cfg(test)]
mod tests;

/// What a line has around its value: id, key, scope, names.
const AROUND_VALUE: usize = 8 << 10;

/// Refused writes of a host that are kept; of more we know how many.
const MAX_CONFLICTS: usize = 100;

/// Bytes of a text of the host that we repeat.
const MAX_SHOWN: usize = 512;

/// The journal of one conversation with a host: JSON lines of [`Write`], cut anywhere.
#[derive(Default)]
pub struct Journal {
    /// A line that is not over yet.
    pending: Vec<u8>,
    long: Option<Long>,
    conflicts: Conflicts,
}

/// While the pending line is long.
struct Long {
    /// The leave for it.
    _permit: OwnedSemaphorePermit,
    /// When more of it must have come.
    next: Instant,
    /// When it must be over.
    end: Instant,
}

/// The host breaks the protocol, or takes too long: the conversation is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalFault {
    Malformed { reason: String },
    TooLong { limit: usize },
    TooSlow,
    Failed,
}

impl fmt::Display for JournalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { reason } => write!(f, "the host's journal holds what is no write: {reason}"),
            Self::TooLong { limit } => {
                write!(f, "the host's journal holds a line of more than {limit} bytes")
            }
            Self::TooSlow => write!(f, "a line of the host's journal did not end in time"),
            Self::Failed => write!(f, "the host's journal could not be worked on"),
        }
    }
}

impl std::error::Error for JournalFault {}

impl Journal {
    /// Takes the next bytes, makes the writes that they complete, in order, and returns when these
    /// are in the store. Not to be dropped half way: writes would be lost. No byte is to be pushed
    /// after a fault.
    pub async fn push(&mut self, api: &Arc<Api>, host: &str, bytes: &[u8]) -> Result<(), JournalFault> {
        let Some(host) = api.host(host) else { return Err(JournalFault::Failed) };
        // In pieces, so that what goes to the other thread is a copy of little.
        for piece in bytes.chunks(SMALL) {
            let whole = piece.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
            let (whole, rest) = piece.split_at(whole);
            if !whole.is_empty() {
                self.append(api, whole).await?;
                self.make(api, &host).await?;
            }
            self.append(api, rest).await?;
        }
        Ok(())
    }

    /// When more of the line that has begun must have come, if it must: whoever waits for the host's
    /// next message then gives up with [`JournalFault::TooSlow`], for it holds what others wait for.
    /// Every byte of it renews that, up to the most that a line may take.
    pub fn deadline(&self) -> Option<Instant> {
        self.long.as_ref().map(|long| long.next.min(long.end))
    }

    /// Whether a line has begun and not ended.
    pub fn is_partial(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes the writes that were refused: key and reason, in order. The first hundred; one more
    /// entry, without a key, says how many others there were, and one that the last is incomplete.
    pub fn conflicts(&mut self) -> Vec<(String, String)> {
        let Conflicts { mut kept, more } = mem::take(&mut self.conflicts);
        if more > 0 {
            kept.push((String::new(), format!("{more} more writes were refused")));
        }
        if !self.pending.is_empty() {
            kept.push((String::new(), "the last write did not arrive whole".to_owned()));
        }
        kept
    }

    /// Adds to the pending line, which `bytes` may end.
    async fn append(&mut self, api: &Api, bytes: &[u8]) -> Result<(), JournalFault> {
        let more = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (length, limit) = (self.pending.len() + more, api.limits.body_bytes + AROUND_VALUE);
        if length > limit {
            return Err(JournalFault::TooLong { limit });
        }
        if length > SMALL && self.long.is_none() {
            let permit = Arc::clone(&api.journal_lines).acquire_owned().await;
            let permit = permit.map_err(|_| JournalFault::Failed)?;
            let (now, limits) = (Instant::now(), &api.limits);
            let (next, end) = (now + limits.journal_timeout, now + limits.journal_line_timeout);
            self.long = Some(Long { _permit: permit, next, end });
        }
        let now = Instant::now();
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(JournalFault::TooSlow);
        }
        if let Some(long) = self.long.as_mut().filter(|_| !bytes.is_empty()) {
            long.next = now + api.limits.journal_timeout;
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes the writes of all pending lines.
    async fn make(&mut self, api: &Arc<Api>, host: &Arc<Host>) -> Result<(), JournalFault> {
        let lines = mem::take(&mut self.pending);
        let mut conflicts = mem::take(&mut self.conflicts);
        let host = Arc::clone(host);
        // Values of two lines are never in memory together, and those of a line that is too large
        // never.
        let largest = lines.split(|byte| *byte == b'\n').map(parsed_size).max().unwrap_or(0);
        let memory = largest.min(api.limits.value_memory);
        let made = api.blocking(memory, move |api| {
            let made = lines
                .split_inclusive(|byte| *byte == b'\n')
                .try_for_each(|line| make_line(api, &host, line.trim_ascii_end(), &mut conflicts));
            (conflicts, made)
        });
        let made = made.await;
        self.long = None;
        let (conflicts, made) = made.ok_or(JournalFault::Failed)?;
        self.conflicts = conflicts;
        made
    }
}

/// Refused writes; see [`Journal::conflicts`].
#[derive(Default)]
struct Conflicts {
    kept: Vec<(String, String)>,
    more: u64,
}

impl Conflicts {
    fn add(&mut self, key: &str, reason: String) {
        match self.kept.len() {
            ..MAX_CONFLICTS => self.kept.push((shown(key), reason)),
            _ => self.more += 1,
        }
    }
}

fn make_line(api: &Api, host: &Host, line: &[u8], conflicts: &mut Conflicts) -> Result<(), JournalFault> {
    let malformed =
        |reason: &dyn fmt::Display| JournalFault::Malformed { reason: shown(&reason.to_string()) };
    let memory = parsed_size(line);
    if memory > api.limits.value_memory {
        let head: Head = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
        let limit = api.limits.value_memory >> 20;
        conflicts
            .add(head.op.key(), format!("parsed, its value takes {} MiB, more than {limit}", memory >> 20));
        return Ok(());
    }
    let write: Write = match serde_json::from_slice(line) {
        Ok(write) => write,
        // A value may be nested deeper than we read: that is the script's doing, not the stub's.
        Err(error) => {
            let head: Head = serde_json::from_slice(line).map_err(|_| malformed(&error))?;
            conflicts.add(head.op.key(), format!("its value cannot be read: {}", shown(&error.to_string())));
            return Ok(());
        }
    };
    if !is_write_id(&write.id) {
        return Err(malformed(&"an id that is not 1 to 64 of A-Z a-z 0-9 - _ ."));
    }
    let (key, change) = match write.op {
        Op::Output { value } => {
            match check_size(api, &value) {
                Ok(()) => host.set_output(value.to_string().into(), Some(&write.id)),
                Err(refusal) => conflicts.add("output", refusal.into_reason()),
            }
            return Ok(());
        }
        Op::Set { key, value, if_version, scope, after } => {
            (key, Asked { scope, act: Act::Set { value, if_version, after } })
        }
        Op::Unset { key, scope } => (key, Asked { scope, act: Act::Remove }),
        Op::Increment { key, by, scope } => (key, Asked { scope, act: Act::Increment { by } }),
    };
    match change.make(api, host, &key, write.id) {
        // Removed by somebody else before: it is gone, as the script wanted.
        Err(refusal) if refusal.status() != 404 => conflicts.add(&key, refusal.into_reason()),
        _ => {}
    }
    Ok(())
}

/// A write as the script asked for it.
struct Asked {
    /// `run`, `host`, `project` or `global`.
    scope: Option<String>,
    act: Act,
}

impl Asked {
    fn make(self, api: &Api, host: &Host, key: &str, id: String) -> Result<(), Refusal> {
        check_key(key)?;
        if let Act::Set { value, .. } = &self.act {
            check_size(api, value)?;
        }
        let scope = self.scope.map(|kind| scope_of(&host.scope, &kind)).transpose()?;
        let change = Change { key: key.to_owned(), scope, act: self.act };
        write(api, &host.scope, change, Some(id)).map(drop)
    }
}

fn check_size(api: &Api, value: &serde_json::Value) -> Result<(), Refusal> {
    let limit = api.limits.body_bytes;
    match json_size(value) > limit {
        true => Err(Refusal::new(413, format!("its value is larger than {limit} bytes"))),
        false => Ok(()),
    }
}

/// Not more of a host's text than people can read.
fn shown(text: &str) -> String {
    match text.len() > MAX_SHOWN {
        true => format!("{}…", &text[..text.floor_char_boundary(MAX_SHOWN)]),
        false => text.to_owned(),
    }
}

/// A [`Write`] without its value, which is skipped however deep it is.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "id")]
    _id: String,
    op: HeadOp,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum HeadOp {
    Output {
        #[serde(rename = "value")]
        _value: IgnoredAny,
    },
    Set {
        key: String,
        #[serde(rename = "value")]
        _value: IgnoredAny,
    },
}

impl HeadOp {
    fn key(&self) -> &str {
        match self {
            Self::Output { .. } => "output",
            Self::Set { key, .. } => key,
        }
    }
}
