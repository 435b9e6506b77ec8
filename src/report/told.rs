//! The run of pretend hosts, told in every mode, live and again from its events.

use std::io;

use super::pretend::{Host, answers, events, fails, failure, left, table};
use super::*;
use crate::event::{Bytes, EventKind, HostState, Outcome, Phase, StopReason, Stream};
use crate::term::Captured;

mod anything;
mod data;
mod sittings;

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
    again1,web[01-03,05] (5 hosts): ok
    6.1.0

    bin (1 host): ok
    ␛[31mred�␍

    cut1 (1 host): ok
    ab
    ⟨5.3 GB of stdout not kept⟩
    yz

    long (1 host): ok
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

    web04 (1 host): ok
    6.12.0

    left1 (1 host): started and left
    begun

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
    warning: cut1: 5.3 GB of its output were not kept: --max-output, or no room there
    tell[2-3] (2 hosts): helpers answered in bundled mode: its sshd forwards nothing\x1b[2J
    23 hosts: 13 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown, 2 started and left in 30 s
    left[1-2] (2 hosts): started and left
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

    hint: cronium-run attach 01JRUN

    error: job2: rejected: the payload's signature is not by a pinned key
    run 01JRUN: cronium-run show 01JRUN
    4 files kept: cronium-run artifacts 01JRUN -o DIR
    hint: cronium-run logs 01JRUN web07
    hint: cronium-run attach 01JRUN  follows those that were left
    hint: cronium-run collect 01JRUN  fetches what is over
    "#);
    assert_eq!(told(Output::Auto), told(Output::Grouped));
}

#[test]
fn grouped_on_a_terminal() {
    insta::assert_snapshot!(told_on_terminal(Output::Grouped), @r#"
    --- stdout
    again1,web[01-03,05] (5 hosts): ok
    6.1.0

    bin (1 host): ok
    \x1b[31mred�

    cut1 (1 host): ok
    ab
    ⟨5.3 GB of stdout not kept⟩
    yz

    long (1 host): ok
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

    web04 (1 host): ok
    6.12.0

    left1 (1 host): started and left
    begun

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
    warning: cut1: 5.3 GB of its output were not kept: --max-output, or no room there
    tell[2-3] (2 hosts): helpers answered in bundled mode: its sshd forwards nothing\x1b[2J
    23 hosts: 13 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown, 2 started and left in 30 s
    left[1-2] (2 hosts): started and left
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

    hint: cronium-run attach 01JRUN

    error: job2: rejected: the payload's signature is not by a pinned key
    run 01JRUN: cronium-run show 01JRUN
    4 files kept: cronium-run artifacts 01JRUN -o DIR
    hint: cronium-run logs 01JRUN web07
    hint: cronium-run attach 01JRUN  follows those that were left
    hint: cronium-run collect 01JRUN  fetches what is over
    "#);
}

#[test]
fn stream() {
    insta::assert_snapshot!(told(Output::Stream), @r#"
    --- stdout
    cut1:          ab
    web01:         6.1.0
    web02:         6.1.0
    web03:         6.1.0
    web04:         6.12.0
    web05:         6.1.0
    web09:         working
    job1:          started
    long:          xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    bin:           ␛[31mred�␍
    cut1:          yz
    again1:        6.1.0
    left1:         begun
    web07:         half a li
    --- stderr
    cut1:          ⟨5.3 GB of stdout not kept⟩
    again1:        connection lost, reconnecting
    again1:        going on after 0.0 s
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
    warning: cut1: 5.3 GB of its output were not kept: --max-output, or no room there
    tell[2-3] (2 hosts): helpers answered in bundled mode: its sshd forwards nothing\x1b[2J
    23 hosts: 13 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown, 2 started and left in 30 s
    left[1-2] (2 hosts): started and left
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

    hint: cronium-run attach 01JRUN

    error: job2: rejected: the payload's signature is not by a pinned key
    run 01JRUN: cronium-run show 01JRUN
    4 files kept: cronium-run artifacts 01JRUN -o DIR
    hint: cronium-run logs 01JRUN web07
    hint: cronium-run attach 01JRUN  follows those that were left
    hint: cronium-run collect 01JRUN  fetches what is over
    "#);
}

#[test]
fn stream_on_a_terminal() {
    insta::assert_snapshot!(told_on_terminal(Output::Stream), @r#"
    --- stdout
    cut1:          ab
    web01:         6.1.0
    web02:         6.1.0
    web03:         6.1.0
    web04:         6.12.0
    web05:         6.1.0
    web09:         working
    job1:          started
    long:          xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    bin:           \x1b[31mred�
    cut1:          yz
    again1:        6.1.0
    left1:         begun
    web07:         half a li
    --- stderr
    cut1:          ⟨5.3 GB of stdout not kept⟩
    again1:        connection lost, reconnecting
    again1:        going on after 0.0 s
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
    warning: cut1: 5.3 GB of its output were not kept: --max-output, or no room there
    tell[2-3] (2 hosts): helpers answered in bundled mode: its sshd forwards nothing\x1b[2J
    23 hosts: 13 ok, 2 failed, 1 timed out, 3 unreachable, 1 rejected, 1 unknown, 2 started and left in 30 s
    left[1-2] (2 hosts): started and left
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

    hint: cronium-run attach 01JRUN

    error: job2: rejected: the payload's signature is not by a pinned key
    run 01JRUN: cronium-run show 01JRUN
    4 files kept: cronium-run artifacts 01JRUN -o DIR
    hint: cronium-run logs 01JRUN web07
    hint: cronium-run attach 01JRUN  follows those that were left
    hint: cronium-run collect 01JRUN  fetches what is over
    "#);
}

#[test]
fn quiet() {
    insta::assert_snapshot!(told(Output::Quiet), @r#"
    --- stdout
    --- stderr
    warning: tell[2-3] (2 hosts): 2 writes were refused: 'k': it has version 5, the script wanted 3; 'a\x1b]0;b': it is "x", no number
    warning: cut1: 5.3 GB of its output were not kept: --max-output, or no room there
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

    hint: cronium-run attach 01JRUN

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
    // What is missing stands beside what is there.
    let notes: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().unwrap() == "cut")
        .collect();
    assert_eq!(notes, [out.join("cut1.stdout.cut")]);
    let note = std::fs::read_to_string(&notes[0]).unwrap();
    assert_eq!(note, "5261334937 bytes are missing behind byte 3\n");
    let lines = std::fs::read_to_string(log).unwrap();
    let read: Vec<Event> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, told);

    let mut reporters = Reporters::default();
    assert!(reporters.output_dir(&folder.path().join("events.jsonl/x")).is_err());
    assert!(reporters.events_file(&folder.path().join("none/events.jsonl")).is_err());
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
    cancelling: scripts are killed (TERM, KILL after 10 s); Ctrl-C again leaves them to it
    warning: a,b (2 hosts): a,b has no clock
    2 hosts: 1 ok, 1 not started in 30 s (interrupted)
    b: not started
    run 01JRUN: cronium-run show 01JRUN
    ");
}

/// Connections that one host lost are one warning, and none where each was told as it happened.
#[test]
fn lost_connections_are_told_once() {
    let mut told = events(&[answers("a", "1\n"), answers("b", "2\n")]);
    let (at, host) = (told[4].at, || "a".to_owned());
    let mut lose = |milliseconds: i64, message: &str| {
        let back = at + jiff::SignedDuration::from_millis(milliseconds);
        let message = message.to_owned();
        for (at, kind) in [
            (at, EventKind::HostState { host: host(), state: HostState::Reconnecting }),
            (back, EventKind::HostState { host: host(), state: HostState::Running }),
            (back, EventKind::HostWarning { host: host(), message }),
        ] {
            told.insert(told.len() - 3, Event { at, kind, ..told[4].clone() });
        }
        let told = |output| told_on(output, &told, Term::captured(), Term::captured()).err();
        let warnings =
            told(Output::Grouped).lines().filter(|line| line.contains("connection")).collect::<String>();
        (warnings, told(Output::Stream))
    };
    let first = "connection lost after 12 s (the connection broke), going on after 1.2 s";
    assert_eq!(lose(1_234, first).0, format!("warning: a: {first}"));
    let (grouped, streamed) = lose(3_210, "connection lost after 3 s (no answer), going on after 3.2 s");
    assert_eq!(grouped, "warning: a: connection lost 2 times, 4.4 s in all");
    let streamed: Vec<&str> = streamed.lines().take(5).collect();
    let lost = "a: connection lost, reconnecting";
    let clocks = "warning: a,b (2 hosts): a,b has no clock";
    assert_eq!(streamed, [lost, "a: going on after 1.2 s", lost, "a: going on after 3.2 s", clocks]);
}

/// Nobody can look it up, so it is said whatever is printed.
#[test]
fn what_the_ledger_did_not_take_is_always_said() {
    let mut told = events(&[answers("a", "1\n")]);
    let warning = "the ledger takes no more, so the host keeps the result: cronium-run collect 01JRUN";
    for kind in [
        EventKind::RunStopping { reason: StopReason::Ledger },
        EventKind::HostWarning { host: "a".to_owned(), message: warning.to_owned() },
    ] {
        told.insert(told.len() - 2, Event { kind, ..told[0].clone() });
    }
    for output in [Output::Auto, Output::Stream, Output::Grouped, Output::Json, Output::Jsonl, Output::Quiet]
    {
        let captured = told_on(output, &told, Term::captured(), Term::captured());
        assert!(
            captured.err().contains(&format!("warning: a: {warning}\n")),
            "{output:?}: {}",
            captured.err()
        );
    }
    let about = || {
        let (term, captured) = Term::captured();
        (term.about(Some(std::path::Path::new("x.db"))), captured)
    };
    let captured = told_on(Output::Auto, &told, about(), about());
    for command in ["collect", "show"] {
        let command = format!(": cronium-run --ledger x.db {command} 01JRUN\n");
        assert!(captured.err().contains(&command), "{}", captured.err());
    }
}

/// One who has left, and interrupts the leaving, kills nothing.
#[test]
fn what_an_interruption_does_is_said() {
    let mut told = events(&[answers("a", "1\n")]);
    for reason in [StopReason::Interrupted, StopReason::Detached] {
        told.insert(2, Event { kind: EventKind::RunStopping { reason }, ..told[0].clone() });
    }
    let captured = told_on(Output::Auto, &told, Term::captured(), Term::captured());
    let err = captured.err();
    assert_eq!(
        err.lines().take(2).collect::<Vec<_>>(),
        [
            "detached: no further host is started, scripts that run go on without us",
            "interrupted: scripts that run go on without us",
        ]
    );
}

/// `R=$(cronium-run exec … --detach -q)`.
#[test]
fn a_run_that_is_left_in_silence_is_named() {
    let (term, captured) = Term::captured();
    tell(Reporters::named(&term), &events(&[left("a", "begun\n"), answers("b", "2\n")]));
    assert_eq!((captured.out().as_str(), captured.err().as_str()), ("01JRUN\n", ""));
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

    hint: cronium-run show 01JRUN  has the words of each host

    error: web[0000,0100,0200,0300,0400,0500,0600,0700,0800,0900] (10 hosts): failed
    caused by: web0000: exit 1 (others differ)

    hint: cronium-run show 01JRUN  has the words of each host

    run 01JRUN: cronium-run show 01JRUN
    hint: cronium-run logs 01JRUN web0000
    ");
}

/// One changed key more or less is the difference between a new machine and an attacker.
#[test]
fn each_changed_key_is_told_or_where_it_is_told() {
    let changed = |name: &'static str| {
        let causes =
            [format!("it shows SHA256:new-{name}"), format!("recorded: SHA256:old-{name} at known:1")];
        let causes = causes.each_ref().map(String::as_str);
        let hint = format!("ssh-keygen -f known -R '{name}'");
        fails(name, Outcome::Unreachable, failure(Phase::Hostkey, "changed", "another key", &causes, &hint))
    };
    let told =
        |hosts: &[Host]| told_on(Output::Quiet, &events(hosts), Term::captured(), Term::captured()).err();
    insta::assert_snapshot!(told(&["web1", "web2"].map(changed)), @r"

    error: web1: unreachable: another key
    caused by: it shows SHA256:new-web1
    caused by: recorded: SHA256:old-web1 at known:1

    hint: ssh-keygen -f known -R 'web1'

    error: web2: unreachable: another key
    caused by: it shows SHA256:new-web2
    caused by: recorded: SHA256:old-web2 at known:1

    hint: ssh-keygen -f known -R 'web2'

    ");
    const MANY: [&str; 12] =
        ["web1", "web2", "web3", "web4", "web5", "web6", "web7", "web8", "web9", "web10", "web11", "web12"];
    insta::assert_snapshot!(told(&MANY.map(changed)), @r"

    error: web[1-12] (12 hosts): unreachable: another key
    caused by: web1: it shows SHA256:new-web1 (others differ)
    caused by: recorded: SHA256:old-web1 at known:1

    hint: ssh-keygen -f known -R 'web1'
    hint: cronium-run show 01JRUN  has the words of each host

    ");
}
