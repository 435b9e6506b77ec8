use super::*;
use crate::event::Conflict;

/// Three hosts, one of each kind of end.
fn mixed(ledger: &Ledger, id: &str) {
    let mut teller = Teller::new(ledger, new_run(id, &["web1", "web2", "web3"]));
    teller.state("web1", HostState::Running);
    teller.print("web1", Stream::Stdout, b"hello\n");
    let artifact = |bytes| EventKind::HostArtifact {
        host: "web1".into(),
        path: "out/report.txt".into(),
        digest: "a".repeat(64),
        bytes,
        mode: 0o640,
    };
    teller.tell(artifact(1));
    teller.tell(artifact(5));
    let done = HostResult {
        exit_code: Some(0),
        stub_digest: Some("s".repeat(64)),
        arch: Some("linux/amd64".into()),
        output: Some(json!({"free": 7})),
        helper_reason: Some("sshd forbids forwarding".into()),
        conflicts: vec![Conflict { key: "n".into(), reason: "it has version 5, the script wanted 3".into() }],
        condition: Some(false),
        timings: [("running".to_owned(), 12)].into(),
        stdout_bytes: 6,
        ..ended(Outcome::Succeeded)
    };
    teller.end("web1", done);
    teller.end("web2", refused());
    teller.end("web3", HostResult { exit_code: Some(7), ..ended(Outcome::Failed) });
    teller.end_run(&[Outcome::Succeeded, Outcome::Unreachable, Outcome::Failed]);
}

#[test]
fn the_rows_are_there_before_any_host_is_touched() {
    let place = Place::new();
    let ledger = place.ledger();
    ledger.begin_run(new_run("R1", &["web2", "web1"])).unwrap();
    assert_eq!(place.sql::<String>("SELECT status FROM runs WHERE id = 'R1'"), "running");
    assert_eq!(
        place.sql::<String>("SELECT group_concat(host || ':' || status, ' ' ORDER BY rowid) FROM results"),
        "web2:queued web1:queued"
    );
    assert_eq!(place.sql::<String>("SELECT name || ' ' || release FROM payloads"), "disk-report 7");
    let error = ledger.begin_run(new_run("R1", &[])).unwrap_err();
    assert_eq!(error.code, crate::error::ExitCode::Failure, "{error}");
    assert!(ledger.begin_run(new_run("../R1", &[])).is_err());
}

#[test]
fn a_finished_run_can_be_queried_in_sql() {
    let place = Place::new();
    mixed(&place.ledger(), "R1");
    let table = [
        ("SELECT status || ' ' || exit_code || ' ' || finished_at FROM runs", "failed 4 2026-11-18T11:06:48.000Z"),
        (
            "SELECT group_concat(host || ' ' || status || ' ' || coalesce(exit_code, '-'), ', ' ORDER BY rowid)
             FROM results",
            "web1 succeeded 0, web2 unreachable -, web3 failed 7",
        ),
        ("SELECT phase || ': ' || error FROM results WHERE host = 'web2'", "tcp: connection refused"),
        ("SELECT json_extract(output, '$.free') || json_extract(timings, '$.running') FROM results", "712"),
        (
            "SELECT helper_reason || ', ' || json_extract(conflicts, '$[0].key') || ' ' || condition FROM results
             WHERE host = 'web1'",
            "sshd forbids forwarding, n 0",
        ),
        ("SELECT count(*) || '' FROM results WHERE conflicts IS NULL AND condition IS NULL", "2"),
        (
            "SELECT group_concat(host || ' ' || path || ' ' || digest || ' ' || bytes || ' ' || mode) FROM artifacts",
            &format!("web1 out/report.txt {} 5 416", "a".repeat(64)),
        ),
        ("SELECT host || ' ' || arch || ' ' || deployed_at FROM deployments", "web1 linux/amd64 2026-11-18T11:06:41.000Z"),
        ("SELECT stream || ' ' || bytes || ' ' || truncated FROM outputs", "stdout 6 0"),
        ("SELECT count(*) || ' chunks' FROM chunks", "0 chunks"),
    ];
    for (query, wanted) in table {
        assert_eq!(place.sql::<String>(query), wanted, "{query}");
    }
}

#[test]
fn queries() {
    let place = Place::new();
    mixed(&place.ledger(), "R1");
    let reader = place.reader();
    let run = reader.run("R1").unwrap();
    assert_eq!((run.status, run.exit_code, run.release), (RunStatus::Failed, Some(4), Some(7)));
    // By the clock of the one who ran it, not by when it says it began and ended.
    assert_eq!(run.duration_ms(), Some(5));
    assert_eq!(
        run.hosts,
        [("failed", 1), ("succeeded", 1), ("unreachable", 1)].map(|(k, n)| (k.to_owned(), n)).into()
    );
    let rows = reader.results("R1").unwrap();
    assert_eq!(rows.iter().map(|row| row.host.as_str()).collect::<Vec<_>>(), ["web1", "web2", "web3"]);
    assert_eq!(rows[1].result, Some(refused()));
    assert_eq!(reader.output_bytes("R1", "web1", Stream::Stdout).unwrap(), b"hello\n");
    assert_eq!(reader.output_bytes("R1", "web2", Stream::Stdout).unwrap(), b"");
}

#[test]
fn runs_are_listed_newest_first() {
    let place = Place::new();
    let ledger = place.ledger();
    for (second, id) in ["A", "B", "C"].into_iter().enumerate() {
        ledger
            .begin_run(NewRun {
                started_at: at(second as i64),
                ..new_run(id, &["web1", &format!("only-{id}")])
            })
            .unwrap();
    }
    drop(ledger.recorder("B"));
    drop(ledger.recorder("C"));
    // Answered behind what came before it.
    ledger.call(|_| Ok(())).unwrap();
    let list = |filter: RunFilter| -> String {
        place.reader().runs(&filter).unwrap().into_iter().map(|run| run.id).collect()
    };
    assert_eq!(list(RunFilter::default()), "CBA");
    assert_eq!(list(RunFilter { limit: Some(2), ..RunFilter::default() }), "CB");
    assert_eq!(list(RunFilter { host: Some("only-A".into()), ..RunFilter::default() }), "A");
    // Nobody records B and C any longer.
    assert_eq!(list(RunFilter { status: Some(RunStatus::Running), ..RunFilter::default() }), "A");
    assert_eq!(list(RunFilter { status: Some(RunStatus::Interrupted), ..RunFilter::default() }), "CB");
}

/// The clock went back between them: what was begun last is last.
#[test]
fn the_clock_does_not_say_which_run_is_the_last() {
    let place = Place::new();
    let ledger = place.ledger();
    for (second, id) in [(9, "01JB"), (0, "01JA"), (5, "01JC")] {
        ledger.begin_run(NewRun { started_at: at(second), ..new_run(id, &["web1"]) }).unwrap();
    }
    let reader = place.reader();
    let listed: Vec<String> =
        reader.runs(&RunFilter::default()).unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(listed, ["01JC", "01JA", "01JB"]);
    assert_eq!(reader.resolve_run("last").unwrap(), "01JC");

    let mut teller = Teller::new(&ledger, NewRun { started_at: at(100), ..new_run("01JD", &["web1"]) });
    teller.end("web1", ended(Outcome::Succeeded));
    teller.end_run(&[Outcome::Succeeded]);
    assert_eq!(reader.run("01JD").unwrap().duration_ms(), Some(5), "it ended before it began, by its times");
}

#[test]
fn names_of_runs() {
    let place = Place::new();
    let ledger = place.ledger();
    let reader = place.reader();
    assert!(reader.resolve_run("last").is_err());
    for (second, id) in ["01JAB", "01JAC", "01JA"].into_iter().enumerate() {
        ledger.begin_run(NewRun { started_at: at(second as i64), ..new_run(id, &[]) }).unwrap();
    }
    // typed, meant
    let table = [
        ("last", Ok("01JA")),
        ("01JAB", Ok("01JAB")),
        ("01jac", Ok("01JAC")),
        ("01JA", Ok("01JA")),
        ("01J", Err("3 runs begin with `01J`")),
        ("x", Err("no run begins with `x`")),
        ("%", Err("no run begins with `%`")),
        ("", Err("a run has no empty name")),
    ];
    for (typed, meant) in table {
        match reader.resolve_run(typed) {
            Ok(id) => assert_eq!(Ok(id.as_str()), meant, "{typed}"),
            Err(error) => {
                assert_eq!(Err(error.message.as_str()), meant, "{typed}");
                assert_eq!((error.code, error.hints.len()), (crate::error::ExitCode::Usage, 1));
            }
        }
    }
}

#[test]
fn a_writer_that_fails_says_so_from_then_on() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    // The same number twice: as good a failure as a full disk.
    let event = teller.told[0].clone();
    teller.recorder.event(&event).unwrap();
    let error = teller.recorder.finish().unwrap_err();
    assert!(error.message.contains("cannot write the ledger"), "{error}");
    assert!(teller.recorder.event(&event).is_err());
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM events"), 1);
    // What does not hang on a gapless record goes on.
    let write = Write {
        key: "k".into(),
        scope: None,
        act: Act::Set { value: json!(1), if_version: None, after: None },
        secret: false,
    };
    let global = ["global".to_owned()];
    place.variables(&ledger).write(&global, write, Author::Operator("me".into())).unwrap();
}

/// 1,000 hosts with 20 events each. Less than a second in the dev profile; the
/// bound leaves room for busy machines.
#[test]
fn a_thousand_hosts_are_recorded_in_passing() {
    let place = Place::new();
    let ledger = place.ledger();
    let hosts: Vec<String> = (0..1000).map(|host| format!("web{host}")).collect();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let begin = std::time::Instant::now();
    let mut teller = Teller::new(&ledger, new_run("R1", &names));
    for piece in 0..19 {
        for host in &names {
            match piece {
                0 => teller.state(host, HostState::Connecting),
                1 => teller.state(host, HostState::Running),
                _ => teller.print(host, Stream::Stdout, b"a line of output\n"),
            }
        }
    }
    names.iter().for_each(|host| teller.end(host, ended(Outcome::Succeeded)));
    teller.end_run(&[Outcome::Succeeded; 1000]);
    let took = begin.elapsed();
    assert!(took.as_secs() < 20, "{took:?}");
}
