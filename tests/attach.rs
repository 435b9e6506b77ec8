//! Runs that go on without us, and how they are come back to: over real sshds.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;

mod harness;

use harness::{Environment, Fleet, Outcome, check_grammar, until};

/// Says that it was started, waits for `$HOME/go`, and ends as the last number of its host says.
const SCRIPT: &str = r#"
echo started >>"$HOME/starts"
echo before; echo aside >&2
until [ -e "$HOME/go" ]; do sleep 0.05; done
echo after
case $CRONIUM_HOST in *.1) exit 0 ;; *) exit 7 ;; esac
"#;

struct Place {
    environment: Environment,
    fleet: Fleet,
}

impl Place {
    fn new(hosts: u8) -> Self {
        Self { environment: Environment::new(), fleet: Fleet::start(hosts) }
    }

    /// `exec` of [`SCRIPT`] with flags on hosts 1 to `hosts`.
    fn exec(&self, hosts: u8, flags: &[&str]) -> harness::Invocation {
        let names = self.fleet.names(1..=hosts);
        self.environment.exec(&self.fleet, &names).args(flags).args(["--", SCRIPT])
    }

    fn run(&self, words: &str) -> Outcome {
        self.environment.run(words.split(' '))
    }

    fn last(&self) -> String {
        self.environment.ledger().last_run()
    }

    fn go(&self, number: u8) {
        fs::write(self.fleet.home(number).join("go"), "").unwrap();
    }

    fn has_printed(&self, number: u8) -> bool {
        let starts = fs::read_to_string(self.fleet.home(number).join("starts")).unwrap_or_default();
        !starts.is_empty()
    }

    /// Every host started the script once, and nothing of it is left there.
    #[track_caller]
    fn is_clean(&self, hosts: u8) {
        for number in 1..=hosts {
            let starts = fs::read_to_string(self.fleet.home(number).join("starts")).unwrap();
            assert_eq!(starts, "started\n", "host {number}");
            assert!(until(20, || self.fleet.runs(number).is_empty()), "{:?}", self.fleet.runs(number));
        }
    }

    /// The statuses of a run's hosts in the ledger.
    fn statuses(&self, run: &str) -> String {
        let mut results = self.environment.ledger().results(run);
        results.sort_by_key(|row| self.fleet.numbers_in(&row.host));
        results.iter().map(|row| row.status.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// What both hosts printed, whole and once, and a gapless account.
    #[track_caller]
    fn is_exact(&self, run: &str, hosts: u8) {
        let ledger = self.environment.ledger();
        for number in 1..=hosts {
            let host = self.fleet.name(number);
            let out = ledger.output(run, &host, "stdout").map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(out.as_deref(), Some("before\nafter\n"), "{host}");
            let err = ledger.output(run, &host, "stderr").map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(err.as_deref(), Some("aside\n"), "{host}");
        }
        let numbers = ledger.event_numbers(run);
        assert_eq!(numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
        ledger.check();
    }
}

#[test]
fn a_run_that_was_left_is_attached_to() {
    let place = Place::new(2);
    place.exec(2, &["--detach"]).run().succeeds().ignore();
    let run = place.last();
    assert_eq!(place.environment.ledger().end_of(&run), ("detached".into(), Some(0)));
    assert_eq!(place.statuses(&run), "detached detached");
    let rerun = place.run("rerun last").exits(2).err();
    assert!(rerun.contains("--all  runs on 2 hosts, and may still go on there\n"), "{rerun}");
    let first = place.fleet.name(1);
    let rerun = ["rerun", "last", "--all", "-l", &first, "--check"];
    let warned = place.environment.run(rerun).succeeds().err();
    assert!(warned.contains(&format!("1 host may still be at run {run}: cronium-run collect")), "{warned}");

    (1..=2).for_each(|number| place.go(number));
    let attached = place.environment.command(["attach", "last", "-o", "stream"]).run().exits(3);
    for number in 1..=2 {
        for line in ["before", "after"] {
            let line = format!("{}: {line}", place.fleet.name(number));
            assert_eq!(attached.out().matches(&line).count(), 1, "{line} in {}", attached.out());
        }
    }
    assert_eq!(place.environment.ledger().end_of(&run), ("failed".into(), Some(3)));
    assert_eq!(place.statuses(&run), "succeeded failed");
    place.is_exact(&run, 2);
    place.is_clean(2);

    // The exit code stays that of the run, and nobody is asked.
    let again = place.run("attach last").exits(3);
    assert_eq!(again.err(), format!("nothing of run {run} is open: cronium-run show {run}\n"));
}

#[test]
fn what_is_over_is_collected_and_what_runs_is_left_running() {
    let place = Place::new(2);
    place.exec(2, &["--detach"]).run().succeeds().ignore();
    let run = place.last();
    place.go(1);
    // The supervisor of a run that is over is gone.
    assert!(until(20, || place.fleet.runs(1).iter().all(|run| !run.join("work").exists())));
    let collected = (0..50)
        .map(|_| place.run("collect"))
        .find(|outcome| outcome.out().contains("succeeded"))
        .expect("it is over within 50 tries");
    let collected = collected.exits(0);
    let shown: Vec<String> = collected.out().lines().map(|line| line.replace(&run, "RUN")).collect();
    let columns = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        columns(&shown[0]).starts_with(&format!("RUN {} succeeded exit 0", place.fleet.name(1))),
        "{shown:?}"
    );
    assert_eq!(columns(&shown[1]), format!("RUN {} still runs", place.fleet.name(2)));
    assert_eq!(place.statuses(&run), "succeeded detached");

    place.go(2);
    assert!(until(20, || {
        let outcome = place.environment.command(["collect", &run, "-o", "json"]).run().succeeds();
        let documents = outcome.json();
        let statuses = &documents[0]["results"];
        statuses[0]["status"] == "failed" && statuses[0]["exit_code"] == 7
    }));
    assert_eq!(place.statuses(&run), "succeeded failed");
    place.is_exact(&run, 2);
    place.is_clean(2);
    let nothing = place.run("collect").succeeds();
    assert_eq!((nothing.out(), nothing.err()), (String::new(), "nothing is open\n".into()));
}

#[test]
fn what_a_killed_operator_left_is_named_and_settled() {
    let place = Place::new(2);
    let running = place.exec(2, &[]).start();
    assert!(until(30, || (1..=2).all(|number| place.has_printed(number))));
    running.signal(Signal::KILL);
    running.wait().ignore();
    let run = place.last();
    let note = format!("note: run {run} was left with 2 hosts unsettled: cronium-run collect {run}\n");
    assert!(place.run("runs").succeeds().err().contains(&note));
    assert!(
        place.environment.command(["exec", "local", "--", "true"]).run().succeeds().err().contains(&note)
    );
    for quiet in ["runs -o json", "exec local -q -- true", "exec local -o json -- true"] {
        assert!(!place.run(quiet).succeeds().err().contains("unsettled"), "{quiet}");
    }
    let shown = place.environment.run(["show", &run]).succeeds().out();
    assert!(shown.contains(&format!("open       2 hosts: cronium-run collect {run}")), "{shown}");

    (1..=2).for_each(|number| place.go(number));
    assert!(until(20, || {
        place.environment.run(["collect", &run]).succeeds().ignore();
        place.statuses(&run) == "succeeded failed"
    }));
    assert_eq!(place.environment.ledger().end_of(&run), ("failed".into(), Some(3)));
    place.is_exact(&run, 2);
    place.is_clean(2);
    assert!(!place.run("runs").succeeds().err().contains("unsettled"));
}

#[test]
fn a_run_is_cancelled_on_one_host_and_goes_on_on_the_other() {
    let place = Place::new(2);
    place.exec(2, &["--detach"]).run().succeeds().ignore();
    let run = place.last();
    let second = place.fleet.name(2);
    let cancelled = place.environment.run(["cancel", "last", &second]).succeeds();
    assert!(cancelled.out().contains("cancelled"), "{cancelled:?}");
    assert_eq!(place.statuses(&run), "detached cancelled");
    assert_eq!(place.environment.ledger().end_of(&run).0, "detached");
    place.go(1);
    place.run("attach last").exits(130).ignore();
    assert_eq!(place.statuses(&run), "succeeded cancelled");
    place.is_clean(2);
}

#[test]
fn a_run_is_attached_to_by_one_process_at_a_time() {
    let place = Place::new(1);
    place.exec(1, &["--detach"]).run().succeeds().ignore();
    let run = place.last();
    let mut first = place.environment.command(["attach", "last", "-o", "stream"]).start();
    assert!(until(30, || String::from_utf8_lossy(&first.stdout_so_far()).contains("before")));
    let second = place.run("attach last").exits(1);
    let message = format!("run {run} is being worked on by another cronium-run");
    assert!(second.err().contains(&message), "{second:?}");
    for command in ["attach last", "cancel last", "rerun last --all"] {
        let refused = place.run(command).exits(1).err();
        for hint in ["kill -TERM", "kill -HUP"] {
            assert!(refused.contains(&format!("hint: {hint} {}  ", first.pid())), "{refused}");
        }
    }
    assert!(!first.is_over());
    place.go(1);
    first.wait().succeeds().ignore();
    place.is_exact(&run, 1);
}

#[test]
fn a_run_of_another_ledger_is_adopted() {
    let place = Place::new(2);
    place.exec(2, &["--detach"]).run().succeeds().ignore();
    let (run, names) = (place.last(), place.fleet.names(1..=2));
    (1..=2).for_each(|number| place.go(number));

    let elsewhere = Environment::new();
    elsewhere.run(["attach", &run]).exits(1).ignore();
    let short = elsewhere.reaching(&place.fleet, ["attach", &run[..20], &names, "--adopt"]).run().exits(2);
    assert!(short.err().contains("is no whole id of a run"), "{short:?}");
    elsewhere.reaching(&place.fleet, ["attach", &run, &names, "--adopt"]).run().exits(3).ignore();
    let ledger = elsewhere.ledger();
    assert_eq!(ledger.end_of(&run), ("failed".into(), Some(3)));
    for number in 1..=2 {
        let host = place.fleet.name(number);
        assert_eq!(ledger.output(&run, &host, "stdout").unwrap(), b"before\nafter\n");
    }
    let known = elsewhere.reaching(&place.fleet, ["attach", &run, &names, "--adopt"]).run().exits(2);
    assert!(known.err().contains("is in this ledger"), "{known:?}");
    place.is_clean(2);

    // The first one is told that nothing is there any more: it does not know how the run ended.
    let late = place.run("collect").exits(8);
    assert!(late.out().contains("unknown"), "{late:?}");
    // There is nothing more to come: who wants to hear it again names the run.
    let settled = place.run("collect").succeeds();
    assert_eq!((settled.out(), settled.err()), (String::new(), "nothing is open\n".into()));
    place.run("attach last").exits(8).ignore();
    let named = place.run("collect last").exits(8);
    assert!(named.out().contains("the host knows nothing of this run"), "{named:?}");
    assert_eq!(place.run("collect").succeeds().err(), "nothing is open\n");
    let shown = place.run("show last").succeeds().out();
    assert!(!shown.contains("open  "), "{shown}");

    let rerun = elsewhere.run(["rerun", "last", "--failed"]).exits(2);
    assert!(rerun.err().contains("it was taken up from another ledger, which has it"), "{rerun:?}");
    assert!(!rerun.err().contains("--adopt"), "{rerun:?}");
}

#[test]
fn an_adopted_run_is_given_further_hosts() {
    let place = Place::new(2);
    place.exec(2, &["--detach"]).run().succeeds().ignore();
    let run = place.last();
    (1..=2).for_each(|number| place.go(number));
    let elsewhere = Environment::new();
    let adopt = |number: u8| {
        let name = place.fleet.name(number);
        elsewhere.reaching(&place.fleet, ["attach", &run, &name, "--adopt"]).run()
    };
    adopt(1).exits(0).ignore();
    adopt(2).exits(3).ignore();
    let ledger = elsewhere.ledger();
    assert_eq!(ledger.end_of(&run), ("failed".into(), Some(3)));
    for number in 1..=2 {
        let host = place.fleet.name(number);
        assert_eq!(ledger.output(&run, &host, "stdout").unwrap(), b"before\nafter\n");
    }
    assert!(adopt(2).exits(2).err().contains("is in this ledger, with these hosts"));
    place.is_clean(2);

    let here = place.environment.reaching(&place.fleet, ["attach", &run, "web9", "--adopt"]).run().exits(2);
    assert!(here.err().contains("is in this ledger, which began it"), "{here:?}");
}

#[test]
fn a_run_that_no_host_knows_is_not_taken_up() {
    let place = Place::new(2);
    let (run, names) = ("01M8HH5HTQDXPPHE8YBQBXHWS4", place.fleet.names(1..=2));
    let attach = ["attach", run, &names, "--adopt"];
    let unknown = place.environment.reaching(&place.fleet, attach).run().exits(2);
    assert!(unknown.err().contains(&format!("error: no host knows run {run}, so it is not")), "{unknown:?}");
    assert!(!place.run("runs").succeeds().out().contains(run));
}

/// As of a run of an older cronium-run, or where the key that seals orders is lost.
#[test]
fn without_its_order_a_run_is_asked_for_by_the_names_of_its_hosts() {
    let place = Place::new(2);
    place.exec(2, &["--detach"]).run().succeeds().ignore();
    let run = place.last();
    (1..=2).for_each(|number| place.go(number));
    fs::remove_file(place.environment.home().join(".config/cronium-run/variables.key")).unwrap();
    // The port and the key were said to `exec` alone.
    let lost = place.environment.run(["collect"]).exits(8);
    assert!(lost.err().contains("so they are looked up by name: cannot open what run"), "{lost:?}");
    assert_eq!(place.statuses(&run), "unknown unknown");
    place.environment.reaching(&place.fleet, ["attach", "last"]).run().exits(3).ignore();
    place.is_exact(&run, 2);
    place.is_clean(2);
    let rerun = place.environment.run(["rerun", "last", "--failed"]).exits(1);
    assert!(rerun.err().contains("cannot open what run"), "{rerun:?}");
    // The next run makes a new key, and is whole again.
    place.exec(1, &[]).run().succeeds().ignore();
    place.environment.run(["rerun", "last", "--all"]).succeeds().ignore();
}

/// What the run was not told is told now, and all else is as it was.
#[test]
fn flags_change_one_thing_of_how_hosts_are_reached() {
    let place = Place::new(1);
    place.exec(1, &["--detach"]).run().succeeds().ignore();
    place.go(1);
    let wrong = place.environment.run(["attach", "last", "-p", "1"]).exits(8);
    assert!(wrong.err().contains("the host could not be asked"), "{wrong:?}");
    let port = place.fleet.port().to_string();
    place.environment.run(["attach", "last", "-p", &port]).succeeds().ignore();
    place.is_exact(&place.last(), 1);
    place.is_clean(1);
}

#[test]
fn hosts_of_a_past_run_are_run_on_again() {
    let environment = Environment::new();
    let fleet = Fleet::start(3);
    // 1 succeeds, 2 fails once, 9 is no host; 3 does not get its turn.
    let script = r#"
echo "$1 $WORD $(cronium input .n)" >>"$HOME/ran"
case $CRONIUM_HOST in *.2) [ -e "$HOME/again" ] || { : >"$HOME/again"; exit 5; } ;; esac
"#;
    environment.write("task.sh", format!("#!/bin/sh\n{script}"));
    let names = fleet.names([1, 2, 9, 3]);
    environment
        .exec(&fleet, &names)
        .args(["task.sh", "--input", r#"{"n": 4}"#, "--env", "WORD=w", "--serial", "3,1", "--max-fail", "0"])
        .args(["--", "arg"])
        .run()
        .exits(7)
        .ignore();
    let first = environment.ledger().last_run();
    // The file is gone: what was sent is in the ledger.
    fs::remove_file(environment.path("task.sh")).unwrap();

    let asked = environment.run(["rerun", "last"]).exits(2).err();
    for line in [
        "--failed  runs on 1 host",
        "--unreachable  runs on 1 host",
        "--not-run  runs on 1 host",
        "--all  runs on 4 hosts",
    ] {
        assert!(asked.contains(&format!("hint: cronium-run rerun {first} {line}\n")), "{asked}");
    }
    assert!(!asked.contains("--unknown"), "{asked}");

    let listed = environment.run(["rerun", &first, "--failed", "--not-run", "--list-hosts"]).succeeds().out();
    assert_eq!(fleet.numbers_in(&listed).into_iter().collect::<Vec<_>>(), [2, 3]);
    environment.run(["rerun", &first, "--failed", "--not-run"]).succeeds().ignore();
    let second = environment.ledger().last_run();
    environment.run(["rerun", &first, "--unreachable"]).exits(4).ignore();
    let third = environment.ledger().last_run();
    environment.run(["rerun", &first, "--unknown"]).exits(2).ignore();
    let ran = |number: u8| fs::read_to_string(fleet.home(number).join("ran")).unwrap();
    assert_eq!([ran(1), ran(2), ran(3)], ["arg w 4\n", "arg w 4\narg w 4\n", "arg w 4\n"]);

    let shown = environment.run(["show", &first]).succeeds().out();
    assert!(shown.contains(&format!("rerun by   {second}, {third}\n")), "{shown}");
    let shown: Value = environment.run(["show", &second, "-o", "json"]).succeeds().json();
    assert_eq!(shown["rerun_of"], first.as_str());
    let digest =
        |run: &str| environment.run(["show", run, "-o", "json"]).succeeds().json()["payload_digest"].clone();
    assert_eq!(digest(&first), digest(&second));
}

#[test]
fn the_account_of_a_run_in_several_sittings_keeps_its_grammar() {
    let place = Place::new(2);
    place.exec(2, &["--detach", "--events", "first.jsonl"]).run().succeeds().ignore();
    (1..=2).for_each(|number| place.go(number));
    place.run("attach last --events second.jsonl").exits(3).ignore();
    let read = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(place.environment.path(Path::new(name))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (first, second) = (read("first.jsonl"), read("second.jsonl"));
    let hosts: Vec<String> = (1..=2).map(|number| place.fleet.name(number)).collect();
    check_grammar(&first, &hosts);
    assert_eq!(second[0]["kind"], "run_resumed");
    assert_eq!(second[0]["seq"].as_u64(), Some(first.len() as u64));
    assert_eq!(second[0]["hosts"], serde_json::json!(hosts));
    assert_eq!(second.last().unwrap()["kind"], "run_finished");
    assert_eq!(second.last().unwrap()["hosts"], 2);
}

/// They have given all they had: nothing waits for them, and nobody has to.
#[test]
fn hosts_that_only_keep_what_is_recorded_come_last() {
    let place = Place::new(1);
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let names = format!("{},127.0.0.1:{port}", place.fleet.name(1));
    let script = r#": >"$HOME/starts"; sleep 600"#;
    place.environment.exec(&place.fleet, &names).args(["--detach", "--", script]).run().exits(4).ignore();
    let run = place.last();
    let ledger = Connection::open(place.environment.ledger_path()).unwrap();
    let keep = "UPDATE results SET is_kept = 1, mark = 3 WHERE status = 'unreachable'";
    assert_eq!(ledger.execute(keep, []), Ok(1));
    while silent.set_nonblocking(true).is_ok() && silent.accept().is_ok() {}

    let mut cancelling =
        place.environment.command(["cancel", "last", "--connect-timeout", "50s"]).limit(40).start();
    assert!(until(30, || String::from_utf8_lossy(&cancelling.stdout_so_far()).contains("cancelled")));
    assert!(until(10, || silent.accept().is_ok()));
    assert!(!cancelling.is_over());
    cancelling.signal(Signal::INT);
    cancelling.wait().exits(130).ignore();
    let kept: i64 = ledger.query_row("SELECT sum(is_kept) FROM results", [], |row| row.get(0)).unwrap();
    assert_eq!((place.statuses(&run).as_str(), kept), ("unreachable cancelled", 1));
}

#[test]
fn a_payload_that_is_broken_in_the_ledger_keeps_nobody_from_asking() {
    let place = Place::new(1);
    place.exec(1, &["--detach"]).run().succeeds().ignore();
    place.go(1);
    let ledger = Connection::open(place.environment.ledger_path()).unwrap();
    ledger.execute("UPDATE payload_bytes SET data = x'00'", []).unwrap();
    let attached = place.run("attach last").succeeds();
    let told = format!("what the manifest of {} lets its scripts do is not known: ", place.last());
    assert!(attached.err().contains(&told), "{attached:?}");
    place.is_exact(&place.last(), 1);
    place.is_clean(1);
}

#[test]
fn a_password_is_asked_for_once_whatever_is_collected() {
    let environment = Environment::new();
    for _ in 0..2 {
        environment.run(["exec", "local", "--detach", "--", "true"]).succeeds().ignore();
    }
    let mut collecting = environment.command(["collect", "-k"]).on_a_terminal(&environment).start();
    collecting.types("SSH password: ", "hunter2\n");
    let shown = collecting.wait().succeeds().out();
    assert_eq!(shown.matches("SSH password: ").count(), 1, "{shown}");
    assert_eq!(shown.matches("  local  ").count(), 2, "{shown}");
}

/// Its hosts may all do well in the end: those that did not get their turn did not.
#[test]
fn a_run_that_was_stopped_stays_stopped() {
    let place = Place::new(2);
    let names = place.fleet.names([9, 1, 2]);
    let flags = ["--forks", "2", "--max-fail", "0", "--", SCRIPT];
    let running = place.environment.exec(&place.fleet, &names).args(flags).start();
    assert!(until(30, || String::from_utf8_lossy(&running.stderr_so_far()).contains("stopped by ")));
    assert!(until(30, || place.has_printed(1)));
    running.signal(Signal::KILL);
    running.wait().ignore();
    place.go(1);
    let run = place.last();
    assert!(until(20, || {
        place.environment.run(["collect", &run]).ignore();
        place.statuses(&run) == "succeeded unreachable unreachable"
    }));
    assert_eq!(place.environment.ledger().end_of(&run), ("stopped".into(), Some(7)));
    place.run("attach last").exits(7).ignore();
    assert!(!place.has_printed(2));
}
