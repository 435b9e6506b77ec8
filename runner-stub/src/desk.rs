//! Answers the helper calls of a run: from the job, from the operator, or, where the operator
//! cannot be asked, from what is known here (mode `bundled`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cronium_wire::manifest::Helpers;
use cronium_wire::message::{self, FromStub, Job, Mode, Op, Told, Write};
use cronium_wire::number;
use serde_json::{Number, Value, json};

use crate::door::Answer;
use crate::helper_call::{Reply, Request, Scope};
use crate::journal::Journal;
use crate::tunnel::{Call, Tunnel};
use crate::uplink::Uplink;

mod known;

use known::{Held, Known, Level};

/// Bytes of a key, and of a value as JSON: as at the operator.
const MAX_KEY: usize = 512;
const MAX_VALUE: usize = 1 << 20;
/// Bytes of a message, a step or an audience, and of a log's context as JSON.
const MAX_TEXT: usize = 16 << 10;

pub struct Desk {
    /// JSON text of the run's input.
    input: Vec<u8>,
    context: Value,
    helpers: Helpers,
    tunnel: Arc<Tunnel>,
    journal: Journal,
    uplink: Uplink,
    known: Mutex<Known>,
    /// What the run's output is so far; the lock keeps appends in order.
    output: Mutex<Value>,
    /// Ids of writes: unique on the host.
    word: String,
    next: AtomicU64,
    /// Whether there was a call, and whether one was answered from here.
    used: AtomicBool,
    bundled: AtomicBool,
}

impl Desk {
    /// `word`: one that no other run on the host has.
    pub fn new(
        job: &Job,
        input: Vec<u8>,
        helpers: Helpers,
        tunnel: Arc<Tunnel>,
        uplink: Uplink,
        word: String,
    ) -> Self {
        Self {
            input,
            context: job.context.clone(),
            known: Mutex::new(Known::new(job, helpers.clone())),
            helpers,
            tunnel,
            journal: Journal::new(uplink.clone()),
            uplink,
            output: Mutex::new(Value::Null),
            word,
            next: AtomicU64::new(0),
            used: AtomicBool::new(false),
            bundled: AtomicBool::new(false),
        }
    }

    /// Waits until all writes are with the operator. How calls were answered, if there were any.
    pub fn close(&self) -> Option<message::Helpers> {
        self.journal.finish();
        if !self.used.load(Ordering::Relaxed) {
            return None;
        }
        let (mode, reason) = self.tunnel.way();
        let bundled = self.bundled.load(Ordering::Relaxed) || mode == Some(Mode::Bundled);
        let mode = if bundled { Some(Mode::Bundled) } else { mode };
        mode.map(|mode| message::Helpers { mode, reason })
    }

    fn respond(&self, request: Request) -> Result<Reply, Reply> {
        match request {
            Request::Input if self.input.is_empty() => Ok(Reply::ok(Value::Null)),
            Request::Input => serde_json::from_slice(&self.input)
                .map(Reply::ok)
                .map_err(|error| Reply::error(500, format!("the run's input is damaged: {error}"))),
            Request::Event => Ok(Reply::ok(self.context.clone())),
            Request::Output { value, append } => Ok(self.output(value, append)),
            Request::GetVariable { key, scope } => self.get(&key, scope),
            Request::Variables => Ok(self.list()),
            Request::SetVariable { key, value, if_version, scope } => {
                let scope = scope.map(Scope::name);
                self.write(Op::Set { key, value, if_version, scope, after: None })
            }
            Request::Increment { key, by, scope } => {
                self.write(Op::Increment { key, by, scope: scope.map(Scope::name) })
            }
            Request::Unset { key, scope } => self.write(Op::Unset { key, scope: scope.map(Scope::name) }),
            Request::Condition { condition } => self.tell(Told::Condition { condition }),
            Request::Log { level, message, context } => {
                short("the level", &level, 64)?;
                short("the message", &message, MAX_TEXT)?;
                short("the context", &context.to_string(), MAX_TEXT)?;
                self.tell(Told::Log { level, message, context })
            }
            Request::Progress { percent, step } => {
                short("the step", step.as_deref().unwrap_or_default(), MAX_TEXT)?;
                match (0.0..=100.0).contains(&percent) {
                    true => self.tell(Told::Progress { percent, step }),
                    false => Err(Reply::error(400, format!("{percent} is not from 0 to 100"))),
                }
            }
            Request::Notify { audience, message } => {
                short("the audience", &audience, 256)?;
                short("the message", &message, MAX_TEXT)?;
                self.tell(Told::Notify { audience, message })
            }
        }
    }

    fn tell(&self, told: Told) -> Result<Reply, Reply> {
        match self.uplink.send(&FromStub::Told(told)) {
            Ok(()) => Ok(Reply::ok(Value::Null)),
            Err(error) => Err(Reply::error(503, format!("the operator is gone: {error}"))),
        }
    }

    fn output(&self, value: Value, append: bool) -> Reply {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let value = if append { appended(output.clone(), value) } else { value };
        let reply = self.write(Op::Output { value: value.clone() }).unwrap_or_else(|refusal| refusal);
        // What was refused may be tried again, and must not stand there twice then.
        if reply.is_ok() {
            *output = value;
        }
        reply
    }

    fn get(&self, key: &str, scope: Option<Scope>) -> Result<Reply, Reply> {
        valid(key)?;
        if !self.helpers.may_read(key) {
            return Err(forbidden("read", key));
        }
        if let Some(reply) = self.tunnel.call(&Call::get(key, scope)) {
            let mut known = self.known();
            match reply.status {
                200 => found(&mut known, key, scope, &reply.data),
                404 => known.missing(key, scope),
                _ => {}
            }
            return Ok(reply);
        }
        self.bundled.store(true, Ordering::Relaxed);
        match self.known().get(key, scope) {
            Level::Is(held) => Ok(Reply::ok(document(key, &held))),
            Level::Absent => Err(Reply::error(404, format!("no variable {key}"))),
            Level::Unknown => Err(Reply::error(
                503,
                format!(
                    "the operator cannot be asked, and the job brought no value of '{key}': name it in the \
                     manifest, helpers: {{read: [{key}]}}"
                ),
            )),
        }
    }

    fn list(&self) -> Reply {
        if let Some(reply) = self.tunnel.call(&Call::list()) {
            return reply;
        }
        self.bundled.store(true, Ordering::Relaxed);
        let known = self.known();
        let all = known.list().into_iter();
        let listed = all
            .filter(|(key, _)| self.helpers.may_read(key))
            .map(|(key, held)| json!({"key": key, "version": held.version, "scope": held.scope}));
        let listed: Vec<Value> = listed.collect();
        match known.is_complete() {
            true => Reply::ok(listed.into()),
            false => {
                Reply::error(503, "the operator cannot be asked, and the job brought only some variables")
            }
        }
    }

    fn write(&self, op: Op) -> Result<Reply, Reply> {
        if let Op::Set { key, .. } | Op::Unset { key, .. } | Op::Increment { key, .. } = &op {
            valid(key)?;
            if !self.helpers.may_write(key) {
                return Err(forbidden("write", key));
            }
        }
        let id = format!("{}-{}", self.word, self.next.fetch_add(1, Ordering::Relaxed));
        let call = Call::write(&op, &id);
        // As the operator would say of its body.
        if call.body.as_ref().is_some_and(|body| body.len() > MAX_VALUE) {
            return Err(Reply::error(
                413,
                format!("the value takes more than {} KiB as JSON", MAX_VALUE >> 10),
            ));
        }
        if let Some(reply) = self.tunnel.call(&call) {
            self.remember(&op, &reply);
            return Ok(reply);
        }
        self.bundled.store(true, Ordering::Relaxed);
        // Held until the write stands in the journal: what is known here and what the operator
        // will make of the journal have one order.
        let mut known = self.known();
        let (effect, reply) = effect(&known, &op)?;
        self.journal.push(&Write { id, op: op.clone() }).map_err(|_| {
            Reply::error(503, "the operator cannot be reached, and too much waits for it already")
        })?;
        if let Some((key, level, now, nearest)) = effect {
            known.wrote(&key, level, now, nearest);
        }
        Ok(reply)
    }

    /// Takes over what the operator has answered to a write, for the time it cannot be asked.
    fn remember(&self, op: &Op, reply: &Reply) {
        let mut known = self.known();
        match op {
            Op::Set { key, scope, .. } | Op::Increment { key, scope, .. } if reply.is_ok() => {
                let asked = scope.as_deref().and_then(Scope::from_name);
                found(&mut known, key, asked, &reply.data);
            }
            Op::Unset { key, scope } if reply.is_ok() => {
                let scope = scope.as_deref().and_then(Scope::from_name);
                let level = known.target(key, scope);
                known.wrote(key, level, Level::Absent, scope.is_none());
            }
            _ => {}
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer for Desk {
    fn answer(&self, request: Request) -> Reply {
        self.used.store(true, Ordering::Relaxed);
        self.respond(request).unwrap_or_else(|refusal| refusal)
    }
}

/// Key, level, what stands there from now on, and whether no scope was named.
type Effect = (String, usize, Level, bool);

/// What a write does to what is known here, and what the script is told.
fn effect(known: &Known, op: &Op) -> Result<(Option<Effect>, Reply), Reply> {
    let (key, scope) = match op {
        Op::Output { .. } => return Ok((None, Reply::ok(Value::Null))),
        Op::Set { key, scope, .. } | Op::Unset { key, scope } | Op::Increment { key, scope, .. } => {
            (key, scope.as_deref().and_then(Scope::from_name))
        }
    };
    let level = known.target(key, scope);
    let before = known.at(key, level);
    let held = |text: String, version: u64| {
        let scope = match &before {
            Level::Is(before) => before.scope.clone(),
            _ => known.scope_name(level),
        };
        Held { text, version, scope }
    };
    let now = match op {
        Op::Output { .. } => return Ok((None, Reply::ok(Value::Null))),
        Op::Set { value, if_version, .. } => {
            let version = match (&before, if_version) {
                (Level::Is(Held { version, .. }), Some(wanted)) if version != wanted => {
                    return Err(conflict(*version));
                }
                (Level::Absent, Some(1..)) => return Err(conflict(0)),
                (Level::Is(Held { version, .. }), _) => version + 1,
                (_, wanted) => wanted.unwrap_or(0) + 1,
            };
            Level::Is(held(value.to_string(), version))
        }
        Op::Increment { by, .. } => match sum(&before, key, by)? {
            Some((sum, version)) => Level::Is(held(sum.to_string(), version)),
            // It is added at the operator; what it makes is not known here.
            None => Level::Unknown,
        },
        Op::Unset { .. } => match before {
            Level::Absent => return Err(Reply::error(404, format!("no variable {key}"))),
            _ => Level::Absent,
        },
    };
    let data = match &now {
        Level::Is(held) => document(key, held),
        _ => json!({"key": key, "value": null, "version": 0, "scope": known.scope_name(level)}),
    };
    Ok((Some((key.clone(), level, now, scope.is_none())), Reply::ok(data)))
}

/// The new number and version; `None` where the old one is not known.
fn sum(before: &Level, key: &str, by: &Number) -> Result<Option<(Number, u64)>, Reply> {
    let held = match before {
        Level::Unknown => return Ok(None),
        Level::Absent => return Ok(Some((by.clone(), 1))),
        Level::Is(held) => held,
    };
    let Value::Number(number) = held.value() else {
        return Err(Reply::error(400, format!("the variable '{key}' is no number")));
    };
    let sum = number::add(&number, by);
    let sum = sum.ok_or_else(|| Reply::error(400, format!("the variable '{key}' cannot hold the sum")))?;
    Ok(Some((sum, held.version + 1)))
}

/// Takes over `{key, value, version, scope}` of an answer.
fn found(known: &mut Known, key: &str, asked: Option<Scope>, data: &Value) {
    let (version, scope) = (data["version"].as_u64(), data["scope"].as_str());
    known.found(key, asked, &data["value"], version.unwrap_or(0), scope.unwrap_or("global"));
}

fn document(key: &str, held: &Held) -> Value {
    json!({"key": key, "value": held.value(), "version": held.version, "scope": held.scope})
}

fn appended(before: Value, value: Value) -> Value {
    match before {
        Value::Null => json!([value]),
        Value::Array(mut list) => {
            list.push(value);
            Value::Array(list)
        }
        single => json!([single, value]),
    }
}

fn valid(key: &str) -> Result<(), Reply> {
    let fault = match key.len() {
        0 => "the key is empty",
        1..=MAX_KEY if key.contains(char::is_control) => "the key holds a control character",
        1..=MAX_KEY => return Ok(()),
        _ => "the key is longer than 512 bytes",
    };
    Err(Reply::error(400, fault))
}

fn short(what: &str, text: &str, max: usize) -> Result<(), Reply> {
    match text.len() > max {
        true => Err(Reply::error(413, format!("{what} takes more than {max} bytes"))),
        false => Ok(()),
    }
}

fn conflict(current: u64) -> Reply {
    let error = match current {
        0 => "the variable does not exist".to_owned(),
        current => format!("the variable has version {current}"),
    };
    Reply { version: Some(current), ..Reply::error(409, error) }
}

/// In the operator's words.
fn forbidden(verb: &str, key: &str) -> Reply {
    let message = format!("this payload may not {verb} {key}: add it to helpers.{verb} in its manifest.yaml");
    Reply::error(403, message)
}

#[cfg(test)]
mod tests;
