//! What a write does while the operator cannot be asked.

use cronium_wire::message::Op;
use cronium_wire::number;
use serde_json::{Number, Value};

use super::document;
use super::known::{Held, Known, Level};
use crate::helper_call::Reply;

pub struct Effect {
    key: String,
    level: usize,
    now: Level,
    /// It named no scope.
    nearest: bool,
}

impl Effect {
    /// `None` for the output, which is kept elsewhere; an error as the operator would say it. A
    /// compare-and-set against a version that we made ourselves is made to name the write that made
    /// it: the operator counts on from what it has.
    pub fn of(known: &Known, op: &mut Op, id: &str, named: Option<usize>) -> Result<Option<Self>, Reply> {
        let key = match op {
            Op::Output { .. } => return Ok(None),
            Op::Set { key, .. } | Op::Unset { key, .. } | Op::Increment { key, .. } => key.clone(),
        };
        let level = named.unwrap_or_else(|| known.target(&key));
        let (_, before) = known.get(&key, Some(level));
        let is = |text: String, version: u64| Level::Is(Held { text, version, made_by: Some(id.to_owned()) });
        let now = match op {
            Op::Output { .. } => return Ok(None),
            Op::Set { value, if_version, after, .. } => {
                let version = match (&before, *if_version) {
                    (Level::Is(held), Some(wanted)) if held.version != wanted => {
                        return Err(conflict(held.version));
                    }
                    (Level::Absent(_), Some(1..)) => return Err(conflict(0)),
                    (Level::Is(held), Some(_)) if held.made_by.is_some() => {
                        (*if_version, *after) = (None, held.made_by.clone());
                        held.version + 1
                    }
                    (Level::Is(Held { version, .. }) | Level::Absent(version), _) => version + 1,
                    (Level::Unknown, wanted) => wanted.unwrap_or(0) + 1,
                };
                is(value.to_string(), version)
            }
            Op::Increment { by, .. } => match sum(&before, &key, by)? {
                Some((sum, version)) => is(sum.to_string(), version),
                // It is added at the operator; what it makes is not known here.
                None => Level::Unknown,
            },
            Op::Unset { .. } => match before {
                Level::Absent(_) => return Err(Reply::error(404, format!("no variable {key}"))),
                Level::Is(held) => Level::Absent(held.version),
                Level::Unknown => Level::Absent(0),
            },
        };
        Ok(Some(Self { key, level, now, nearest: named.is_none() }))
    }

    /// Makes it known; what the script is told. What it may not read, it is not told.
    pub fn take(self, known: &mut Known, readable: bool) -> Reply {
        let Self { key, level, now, nearest } = self;
        let (value, version) = match &now {
            Level::Is(held) => (held.value(), held.version),
            _ => (Value::Null, 0),
        };
        let value = if readable { value } else { Value::Null };
        let data = document(&key, value, version, known.scope(level));
        known.wrote(&key, level, now, nearest);
        Reply::ok(data)
    }
}

/// The new number and version; `None` where the old one is not known.
fn sum(before: &Level, key: &str, by: &Number) -> Result<Option<(Number, u64)>, Reply> {
    let held = match before {
        Level::Unknown => return Ok(None),
        Level::Absent(version) => return Ok(Some((by.clone(), version + 1))),
        Level::Is(held) => held,
    };
    let refused = |why: &str| Reply::error(400, format!("the variable '{key}' {why}"));
    let Value::Number(number) = held.value() else { return Err(refused("is no number")) };
    let sum = number::add(&number, by).ok_or_else(|| refused("cannot hold the sum"))?;
    Ok(Some((sum, held.version + 1)))
}

fn conflict(current: u64) -> Reply {
    let error = match current {
        0 => "the variable does not exist".to_owned(),
        current => format!("the variable has version {current}"),
    };
    Reply { version: Some(current), ..Reply::error(409, error) }
}
