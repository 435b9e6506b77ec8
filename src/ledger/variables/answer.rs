//! What writes with an id were answered: whoever repeats one gets the same again, whatever has
//! happened since.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::row;
use super::sealing::Keyring;
use super::{Author, Variable, Written};
use crate::ledger::fault::Fault;

/// The first answer to this write, if it has an id and has come before.
pub(super) fn first(
    connection: &Connection,
    keyring: &Keyring,
    by: &Author,
) -> Result<Option<Written>, Fault> {
    let Author::Script { run, host, write: Some(id) } = by else { return Ok(None) };
    let mut rows = connection.prepare_cached(
        "SELECT scope, key, version, value, secret FROM variable_history
         WHERE run_id = ?1 AND host = ?2 AND write_id = ?3",
    )?;
    let mut rows = rows.query([run, host, id])?;
    let Some(row) = rows.next()? else {
        return Ok(refused(connection, run, host, id)?.map(Written::from));
    };
    let (scope, key): (String, String) = (row.get(0)?, row.get(1)?);
    let variable = match row.get::<_, Option<String>>(3)? {
        Some(text) => {
            let value = row::value(keyring, &scope, &key, &text, row.get(4)?)?;
            Variable { scope, key, value, version: row.get::<_, i64>(2)?.cast_unsigned() }
        }
        None => Variable { scope, key, value: Value::Null, version: 0 },
    };
    Ok(Some(Written::Done(variable)))
}

/// Remembers a refusal. What was made stands in the history.
pub(super) fn keep(connection: &Connection, by: &Author, written: &Written) -> Result<(), Fault> {
    let Author::Script { run, host, write: Some(id) } = by else { return Ok(()) };
    let refused = match written {
        Written::Done(_) => return Ok(()),
        Written::Conflict { current } => Refused::Conflict { current: *current },
        Written::NotAfter { made, current } => Refused::NotAfter { made: *made, current: *current },
        Written::Missing => Refused::Missing,
        Written::NoNumber { reason } => Refused::NoNumber { reason: reason.clone() },
    };
    connection
        .prepare_cached(
            "INSERT INTO refused_writes (run_id, host, write_id, answer) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![run, host, id, serde_json::to_string(&refused)?])?;
    Ok(())
}

/// Whether it was a removal that found nothing.
pub(super) fn was_missing(connection: &Connection, run: &str, host: &str, id: &str) -> Result<bool, Fault> {
    Ok(matches!(refused(connection, run, host, id)?, Some(Refused::Missing)))
}

fn refused(connection: &Connection, run: &str, host: &str, id: &str) -> Result<Option<Refused>, Fault> {
    let answer: Option<String> = connection
        .prepare_cached(
            "SELECT answer FROM refused_writes WHERE run_id = ?1 AND host = ?2 AND write_id = ?3",
        )?
        .query_row([run, host, id], |row| row.get(0))
        .optional()?;
    Ok(answer.map(|answer| serde_json::from_str(&answer)).transpose()?)
}

/// The column `answer` of `refused_writes`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refused {
    Conflict { current: u64 },
    NotAfter { made: bool, current: u64 },
    Missing,
    NoNumber { reason: String },
}

impl From<Refused> for Written {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Conflict { current } => Self::Conflict { current },
            Refused::NotAfter { made, current } => Self::NotAfter { made, current },
            Refused::Missing => Self::Missing,
            Refused::NoNumber { reason } => Self::NoNumber { reason },
        }
    }
}
