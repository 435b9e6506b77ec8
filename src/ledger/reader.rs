use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::{self, Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::blob::Output;
use super::connection::open_for_reading;
use super::fault::Fault;
use super::replay::Events;
use super::run::{HostRow, Run, RunFilter, RunStatus, SignedPayload};
use super::run_lock::{self, is_abandoned};
use super::snapshot::Snapshot;
use crate::error::{Error, OrFail as _, Result};
use crate::event::{EventKind, HostResult, Outcome, Stream};

mod artifacts;
mod open;
mod variables;

pub use artifacts::Artifact;
#[cfg(test)]
pub(super) use open::{LEFT_OPEN, UNSETTLED};
pub use variables::{PastWrite, Shown, Stored};

/// Queries. Sees what is committed, also of runs that go on.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    snapshots: Cell<usize>,
}

const RUN: &str = "SELECT id, command, started_at, finished_at, status, exit_code, payload_digest,
    payload_name, release, signer, git_sha, operator, plan,
    (SELECT at FROM events WHERE run_id = runs.id ORDER BY seq DESC LIMIT 1), duration_ms, rerun_of
    FROM runs";

/// Status, exit code and time.
type End = (RunStatus, Option<u8>, Option<String>);

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let path = path::absolute(path).or_fail(|| format!("cannot find the ledger {}", path.display()))?;
        let connection = open_for_reading(&path).map_err(|fault| fault.on(&path, "open"))?;
        Ok(Self { connection, path, snapshots: Cell::new(0) })
    }

    /// The last one that was begun comes first, whatever the clock said then.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        self.worded(|| {
            let mut rows = self.connection.prepare_cached(&format!(
                "{RUN} WHERE ?1 IS NULL OR id IN (SELECT run_id FROM results WHERE host = ?1)
                 ORDER BY rowid DESC"
            ))?;
            let mut rows = rows.query([&filter.host])?;
            let mut runs = Vec::new();
            while runs.len() < filter.limit.unwrap_or(usize::MAX)
                && let Some(row) = rows.next()?
            {
                let run = self.run_of(row)?;
                if filter.status.is_none_or(|status| run.status == status) {
                    runs.push(run);
                }
            }
            Ok(runs)
        })
    }

    /// The id that a person means: the whole id, an unambiguous beginning in any case, or `last`.
    pub fn resolve_run(&self, name: &str) -> Result<String> {
        let found: Vec<String> = self.worded(|| {
            let mut ids = if name == "last" {
                self.connection
                    .prepare_cached("SELECT id FROM runs WHERE ?1 = 'last' ORDER BY rowid DESC LIMIT 1")?
            } else {
                self.connection.prepare_cached(
                    "SELECT id FROM runs WHERE substr(id, 1, length(?1)) = ?1 COLLATE NOCASE
                     ORDER BY id = ?1 COLLATE NOCASE DESC, rowid DESC",
                )?
            };
            let ids = ids.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(ids)
        })?;
        let hint = "cronium-run runs";
        match found.as_slice() {
            _ if name.is_empty() => Err(Error::usage("a run has no empty name").hint(hint)),
            [] if name == "last" => {
                Err(Error::usage("there is no run yet").hint("cronium-run exec HOSTS -- COMMAND"))
            }
            [] => Err(Error::usage(format!("no run begins with `{name}`")).hint(hint)),
            [id] => Ok(id.clone()),
            [id, ..] if id.eq_ignore_ascii_case(name) => Ok(id.clone()),
            ids => {
                let mut error = Error::usage(format!("{} runs begin with `{name}`", ids.len()));
                for id in ids.iter().take(5) {
                    error = error.cause(format!("it may be {id}"));
                }
                Err(error.hint(hint))
            }
        }
    }

    /// A run by its whole id.
    pub fn run(&self, id: &str) -> Result<Run> {
        let run = self.worded(|| {
            let mut rows = self.connection.prepare_cached(&format!("{RUN} WHERE id = ?1"))?;
            let mut rows = rows.query([id])?;
            rows.next()?.map(|row| self.run_of(row)).transpose()
        })?;
        run.ok_or_else(|| Error::usage(format!("there is no run `{id}`")).hint("cronium-run runs"))
    }

    /// What to say of a run that another process is at work on: which one, and how to make it let go.
    pub fn at_work(&self, run: &str) -> Error {
        run_lock::at_work(&self.path, run)
    }

    /// The hosts of a run, in the plan's order.
    pub fn results(&self, run: &str) -> Result<Vec<HostRow>> {
        self.worded(|| {
            let mut ends = self.ends(run)?;
            let mut rows = self.connection.prepare_cached(
                "SELECT host, status, CASE is_kept WHEN 1 THEN mark END FROM results
                 WHERE run_id = ?1 ORDER BY rowid",
            )?;
            let rows = rows.query_map([run], |row| {
                let (host, status): (String, String) = (row.get(0)?, row.get(1)?);
                let kept = row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned);
                // One that is being asked again has an end behind it, and another to come.
                let has_ended = Outcome::ALL.iter().any(|outcome| outcome.as_str() == status);
                Ok(HostRow { result: ends.remove(&host).filter(|_| has_ended), status, host, kept })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The names of a run's hosts, in the plan's order.
    pub fn hosts(&self, run: &str) -> Result<Vec<String>> {
        self.worded(|| {
            let mut rows = self
                .connection
                .prepare_cached("SELECT host FROM results WHERE run_id = ?1 ORDER BY rowid")?;
            let hosts = rows.query_map([run], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(hosts)
        })
    }

    /// What a host has printed so far, read piece by piece; empty where it printed nothing.
    pub fn output(&self, run: &str, host: &str, stream: Stream) -> Result<Output<'_>> {
        self.worded(|| Output::open(self.snapshot()?, run, host, stream))
    }

    /// [`Reader::output`], all at once.
    pub fn output_bytes(&self, run: &str, host: &str, stream: Stream) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.output(run, host, stream)?
            .read_to_end(&mut bytes)
            .map_err(|error| Fault::from(error).on(&self.path, "read"))?;
        Ok(bytes)
    }

    /// What hosts of a run printed and did not keep, in bytes of each stream.
    pub fn cuts(&self, run: &str) -> Result<Vec<(String, Stream, u64)>> {
        self.worded(|| {
            let mut rows = self.connection.prepare_cached(
                "SELECT host, stream, cut FROM outputs WHERE run_id = ?1 AND cut > 0 ORDER BY host, stream DESC",
            )?;
            let rows = rows.query_map([run], |row| {
                let stream: String = row.get(1)?;
                let stream = Stream::ALL.into_iter().find(|known| known.as_str() == stream);
                Ok((row.get(0)?, stream.unwrap_or(Stream::Stdout), row.get::<_, i64>(2)?.cast_unsigned()))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The events of a run as they were told, in order, as of now.
    pub fn events(&self, run: &str) -> Result<Events<'_>> {
        self.worded(|| Events::open(self.snapshot()?, &self.path, run, None, None))
    }

    /// The events about one host alone.
    pub fn host_events(&self, run: &str, host: &str) -> Result<Events<'_>> {
        self.worded(|| Events::open(self.snapshot()?, &self.path, run, Some(host), None))
    }

    /// The events of some kinds ([`EventKind::name`]), about one host or about all.
    pub fn events_of(&self, run: &str, host: Option<&str>, kinds: &[&str]) -> Result<Events<'_>> {
        self.worded(|| Events::open(self.snapshot()?, &self.path, run, host, Some(kinds)))
    }

    /// What went to the hosts of a run, to the byte; `None` where it was not kept.
    pub fn signed_payload(&self, run: &str) -> Result<Option<SignedPayload>> {
        self.worded(|| {
            let signed = self
                .connection
                .prepare_cached(
                    "SELECT data, signature, public_key FROM runs
                     JOIN payload_bytes ON payload_bytes.digest = payload_digest
                     JOIN signatures ON signatures.digest = payload_digest AND signatures.signer = runs.signer
                     WHERE id = ?1",
                )?
                .query_row([run], |row| {
                    let (bytes, signature, public_key) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(SignedPayload { bytes, signature, public_key })
                })
                .optional()?;
            Ok(signed)
        })
    }

    fn snapshot(&self) -> rusqlite::Result<Snapshot<'_>> {
        Snapshot::take(&self.connection, &self.snapshots)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn worded<T>(&self, query: impl FnOnce() -> Result<T, Fault>) -> Result<T> {
        query().map_err(|fault| fault.on(&self.path, "read"))
    }

    fn ends(&self, run: &str) -> Result<HashMap<String, HostResult>, Fault> {
        let mut rows = self.connection.prepare_cached(
            "SELECT data FROM events INDEXED BY events_by_end
             WHERE run_id = ?1 AND kind = 'host_finished' ORDER BY json_extract(data, '$.host'), seq",
        )?;
        let mut rows = rows.query([run])?;
        let mut ends: HashMap<String, HostResult> = HashMap::new();
        while let Some(row) = rows.next()? {
            if let EventKind::HostFinished { host, result } = serde_json::from_str(row.get_ref(0)?.as_str()?)?
            {
                let result = match ends.remove(&host) {
                    Some(earlier) => earlier.settled_by(*result),
                    None => *result,
                };
                ends.insert(host, result);
            }
        }
        Ok(ends)
    }

    fn run_of(&self, row: &Row) -> Result<Run, Fault> {
        let time = |text: Option<String>| text.map(|text| text.parse()).transpose();
        let id: String = row.get(0)?;
        let mut counts = self.connection.prepare_cached(
            "SELECT status, count(*), sum(is_gone) FROM results WHERE run_id = ?1 GROUP BY status",
        )?;
        let count = |row: &Row, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let (mut hosts, mut gone) = (BTreeMap::new(), 0);
        let mut rows = counts.query([&id])?;
        while let Some(row) = rows.next()? {
            hosts.insert(row.get(0)?, count(row, 1)?);
            gone += count(row, 2)?;
        }
        let mut reruns =
            self.connection.prepare_cached("SELECT id FROM runs WHERE rerun_of = ?1 ORDER BY rowid")?;
        let reruns = reruns.query_map([&id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut run = Run {
            command: row.get(1)?,
            started_at: row.get::<_, String>(2)?.parse()?,
            finished_at: time(row.get(3)?)?,
            status: RunStatus::parse(&row.get::<_, String>(4)?).unwrap_or(RunStatus::Unknown),
            exit_code: row.get(5)?,
            payload_digest: row.get(6)?,
            payload_name: row.get(7)?,
            release: row.get::<_, Option<i64>>(8)?.map(i64::cast_unsigned),
            signer: row.get(9)?,
            git_sha: row.get(10)?,
            operator: row.get(11)?,
            plan: serde_json::from_str(&row.get::<_, String>(12)?)?,
            last_event_at: time(row.get(13)?)?,
            measured_ms: row.get::<_, Option<i64>>(14)?.map(i64::cast_unsigned),
            rerun_of: row.get(15)?,
            reruns,
            hosts,
            gone,
            id,
        };
        if run.status == RunStatus::Running && is_abandoned(&self.path, &run.id) {
            run.status = RunStatus::Interrupted;
            // It may have ended between the two looks.
            if let Some(ended) = self.ended(&run.id)? {
                (run.status, run.exit_code) = (ended.0, ended.1);
                run.finished_at = time(ended.2)?;
            }
        }
        Ok(run)
    }

    fn ended(&self, run: &str) -> Result<Option<End>, Fault> {
        // A connection of its own: the one that lists runs still sees the past.
        let connection = open_for_reading(&self.path)?;
        let row = connection
            .query_row(
                "SELECT status, exit_code, finished_at FROM runs WHERE id = ?1 AND status <> 'running'",
                [run],
                |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        Ok(row.and_then(|(status, code, at)| Some((RunStatus::parse(&status)?, code, at))))
    }
}
