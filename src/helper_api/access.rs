//! What a host's script may do with which variable: one set of rules, whether a call comes by HTTP
//! or in the journal of a host that could not call.

use cronium_wire::manifest::HelperAccess;
use serde_json::Value;

use super::host::HostScope;
use super::reply::Refusal;
use super::{Act, Api, Author, Change, Listed, Variable, Written};

/// Bytes of a variable's key.
pub const MAX_KEY_BYTES: usize = 512;

/// Bytes of a write's id.
const MAX_WRITE_ID: usize = 64;

/// 404 where it is in none of the scopes in sight, or not in the one that `scope` names.
pub fn get(api: &Api, host: &HostScope, scope: Option<String>, key: &str) -> Result<Variable, Refusal> {
    may_read(&api.helpers, key)?;
    let found = match scope {
        Some(scope) => api.variables.get(&[scope], key),
        None => api.variables.get(&host.scopes, key),
    };
    found.map_err(Refusal::store)?.ok_or_else(|| missing(key))
}

/// What may be read of what is in sight, by key.
pub fn list(api: &Api, host: &HostScope, scope: Option<String>) -> Result<Vec<Listed>, Refusal> {
    let listed = match scope {
        Some(scope) => api.variables.list(&[scope]),
        None => api.variables.list(&host.scopes),
    };
    let mut listed = listed.map_err(Refusal::store)?;
    listed.retain(|variable| api.helpers.may_read(&variable.key));
    Ok(listed)
}

/// `id`: see [`Author::write`]. A value that the payload may not read comes back as null unless it
/// is the one that was just sent.
pub fn write(api: &Api, host: &HostScope, change: Change, id: Option<String>) -> Result<Variable, Refusal> {
    may_write(&api.helpers, &change.key)?;
    let by = Author { run: api.context.run.clone(), host: host.host.clone(), write: id };
    let key = change.key.clone();
    let sent = match &change.act {
        Act::Set { value, .. } if !api.helpers.may_read(&key) => Some(value.clone()),
        _ => None,
    };
    match api.variables.write(&host.scopes, change, by).map_err(Refusal::store)? {
        // Not always the key that was asked for: a write that is repeated has its first answer.
        Written::Done(variable) if api.helpers.may_read(&variable.key) => Ok(variable),
        Written::Done(variable) if sent.as_ref() == Some(&variable.value) => Ok(variable),
        Written::Done(variable) => Ok(Variable { value: Value::Null, ..variable }),
        Written::Conflict { current } => Err(Refusal::conflict(current)),
        Written::NotAfter { made, current } => Err(Refusal::not_after(made, current)),
        Written::Missing => Err(missing(&key)),
        Written::NoNumber { reason } => Err(Refusal::new(400, reason)),
    }
}

/// The scope of a kind: `run`, `host`, `project` or `global`. 400 for another kind, or where the
/// run has no project.
pub fn scope_of(host: &HostScope, kind: &str) -> Result<String, Refusal> {
    if !matches!(kind, "run" | "host" | "project" | "global") {
        return Err(Refusal::new(400, "the scope is none of run, host, project, global"));
    }
    let found = host.scopes.iter().find(|scope| scope.split(':').next() == Some(kind));
    found.cloned().ok_or_else(|| Refusal::new(400, format!("the run has no {kind}: exec --project NAME")))
}

/// 400 for a text that cannot be a key.
pub fn check_key(key: &str) -> Result<(), Refusal> {
    match key.len() {
        0 => Err(Refusal::new(400, "the key is empty")),
        1..=MAX_KEY_BYTES if key.contains(char::is_control) => {
            Err(Refusal::new(400, "the key holds a control character"))
        }
        1..=MAX_KEY_BYTES => Ok(()),
        _ => Err(Refusal::new(400, format!("the key is longer than {MAX_KEY_BYTES} bytes"))),
    }
}

/// 1 to 64 characters of `[A-Za-z0-9-_.]`.
pub fn is_write_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_WRITE_ID).contains(&text.len()) && text.bytes().all(plain)
}

fn may_read(helpers: &HelperAccess, key: &str) -> Result<(), Refusal> {
    allow(helpers.may_read(key), "read", key)
}

fn may_write(helpers: &HelperAccess, key: &str) -> Result<(), Refusal> {
    allow(helpers.may_write(key), "write", key)
}

fn allow(allowed: bool, act: &str, key: &str) -> Result<(), Refusal> {
    match allowed {
        true => Ok(()),
        false => Err(Refusal::new(
            403,
            format!("this payload may not {act} {key}: add it to helpers.{act} in its manifest.yaml"),
        )),
    }
}

fn missing(key: &str) -> Refusal {
    Refusal::new(404, format!("no variable {key}"))
}
