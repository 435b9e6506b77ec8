use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;
use serde_json::Value;

use super::Ledger;
use super::fault::Fault;
use super::record::stamp;
use crate::error::Result;

/// A value that scripts of many runs share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variable {
    pub scope: String,
    pub key: String,
    pub value: Value,
    /// 1 for the first value of a key, one more for each that follows, never used again, also
    /// after a removal.
    pub version: u64,
    pub updated_at: Timestamp,
    /// Who wrote it: run and host.
    pub updated_by: String,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    Done(Variable),
    /// Another version than the one named is `current` (0: the key is not there).
    Conflict {
        current: u64,
    },
}

/// One write of the past.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The version that came to be, or that was removed.
    pub version: u64,
    /// `None` for a removal.
    pub value: Option<Value>,
    pub at: Timestamp,
    pub by: String,
}

/// The variables of a ledger. Every call is one transaction, atomic also against other processes
/// with the same ledger; calls of many threads share commits. Blocks until it is on disk.
#[derive(Clone)]
pub struct Variables {
    ledger: Ledger,
}

impl Variables {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    pub fn get(&self, scope: &str, key: &str) -> Result<Option<Variable>> {
        let (scope, key) = (scope.to_owned(), key.to_owned());
        self.ledger.call(move |connection| find(connection, &scope, &key))
    }

    /// Writes unless `if_version` names another version than the current one; 0 stands for a key
    /// that is not there.
    pub fn set(
        &self,
        scope: &str,
        key: &str,
        value: &Value,
        if_version: Option<u64>,
        by: &str,
    ) -> Result<Written> {
        let (scope, key, value, by) = (scope.to_owned(), key.to_owned(), value.clone(), by.to_owned());
        self.ledger.call(move |connection| write(connection, scope, key, value, if_version, by))
    }

    /// Whether there was something to remove.
    pub fn remove(&self, scope: &str, key: &str, by: &str) -> Result<bool> {
        let (scope, key, by) = (scope.to_owned(), key.to_owned(), by.to_owned());
        self.ledger.call(move |connection| remove(connection, &scope, &key, &by))
    }

    /// By key; of all scopes where none is named.
    pub fn list(&self, scope: Option<&str>) -> Result<Vec<Variable>> {
        let scope = scope.map(str::to_owned);
        self.ledger.call(move |connection| {
            let mut rows = connection.prepare_cached(
                "SELECT scope, key, value, version, updated_at, updated_by FROM variables
                 WHERE ?1 IS NULL OR scope = ?1 ORDER BY scope, key",
            )?;
            rows.query_map([scope], columns)?.map(|row| variable(row?)).collect()
        })
    }

    /// Every write of a key, oldest first.
    pub fn history(&self, scope: &str, key: &str) -> Result<Vec<Change>> {
        let (scope, key) = (scope.to_owned(), key.to_owned());
        self.ledger.call(move |connection| {
            let mut rows = connection.prepare_cached(
                r#"SELECT version, value, at, "by" FROM variable_history
                   WHERE scope = ?1 AND key = ?2 ORDER BY id"#,
            )?;
            let mut rows = rows.query([scope, key])?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next()? {
                let value: Option<String> = row.get(1)?;
                changes.push(Change {
                    version: row.get::<_, i64>(0)?.cast_unsigned(),
                    value: value.map(|value| serde_json::from_str(&value)).transpose()?,
                    at: row.get::<_, String>(2)?.parse()?,
                    by: row.get(3)?,
                });
            }
            Ok(changes)
        })
    }
}

type Columns = (String, String, String, i64, String, String);

fn columns(row: &Row) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn variable((scope, key, value, version, updated_at, updated_by): Columns) -> Result<Variable, Fault> {
    Ok(Variable {
        scope,
        key,
        value: serde_json::from_str(&value)?,
        version: version.cast_unsigned(),
        updated_at: updated_at.parse()?,
        updated_by,
    })
}

fn find(connection: &Connection, scope: &str, key: &str) -> Result<Option<Variable>, Fault> {
    connection
        .prepare_cached(
            "SELECT scope, key, value, version, updated_at, updated_by FROM variables
             WHERE scope = ?1 AND key = ?2",
        )?
        .query_row([scope, key], columns)
        .optional()?
        .map(variable)
        .transpose()
}

fn current_version(connection: &Connection, scope: &str, key: &str) -> Result<Option<i64>, Fault> {
    Ok(connection
        .prepare_cached("SELECT version FROM variables WHERE scope = ?1 AND key = ?2")?
        .query_row([scope, key], |row| row.get(0))
        .optional()?)
}

fn write(
    connection: &Connection,
    scope: String,
    key: String,
    value: Value,
    if_version: Option<u64>,
    by: String,
) -> Result<Written, Fault> {
    let current = current_version(connection, &scope, &key)?.unwrap_or(0).cast_unsigned();
    if if_version.is_some_and(|wanted| wanted != current) {
        return Ok(Written::Conflict { current });
    }
    let last: i64 = connection
        .prepare_cached(
            "SELECT coalesce(max(version), 0) FROM variable_history WHERE scope = ?1 AND key = ?2",
        )?
        .query_row([&scope, &key], |row| row.get(0))?;
    let (version, now) = (last + 1, Timestamp::now());
    let (text, at) = (value.to_string(), stamp(now));
    connection
        .prepare_cached(
            "INSERT INTO variables (scope, key, value, version, updated_at, updated_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (scope, key) DO UPDATE SET
                 value = excluded.value, version = excluded.version,
                 updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        )?
        .execute(params![scope, key, text, version, at, by])?;
    remember(connection, &scope, &key, version, Some(&text), &at, &by)?;
    let version = version.cast_unsigned();
    Ok(Written::Done(Variable { scope, key, value, version, updated_at: at.parse()?, updated_by: by }))
}

fn remove(connection: &Connection, scope: &str, key: &str, by: &str) -> Result<bool, Fault> {
    let Some(version) = current_version(connection, scope, key)? else { return Ok(false) };
    connection
        .prepare_cached("DELETE FROM variables WHERE scope = ?1 AND key = ?2")?
        .execute([scope, key])?;
    remember(connection, scope, key, version, None, &stamp(Timestamp::now()), by)?;
    Ok(true)
}

fn remember(
    connection: &Connection,
    scope: &str,
    key: &str,
    version: i64,
    value: Option<&str>,
    at: &str,
    by: &str,
) -> Result<(), Fault> {
    let op = if value.is_some() { "set" } else { "remove" };
    connection
        .prepare_cached(
            r#"INSERT INTO variable_history (scope, key, version, op, value, at, "by")
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"#,
        )?
        .execute(params![scope, key, version, op, value, at, by])?;
    Ok(())
}
