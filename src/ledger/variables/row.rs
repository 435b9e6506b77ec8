use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::sealing::Keyring;
use super::{Listed, scopes_json};
use crate::ledger::fault::Fault;

/// A variable as it stands in its table.
pub(in crate::ledger) struct Row {
    pub(super) scope: String,
    /// JSON; sealed where `secret`.
    pub(super) text: String,
    pub(super) version: u64,
    pub(super) secret: bool,
}

impl Row {
    pub(super) fn value(&self, keyring: &Keyring, key: &str) -> Result<Value, Fault> {
        value(keyring, &self.scope, key, &self.text, self.secret)
    }
}

/// What a column of JSON holds.
pub(super) fn value(
    keyring: &Keyring,
    scope: &str,
    key: &str,
    text: &str,
    secret: bool,
) -> Result<Value, Fault> {
    if secret { Ok(keyring.unseal(scope, key, text)?) } else { Ok(serde_json::from_str(text)?) }
}

/// The variable of the first of `scopes` that has it.
pub(super) fn nearest(connection: &Connection, scopes: &[String], key: &str) -> Result<Option<Row>, Fault> {
    // CROSS JOIN keeps SQLite to this order: one look into the primary key for each scope.
    let row = connection
        .prepare_cached(
            "SELECT variables.scope, variables.value, version, secret
             FROM json_each(?1) AS given CROSS JOIN variables
             ON variables.scope = given.value AND variables.key = ?2
             ORDER BY given.key LIMIT 1",
        )?
        .query_row(params![scopes_json(scopes)?, key], |row| {
            let version = row.get::<_, i64>(2)?.cast_unsigned();
            Ok(Row { scope: row.get(0)?, text: row.get(1)?, version, secret: row.get(3)? })
        })
        .optional()?;
    Ok(row)
}

/// Every key of `scopes` once, where it is nearest, by key.
pub(super) fn in_sight(connection: &Connection, scopes: &[String]) -> Result<Vec<Listed>, Fault> {
    let mut rows = connection.prepare_cached(
        "SELECT variables.scope, variables.key, version, secret
         FROM json_each(?1) AS given CROSS JOIN variables ON variables.scope = given.value
         ORDER BY variables.key, given.key",
    )?;
    let rows = rows.query_map([scopes_json(scopes)?], |row| {
        let version = row.get::<_, i64>(2)?.cast_unsigned();
        Ok(Listed { scope: row.get(0)?, key: row.get(1)?, version, secret: row.get(3)? })
    })?;
    let mut listed: Vec<Listed> = rows.collect::<Result<_, _>>()?;
    listed.dedup_by(|wider, nearer| wider.key == nearer.key);
    Ok(listed)
}
