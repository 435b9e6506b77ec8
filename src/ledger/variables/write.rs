use cronium_wire::number;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Number, Value};

use super::row::nearest;
use super::sealing::Keyring;
use super::{Act, Author, Variable, Write, Written, answer};
use crate::ledger::fault::Fault;
use crate::ledger::record::stamp;

/// Makes or refuses a write, once where it has an id. `scopes` is not empty.
pub(super) fn write(
    connection: &Connection,
    keyring: &Keyring,
    scopes: &[String],
    write: Write,
    by: &Author,
) -> Result<Written, Fault> {
    if let Some(answer) = answer::first(connection, keyring, by)? {
        return Ok(answer);
    }
    let written = make(connection, keyring, scopes, write, by)?;
    answer::keep(connection, by, &written)?;
    Ok(written)
}

fn make(
    connection: &Connection,
    keyring: &Keyring,
    scopes: &[String],
    write: Write,
    by: &Author,
) -> Result<Written, Fault> {
    let Write { key, scope, act, secret } = write;
    let current = match &scope {
        Some(scope) => nearest(connection, std::slice::from_ref(scope), &key)?,
        None => nearest(connection, scopes, &key)?,
    };
    let version = current.as_ref().map_or(0, |row| row.version);
    let value = match act {
        Act::Set { after: Some(id), value, .. } => match left_by(connection, by, &id, &key)? {
            Some(left) if left == current.as_ref().map(|row| (row.scope.clone(), row.version)) => Some(value),
            left => return Ok(Written::NotAfter { made: left.is_some(), current: version }),
        },
        Act::Set { if_version: Some(wanted), .. } if wanted != version => {
            return Ok(Written::Conflict { current: version });
        }
        Act::Set { value, .. } => Some(value),
        Act::Increment { by } => {
            let current = current.as_ref().map(|row| row.value(keyring, &key)).transpose()?;
            match sum(current, &by, &key) {
                Ok(sum) => Some(Value::Number(sum)),
                Err(reason) => return Ok(Written::NoNumber { reason }),
            }
        }
        Act::Remove if current.is_none() => return Ok(Written::Missing),
        Act::Remove => None,
    };
    let secret = secret || current.as_ref().is_some_and(|row| row.secret);
    let scope = current.map(|row| row.scope).or(scope).or_else(|| scopes.last().cloned()).unwrap_or_default();
    let place = Place { connection, scope: &scope, key: &key, by };
    match value {
        Some(value) => {
            let version = place.set(keyring, &value, secret)?;
            Ok(Written::Done(Variable { scope, key, value, version }))
        }
        None => {
            place.remove(version, secret)?;
            Ok(Written::Done(Variable { scope, key, value: Value::Null, version: 0 }))
        }
    }
}

/// Scope and version, or that it was removed.
type Left = Option<(String, u64)>;

/// How an earlier write of the same host and run left the key; `None` where it did not write it.
fn left_by(connection: &Connection, by: &Author, id: &str, key: &str) -> Result<Option<Left>, Fault> {
    let Author::Script { run, host, .. } = by else { return Ok(None) };
    let left = connection
        .prepare_cached(
            "SELECT scope, version, value IS NULL FROM variable_history
             WHERE run_id = ?1 AND host = ?2 AND write_id = ?3 AND key = ?4",
        )?
        .query_row([run, host, id, key], |row| {
            let left = (row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned());
            Ok(if row.get(2)? { None } else { Some(left) })
        })
        .optional()?;
    match left {
        // It was gone already, as the script wanted.
        None if answer::was_missing(connection, run, host, id)? => Ok(Some(None)),
        left => Ok(left),
    }
}

/// Whether there are secrets that another key would not open. Orders do not count: what they are
/// worth ends with their runs.
pub(in crate::ledger) fn holds_secrets(connection: &Connection) -> Result<bool, Fault> {
    Ok(connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM variables WHERE secret)
             OR EXISTS (SELECT 1 FROM variable_history WHERE secret AND value IS NOT NULL)",
        [],
        |row| row.get(0),
    )?)
}

/// The error is in the words of the stub, which may have to say it in our place.
fn sum(current: Option<Value>, by: &Number, key: &str) -> Result<Number, String> {
    let Value::Number(current) = current.unwrap_or(0.into()) else {
        return Err(format!("the variable '{key}' is no number"));
    };
    number::add(&current, by).ok_or_else(|| format!("the variable '{key}' cannot hold the sum"))
}

/// Where something is written, and who does.
struct Place<'a> {
    connection: &'a Connection,
    scope: &'a str,
    key: &'a str,
    by: &'a Author,
}

impl Place<'_> {
    /// Returns the new version.
    fn set(&self, keyring: &Keyring, value: &Value, secret: bool) -> Result<u64, Fault> {
        let (last, was_secret) = self.last()?;
        // A script that removes a secret and sets it anew does not know that it was one.
        let secret = secret || (was_secret && matches!(self.by, Author::Script { .. }));
        let text = match secret {
            true => {
                self.need_key(keyring)?;
                keyring.seal(self.scope, self.key, value)?
            }
            false => value.to_string(),
        };
        if secret && !was_secret {
            self.seal_past(keyring)?;
        }
        let version = last + 1;
        let at = stamp(Timestamp::now());
        self.connection
            .prepare_cached(
                "INSERT INTO variables (scope, key, value, version, updated_at, updated_by, secret)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (scope, key) DO UPDATE SET
                     value = excluded.value, version = excluded.version, secret = excluded.secret,
                     updated_at = excluded.updated_at, updated_by = excluded.updated_by",
            )?
            .execute(params![self.scope, self.key, text, version, at, self.by.text(), secret])?;
        self.remember(version, Some(&text), &at, secret)?;
        Ok(version.cast_unsigned())
    }

    /// A key is made for the first secret of a ledger, and for an operator alone: one that is missing
    /// later is lost, not new.
    fn need_key(&self, keyring: &Keyring) -> Result<(), Fault> {
        if keyring.has_key()? {
            return Ok(());
        }
        match (self.by, holds_secrets(self.connection)?) {
            (Author::Operator(_), false) => Ok(keyring.make_key()?),
            _ => Err(keyring.lost().into()),
        }
    }

    /// What the key held before it became secret is most likely as secret: it would come back with
    /// its history. The last row is plain exactly where there is something to seal.
    fn seal_past(&self, keyring: &Keyring) -> Result<(), Fault> {
        let mut plain = self
            .connection
            .prepare_cached("SELECT id FROM variable_history WHERE scope = ?1 AND key = ?2 AND NOT secret")?;
        let plain: Vec<i64> =
            plain.query_map([self.scope, self.key], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut values =
            self.connection.prepare_cached("SELECT value FROM variable_history WHERE id = ?1")?;
        let mut seal = self
            .connection
            .prepare_cached("UPDATE variable_history SET value = ?2, secret = 1 WHERE id = ?1")?;
        for id in plain {
            let text: Option<String> = values.query_row([id], |row| row.get(0))?;
            let sealed = match text {
                Some(text) => Some(keyring.seal(self.scope, self.key, &serde_json::from_str(&text)?)?),
                None => None,
            };
            seal.execute(params![id, sealed])?;
        }
        Ok(())
    }

    fn remove(&self, version: u64, secret: bool) -> Result<(), Fault> {
        self.connection
            .prepare_cached("DELETE FROM variables WHERE scope = ?1 AND key = ?2")?
            .execute([self.scope, self.key])?;
        self.remember(version.cast_signed(), None, &stamp(Timestamp::now()), secret)
    }

    /// The last version this key ever had, 0 for none, and whether that was secret.
    fn last(&self) -> Result<(i64, bool), Fault> {
        let last = self
            .connection
            .prepare_cached(
                "SELECT version, secret FROM variable_history WHERE scope = ?1 AND key = ?2
                 ORDER BY version DESC, id DESC LIMIT 1",
            )?
            .query_row([self.scope, self.key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(last.unwrap_or_default())
    }

    fn remember(&self, version: i64, value: Option<&str>, at: &str, secret: bool) -> Result<(), Fault> {
        let op = if value.is_some() { "set" } else { "remove" };
        let (run, host, write) = match self.by {
            Author::Script { run, host, write } => (Some(run), Some(host), write.as_ref()),
            Author::Operator(_) => (None, None, None),
        };
        let by = self.by.text();
        self.connection
            .prepare_cached(
                r#"INSERT INTO variable_history
                       (scope, key, version, op, value, at, "by", run_id, host, write_id, secret)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"#,
            )?
            .execute(params![self.scope, self.key, version, op, value, at, by, run, host, write, secret])?;
        Ok(())
    }
}
