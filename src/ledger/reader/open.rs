use jiff::Timestamp;

use super::Reader;
use crate::error::Result;
use crate::ledger::fault::Fault;
use crate::ledger::record::stamp;
use crate::ledger::run::RunStatus;
use crate::ledger::run_lock::is_abandoned;

/// By the index of rows that are open: runs whose hosts have all ended are not looked at.
pub(in crate::ledger) const LEFT_OPEN: &str = "SELECT id, status,
        (SELECT count(*) FROM results INDEXED BY results_open
         WHERE run_id = id AND is_gone = 0 AND finished_at IS NULL)
    FROM runs
    WHERE id IN (SELECT run_id FROM results INDEXED BY results_open
                 WHERE is_gone = 0 AND finished_at IS NULL)
      AND started_at > ?1 AND finished_at IS NULL AND status IN ('running', 'interrupted')
      AND json_extract(plan, '$.task.deploy') IS NULL
    ORDER BY runs.rowid DESC";

/// The condition is that of the index, to the word.
pub(in crate::ledger) const UNSETTLED: &str = "SELECT id, status FROM runs
    WHERE id IN (SELECT run_id FROM results INDEXED BY results_open
                 WHERE is_gone = 0
                   AND (is_kept = 1 OR finished_at IS NULL OR status IN ('unknown', 'detached')))
      AND started_at > ?1 AND json_extract(plan, '$.task.deploy') IS NULL
    ORDER BY runs.rowid DESC";

impl Reader {
    /// Runs that were begun or resumed by a process that died and that have hosts without an end, and
    /// how many: the last `limit` that were begun after `since`.
    pub fn left_open(&self, since: Timestamp, limit: usize) -> Result<Vec<(String, u64)>> {
        self.worded(|| {
            let mut rows = self.connection.prepare_cached(LEFT_OPEN)?;
            let mut rows = rows.query([stamp(since)])?;
            let mut found = Vec::new();
            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                let (id, status): (String, String) = (row.get(0)?, row.get(1)?);
                if self.is_over(&id, &status) {
                    found.push((id, row.get::<_, i64>(2)?.cast_unsigned()));
                }
            }
            Ok(found)
        })
    }

    /// Runs with a host that may have more to tell or keeps what it told, begun after `since`, newest
    /// first; not those that are at work, and no deploys.
    pub fn unsettled(&self, since: Timestamp) -> Result<Vec<String>> {
        self.worded(|| {
            let mut rows = self.connection.prepare_cached(UNSETTLED)?;
            let rows = rows.query_map([stamp(since)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>().map_err(Fault::from)?;
            Ok(rows.into_iter().filter(|(id, status)| self.is_over(id, status)).map(|(id, _)| id).collect())
        })
    }

    /// Whether no process is at work on the run.
    fn is_over(&self, id: &str, status: &str) -> bool {
        status != RunStatus::Running.as_str() || is_abandoned(&self.path, id)
    }
}
