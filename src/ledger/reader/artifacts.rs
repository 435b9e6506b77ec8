use serde::Serialize;

use super::Reader;
use crate::error::Result;
use crate::ledger::Artifacts;

/// A file that a script left; its content is in [`Artifacts`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Artifact {
    pub host: String,
    /// As the host named it: nothing about it is certain.
    pub path: String,
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub digest: String,
    /// Permission bits.
    pub mode: u32,
}

impl Reader {
    /// The contents beside this ledger.
    pub fn contents(&self) -> Artifacts {
        Artifacts::beside(&self.path)
    }

    /// Of a run, or of one host of it, in the plan's order and by path.
    pub fn artifacts(&self, run: &str, host: Option<&str>) -> Result<Vec<Artifact>> {
        self.worded(|| {
            let mut rows = self.connection.prepare_cached(
                "SELECT host, path, bytes, digest, mode FROM artifacts
                 WHERE run_id = ?1 AND (?2 IS NULL OR host = ?2)
                 ORDER BY (SELECT min(rowid) FROM results
                           WHERE results.run_id = artifacts.run_id AND results.host = artifacts.host), path",
            )?;
            let rows = rows.query_map(rusqlite::params![run, host], |row| {
                Ok(Artifact {
                    host: row.get(0)?,
                    path: row.get(1)?,
                    bytes: row.get::<_, i64>(2)?.cast_unsigned(),
                    digest: row.get(3)?,
                    mode: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
