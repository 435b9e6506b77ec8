//! A run of pretend hosts, each with its fate, told in every mode.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::event::{
    Bytes, EventKind, Failure, HostResult, HostState, Outcome, PayloadInfo, Phase, Stream, Summary,
};
use crate::term::Captured;

/// What a pretend host does.
struct Host {
    name: &'static str,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    outcome: Outcome,
    exit_code: Option<i32>,
    signal: Option<i32>,
    failure: Option<Failure>,
}

fn answers(name: &'static str, stdout: impl Into<Vec<u8>>) -> Host {
    Host {
        name,
        stdout: stdout.into(),
        stderr: Vec::new(),
        outcome: Outcome::Succeeded,
        exit_code: Some(0),
        signal: None,
        failure: None,
    }
}

fn fails(name: &'static str, outcome: Outcome, failure: Failure) -> Host {
    Host { outcome, exit_code: None, failure: Some(failure), ..answers(name, "") }
}

fn failure(phase: Phase, kind: &str, message: &str, causes: &[&str], hint: &str) -> Failure {
    Failure {
        phase,
        kind: kind.to_owned(),
        message: message.to_owned(),
        causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
    }
}

fn refused(name: &'static str) -> Host {
    let message = format!("cannot connect to {name}:22");
    fails(
        name,
        Outcome::Unreachable,
        failure(Phase::Tcp, "refused", &message, &["connection refused"], "cronium-run doctor HOST"),
    )
}

/// The table: every host's fate, said once.
fn table() -> Vec<Host> {
    let auth = failure(
        Phase::Auth,
        "refused",
        "root@db3:2222 refused every key",
        &["tried 2 keys of ssh-agent"],
        "ssh-add ~/.ssh/id_ed25519",
    );
    let timeout = failure(Phase::Timeout, "timeout", "timed out after 30 s", &[], "");
    let lost = failure(Phase::Lost, "lost", "the connection broke while the job ran", &[], "");
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
    ]
}

fn at(milliseconds: i64) -> Timestamp {
    "2026-11-05T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(milliseconds)
}

/// The events of a run of these hosts, as JSON gives them back: output comes in pieces and all
/// hosts at once.
fn events(table: &[Host]) -> Vec<Event> {
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
    let state_of_key = |host: &&Host| host.name.starts_with("web0");
    for host in table.iter().filter(state_of_key).take(2) {
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
            let event = Event { seq: seq as u64, at: at(seq as i64), kind };
            let read: Event = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
            assert_eq!(read, event);
            read
        })
        .collect()
}

fn tell(mut reporters: Reporters, events: &[Event]) {
    for event in events {
        crate::event::Sink::event(&mut reporters, event).unwrap();
    }
    assert!(reporters.failure().is_none());
}

/// Both streams of a run told live; told again from its events, it is the same.
fn told_on(output: Output, events: &[Event], term: (Term, Captured), again: (Term, Captured)) -> Captured {
    tell(Reporters::live(output, &term.0), events);
    tell(Reporters::replay(output, &again.0), events);
    assert!(term.1.out_bytes() == again.1.out_bytes());
    assert!(term.1.err_bytes() == again.1.err_bytes());
    term.1
}

fn told(output: Output) -> String {
    shown(&told_on(output, &events(&table()), Term::captured(), Term::captured()))
}

fn told_on_terminal(output: Output) -> String {
    shown(&told_on(output, &events(&table()), Term::pretend(true, false), Term::pretend(true, false)))
}

fn shown(captured: &Captured) -> String {
    let escapes = |text: String| text.replace('\x1b', "␛").replace('\r', "␍");
    format!("--- stdout\n{}--- stderr\n{}", escapes(captured.out()), escapes(captured.err()))
}

#[test]
fn grouped() {
    insta::assert_snapshot!(told(Output::Grouped), @r"
    --- stdout
    web[01-03,05] (4 hosts): ok
    6.1.0

    bin (1 host): ok
    ␛[31mred�␍

    long (1 host): ok
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

    web04 (1 host): ok
    6.12.0

    web07 (1 host): exit 7
    half a li

    web09 (1 host): timed out after 30 s
    working

    job1 (1 host): unknown: the connection broke while the job ran
    started
    --- stderr
    web04 (1 host): ok, stderr
    deprecated

    web06 (1 host): ok, no output

    web07 (1 host): exit 7, stderr
    no such file
    warning: web[01-02] (2 hosts): web[01-02] has no clock
    16 hosts: 8 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown in 30 s
    error: web07: exit 7
    error: web08: killed by SIGKILL
    error: web09: timed out after 30 s
    error: db[1-2] (2 hosts): unreachable: cannot connect to db[1-2]:22
    caused by: connection refused

    hint: cronium-run doctor HOST
    error: root@db3:2222: unreachable: root@db3:2222 refused every key
    caused by: tried 2 keys of ssh-agent

    hint: ssh-add ~/.ssh/id_ed25519
    error: job1: unknown: the connection broke while the job ran
    error: job2: rejected: the payload's signature is not by a pinned key
    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run logs 01JRUN web07
    ");
    assert_eq!(told(Output::Auto), told(Output::Grouped));
}

#[test]
fn grouped_on_a_terminal() {
    insta::assert_snapshot!(told_on_terminal(Output::Grouped), @r"
    --- stdout
    web[01-03,05] (4 hosts): ok
    6.1.0

    bin (1 host): ok
    \x1b[31mred�

    long (1 host): ok
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

    web04 (1 host): ok
    6.12.0

    web07 (1 host): exit 7
    half a li

    web09 (1 host): timed out after 30 s
    working

    job1 (1 host): unknown: the connection broke while the job ran
    started
    --- stderr
    web04 (1 host): ok, stderr
    deprecated

    web06 (1 host): ok, no output
    web07 (1 host): exit 7, stderr
    no such file
    warning: web[01-02] (2 hosts): web[01-02] has no clock
    16 hosts: 8 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown in 30 s
    error: web07: exit 7
    error: web08: killed by SIGKILL
    error: web09: timed out after 30 s
    error: db[1-2] (2 hosts): unreachable: cannot connect to db[1-2]:22
    caused by: connection refused

    hint: cronium-run doctor HOST
    error: root@db3:2222: unreachable: root@db3:2222 refused every key
    caused by: tried 2 keys of ssh-agent

    hint: ssh-add ~/.ssh/id_ed25519
    error: job1: unknown: the connection broke while the job ran
    error: job2: rejected: the payload's signature is not by a pinned key
    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run logs 01JRUN web07
    ");
}

#[test]
fn stream() {
    insta::assert_snapshot!(told(Output::Stream), @r"
    --- stdout
    web01:         6.1.0
    web02:         6.1.0
    web03:         6.1.0
    web04:         6.12.0
    web05:         6.1.0
    web09:         working
    job1:          started
    long:          xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    bin:           ␛[31mred�␍
    web07:         half a li
    --- stderr
    web04:         deprecated
    web07:         no such file
    warning: web[01-02] (2 hosts): web[01-02] has no clock
    16 hosts: 8 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown in 30 s
    error: web07: exit 7
    error: web08: killed by SIGKILL
    error: web09: timed out after 30 s
    error: db[1-2] (2 hosts): unreachable: cannot connect to db[1-2]:22
    caused by: connection refused

    hint: cronium-run doctor HOST
    error: root@db3:2222: unreachable: root@db3:2222 refused every key
    caused by: tried 2 keys of ssh-agent

    hint: ssh-add ~/.ssh/id_ed25519
    error: job1: unknown: the connection broke while the job ran
    error: job2: rejected: the payload's signature is not by a pinned key
    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run logs 01JRUN web07
    ");
}

#[test]
fn stream_on_a_terminal() {
    insta::assert_snapshot!(told_on_terminal(Output::Stream), @r"
    --- stdout
    web01:         6.1.0
    web02:         6.1.0
    web03:         6.1.0
    web04:         6.12.0
    web05:         6.1.0
    web09:         working
    job1:          started
    long:          xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    bin:           \x1b[31mred�
    web07:         half a li
    --- stderr
    web04:         deprecated
    web07:         no such file
    warning: web[01-02] (2 hosts): web[01-02] has no clock
    16 hosts: 8 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown in 30 s
    error: web07: exit 7
    error: web08: killed by SIGKILL
    error: web09: timed out after 30 s
    error: db[1-2] (2 hosts): unreachable: cannot connect to db[1-2]:22
    caused by: connection refused

    hint: cronium-run doctor HOST
    error: root@db3:2222: unreachable: root@db3:2222 refused every key
    caused by: tried 2 keys of ssh-agent

    hint: ssh-add ~/.ssh/id_ed25519
    error: job1: unknown: the connection broke while the job ran
    error: job2: rejected: the payload's signature is not by a pinned key
    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run logs 01JRUN web07
    ");
}

#[test]
fn json() {
    insta::assert_snapshot!(told(Output::Json), @r#"
    --- stdout
    {
      "run": "01JRUN",
      "command": "cronium-run exec @all -- uname -r",
      "version": "0.1.0",
      "payload": {
        "name": "command",
        "digest": "abababababababababababababababababababababababababababababababab",
        "bytes": 512,
        "release": null,
        "signer": null
      },
      "started_at": "2026-11-05T10:00:00Z",
      "finished_at": "2026-11-05T10:00:00.059Z",
      "status": "failed",
      "exit_code": 6,
      "summary": {
        "hosts": 16,
        "outcomes": {
          "succeeded": 8,
          "failed": 2,
          "timed_out": 1,
          "unreachable": 3,
          "rejected": 1,
          "unknown": 1
        },
        "duration_ms": 30120
      },
      "hosts": [
        {
          "host": "web01",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 6,
          "stderr_bytes": 0,
          "warnings": [
            "web01 has no clock"
          ],
          "stdout": "6.1.0\n",
          "stderr": ""
        },
        {
          "host": "web02",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 6,
          "stderr_bytes": 0,
          "warnings": [
            "web02 has no clock"
          ],
          "stdout": "6.1.0\n",
          "stderr": ""
        },
        {
          "host": "web03",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 6,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "6.1.0\n",
          "stderr": ""
        },
        {
          "host": "web04",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 7,
          "stderr_bytes": 11,
          "warnings": [],
          "stdout": "6.12.0\n",
          "stderr": "deprecated\n"
        },
        {
          "host": "web05",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 6,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "6.1.0\n",
          "stderr": ""
        },
        {
          "host": "web06",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "web07",
          "outcome": "failed",
          "attempt": 1,
          "exit_code": 7,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 9,
          "stderr_bytes": 13,
          "warnings": [],
          "stdout": "half a li",
          "stderr": "no such file\n"
        },
        {
          "host": "web08",
          "outcome": "failed",
          "attempt": 1,
          "signal": 9,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "web09",
          "outcome": "timed_out",
          "attempt": 1,
          "failure": {
            "phase": "timeout",
            "kind": "timeout",
            "message": "timed out after 30 s"
          },
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 8,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "working\n",
          "stderr": ""
        },
        {
          "host": "db1",
          "outcome": "unreachable",
          "attempt": 1,
          "failure": {
            "phase": "tcp",
            "kind": "refused",
            "message": "cannot connect to db1:22",
            "causes": [
              "connection refused"
            ],
            "hint": "cronium-run doctor HOST"
          },
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "db2",
          "outcome": "unreachable",
          "attempt": 1,
          "failure": {
            "phase": "tcp",
            "kind": "refused",
            "message": "cannot connect to db2:22",
            "causes": [
              "connection refused"
            ],
            "hint": "cronium-run doctor HOST"
          },
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "root@db3:2222",
          "outcome": "unreachable",
          "attempt": 1,
          "failure": {
            "phase": "auth",
            "kind": "refused",
            "message": "root@db3:2222 refused every key",
            "causes": [
              "tried 2 keys of ssh-agent"
            ],
            "hint": "ssh-add ~/.ssh/id_ed25519"
          },
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "job1",
          "outcome": "unknown",
          "attempt": 1,
          "failure": {
            "phase": "lost",
            "kind": "lost",
            "message": "the connection broke while the job ran"
          },
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 8,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "started\n",
          "stderr": ""
        },
        {
          "host": "job2",
          "outcome": "rejected",
          "attempt": 1,
          "failure": {
            "phase": "verify",
            "kind": "signature",
            "message": "the payload's signature is not by a pinned key"
          },
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "long",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 101,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
          "stderr": ""
        },
        {
          "host": "bin",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "stdout_bytes": 11,
          "stderr_bytes": 0,
          "warnings": [],
          "stdout": {
            "base64": "G1szMW1yZWT/DQo="
          },
          "stderr": ""
        }
      ]
    }
    --- stderr
    "#);
}

#[test]
fn jsonl() {
    insta::assert_snapshot!(told(Output::Jsonl), @r#"
    --- stdout
    {"seq":0,"at":"2026-11-05T10:00:00Z","kind":"run_started","run":"01JRUN","command":"cronium-run exec @all -- uname -r","version":"0.1.0","payload":{"name":"command","digest":"abababababababababababababababababababababababababababababababab","bytes":512,"release":null,"signer":null},"hosts":["web01","web02","web03","web04","web05","web06","web07","web08","web09","db1","db2","root@db3:2222","job1","job2","long","bin"]}
    {"seq":1,"at":"2026-11-05T10:00:00.001Z","kind":"host_state","host":"web01","state":"running"}
    {"seq":2,"at":"2026-11-05T10:00:00.002Z","kind":"host_state","host":"web02","state":"running"}
    {"seq":3,"at":"2026-11-05T10:00:00.003Z","kind":"host_state","host":"web03","state":"running"}
    {"seq":4,"at":"2026-11-05T10:00:00.004Z","kind":"host_state","host":"web04","state":"running"}
    {"seq":5,"at":"2026-11-05T10:00:00.005Z","kind":"host_state","host":"web05","state":"running"}
    {"seq":6,"at":"2026-11-05T10:00:00.006Z","kind":"host_state","host":"web06","state":"running"}
    {"seq":7,"at":"2026-11-05T10:00:00.007Z","kind":"host_state","host":"web07","state":"running"}
    {"seq":8,"at":"2026-11-05T10:00:00.008Z","kind":"host_state","host":"web08","state":"running"}
    {"seq":9,"at":"2026-11-05T10:00:00.009Z","kind":"host_state","host":"web09","state":"running"}
    {"seq":10,"at":"2026-11-05T10:00:00.01Z","kind":"host_state","host":"db1","state":"running"}
    {"seq":11,"at":"2026-11-05T10:00:00.011Z","kind":"host_state","host":"db2","state":"running"}
    {"seq":12,"at":"2026-11-05T10:00:00.012Z","kind":"host_state","host":"root@db3:2222","state":"running"}
    {"seq":13,"at":"2026-11-05T10:00:00.013Z","kind":"host_state","host":"job1","state":"running"}
    {"seq":14,"at":"2026-11-05T10:00:00.014Z","kind":"host_state","host":"job2","state":"running"}
    {"seq":15,"at":"2026-11-05T10:00:00.015Z","kind":"host_state","host":"long","state":"running"}
    {"seq":16,"at":"2026-11-05T10:00:00.016Z","kind":"host_state","host":"bin","state":"running"}
    {"seq":17,"at":"2026-11-05T10:00:00.017Z","kind":"host_warning","host":"web01","message":"web01 has no clock"}
    {"seq":18,"at":"2026-11-05T10:00:00.018Z","kind":"host_warning","host":"web02","message":"web02 has no clock"}
    {"seq":19,"at":"2026-11-05T10:00:00.019Z","kind":"host_output","host":"web01","stream":"stdout","text":"6.1"}
    {"seq":20,"at":"2026-11-05T10:00:00.02Z","kind":"host_output","host":"web02","stream":"stdout","text":"6.1"}
    {"seq":21,"at":"2026-11-05T10:00:00.021Z","kind":"host_output","host":"web03","stream":"stdout","text":"6.1"}
    {"seq":22,"at":"2026-11-05T10:00:00.022Z","kind":"host_output","host":"web04","stream":"stdout","text":"6.1"}
    {"seq":23,"at":"2026-11-05T10:00:00.023Z","kind":"host_output","host":"web04","stream":"stderr","text":"dep"}
    {"seq":24,"at":"2026-11-05T10:00:00.024Z","kind":"host_output","host":"web05","stream":"stdout","text":"6.1"}
    {"seq":25,"at":"2026-11-05T10:00:00.025Z","kind":"host_output","host":"web07","stream":"stdout","text":"hal"}
    {"seq":26,"at":"2026-11-05T10:00:00.026Z","kind":"host_output","host":"web07","stream":"stderr","text":"no "}
    {"seq":27,"at":"2026-11-05T10:00:00.027Z","kind":"host_output","host":"web09","stream":"stdout","text":"wor"}
    {"seq":28,"at":"2026-11-05T10:00:00.028Z","kind":"host_output","host":"job1","stream":"stdout","text":"sta"}
    {"seq":29,"at":"2026-11-05T10:00:00.029Z","kind":"host_output","host":"long","stream":"stdout","text":"xxx"}
    {"seq":30,"at":"2026-11-05T10:00:00.03Z","kind":"host_output","host":"bin","stream":"stdout","text":"\u001b[3"}
    {"seq":31,"at":"2026-11-05T10:00:00.031Z","kind":"host_output","host":"web01","stream":"stdout","text":".0\n"}
    {"seq":32,"at":"2026-11-05T10:00:00.032Z","kind":"host_output","host":"web02","stream":"stdout","text":".0\n"}
    {"seq":33,"at":"2026-11-05T10:00:00.033Z","kind":"host_output","host":"web03","stream":"stdout","text":".0\n"}
    {"seq":34,"at":"2026-11-05T10:00:00.034Z","kind":"host_output","host":"web04","stream":"stdout","text":"2.0\n"}
    {"seq":35,"at":"2026-11-05T10:00:00.035Z","kind":"host_output","host":"web04","stream":"stderr","text":"recated\n"}
    {"seq":36,"at":"2026-11-05T10:00:00.036Z","kind":"host_output","host":"web05","stream":"stdout","text":".0\n"}
    {"seq":37,"at":"2026-11-05T10:00:00.037Z","kind":"host_output","host":"web07","stream":"stdout","text":"f a li"}
    {"seq":38,"at":"2026-11-05T10:00:00.038Z","kind":"host_output","host":"web07","stream":"stderr","text":"such file\n"}
    {"seq":39,"at":"2026-11-05T10:00:00.039Z","kind":"host_output","host":"web09","stream":"stdout","text":"king\n"}
    {"seq":40,"at":"2026-11-05T10:00:00.04Z","kind":"host_output","host":"job1","stream":"stdout","text":"rted\n"}
    {"seq":41,"at":"2026-11-05T10:00:00.041Z","kind":"host_output","host":"long","stream":"stdout","text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"}
    {"seq":42,"at":"2026-11-05T10:00:00.042Z","kind":"host_output","host":"bin","stream":"stdout","base64":"MW1yZWT/DQo="}
    {"seq":43,"at":"2026-11-05T10:00:00.043Z","kind":"host_finished","host":"web01","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":6,"stderr_bytes":0}
    {"seq":44,"at":"2026-11-05T10:00:00.044Z","kind":"host_finished","host":"web02","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":6,"stderr_bytes":0}
    {"seq":45,"at":"2026-11-05T10:00:00.045Z","kind":"host_finished","host":"web03","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":6,"stderr_bytes":0}
    {"seq":46,"at":"2026-11-05T10:00:00.046Z","kind":"host_finished","host":"web04","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":7,"stderr_bytes":11}
    {"seq":47,"at":"2026-11-05T10:00:00.047Z","kind":"host_finished","host":"web05","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":6,"stderr_bytes":0}
    {"seq":48,"at":"2026-11-05T10:00:00.048Z","kind":"host_finished","host":"web06","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":0,"stderr_bytes":0}
    {"seq":49,"at":"2026-11-05T10:00:00.049Z","kind":"host_finished","host":"web07","outcome":"failed","attempt":1,"exit_code":7,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":9,"stderr_bytes":13}
    {"seq":50,"at":"2026-11-05T10:00:00.05Z","kind":"host_finished","host":"web08","outcome":"failed","attempt":1,"signal":9,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":0,"stderr_bytes":0}
    {"seq":51,"at":"2026-11-05T10:00:00.051Z","kind":"host_finished","host":"web09","outcome":"timed_out","attempt":1,"failure":{"phase":"timeout","kind":"timeout","message":"timed out after 30 s"},"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":8,"stderr_bytes":0}
    {"seq":52,"at":"2026-11-05T10:00:00.052Z","kind":"host_finished","host":"db1","outcome":"unreachable","attempt":1,"failure":{"phase":"tcp","kind":"refused","message":"cannot connect to db1:22","causes":["connection refused"],"hint":"cronium-run doctor HOST"},"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":0,"stderr_bytes":0}
    {"seq":53,"at":"2026-11-05T10:00:00.053Z","kind":"host_finished","host":"db2","outcome":"unreachable","attempt":1,"failure":{"phase":"tcp","kind":"refused","message":"cannot connect to db2:22","causes":["connection refused"],"hint":"cronium-run doctor HOST"},"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":0,"stderr_bytes":0}
    {"seq":54,"at":"2026-11-05T10:00:00.054Z","kind":"host_finished","host":"root@db3:2222","outcome":"unreachable","attempt":1,"failure":{"phase":"auth","kind":"refused","message":"root@db3:2222 refused every key","causes":["tried 2 keys of ssh-agent"],"hint":"ssh-add ~/.ssh/id_ed25519"},"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":0,"stderr_bytes":0}
    {"seq":55,"at":"2026-11-05T10:00:00.055Z","kind":"host_finished","host":"job1","outcome":"unknown","attempt":1,"failure":{"phase":"lost","kind":"lost","message":"the connection broke while the job ran"},"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":8,"stderr_bytes":0}
    {"seq":56,"at":"2026-11-05T10:00:00.056Z","kind":"host_finished","host":"job2","outcome":"rejected","attempt":1,"failure":{"phase":"verify","kind":"signature","message":"the payload's signature is not by a pinned key"},"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":0,"stderr_bytes":0}
    {"seq":57,"at":"2026-11-05T10:00:00.057Z","kind":"host_finished","host":"long","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":101,"stderr_bytes":0}
    {"seq":58,"at":"2026-11-05T10:00:00.058Z","kind":"host_finished","host":"bin","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":11,"stderr_bytes":0}
    {"seq":59,"at":"2026-11-05T10:00:00.059Z","kind":"run_finished","hosts":16,"outcomes":{"succeeded":8,"failed":2,"timed_out":1,"unreachable":3,"rejected":1,"unknown":1},"duration_ms":30120}
    --- stderr
    "#);
}

#[test]
fn quiet() {
    insta::assert_snapshot!(told(Output::Quiet), @r"
    --- stdout
    --- stderr
    error: web07: exit 7
    error: web08: killed by SIGKILL
    error: web09: timed out after 30 s
    error: db[1-2] (2 hosts): unreachable: cannot connect to db[1-2]:22
    caused by: connection refused

    hint: cronium-run doctor HOST
    error: root@db3:2222: unreachable: root@db3:2222 refused every key
    caused by: tried 2 keys of ssh-agent

    hint: ssh-add ~/.ssh/id_ed25519
    error: job1: unknown: the connection broke while the job ran
    error: job2: rejected: the payload's signature is not by a pinned key
    ");
}

#[test]
fn quiet_says_nothing_where_all_is_well() {
    let events = events(&[answers("web01", "6.1.0\n"), answers("web02", "")]);
    insta::assert_snapshot!(shown(&told_on(Output::Quiet, &events, Term::captured(), Term::captured())), @r"
    --- stdout
    --- stderr
    ");
}

#[test]
fn one_host_alone_gives_its_bytes() {
    for bytes in [b"\x00\xff no newline".as_slice(), b"6.1.0\n", b""] {
        let events = events(&[answers("db1", bytes)]);
        let captured = told_on(Output::Grouped, &events, Term::captured(), Term::captured());
        assert_eq!(captured.out_bytes(), bytes);
    }
}

#[test]
fn a_line_of_a_megabyte() {
    let long = [vec![b'x'; 1_000_000].as_slice(), b"\n"].concat();
    let events = events(&[answers("a", long.as_slice()), answers("b", "short\n")]);
    let captured = told_on(Output::Stream, &events, Term::captured(), Term::captured());
    assert_eq!(captured.out().replace(&"x".repeat(1_000_000), "<x>"), "a: <x>\nb: short\n");

    let captured = told_on(Output::Json, &events, Term::captured(), Term::captured());
    let document: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
    assert!(document["hosts"][0]["stdout"] == String::from_utf8(long).unwrap());

    let binary: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let captured = told_on(Output::Json, &events_of(&binary), Term::captured(), Term::captured());
    let document: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
    let text = document["hosts"][0]["stdout"]["base64"].as_str().unwrap();
    use base64ct::Encoding as _;
    assert!(base64ct::Base64::decode_vec(text).unwrap() == binary);
}

fn events_of(stdout: &[u8]) -> Vec<Event> {
    events(&[answers("a", stdout)])
}

/// A line whose end does not come must not be held for ever, nor be taken for another host's.
#[test]
fn a_long_line_is_broken_by_another_host() {
    let output = |host: &str, bytes: &[u8]| EventKind::HostOutput {
        host: host.to_owned(),
        stream: Stream::Stdout,
        data: Bytes(bytes.to_vec()),
    };
    let half = vec![b'x'; 70_000];
    let mut told = events(&[answers("a", ""), answers("b", "")]);
    let at = told.len() - 3;
    for kind in [output("a", &half), output("a", &half), output("b", b"b\n"), output("a", b"end")] {
        told.insert(told.len() - 3, Event { kind, ..told[at].clone() });
    }
    let captured = told_on(Output::Stream, &told, Term::captured(), Term::captured());
    assert_eq!(captured.out().replace(&"x".repeat(140_000), "<x>"), "a: <x>\nb: b\na: end\n");
}

#[test]
fn a_broken_pipe_ends_the_telling_and_not_the_run() {
    for output in [Output::Grouped, Output::Stream, Output::Json, Output::Jsonl] {
        let (term, captured) = Term::captured();
        captured.close();
        tell(Reporters::live(output, &term), &events(&table()));
        assert!(captured.out_bytes().is_empty());
    }
}

/// A reporter on a full disk.
struct Full;

impl Reporter for Full {
    fn event(&mut self, _event: &Event) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_reporter_that_fails_is_remembered() {
    let mut reporters = Reporters::default();
    reporters.add("events.jsonl", Box::new(Full));
    for event in events(&table()) {
        crate::event::Sink::event(&mut reporters, &event).unwrap();
    }
    insta::assert_snapshot!(reporters.failure().unwrap(), @r"
    error: cannot write the report to events.jsonl
    caused by: no storage space

    hint: the run is in the ledger all the same: cronium-run show last
    ");
}

#[test]
fn files_of_hosts_and_events() {
    let folder = tempfile::tempdir().unwrap();
    let (out, log) = (folder.path().join("a/out"), folder.path().join("events.jsonl"));
    let told = events(&table());
    for _ in 0..2 {
        let mut reporters = Reporters::default();
        reporters.output_dir(&out).unwrap();
        reporters.events_file(&log).unwrap();
        tell(reporters, &told);
    }
    for host in table() {
        let name = host.name.replace(':', "%3A");
        assert_eq!(std::fs::read(out.join(format!("{name}.stdout"))).unwrap(), host.stdout);
        assert_eq!(std::fs::read(out.join(format!("{name}.stderr"))).unwrap(), host.stderr);
    }
    let lines = std::fs::read_to_string(log).unwrap();
    let read: Vec<Event> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, told);

    let mut reporters = Reporters::default();
    assert!(reporters.events_file(&folder.path().join("none/events.jsonl")).is_err());
}

/// A thousand hosts that all failed in their own words still fit a screen.
#[test]
fn a_thousand_failures_fit_a_screen() {
    let names: Vec<String> = (0..1000).map(|n| format!("web{n:04}")).collect();
    let hosts: Vec<Host> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let name: &'static str = name.clone().leak();
            let message = format!("cannot connect to 10.0.{}.{}:22", n / 250, n % 250);
            let tcp = failure(Phase::Tcp, "timeout", &message, &["no answer for 10 s"], "");
            match n % 100 {
                0 => Host {
                    exit_code: Some(i32::try_from(n / 100).unwrap() + 1),
                    outcome: Outcome::Failed,
                    ..answers(name, "")
                },
                1 => fails(name, Outcome::Skipped, failure(Phase::Exec, "stopped", "", &[], "")),
                _ => fails(name, Outcome::Unreachable, tcp),
            }
        })
        .collect();
    let captured = told_on(Output::Auto, &events(&hosts), Term::captured(), Term::captured());
    insta::assert_snapshot!(captured.err(), @r"
    warning: web[0000-0001] (2 hosts): web[0000-0001] has no clock
    1000 hosts: 10 failed, 980 unreachable, 10 not started in 30 s
    web[0001,0101,0201,0301,0401,0501,0601,0701,0801,0901] (10 hosts): not started
    error: web0000: exit 1
    error: web0100: exit 2
    error: web0200: exit 3
    error: web0300: exit 4
    error: web0400: exit 5
    error: web0500: exit 6
    error: web0600: exit 7
    error: web0700: exit 8
    error: web0800: exit 9
    error: web0900: exit 10
    and 980 hosts more: cronium-run show 01JRUN
    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run logs 01JRUN web0000
    ");
}
