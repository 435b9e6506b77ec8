//! Answers the helper calls of a run: from the job, from the operator, or, where the operator
//! cannot be asked, from what is known here (mode `bundled`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cronium_wire::manifest::HelperAccess;
use cronium_wire::message::{self, FromStub, Job, MAX_CONTEXT, MAX_TOLD, Message, Mode, Op, Told, Write};
use serde_json::{Value, json};

use crate::door::Answer;
use crate::helper_call::{Reply, Request, Scope};
use crate::journal;
use crate::spool::Unsent;
use crate::tunnel::{Call, Tunnel};
use crate::uplink::Uplink;

mod effect;
mod known;

use effect::Effect;
use known::{Known, Level};

/// Bytes of a key, and of a value as JSON: as at the operator.
const MAX_KEY: usize = 512;
const MAX_VALUE: usize = 1 << 20;
/// Bytes of a message, a step or an audience.
const MAX_TEXT: usize = 16 << 10;

/// Bytes that a run may tell beside its output, and as many of writes: the host keeps them all.
const MAX_SAID: usize = 64 << 20;

pub struct Desk {
    /// JSON text of the run's input.
    input: Vec<u8>,
    context: Value,
    helpers: HelperAccess,
    tunnel: Arc<Tunnel>,
    uplink: Uplink,
    known: Mutex<Known>,
    /// What the run's output is so far; the lock keeps appends in order.
    output: Mutex<Value>,
    said: Mutex<Said>,
    /// Ids of writes: unique on the host.
    word: String,
    next: AtomicU64,
    /// Whether there was a call, and whether one was answered from here.
    used: AtomicBool,
    bundled: AtomicBool,
}

impl Desk {
    /// `word`: one that no other run on the host has. The job's snapshot is taken out of it.
    pub fn new(
        job: &mut Job,
        input: Vec<u8>,
        helpers: HelperAccess,
        tunnel: Arc<Tunnel>,
        uplink: Uplink,
        word: String,
    ) -> Self {
        Self {
            input,
            context: job.context.clone(),
            known: Mutex::new(Known::new(std::mem::take(&mut job.snapshot), &job.scopes, helpers.clone())),
            helpers,
            tunnel,
            uplink,
            output: Mutex::new(Value::Null),
            said: Mutex::default(),
            word,
            next: AtomicU64::new(0),
            used: AtomicBool::new(false),
            bundled: AtomicBool::new(false),
        }
    }

    /// Nothing is told from here on. How calls were answered, if there were any, and what the run's
    /// condition is.
    pub fn close(&self) -> (Option<message::Helpers>, Option<bool>) {
        let mut said = self.said();
        said.is_closed = true;
        if said.unkept > 0 {
            let message = format!("{} messages were not kept, as {}", said.unkept, too_much());
            let _ = self.uplink.send(&FromStub::Warning { message });
        }
        (self.helpers(), said.condition)
    }

    /// What the output was in the end, once more, for an operator who comes late and saw it as a frame
    /// of long ago. For the last word but one: after [`Self::close`], and behind all else.
    pub fn repeat_output(&self) {
        let value = self.output.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !value.is_null() {
            let _ = journal::push(&self.uplink, &Write { id: self.id(), op: Op::Output { value } });
        }
    }

    /// Of a write.
    fn id(&self) -> String {
        format!("{}-{}", self.word, self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn helpers(&self) -> Option<message::Helpers> {
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
            Request::Variables { scope } => self.list(scope),
            Request::SetVariable { key, value, if_version, scope } => {
                let scope = scope.map(Scope::name);
                self.write(Op::Set { key, value, if_version, after: None, scope })
            }
            Request::Increment { key, by, scope } => {
                self.write(Op::Increment { key, by, scope: scope.map(Scope::name) })
            }
            Request::Unset { key, scope } => self.write(Op::Unset { key, scope: scope.map(Scope::name) }),
            Request::Condition { condition } => self.tell(Told::Condition { condition }),
            Request::Log { level, message, context } => {
                short("the level", &level, 64)?;
                short("the message", &message, MAX_TEXT)?;
                let context = if context.is_null() { String::new() } else { context.to_string() };
                short("the context", &context, MAX_CONTEXT)?;
                self.tell(Told::Log { level, message, context })
            }
            Request::Progress { percent, step } => {
                short("the step", step.as_deref().unwrap_or_default(), MAX_TEXT)?;
                match (0.0..=100.0).contains(&percent) {
                    true => self.tell(Told::Progress { percent, step }),
                    false => {
                        // As JSON: what prints it otherwise is 12 kB.
                        let text = Value::from(percent).to_string();
                        let text = text.trim_end_matches(".0");
                        Err(Reply::error(400, format!("{text} is not from 0 to 100")))
                    }
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
        let condition = match told {
            Told::Condition { condition } => Some(condition),
            _ => None,
        };
        let told = FromStub::Told(told);
        // As JSON: an escaped character takes up to six bytes.
        let size = told.encode().1.len();
        if size > MAX_TOLD {
            return Err(Reply::error(413, format!("it takes more than {} KiB as JSON", MAX_TOLD >> 10)));
        }
        let mut said = self.open()?;
        let left = said.told_left.checked_sub(size);
        said.told_left = self.append(&mut said, left, |uplink| uplink.send(&told))?;
        said.condition = condition.or(said.condition);
        Ok(Reply::ok(Value::Null))
    }

    /// Into the journal.
    fn note(&self, write: &Write) -> Result<Reply, Reply> {
        let line = journal::line(write);
        let mut said = self.open()?;
        let left = said.journal_left.checked_sub(line.len());
        said.journal_left = self.append(&mut said, left, |uplink| journal::push_line(uplink, &line))?;
        Ok(Reply::ok(Value::Null))
    }

    /// Unless nothing is told any more: what follows in the spool is no longer the script's.
    fn open(&self) -> Result<MutexGuard<'_, Said>, Reply> {
        match self.said() {
            said if said.is_closed => Err(Reply::error(503, "the script has ended")),
            said => Ok(said),
        }
    }

    /// `left`: how many bytes may follow then; none where it is too much already. That again.
    fn append(
        &self,
        said: &mut Said,
        left: Option<usize>,
        tell: impl FnOnce(&Uplink) -> Result<(), Unsent>,
    ) -> Result<usize, Reply> {
        let Some(left) = left else {
            said.unkept += 1;
            return Err(Reply::error(507, too_much()));
        };
        tell(&self.uplink).map(|()| left).map_err(|Unsent| {
            Reply::error(
                503,
                "the host has no room for what the operator is to be told, and too much waits already",
            )
        })
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
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
        let level = self.level(scope)?;
        if let Some(reply) = self.tunnel.call(&Call::get(key, scope)) {
            self.learn(|known| match reply.status {
                200 => found(known, key, level, &reply.data),
                404 => known.missing(key, level),
                _ => {}
            });
            return Ok(reply);
        }
        self.bundled.store(true, Ordering::Relaxed);
        let known = self.known();
        match known.get(key, level) {
            (at, Level::Is(held)) => {
                let value = held.value();
                Ok(Reply::ok(document(key, value, held.version, known.scope(at))))
            }
            (_, Level::Absent(_)) => Err(Reply::error(404, format!("no variable {key}"))),
            (_, Level::Unknown) => Err(Reply::error(
                503,
                format!(
                    "the operator cannot be asked, and the job brought no value of '{key}': name it in the \
                     manifest, helpers: {{read: [{key}]}}"
                ),
            )),
        }
    }

    fn list(&self, scope: Option<Scope>) -> Result<Reply, Reply> {
        let level = self.level(scope)?;
        if let Some(reply) = self.tunnel.call(&Call::list(scope)) {
            return Ok(reply);
        }
        self.bundled.store(true, Ordering::Relaxed);
        let known = self.known();
        let Some(all) = known.list(level) else {
            let error = "the operator cannot be asked, and the job brought only some variables";
            return Err(Reply::error(503, error));
        };
        let readable = all.into_iter().filter(|(key, ..)| self.helpers.may_read(key));
        let listed = readable
            .map(|(key, at, version)| json!({"key": key, "version": version, "scope": known.scope(at)}));
        Ok(Reply::ok(listed.collect()))
    }

    /// Which level a named scope is; 400 for one that this run does not have.
    fn level(&self, scope: Option<Scope>) -> Result<Option<usize>, Reply> {
        let Some(scope) = scope.map(Scope::name) else { return Ok(None) };
        let level = self.known().level(&scope);
        let missing = || Reply::error(400, format!("this run has no {scope}: exec --{scope} NAME"));
        level.ok_or_else(missing).map(Some)
    }

    /// Takes over what the operator has said, for the time it cannot be asked. Once it could not,
    /// what it still says comes too late.
    fn learn(&self, take: impl FnOnce(&mut Known)) {
        let mut known = self.known();
        if !self.bundled.load(Ordering::Relaxed) {
            take(&mut known);
        }
    }

    fn write(&self, op: Op) -> Result<Reply, Reply> {
        let (key, scope) = key_and_scope(&op);
        if let Some(key) = key {
            valid(key)?;
            if !self.helpers.may_write(key) {
                return Err(forbidden("write", key));
            }
        }
        let level = self.level(scope)?;
        let id = self.id();
        let call = Call::write(&op, &id);
        // As the operator would say of its body.
        if call.body.as_ref().is_some_and(|body| body.len() > MAX_VALUE) {
            return Err(Reply::error(
                413,
                format!("the value takes more than {} KiB as JSON", MAX_VALUE >> 10),
            ));
        }
        // The output has a place of its own in the run's account: it is told in order with the rest, and
        // is there for whoever comes later.
        if let Op::Output { .. } = &op {
            return self.note(&Write { id, op });
        }
        if let Some(reply) = self.tunnel.call(&call) {
            if let Some(key) = key.filter(|_| reply.is_ok()) {
                self.learn(|known| match &op {
                    Op::Unset { .. } => {
                        let at = known.level_of(&reply.data["scope"]).unwrap_or_else(|| known.target(key));
                        known.wrote(key, at, Level::Absent(0), level.is_none());
                    }
                    // The sum is not told to whom may not read it.
                    Op::Increment { .. } if !self.helpers.may_read(key) => {
                        let at = known.level_of(&reply.data["scope"]).unwrap_or_else(|| known.target(key));
                        known.wrote(key, at, Level::Unknown, false);
                    }
                    _ => found(known, key, level, &reply.data),
                });
            }
            return Ok(reply);
        }
        self.answer_alone(op, id, level)
    }

    /// A write while the operator cannot be asked: into the journal.
    fn answer_alone(&self, mut op: Op, id: String, level: Option<usize>) -> Result<Reply, Reply> {
        self.bundled.store(true, Ordering::Relaxed);
        // Held until the write stands in the journal: what is known here and what the operator
        // will make of the journal have one order.
        let mut known = self.known();
        let effect = Effect::of(&known, &mut op, &id, level)?;
        let readable = key_and_scope(&op).0.is_none_or(|key| self.helpers.may_read(key));
        self.note(&Write { id, op })?;
        Ok(effect.map_or(Reply::ok(Value::Null), |effect| effect.take(&mut known, readable)))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the operator was told by the script.
struct Said {
    condition: Option<bool>,
    is_closed: bool,
    /// Bytes that it may still be told, and that may still be written to the journal.
    told_left: usize,
    journal_left: usize,
    /// What was too much.
    unkept: u64,
}

impl Default for Said {
    fn default() -> Self {
        let (told_left, journal_left) = (MAX_SAID, MAX_SAID);
        Self { condition: None, is_closed: false, told_left, journal_left, unkept: 0 }
    }
}

fn too_much() -> String {
    format!("this run has told the operator more than {} MiB", MAX_SAID >> 20)
}

impl Answer for Desk {
    fn answer(&self, request: Request) -> Reply {
        self.used.store(true, Ordering::Relaxed);
        self.respond(request).unwrap_or_else(|refusal| refusal)
    }
}

/// The variable a write is about, and the scope it names.
fn key_and_scope(op: &Op) -> (Option<&str>, Option<Scope>) {
    match op {
        Op::Output { .. } => (None, None),
        Op::Set { key, scope, .. } | Op::Unset { key, scope } | Op::Increment { key, scope, .. } => {
            (Some(key), scope.as_deref().and_then(Scope::from_name))
        }
    }
}

/// Takes over `{key, value, version, scope}` of an answer.
fn found(known: &mut Known, key: &str, asked: Option<usize>, data: &Value) {
    let (version, scope) = (data["version"].as_u64(), data["scope"].as_str());
    known.found(key, asked, &data["value"], version.unwrap_or(0), scope.unwrap_or("global"));
}

fn document(key: &str, value: Value, version: u64, scope: &str) -> Value {
    json!({"key": key, "value": value, "version": version, "scope": scope})
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

/// In the operator's words.
fn forbidden(verb: &str, key: &str) -> Reply {
    let message = format!("this payload may not {verb} {key}: add it to helpers.{verb} in its manifest.yaml");
    Reply::error(403, message)
}

#[cfg(test)]
mod tests;
