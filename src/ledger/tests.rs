//! The ledger as a whole, through its public face.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::event::{
    Bytes, Event, EventKind, Failure, HostResult, HostState, Outcome, PayloadInfo, Phase, Sink as _, Stream,
    Summary,
};

mod contract;
mod killed;
mod migrated;
mod output;
mod replay;
mod resumed;
mod runs;
mod variables;

/// A folder with room for a ledger; gone when dropped.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state/ledger.db")
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.path()).unwrap()
    }

    fn reader(&self) -> Reader {
        Ledger::open_read(&self.path()).unwrap()
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("config/variables.key")
    }

    fn variables(&self, ledger: &Ledger) -> Variables {
        ledger.variables(self.key_file())
    }

    /// SQL as a user would type it.
    fn sql<T: rusqlite::types::FromSql>(&self, query: &str) -> T {
        let connection = Connection::open(self.path()).unwrap();
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn new_run(id: &str, hosts: &[&str]) -> NewRun {
    NewRun {
        id: id.into(),
        command: "cronium-run exec web[1-3] disk-report".into(),
        payload: Some(PayloadInfo {
            name: "disk-report".into(),
            digest: "d".repeat(64),
            bytes: 1234,
            release: Some(7),
            signer: Some("SHA256:abc".into()),
        }),
        git_sha: Some("27a3ac1".into()),
        operator: Some("ann@laptop".into()),
        plan: json!({"forks": 32}),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        started_at: at(0),
        rerun_of: None,
        order: None,
        signed: None,
    }
}

/// Tells events to a recorder, numbered and stamped as the dispatcher does.
struct Teller {
    recorder: RunRecorder,
    told: Vec<Event>,
}

impl Teller {
    fn new(ledger: &Ledger, run: NewRun) -> Self {
        let (id, command, payload, hosts) =
            (run.id.clone(), run.command.clone(), run.payload.clone(), run.hosts.clone());
        ledger.begin_run(run).unwrap();
        let mut teller = Self { recorder: ledger.recorder(&id), told: Vec::new() };
        teller.tell(EventKind::RunStarted { run: id, command, version: "0.1.0".into(), payload, hosts });
        teller
    }

    /// Takes the run up again and asks `hosts`; what was told before stays told.
    fn resume(self, ledger: &Ledger, hosts: &[&str]) -> Self {
        let Self { recorder, told } = self;
        drop(recorder);
        let mut teller = Self { recorder: resumed(ledger, "R1", hosts).0, told };
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        teller.tell(EventKind::RunResumed {
            run: "R1".into(),
            command: "cronium-run attach R1".into(),
            version: "0.1.0".into(),
            payload: None,
            hosts,
        });
        teller
    }

    fn tell(&mut self, kind: EventKind) {
        self.tell_marked(None, kind);
    }

    /// `mark` is not told again: it is of the recording.
    fn tell_marked(&mut self, mark: Option<u64>, kind: EventKind) {
        let seq = self.told.len() as u64;
        let event = Event { seq, at: at(seq as i64), mark, kind };
        self.recorder.event(&event).unwrap();
        self.told.push(Event { mark: None, ..event });
    }

    fn state(&mut self, host: &str, state: HostState) {
        self.tell(EventKind::HostState { host: host.into(), state });
    }

    fn print(&mut self, host: &str, stream: Stream, data: &[u8]) {
        self.tell(EventKind::HostOutput { host: host.into(), stream, data: Bytes(data.to_vec()) });
    }

    fn end(&mut self, host: &str, result: HostResult) {
        self.tell(EventKind::HostFinished { host: host.into(), result: Box::new(result) });
    }

    fn end_run(mut self, outcomes: &[Outcome]) -> Vec<Event> {
        let mut summary = Summary { hosts: outcomes.len() as u64, duration_ms: 5, ..Summary::default() };
        outcomes.iter().for_each(|outcome| summary.add(*outcome));
        self.tell(EventKind::RunFinished { summary });
        self.finish()
    }

    fn finish(mut self) -> Vec<Event> {
        self.recorder.finish().unwrap();
        std::mem::take(&mut self.told)
    }
}

/// Takes a run up again: where it is let go a moment ago, the writer may not know yet.
fn resumed(ledger: &Ledger, run: &str, hosts: &[&str]) -> (RunRecorder, GoesOn) {
    ledger.call(|_| Ok(())).unwrap();
    let mut resumed = ledger.resume_run(run).unwrap();
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let place = resumed.place(&hosts).unwrap();
    (resumed.recorder, place)
}

fn ended(outcome: Outcome) -> HostResult {
    HostResult { started_at: Some(at(1)), ..HostResult::bare(outcome, at(4)) }
}

fn refused() -> HostResult {
    HostResult {
        failure: Some(Failure {
            phase: Phase::Tcp,
            kind: "refused".into(),
            message: "connection refused".into(),
            causes: vec!["os error 111".into()],
            hint: Some("ssh -v web2".into()),
        }),
        ..ended(Outcome::Unreachable)
    }
}
