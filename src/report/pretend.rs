//! A run of pretend hosts, each with its fate: what every reporter is tried on.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::event::{
    Bytes, Conflict, Event, EventKind, Failure, HelperMode, HostResult, HostState, Outcome, PayloadInfo,
    Phase, Stream, Summary,
};

/// What a pretend host does.
pub struct Host {
    pub name: &'static str,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Bytes that are missing behind the third of stdout.
    pub cut: Option<u64>,
    /// Its connection is lost behind the third byte, and made again.
    pub reconnects: bool,
    pub outcome: Outcome,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub failure: Option<Failure>,
    /// What its script tells, without the host.
    pub tells: Vec<Tells>,
    pub helpers: Option<(HelperMode, Option<&'static str>)>,
    /// Key and reason.
    pub conflicts: Vec<(&'static str, &'static str)>,
}

/// What a script tells beside its output. `HOST` in a message of a log stands for the host's name.
pub enum Tells {
    Log(&'static str, &'static str, Value),
    Progress(f64, Option<&'static str>),
    Notify(&'static str, &'static str),
    Condition(bool),
    Artifact(&'static str, u64),
}

impl Tells {
    pub fn of(&self, host: &str) -> EventKind {
        let host = host.to_owned();
        match self {
            Self::Log(level, message, context) => EventKind::HostLog {
                level: (*level).to_owned(),
                message: message.replace("HOST", &host),
                host,
                context: context.clone(),
            },
            Self::Progress(percent, step) => {
                EventKind::HostProgress { host, percent: *percent, step: step.map(str::to_owned) }
            }
            Self::Notify(audience, message) => EventKind::HostNotify {
                host,
                audience: (*audience).to_owned(),
                message: (*message).to_owned(),
            },
            Self::Condition(condition) => EventKind::HostCondition { host, condition: *condition },
            Self::Artifact(path, bytes) => EventKind::HostArtifact {
                host,
                path: (*path).to_owned(),
                digest: "cd".repeat(32),
                bytes: *bytes,
                mode: 0o644,
            },
        }
    }
}

pub fn answers(name: &'static str, stdout: impl Into<Vec<u8>>) -> Host {
    Host {
        name,
        stdout: stdout.into(),
        stderr: Vec::new(),
        cut: None,
        reconnects: false,
        outcome: Outcome::Succeeded,
        exit_code: Some(0),
        signal: None,
        failure: None,
        tells: Vec::new(),
        helpers: None,
        conflicts: Vec::new(),
    }
}

pub fn fails(name: &'static str, outcome: Outcome, failure: Failure) -> Host {
    Host { outcome, exit_code: None, failure: Some(failure), ..answers(name, "") }
}

pub fn failure(phase: Phase, kind: &str, message: &str, causes: &[&str], hint: &str) -> Failure {
    Failure {
        phase,
        kind: kind.to_owned(),
        message: message.to_owned(),
        causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
    }
}

pub fn refused(name: &'static str) -> Host {
    let message = format!("cannot connect to {name}:22");
    fails(
        name,
        Outcome::Unreachable,
        failure(Phase::Tcp, "refused", &message, &["connection refused"], "cronium-run doctor HOST"),
    )
}

/// A host that the operator has left while its script ran.
pub fn left(name: &'static str, stdout: &'static str) -> Host {
    Host { outcome: Outcome::Detached, exit_code: None, ..answers(name, stdout) }
}

/// A host whose script tells all there is to tell, as hosts do that mean no good.
pub fn tells(name: &'static str) -> Host {
    Host {
        tells: vec![
            Tells::Progress(12.5, Some("reading\x1b[2J")),
            Tells::Log("info", "begin", Value::Null),
            Tells::Log("debug", "not for people", Value::Null),
            Tells::Log("warn", "disk of HOST is full\nreally", json!({"disk": "/srv", "used": 0.98})),
            Tells::Notify("ops\x1b[31m", "please \u{202e}look"),
            Tells::Log("error", "cannot mount \u{9b}31m", Value::Null),
            Tells::Condition(false),
            Tells::Progress(100.0, None),
            Tells::Condition(true),
            Tells::Artifact("out/report.csv", 1_234_567),
            Tells::Artifact("out/a\x1b[2Jb", 0),
        ],
        helpers: Some((HelperMode::Api, None)),
        ..answers(name, "")
    }
}

/// A host that answered its helpers itself, and promised what it could not keep.
pub fn conflicts(name: &'static str) -> Host {
    Host {
        tells: vec![
            Tells::Log("warn", "disk of HOST is full\nreally", Value::Null),
            Tells::Artifact("out/report.csv", 5),
        ],
        helpers: Some((HelperMode::Bundled, Some("its sshd forwards nothing\x1b[2J"))),
        conflicts: vec![
            ("k", "it has version 5, the script wanted 3"),
            ("a\x1b]0;b", "it is \"x\", no number"),
        ],
        ..answers(name, "")
    }
}

/// The table: every host's fate, said once.
pub fn table() -> Vec<Host> {
    let auth = failure(
        Phase::Auth,
        "refused",
        "root@db3:2222 refused every key",
        &["tried 2 keys of ssh-agent"],
        "ssh-add ~/.ssh/id_ed25519",
    );
    let timeout = failure(Phase::Timeout, "timeout", "timed out after 30 s", &[], "");
    let again = "cronium-run attach 01JRUN";
    let lost = failure(Phase::Lost, "lost", "the connection broke while the job ran", &[], again);
    let rejected =
        failure(Phase::Verify, "signature", "the payload's signature is not by a pinned key", &[], "");
    vec![
        answers("web01", "6.1.0\n"),
        answers("web02", "6.1.0\n"),
        answers("web03", "6.1.0\n"),
        Host { stderr: b"deprecated\n".to_vec(), ..answers("web04", "6.12.0\n") },
        answers("web05", "6.1.0\n"),
        answers("web06", ""),
        Host {
            stderr: b"no such file\n".to_vec(),
            outcome: Outcome::Failed,
            exit_code: Some(7),
            ..answers("web07", "half a li")
        },
        Host { outcome: Outcome::Failed, exit_code: None, signal: Some(9), ..answers("web08", "") },
        Host { stdout: b"working\n".to_vec(), ..fails("web09", Outcome::TimedOut, timeout) },
        refused("db1"),
        refused("db2"),
        fails("root@db3:2222", Outcome::Unreachable, auth),
        Host { stdout: b"started\n".to_vec(), ..fails("job1", Outcome::Unknown, lost) },
        fails("job2", Outcome::Rejected, rejected),
        answers("long", [vec![b'x'; 100].as_slice(), b"\n"].concat()),
        answers("bin", b"\x1b[31mred\xff\r\n".as_slice()),
        tells("tell1"),
        conflicts("tell2"),
        conflicts("tell3"),
        Host { cut: Some(5_261_334_937), ..answers("cut1", "ab\nyz\n") },
        Host { reconnects: true, ..answers("again1", "6.1.0\n") },
        left("left1", "begun\n"),
        left("left2", ""),
    ]
}

fn at(milliseconds: i64) -> Timestamp {
    "2026-11-05T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(milliseconds)
}

/// The events of a run of these hosts, as JSON gives them back: output comes in pieces and all
/// hosts at once.
pub fn events(table: &[Host]) -> Vec<Event> {
    let mut kinds = vec![EventKind::RunStarted {
        run: "01JRUN".to_owned(),
        command: "cronium-run exec @all -- uname -r".to_owned(),
        version: "0.1.0".to_owned(),
        payload: Some(PayloadInfo {
            name: "command".to_owned(),
            digest: "ab".repeat(32),
            bytes: 512,
            release: None,
            signer: None,
        }),
        hosts: table.iter().map(|host| host.name.to_owned()).collect(),
    }];
    for host in table {
        let host = host.name.to_owned();
        kinds.push(EventKind::HostState { host, state: HostState::Running });
    }
    for host in table.iter().take(2) {
        let message = format!("{} has no clock", host.name);
        kinds.push(EventKind::HostWarning { host: host.name.to_owned(), message });
    }
    // Everybody's first three bytes, then everybody's rest.
    for rest in [false, true] {
        for host in table {
            for (stream, bytes) in [(Stream::Stdout, &host.stdout), (Stream::Stderr, &host.stderr)] {
                let (first, later) = bytes.split_at(bytes.len().min(3));
                let piece = if rest { later } else { first };
                if !piece.is_empty() {
                    let (host, data) = (host.name.to_owned(), Bytes(piece.to_vec()));
                    kinds.push(EventKind::HostOutput { host, stream, data });
                }
            }
        }
        for host in table.iter().filter(|_| !rest) {
            let name = || host.name.to_owned();
            if host.reconnects {
                for state in [HostState::Reconnecting, HostState::Running] {
                    kinds.push(EventKind::HostState { host: name(), state });
                }
            }
            let stream = Stream::Stdout;
            kinds.extend(host.cut.map(|bytes| EventKind::HostOutputCut { host: name(), stream, bytes }));
        }
    }
    // Script by script a step at a time, all hosts at once.
    for step in 0..table.iter().map(|host| host.tells.len()).max().unwrap_or(0) {
        for host in table {
            kinds.extend(host.tells.get(step).map(|tells| tells.of(host.name)));
        }
    }
    let mut summary = Summary { hosts: table.len() as u64, duration_ms: 30_120, ..Summary::default() };
    for host in table {
        summary.add(host.outcome);
        let result = HostResult {
            exit_code: host.exit_code,
            signal: host.signal,
            failure: host.failure.clone(),
            started_at: Some(at(5)),
            duration_ms: 1_200,
            timings: BTreeMap::from([("running".to_owned(), 1_100)]),
            helper_mode: host.helpers.map(|(mode, _)| mode),
            helper_reason: host.helpers.and_then(|(_, reason)| reason).map(str::to_owned),
            conflicts: host
                .conflicts
                .iter()
                .map(|(key, reason)| Conflict { key: (*key).to_owned(), reason: (*reason).to_owned() })
                .collect(),
            condition: host.tells.iter().rev().find_map(|tells| match tells {
                Tells::Condition(condition) => Some(*condition),
                _ => None,
            }),
            stdout_bytes: host.stdout.len() as u64,
            stderr_bytes: host.stderr.len() as u64,
            ..HostResult::bare(host.outcome, at(1_205))
        };
        kinds.push(EventKind::HostFinished { host: host.name.to_owned(), result: Box::new(result) });
    }
    kinds.push(EventKind::RunFinished { summary });
    kinds
        .into_iter()
        .enumerate()
        .map(|(seq, kind)| {
            let event = Event { seq: seq as u64, at: at(seq as i64), mark: None, kind };
            let read: Event = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
            assert_eq!(read, event);
            read
        })
        .collect()
}
