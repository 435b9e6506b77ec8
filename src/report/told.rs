//! The run of pretend hosts, told in every mode, live and again from its events.

use std::io;

use proptest::prelude::*;

use super::pretend::{Host, answers, events, fails, failure, table, tells};
use super::*;
use crate::event::{Bytes, EventKind, Outcome, Phase, StopReason, Stream};
use crate::term::{Captured, is_steering};

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
    insta::assert_snapshot!(told(Output::Grouped), @r#"
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
    tell[1-3],web06 (4 hosts): ok, no output

    web04 (1 host): ok, stderr
    deprecated

    web07 (1 host): exit 7, stderr
    no such file
    tell1: error: cannot mount \u{9b}31m
    tell1: notify ops\x1b[31m: please \u{202e}look
    tell[2-3] (2 hosts): warn: disk of tell[2-3] is full\nreally
    tell1: warn: disk of tell1 is full\nreally {"disk":"/srv","used":0.98}
    tell1: info: begin
    warning: web[01-02] (2 hosts): web[01-02] has no clock
    warning: tell[2-3] (2 hosts): 2 writes were refused: 'k': it has version 5, the script wanted 3; 'a\x1b]0;b': it is "x", no number
    tell[2-3] (2 hosts): helpers answered in bundled mode: its sshd forwards nothing\x1b[2J
    19 hosts: 11 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown in 30 s
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
    4 files kept: cronium-run artifacts 01JRUN -o DIR
    hint: cronium-run logs 01JRUN web07
    "#);
    assert_eq!(told(Output::Auto), told(Output::Grouped));
}

#[test]
fn grouped_on_a_terminal() {
    insta::assert_snapshot!(told_on_terminal(Output::Grouped), @r#"
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
    tell[1-3],web06 (4 hosts): ok, no output
    web04 (1 host): ok, stderr
    deprecated
    web07 (1 host): exit 7, stderr
    no such file

    tell1: error: cannot mount \u{9b}31m
    tell1: notify ops\x1b[31m: please \u{202e}look
    tell[2-3] (2 hosts): warn: disk of tell[2-3] is full\nreally
    tell1: warn: disk of tell1 is full\nreally {"disk":"/srv","used":0.98}
    tell1: info: begin
    warning: web[01-02] (2 hosts): web[01-02] has no clock
    warning: tell[2-3] (2 hosts): 2 writes were refused: 'k': it has version 5, the script wanted 3; 'a\x1b]0;b': it is "x", no number
    tell[2-3] (2 hosts): helpers answered in bundled mode: its sshd forwards nothing\x1b[2J
    19 hosts: 11 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown in 30 s
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
    4 files kept: cronium-run artifacts 01JRUN -o DIR
    hint: cronium-run logs 01JRUN web07
    "#);
}

#[test]
fn stream() {
    insta::assert_snapshot!(told(Output::Stream), @r#"
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
    tell2:         warn: disk of tell2 is full\nreally
    tell3:         warn: disk of tell3 is full\nreally
    tell1:         info: begin
    tell1:         warn: disk of tell1 is full\nreally {"disk":"/srv","used":0.98}
    tell1:         notify ops\x1b[31m: please \u{202e}look
    tell1:         error: cannot mount \u{9b}31m
    warning: web[01-02] (2 hosts): web[01-02] has no clock
    warning: tell[2-3] (2 hosts): 2 writes were refused: 'k': it has version 5, the script wanted 3; 'a\x1b]0;b': it is "x", no number
    tell[2-3] (2 hosts): helpers answered in bundled mode: its sshd forwards nothing\x1b[2J
    19 hosts: 11 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown in 30 s
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
    4 files kept: cronium-run artifacts 01JRUN -o DIR
    hint: cronium-run logs 01JRUN web07
    "#);
}

#[test]
fn stream_on_a_terminal() {
    insta::assert_snapshot!(told_on_terminal(Output::Stream), @r#"
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
    tell2:         warn: disk of tell2 is full\nreally
    tell3:         warn: disk of tell3 is full\nreally
    tell1:         info: begin
    tell1:         warn: disk of tell1 is full\nreally {"disk":"/srv","used":0.98}
    tell1:         notify ops\x1b[31m: please \u{202e}look
    tell1:         error: cannot mount \u{9b}31m
    warning: web[01-02] (2 hosts): web[01-02] has no clock
    warning: tell[2-3] (2 hosts): 2 writes were refused: 'k': it has version 5, the script wanted 3; 'a\x1b]0;b': it is "x", no number
    tell[2-3] (2 hosts): helpers answered in bundled mode: its sshd forwards nothing\x1b[2J
    19 hosts: 11 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown in 30 s
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
    4 files kept: cronium-run artifacts 01JRUN -o DIR
    hint: cronium-run logs 01JRUN web07
    "#);
}

/// Those of the table that differ most.
fn a_few() -> Vec<Event> {
    let differ = ["web07", "db1", "bin", "tell1", "tell2"];
    events(&table().into_iter().filter(|host| differ.contains(&host.name)).collect::<Vec<_>>())
}

#[test]
fn json() {
    let few = a_few();
    insta::assert_snapshot!(shown(&told_on(Output::Json, &few, Term::captured(), Term::captured())), @r#"
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
      "finished_at": "2026-11-05T10:00:00.032Z",
      "status": "failed",
      "exit_code": 4,
      "summary": {
        "hosts": 5,
        "outcomes": {
          "succeeded": 3,
          "failed": 1,
          "unreachable": 1
        },
        "duration_ms": 30120
      },
      "hosts": [
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
          "warnings": [
            "web07 has no clock"
          ],
          "told": [],
          "artifacts": [],
          "stdout": "half a li",
          "stderr": "no such file\n"
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
          "warnings": [
            "db1 has no clock"
          ],
          "told": [],
          "artifacts": [],
          "stdout": "",
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
          "told": [],
          "artifacts": [],
          "stdout": {
            "base64": "G1szMW1yZWT/DQo="
          },
          "stderr": ""
        },
        {
          "host": "tell1",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "helper_mode": "api",
          "condition": true,
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "told": [
            {
              "at": "2026-11-05T10:00:00.014Z",
              "kind": "host_progress",
              "percent": 12.5,
              "step": "reading\u001b[2J"
            },
            {
              "at": "2026-11-05T10:00:00.016Z",
              "kind": "host_log",
              "level": "info",
              "message": "begin"
            },
            {
              "at": "2026-11-05T10:00:00.018Z",
              "kind": "host_log",
              "level": "debug",
              "message": "not for people"
            },
            {
              "at": "2026-11-05T10:00:00.019Z",
              "context": {
                "disk": "/srv",
                "used": 0.98
              },
              "kind": "host_log",
              "level": "warn",
              "message": "disk of tell1 is full\nreally"
            },
            {
              "at": "2026-11-05T10:00:00.02Z",
              "audience": "ops\u001b[31m",
              "kind": "host_notify",
              "message": "please \u202elook"
            },
            {
              "at": "2026-11-05T10:00:00.021Z",
              "kind": "host_log",
              "level": "error",
              "message": "cannot mount \u009b31m"
            },
            {
              "at": "2026-11-05T10:00:00.022Z",
              "condition": false,
              "kind": "host_condition"
            },
            {
              "at": "2026-11-05T10:00:00.023Z",
              "kind": "host_progress",
              "percent": 100.0
            },
            {
              "at": "2026-11-05T10:00:00.024Z",
              "condition": true,
              "kind": "host_condition"
            }
          ],
          "artifacts": [
            {
              "path": "out/report.csv",
              "digest": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
              "bytes": 1234567
            },
            {
              "path": "out/a\u001b[2Jb",
              "digest": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
              "bytes": 0
            }
          ],
          "stdout": "",
          "stderr": ""
        },
        {
          "host": "tell2",
          "outcome": "succeeded",
          "attempt": 1,
          "exit_code": 0,
          "started_at": "2026-11-05T10:00:00.005Z",
          "finished_at": "2026-11-05T10:00:01.205Z",
          "duration_ms": 1200,
          "timings": {
            "running": 1100
          },
          "helper_mode": "bundled",
          "helper_reason": "its sshd forwards nothing\u001b[2J",
          "conflicts": [
            {
              "key": "k",
              "reason": "it has version 5, the script wanted 3"
            },
            {
              "key": "a\u001b]0;b",
              "reason": "it is \"x\", no number"
            }
          ],
          "stdout_bytes": 0,
          "stderr_bytes": 0,
          "warnings": [],
          "told": [
            {
              "at": "2026-11-05T10:00:00.015Z",
              "kind": "host_log",
              "level": "warn",
              "message": "disk of tell2 is full\nreally"
            }
          ],
          "artifacts": [
            {
              "path": "out/report.csv",
              "digest": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
              "bytes": 5
            }
          ],
          "stdout": "",
          "stderr": ""
        }
      ]
    }
    --- stderr
    "#);
}

#[test]
fn jsonl() {
    let few = a_few();
    insta::assert_snapshot!(shown(&told_on(Output::Jsonl, &few, Term::captured(), Term::captured())), @r#"
    --- stdout
    {"seq":0,"at":"2026-11-05T10:00:00Z","kind":"run_started","run":"01JRUN","command":"cronium-run exec @all -- uname -r","version":"0.1.0","payload":{"name":"command","digest":"abababababababababababababababababababababababababababababababab","bytes":512,"release":null,"signer":null},"hosts":["web07","db1","bin","tell1","tell2"]}
    {"seq":1,"at":"2026-11-05T10:00:00.001Z","kind":"host_state","host":"web07","state":"running"}
    {"seq":2,"at":"2026-11-05T10:00:00.002Z","kind":"host_state","host":"db1","state":"running"}
    {"seq":3,"at":"2026-11-05T10:00:00.003Z","kind":"host_state","host":"bin","state":"running"}
    {"seq":4,"at":"2026-11-05T10:00:00.004Z","kind":"host_state","host":"tell1","state":"running"}
    {"seq":5,"at":"2026-11-05T10:00:00.005Z","kind":"host_state","host":"tell2","state":"running"}
    {"seq":6,"at":"2026-11-05T10:00:00.006Z","kind":"host_warning","host":"web07","message":"web07 has no clock"}
    {"seq":7,"at":"2026-11-05T10:00:00.007Z","kind":"host_warning","host":"db1","message":"db1 has no clock"}
    {"seq":8,"at":"2026-11-05T10:00:00.008Z","kind":"host_output","host":"web07","stream":"stdout","text":"hal"}
    {"seq":9,"at":"2026-11-05T10:00:00.009Z","kind":"host_output","host":"web07","stream":"stderr","text":"no "}
    {"seq":10,"at":"2026-11-05T10:00:00.01Z","kind":"host_output","host":"bin","stream":"stdout","text":"\u001b[3"}
    {"seq":11,"at":"2026-11-05T10:00:00.011Z","kind":"host_output","host":"web07","stream":"stdout","text":"f a li"}
    {"seq":12,"at":"2026-11-05T10:00:00.012Z","kind":"host_output","host":"web07","stream":"stderr","text":"such file\n"}
    {"seq":13,"at":"2026-11-05T10:00:00.013Z","kind":"host_output","host":"bin","stream":"stdout","base64":"MW1yZWT/DQo="}
    {"seq":14,"at":"2026-11-05T10:00:00.014Z","kind":"host_progress","host":"tell1","percent":12.5,"step":"reading\u001b[2J"}
    {"seq":15,"at":"2026-11-05T10:00:00.015Z","kind":"host_log","host":"tell2","level":"warn","message":"disk of tell2 is full\nreally"}
    {"seq":16,"at":"2026-11-05T10:00:00.016Z","kind":"host_log","host":"tell1","level":"info","message":"begin"}
    {"seq":17,"at":"2026-11-05T10:00:00.017Z","kind":"host_artifact","host":"tell2","path":"out/report.csv","digest":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","bytes":5,"mode":420}
    {"seq":18,"at":"2026-11-05T10:00:00.018Z","kind":"host_log","host":"tell1","level":"debug","message":"not for people"}
    {"seq":19,"at":"2026-11-05T10:00:00.019Z","kind":"host_log","host":"tell1","level":"warn","message":"disk of tell1 is full\nreally","context":{"disk":"/srv","used":0.98}}
    {"seq":20,"at":"2026-11-05T10:00:00.02Z","kind":"host_notify","host":"tell1","audience":"ops\u001b[31m","message":"please \u202elook"}
    {"seq":21,"at":"2026-11-05T10:00:00.021Z","kind":"host_log","host":"tell1","level":"error","message":"cannot mount \u009b31m"}
    {"seq":22,"at":"2026-11-05T10:00:00.022Z","kind":"host_condition","host":"tell1","condition":false}
    {"seq":23,"at":"2026-11-05T10:00:00.023Z","kind":"host_progress","host":"tell1","percent":100.0}
    {"seq":24,"at":"2026-11-05T10:00:00.024Z","kind":"host_condition","host":"tell1","condition":true}
    {"seq":25,"at":"2026-11-05T10:00:00.025Z","kind":"host_artifact","host":"tell1","path":"out/report.csv","digest":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","bytes":1234567,"mode":420}
    {"seq":26,"at":"2026-11-05T10:00:00.026Z","kind":"host_artifact","host":"tell1","path":"out/a\u001b[2Jb","digest":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","bytes":0,"mode":420}
    {"seq":27,"at":"2026-11-05T10:00:00.027Z","kind":"host_finished","host":"web07","outcome":"failed","attempt":1,"exit_code":7,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":9,"stderr_bytes":13}
    {"seq":28,"at":"2026-11-05T10:00:00.028Z","kind":"host_finished","host":"db1","outcome":"unreachable","attempt":1,"failure":{"phase":"tcp","kind":"refused","message":"cannot connect to db1:22","causes":["connection refused"],"hint":"cronium-run doctor HOST"},"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":0,"stderr_bytes":0}
    {"seq":29,"at":"2026-11-05T10:00:00.029Z","kind":"host_finished","host":"bin","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"stdout_bytes":11,"stderr_bytes":0}
    {"seq":30,"at":"2026-11-05T10:00:00.03Z","kind":"host_finished","host":"tell1","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"helper_mode":"api","condition":true,"stdout_bytes":0,"stderr_bytes":0}
    {"seq":31,"at":"2026-11-05T10:00:00.031Z","kind":"host_finished","host":"tell2","outcome":"succeeded","attempt":1,"exit_code":0,"started_at":"2026-11-05T10:00:00.005Z","finished_at":"2026-11-05T10:00:01.205Z","duration_ms":1200,"timings":{"running":1100},"helper_mode":"bundled","helper_reason":"its sshd forwards nothing\u001b[2J","conflicts":[{"key":"k","reason":"it has version 5, the script wanted 3"},{"key":"a\u001b]0;b","reason":"it is \"x\", no number"}],"stdout_bytes":0,"stderr_bytes":0}
    {"seq":32,"at":"2026-11-05T10:00:00.032Z","kind":"run_finished","hosts":5,"outcomes":{"succeeded":3,"failed":1,"unreachable":1},"duration_ms":30120}
    --- stderr
    "#);
}

#[test]
fn quiet() {
    insta::assert_snapshot!(told(Output::Quiet), @r#"
    --- stdout
    --- stderr
    warning: tell[2-3] (2 hosts): 2 writes were refused: 'k': it has version 5, the script wanted 3; 'a\x1b]0;b': it is "x", no number
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
    "#);
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

/// Anything that a host can make a script tell.
fn anything_told() -> impl Strategy<Value = EventKind> {
    let text = || "(warn|debug|Error|tell1|\\PC|\x1b\\[2J|\n|\r|\u{9b}|\u{202e}|: | ){0,8}";
    let host = || "tell[12]";
    prop_oneof![
        (host(), text(), text(), text()).prop_map(|(host, level, message, context)| EventKind::HostLog {
            host,
            level,
            message,
            context: if context.is_empty() { serde_json::Value::Null } else { context.into() },
        }),
        (host(), -10.0..110.0, proptest::option::of(text()))
            .prop_map(|(host, percent, step)| EventKind::HostProgress { host, percent, step }),
        (host(), text(), text()).prop_map(|(host, audience, message)| EventKind::HostNotify {
            host,
            audience,
            message
        }),
        (host(), any::<bool>()).prop_map(|(host, condition)| EventKind::HostCondition { host, condition }),
        (host(), text(), any::<u64>()).prop_map(|(host, path, bytes)| EventKind::HostArtifact {
            host,
            path,
            digest: "cd".repeat(32),
            bytes,
            mode: 0o644,
        }),
    ]
}

proptest! {
    /// Whatever scripts tell: live and again it is the same, and no terminal is steered by it.
    #[test]
    fn whatever_is_told(kinds in prop::collection::vec(anything_told(), 0..12)) {
        let mut told = events(&[tells("tell1"), answers("tell2", "")]);
        for kind in kinds {
            told.insert(told.len() - 3, Event { kind, ..told[3].clone() });
        }
        for output in [Output::Auto, Output::Stream, Output::Json, Output::Jsonl, Output::Quiet] {
            let captured = told_on(output, &told, Term::captured(), Term::captured());
            let all = captured.out() + &captured.err();
            prop_assert!(!all.chars().any(|c| is_steering(c) && c != '\n'), "{output:?}: {all:?}");
            if output == Output::Json {
                let document: serde_json::Value = serde_json::from_str(&all).unwrap();
                prop_assert!(document["hosts"][0]["told"].as_array().unwrap().len() >= 9);
            }
        }
    }
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
    assert!(reporters.output_dir(&folder.path().join("events.jsonl/x")).is_err());
    assert!(reporters.events_file(&folder.path().join("none/events.jsonl")).is_err());
}

#[test]
fn junit() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut reporters = Reporters::default();
    reporters.junit(file.path()).unwrap();
    let mut told = a_few();
    let quoted = |host: &mut String| *host = host.replace("bin", "<bin> & \"co\"");
    for event in &mut told {
        match &mut event.kind {
            EventKind::HostOutput { host, .. } | EventKind::HostFinished { host, .. } => quoted(host),
            _ => {}
        }
    }
    tell(reporters, &told);
    insta::assert_snapshot!(std::fs::read_to_string(file.path()).unwrap(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="cronium-run 01JRUN" tests="5" failures="1" errors="1" skipped="0" time="30.120">
    <testsuite name="command" tests="5" failures="1" errors="1" skipped="0" time="30.120">
    <testcase name="web07" classname="command" time="1.200">
    <failure message="exit 7" type="exit"></failure>
    <system-out>half a li</system-out>
    <system-err>no such file
    </system-err>
    </testcase>
    <testcase name="db1" classname="command" time="1.200">
    <error message="unreachable: cannot connect to db1:22" type="refused">connection refused</error>
    </testcase>
    <testcase name="&lt;bin&gt; &amp; &quot;co&quot;" classname="command" time="1.200">
    <system-out>\x1b[31mred�
    </system-out>
    </testcase>
    <testcase name="tell1" classname="command" time="1.200">
    <properties>
    <property name="condition" value="true"/>
    <property name="helper_mode" value="api"/>
    <property name="artifacts" value="2"/>
    </properties>
    <system-err>info: begin
    warn: disk of tell1 is full\nreally {&quot;disk&quot;:&quot;/srv&quot;,&quot;used&quot;:0.98}
    notify ops\x1b[31m: please \u{202e}look
    error: cannot mount \u{9b}31m
    </system-err>
    </testcase>
    <testcase name="tell2" classname="command" time="1.200">
    <properties>
    <property name="helper_mode" value="bundled"/>
    <property name="helper_reason" value="its sshd forwards nothing\x1b[2J"/>
    <property name="artifacts" value="1"/>
    </properties>
    <system-err>warn: disk of tell2 is full\nreally
    conflict: 'k': it has version 5, the script wanted 3
    conflict: 'a\x1b]0;b': it is &quot;x&quot;, no number
    </system-err>
    </testcase>
    </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_stopped_run_says_so() {
    let later = failure(Phase::Exec, "stopped", "", &[], "");
    let mut told = events(&[answers("a", "1\n"), fails("b", Outcome::Skipped, later)]);
    let stopping = EventKind::RunStopping { reason: StopReason::Interrupted };
    told.insert(3, Event { kind: stopping, ..told[3].clone() });
    if let EventKind::RunFinished { summary } = &mut told.last_mut().unwrap().kind {
        summary.stopped = Some(StopReason::Interrupted);
    }
    let captured = told_on(Output::Auto, &told, Term::captured(), Term::captured());
    insta::assert_snapshot!(shown(&captured), @r"
    --- stdout
    a (1 host): ok
    1
    --- stderr
    interrupted: no further host is started, waiting for those at work
    warning: a,b (2 hosts): a,b has no clock
    2 hosts: 1 ok, 1 not started in 30 s (interrupted)
    b: not started
    run 01JRUN: cronium-run show 01JRUN
    ");
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

    error: web[0002-0099,0102-0199,0202-0299,0302-0399,0402-0499,…] (980 hosts): unreachable (tcp, timeout)
    caused by: web0002: unreachable: cannot connect to 10.0.0.2:22 (others differ)
    caused by: no answer for 10 s

    error: web[0000,0100,0200,0300,0400,0500,0600,0700,0800,0900] (10 hosts): failed
    caused by: web0000: exit 1 (others differ)

    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run logs 01JRUN web0000
    ");
}
