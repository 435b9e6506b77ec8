use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Reader;
use crate::error::Result;
use crate::ledger::fault::Fault;

/// A value as people may see it: a secret's is not even opened.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    Plain(Value),
    Secret,
}

impl Shown {
    /// What stands in place of a secret.
    pub const HIDDEN: &str = "***";

    fn of(text: &str, secret: bool) -> Result<Self, Fault> {
        if secret { Ok(Self::Secret) } else { Ok(Self::Plain(serde_json::from_str(text)?)) }
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::Secret => serializer.serialize_str(Self::HIDDEN),
        }
    }
}

/// A variable as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stored {
    pub scope: String,
    pub key: String,
    pub value: Shown,
    pub secret: bool,
    pub version: u64,
    pub updated_at: Timestamp,
    /// `run ID host NAME` or `operator USER@MACHINE`.
    pub updated_by: String,
}

/// One write of the past.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PastWrite {
    /// The version that came to be, or that was removed.
    pub version: u64,
    /// Null for a removal.
    pub value: Option<Shown>,
    pub removed: bool,
    pub secret: bool,
    pub at: Timestamp,
    pub by: String,
    /// Where the script ran that wrote it; null for an operator, and for what is older than schema 2.
    pub run: Option<String>,
    pub host: Option<String>,
}

const STORED: &str = "SELECT scope, key, value, secret, version, updated_at, updated_by FROM variables";

impl Reader {
    pub fn variable(&self, scope: &str, key: &str) -> Result<Option<Stored>> {
        self.worded(|| {
            let mut rows =
                self.connection.prepare_cached(&format!("{STORED} WHERE scope = ?1 AND key = ?2"))?;
            let mut rows = rows.query([scope, key])?;
            rows.next()?.map(stored).transpose()
        })
    }

    /// By key, then scope. `None` stands for all scopes, or all keys.
    pub fn variables(&self, scope: Option<&str>, key: Option<&str>) -> Result<Vec<Stored>> {
        self.worded(|| {
            let mut rows = self.connection.prepare_cached(&format!(
                "{STORED} WHERE (?1 IS NULL OR scope = ?1) AND (?2 IS NULL OR key = ?2) ORDER BY key, scope"
            ))?;
            let mut rows = rows.query(params![scope, key])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(stored(row)?);
            }
            Ok(found)
        })
    }

    /// Every write of a key, oldest first.
    pub fn variable_history(&self, scope: &str, key: &str) -> Result<Vec<PastWrite>> {
        self.worded(|| {
            let mut rows = self.connection.prepare_cached(
                r#"SELECT version, value, at, "by", run_id, host, secret
                   FROM variable_history WHERE scope = ?1 AND key = ?2 ORDER BY id"#,
            )?;
            let mut rows = rows.query([scope, key])?;
            let mut writes = Vec::new();
            while let Some(row) = rows.next()? {
                let (text, secret): (Option<String>, bool) = (row.get(1)?, row.get(6)?);
                let value = text.map(|text| Shown::of(&text, secret)).transpose()?;
                writes.push(PastWrite {
                    version: row.get::<_, i64>(0)?.cast_unsigned(),
                    removed: value.is_none(),
                    value,
                    secret,
                    at: row.get::<_, String>(2)?.parse()?,
                    by: row.get(3)?,
                    run: row.get(4)?,
                    host: row.get(5)?,
                });
            }
            Ok(writes)
        })
    }
}

fn stored(row: &Row) -> Result<Stored, Fault> {
    let secret = row.get(3)?;
    Ok(Stored {
        scope: row.get(0)?,
        key: row.get(1)?,
        value: Shown::of(row.get_ref(2)?.as_str()?, secret)?,
        secret,
        version: row.get::<_, i64>(4)?.cast_unsigned(),
        updated_at: row.get::<_, String>(5)?.parse()?,
        updated_by: row.get(6)?,
    })
}
