use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::event::{Failure, Kept, Phase, StopReason, Trust};

fn row(place: &Place, columns: &str) -> String {
    place.sql(&format!("SELECT concat_ws(' ', {columns}) FROM results WHERE run_id = 'R1' AND host = 'web1'"))
}

/// A run whose only host is left `Unknown` behind three bytes of output.
fn left(ledger: &Ledger) -> Teller {
    let mut teller = Teller::new(ledger, new_run("R1", &["web1"]));
    teller.state("web1", HostState::Running);
    let output =
        EventKind::HostOutput { host: "web1".into(), stream: Stream::Stdout, data: Bytes(b"one".to_vec()) };
    teller.tell_marked(Some(2), output);
    let lost = HostResult {
        trust: Some(Trust::Pinned),
        stub_digest: Some("5a".into()),
        stdout_bytes: 3,
        ..ended(Outcome::Unknown)
    };
    teller.end("web1", lost);
    let mut summary = Summary { hosts: 1, duration_ms: 7, ..Summary::default() };
    summary.add(Outcome::Unknown);
    teller.tell(EventKind::RunFinished { summary });
    teller.recorder.finish().unwrap();
    teller
}

#[test]
fn a_late_result_takes_the_place_of_the_unknown_one() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = left(&ledger);
    assert_eq!(place.sql::<String>("SELECT status || exit_code || duration_ms FROM runs"), "unknown87");
    assert_eq!(row(&place, "status, mark"), "unknown 2");

    let (recorder, goes_on) = resumed(&ledger, "R1", &["web1"]);
    drop(recorder);
    assert_eq!(goes_on.next_seq, 5);
    let known = Known {
        host: "web1".into(),
        mark: 2,
        bytes: [3, 0],
        attempt: 1,
        started_at: Some("2026-11-18T11:06:41Z".parse().unwrap()),
        outcome: Some(Outcome::Unknown),
    };
    assert_eq!((goes_on.known.as_slice(), goes_on.stopped), (&[known][..], None));

    teller = teller.resume(&ledger, &["web1"]);
    teller.state("web1", HostState::Connecting);
    teller.recorder.finish().unwrap();
    assert_eq!(row(&place, "status, finished_at, started_at, mark"), "connecting 2026-11-18T11:06:41.000Z 2");
    assert_eq!(place.reader().run("R1").unwrap().status, RunStatus::Running);
    assert_eq!(place.reader().results("R1").unwrap()[0].result, None);

    teller.print("web1", Stream::Stdout, b"two");
    let done = HostResult { exit_code: Some(0), stdout_bytes: 6, ..ended(Outcome::Succeeded) };
    teller.end("web1", done.clone());
    let told = teller.end_run(&[Outcome::Succeeded]);
    assert_eq!(
        place.sql::<String>("SELECT concat_ws(' ', status, exit_code, duration_ms) FROM runs"),
        "succeeded 0"
    );
    assert_eq!(row(&place, "status, exit_code, trust, stub_digest, mark"), "succeeded 0 pinned 5a 2");
    let reader = place.reader();
    let result = HostResult { trust: Some(Trust::Pinned), stub_digest: Some("5a".into()), ..done };
    assert_eq!(reader.results("R1").unwrap()[0].result, Some(result));
    assert_eq!(reader.output_bytes("R1", "web1", Stream::Stdout).unwrap(), b"onetwo");
    assert_eq!(reader.events("R1").unwrap().map(Result::unwrap).collect::<Vec<_>>(), told);
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM blobs"), 1, "the first part is not kept twice");
    assert_eq!(place.sql::<String>("SELECT bytes || truncated FROM outputs"), "60");
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM chunks"), 0);
}

#[test]
fn a_host_that_cannot_be_asked_stays_as_it_was() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = left(&ledger).resume(&ledger, &["web1"]);
    teller.state("web1", HostState::Connecting);
    teller.end("web1", HostResult { started_at: None, ..HostResult::bare(Outcome::Unknown, at(9)) });
    teller.recorder.finish().unwrap();
    let unknown = "unknown 2026-11-18T11:06:41.000Z 2026-11-18T11:06:49.000Z pinned 2";
    assert_eq!(row(&place, "status, started_at, finished_at, trust, mark"), unknown);
    assert_eq!(place.reader().output_bytes("R1", "web1", Stream::Stdout).unwrap(), b"one");
    // Its process dies, and another one finds out.
    let mut teller = teller.resume(&ledger, &["web1"]);
    teller.end("web1", HostResult { exit_code: Some(7), ..ended(Outcome::Failed) });
    let mut teller = teller.resume(&ledger, &[]);
    teller.end("web1", HostResult::bare(Outcome::Unknown, at(20)));
    teller.finish();
    assert_eq!(row(&place, "status, exit_code, trust"), "failed 7 pinned");
    assert_eq!(place.reader().results("R1").unwrap()[0].result.as_ref().unwrap().exit_code, Some(7));
}

#[test]
fn one_process_works_on_a_run() {
    let place = Place::new();
    let ledger = place.ledger();
    let teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    let error = place.ledger().resume_run("R1").err().unwrap();
    assert_eq!(error.message, "run R1 is being worked on by another cronium-run");
    assert_eq!(error.causes, [format!("it is process {}", std::process::id())]);
    drop(teller);
    ledger.call(|_| Ok(())).unwrap();
    let resumed = place.ledger().resume_run("R1");
    assert!(ledger.resume_run("R1").is_err());
    drop(resumed);
    // Whoever only looks is not in the way.
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| (0..200).for_each(|_| _ = run_lock::is_abandoned(&place.path(), "R1")));
        for _ in 0..50 {
            drop(ledger.resume_run("R1").unwrap());
            ledger.call(|_| Ok(())).unwrap();
        }
        looks.join().unwrap();
    });
}

#[test]
fn what_is_kept_is_told_once_it_is_on_disk() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    let path = place.path();
    let (tell, told) = mpsc::channel();
    let keep = |recorder: &mut RunRecorder| {
        let (tell, path) = (tell.clone(), path.clone());
        let kept: Kept = Box::new(move || {
            let connection = Connection::open(path).unwrap();
            let events = connection.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0));
            tell.send(events.unwrap()).unwrap();
        });
        recorder.keep(kept);
    };
    teller.end("web1", ended(Outcome::Succeeded));
    keep(&mut teller.recorder);
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(2));

    // The same number twice: as good a failure as a full disk.
    let event = teller.told[0].clone();
    teller.recorder.event(&event).unwrap();
    keep(&mut teller.recorder);
    assert!(teller.recorder.finish().is_err());
    keep(&mut teller.recorder);
    drop((tell, teller));
    ledger.call(|_| Ok(())).unwrap();
    assert!(told.try_recv().is_err(), "nothing is told of what is not recorded");
}

#[test]
fn orders_open_under_their_own_run_alone() {
    let place = Place::new();
    let ledger = place.ledger();
    let orders = ledger.orders(place.key_file());
    let opened = |run: &str| place.reader().order(run, place.key_file());
    let order = json!({"environment": {"PW": "hunter2"}, "input": "s3cret"});
    let sealed = orders.seal("R1", &order).unwrap();
    let signed = SignedPayload { bytes: vec![1; 9], signature: vec![2], public_key: "PEM".into() };
    for id in ["R1", "R2"] {
        let (order, signed) = (Some(sealed.clone()), Some(signed.clone()));
        ledger
            .begin_run(NewRun { order, signed, rerun_of: Some("R0".into()), ..new_run(id, &["web1"]) })
            .unwrap();
    }
    assert_eq!(opened("R1").unwrap(), Some(order));
    assert_eq!(opened("R2").unwrap_err().causes, ["it was sealed with another key"]);
    assert_eq!(opened("R3").unwrap(), None);
    drop(ledger);
    let bytes = std::fs::read(place.path()).unwrap();
    for secret in ["hunter2", "s3cret", "environment"] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    let reader = place.reader();
    assert_eq!(reader.signed_payload("R2").unwrap(), Some(signed));
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM payload_bytes"), 1);
    let run = reader.run("R1").unwrap();
    assert_eq!((run.rerun_of.as_deref(), run.reruns.len()), (Some("R0"), 0));

    // A key that is gone takes orders along, and is made anew unless secret variables need it.
    std::fs::remove_file(place.key_file()).unwrap();
    let ledger = place.ledger();
    let orders = ledger.orders(place.key_file());
    assert!(opened("R1").unwrap_err().causes[0].contains("is not there"));
    orders.seal("R3", &json!(1)).unwrap();
    let secret = Write {
        key: "pw".into(),
        scope: None,
        act: Act::Set { value: json!("x"), if_version: None, after: None },
        secret: true,
    };
    let operator = Author::Operator("me".into());
    place.variables(&ledger).write(&["global".to_owned()], secret, operator).unwrap();
    std::fs::remove_file(place.key_file()).unwrap();
    assert!(ledger.orders(place.key_file()).seal("R4", &json!(1)).is_err());
    assert!(!place.key_file().exists());
}

#[test]
fn what_a_dead_process_left_open_is_found() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut dead = Teller::new(&ledger, new_run("R1", &["web1", "web2"]));
    dead.end("web2", ended(Outcome::Succeeded));
    let alive = Teller::new(&ledger, new_run("R2", &["web1"]));
    let mut over = Teller::new(&ledger, new_run("R3", &["web1"]));
    over.end("web1", ended(Outcome::Unknown));
    over.end_run(&[Outcome::Unknown]);
    let deploy = NewRun { plan: json!({"task": {"deploy": {}}}), ..new_run("R4", &["web1"]) };
    drop((Teller::new(&ledger, deploy), dead));
    ledger.call(|_| Ok(())).unwrap();
    let left = |since: i64| place.reader().left_open(at(since), 9).unwrap();
    assert_eq!(left(-1), [("R1".to_owned(), 1)]);
    assert_eq!(left(1), []);
    drop(place.ledger());
    assert_eq!(left(-1), [("R1".to_owned(), 1)], "also where it is said for good");
    drop(alive);
}

#[test]
fn runs_are_found_whose_hosts_have_more_to_tell_or_to_hear() {
    let place = Place::new();
    let ledger = place.ledger();
    let ran = |id: &str, mark: Option<u64>, outcome| {
        let mut teller = Teller::new(&ledger, new_run(id, &["web1"]));
        let result = Box::new(ended(outcome));
        teller.tell_marked(mark, EventKind::HostFinished { host: "web1".into(), result });
        teller.end_run(&[outcome]);
    };
    ran("R1", Some(3), Outcome::Succeeded);
    ran("R2", None, Outcome::Unreachable);
    ran("R3", Some(1), Outcome::Detached);
    ran("R4", None, Outcome::Unknown);
    let deploy = NewRun { plan: json!({"task": {"deploy": {}}}), ..new_run("R5", &["web1"]) };
    drop((Teller::new(&ledger, deploy), Teller::new(&ledger, new_run("R6", &["web1"]))));
    let alive = Teller::new(&ledger, new_run("R7", &["web1"]));
    ledger.call(|_| Ok(())).unwrap();
    let unsettled = |since: i64| place.reader().unsettled(at(since)).unwrap();
    assert_eq!(unsettled(-1), ["R6", "R4", "R3", "R1"]);
    ledger.forgotten("R1", vec!["web1".into()]).unwrap();
    assert_eq!(unsettled(-1), ["R6", "R4", "R3"]);
    assert_eq!(unsettled(1), [] as [&str; 0]);
    drop(alive);
}

/// Who asks again by name may hear nothing at all: that is no reason to ask once more.
#[test]
fn a_host_that_has_nothing_of_a_run_is_open_no_more() {
    let place = Place::new();
    let ledger = place.ledger();
    let unknown = |kind: &str| {
        let failure = Failure {
            phase: Phase::Lost,
            kind: kind.into(),
            message: kind.into(),
            causes: Vec::new(),
            hint: None,
        };
        HostResult { failure: Some(failure), ..ended(Outcome::Unknown) }
    };
    let stands = |open: &[&str]| {
        let reader = place.reader();
        let row = reader.results("R1").unwrap().remove(0);
        assert_eq!(reader.unsettled(at(-1)).unwrap(), open);
        assert_eq!((row.is_open(), row.is_gone()), (!open.is_empty(), open.is_empty()));
        row.result.unwrap().failure.unwrap().kind
    };
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    // what is told of it, how it stands, and whether it is asked again
    for (told, want, open) in [
        ("unasked", "unasked", &["R1"][..]),
        ("absent", "absent", &[]),
        ("unasked", "absent", &[]),
        ("dropped", "dropped", &[]),
    ] {
        teller.state("web1", HostState::Connecting);
        let result = Box::new(unknown(told));
        teller.tell_marked(Some(2), EventKind::HostFinished { host: "web1".into(), result });
        let mut summary = Summary { hosts: 1, ..Summary::default() };
        summary.add(Outcome::Unknown);
        teller.tell(EventKind::RunFinished { summary });
        teller.recorder.finish().unwrap();
        assert_eq!(stands(open), want, "{told}");
        teller = teller.resume(&ledger, &["web1"]);
    }
    // It dies while it asks.
    teller.state("web1", HostState::Connecting);
    drop(teller);
    ledger.call(|_| Ok(())).unwrap();
    assert_eq!(place.reader().left_open(at(-1), 9).unwrap(), [("R1".to_owned(), 1)]);
}

/// A run that nobody knows leaves nothing behind.
#[test]
fn a_run_is_given_hosts_and_is_removed() {
    let place = Place::new();
    let ledger = place.ledger();
    drop(Teller::new(&ledger, new_run("R1", &["web1"])));
    let resumed = ledger.resume_run("R1").unwrap();
    resumed.join(vec!["web2".into()], Some(SealedOrder(vec![1]))).unwrap();
    drop(resumed);
    assert_eq!(place.reader().hosts("R1").unwrap(), ["web1", "web2"]);
    ledger.remove_run("R1").unwrap();
    let all = "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM results)
                    + (SELECT count(*) FROM events) + (SELECT count(*) FROM orders)";
    assert_eq!(place.sql::<i64>(all), 0);
}

#[test]
fn why_a_run_started_no_further_host_is_known_later() {
    use StopReason::{Gate, Interrupted, Ledger, Limit};
    // what was told, what is known of it later
    for (told, want) in [
        (&[][..], None),
        (&[Interrupted], None),
        (&[Ledger], None),
        (&[Limit], Some(Limit)),
        (&[Gate, Interrupted], Some(Gate)),
    ] {
        let place = Place::new();
        let ledger = place.ledger();
        let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
        told.iter().for_each(|reason| teller.tell(EventKind::RunStopping { reason: *reason }));
        // It dies before its hosts have ended.
        drop(teller);
        assert_eq!(resumed(&ledger, "R1", &[]).1.stopped, want, "{told:?}");
    }
}

/// An attach would be told the rest twice.
#[test]
fn events_whose_marks_cannot_be_written_are_not_recorded() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    teller.recorder.finish().unwrap();
    let refuse =
        "CREATE TRIGGER refuse BEFORE UPDATE OF mark ON results BEGIN SELECT RAISE(ABORT, 'no'); END";
    Connection::open(place.path()).unwrap().execute_batch(refuse).unwrap();
    let output =
        EventKind::HostOutput { host: "web1".into(), stream: Stream::Stdout, data: Bytes(b"one".to_vec()) };
    teller.tell_marked(Some(2), output);
    assert_eq!(teller.recorder.finish().unwrap_err().causes, ["no"]);
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM events"), 1);
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM chunks"), 0);
}

#[test]
fn no_more_is_read_than_is_asked_for() {
    let place = Place::new();
    drop(place.ledger());
    let connection = Connection::open(place.path()).unwrap();
    let plan = |query: &str| {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let count = plan.parameter_count();
        let values = rusqlite::params_from_iter(vec!["x"; count]);
        let steps = plan.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let by_end = "SEARCH events USING INDEX events_by_end (run_id=? AND <expr>=? AND seq<?)";
    assert_eq!(plan(record::ENDS_OF_HOST), by_end);
    for query in [reader::UNSETTLED, reader::LEFT_OPEN] {
        let plan = plan(query);
        assert!(plan.contains("SCAN results USING INDEX results_open"), "{plan}");
        assert!(plan.contains("SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id=?)"), "{plan}");
    }
}
