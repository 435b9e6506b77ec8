use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

/// A ledger read as its users may: by table and column names.
pub struct Ledger {
    connection: Connection,
}

/// A row of `results`.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    pub host: String,
    pub attempt: i64,
    pub status: String,
    pub exit_code: Option<i64>,
    pub signal: Option<i64>,
    pub phase: Option<String>,
    pub error: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub duration_ms: Option<i64>,
    pub helper_mode: Option<String>,
    pub helper_reason: Option<String>,
    pub trust: Option<String>,
    pub stub_digest: Option<String>,
    pub output: Option<String>,
}

impl ResultRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            host: row.get("host")?,
            attempt: row.get("attempt")?,
            status: row.get("status")?,
            exit_code: row.get("exit_code")?,
            signal: row.get("signal")?,
            phase: row.get("phase")?,
            error: row.get("error")?,
            started_at: row.get("started_at")?,
            finished_at: row.get("finished_at")?,
            duration_ms: row.get("duration_ms")?,
            helper_mode: row.get("helper_mode")?,
            helper_reason: row.get("helper_reason")?,
            trust: row.get("trust")?,
            stub_digest: row.get("stub_digest")?,
            output: row.get("output")?,
        })
    }

    /// What the script gave to `cronium output`.
    pub fn output_json(&self) -> serde_json::Value {
        self.output.as_deref().map_or(serde_json::Value::Null, |text| serde_json::from_str(text).unwrap())
    }
}

impl Ledger {
    pub fn open(path: &Path) -> Self {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .unwrap_or_else(|error| panic!("no ledger at {}: {error}", path.display()));
        Self { connection }
    }

    /// The ids of all runs, oldest first.
    pub fn runs(&self) -> Vec<String> {
        self.column("SELECT id FROM runs ORDER BY started_at, id", [])
    }

    /// Whether anything has been run.
    pub fn has_runs(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM runs)";
        self.connection.query_row(sql, [], |row| row.get(0)).unwrap_or(false)
    }

    /// The id and the command line of each run.
    pub fn runs_by_command(&self) -> Vec<(String, String)> {
        let mut statement = self.connection.prepare("SELECT id, command FROM runs").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// How many frames of the host's account are recorded.
    pub fn mark(&self, run: &str, host: &str) -> i64 {
        let sql = "SELECT mark FROM results WHERE run_id = ?1 AND host = ?2";
        self.connection.query_row(sql, [run, host], |row| row.get(0)).unwrap()
    }

    /// How many hosts of all runs have not ended as far as is known.
    pub fn open_results(&self) -> usize {
        let ended = "'succeeded', 'failed', 'timed_out', 'unreachable', 'rejected', 'cancelled', 'skipped'";
        let sql = format!("SELECT host FROM results WHERE status NOT IN ({ended})");
        self.column(&sql, []).len()
    }

    pub fn last_run(&self) -> String {
        self.runs().pop().expect("the ledger holds a run")
    }

    /// `runs.status` and `runs.exit_code`.
    pub fn end_of(&self, run: &str) -> (String, Option<i64>) {
        let sql = "SELECT status, exit_code FROM runs WHERE id = ?1";
        self.connection.query_row(sql, [run], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    pub fn results(&self, run: &str) -> Vec<ResultRow> {
        let mut statement =
            self.connection.prepare("SELECT * FROM results WHERE run_id = ?1 ORDER BY host").unwrap();
        statement.query_map([run], ResultRow::read).unwrap().map(Result::unwrap).collect()
    }

    #[track_caller]
    pub fn result(&self, run: &str, host: &str) -> ResultRow {
        let results = self.results(run);
        let found = results.iter().find(|result| result.host == host);
        found.unwrap_or_else(|| panic!("no result of {host} in {results:#?}")).clone()
    }

    /// The bytes of a stream as they are stored; `None` where nothing is.
    pub fn output(&self, run: &str, host: &str, stream: &str) -> Option<Vec<u8>> {
        let sql =
            "SELECT o.bytes, o.truncated, b.bytes, b.data FROM outputs o JOIN blobs b ON b.digest = o.blob
                   WHERE o.run_id = ?1 AND o.host = ?2 AND o.stream = ?3";
        let read = |row: &Row<'_>| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, bool>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, Vec<u8>>(3)?,
            ))
        };
        let found = self.connection.query_row(sql, [run, host, stream], read);
        let (bytes, truncated, blob_bytes, data) = match found {
            Ok(row) => row,
            Err(rusqlite::Error::QueryReturnedNoRows) => return None,
            Err(error) => panic!("{error}"),
        };
        let output = zstd::decode_all(data.as_slice()).unwrap();
        assert!(!truncated, "{host} {stream} is cut");
        assert_eq!((bytes, blob_bytes), (output.len() as i64, output.len() as i64), "{host} {stream}");
        Some(output)
    }

    /// How many blobs hold the output of all runs.
    pub fn blobs(&self) -> usize {
        self.column("SELECT digest FROM blobs", []).len()
    }

    /// The value of a variable and its version.
    pub fn variable(&self, key: &str) -> Option<(serde_json::Value, i64)> {
        let sql = "SELECT value, version FROM variables WHERE key = ?1";
        let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
        match self.connection.query_row(sql, [key], read) {
            Ok((value, version)) => Some((serde_json::from_str(&value).unwrap(), version)),
            Err(rusqlite::Error::QueryReturnedNoRows) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// `events.seq` of a run, in order.
    pub fn event_numbers(&self, run: &str) -> Vec<i64> {
        let mut statement =
            self.connection.prepare("SELECT seq FROM events WHERE run_id = ?1 ORDER BY seq").unwrap();
        statement.query_map([run], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Panics unless SQLite finds the file whole.
    pub fn check(&self) {
        assert_eq!(self.column("PRAGMA integrity_check", []), ["ok"]);
    }

    fn column<P: rusqlite::Params>(&self, sql: &str, params: P) -> Vec<String> {
        let mut statement = self.connection.prepare(sql).unwrap();
        statement.query_map(params, |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}
