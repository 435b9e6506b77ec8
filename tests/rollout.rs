//! `--serial`, `--canary`, `--max-fail`, `--retries`, `--gate`, `--pause` and `--forks`: hosts of a
//! rollout with their fates. docs/rollout.md says the rules.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

mod harness;

use harness::{Environment, Fleet, FleetPlan, Invocation, check_grammar, finished, relay, until};

/// The hosts numbered 1 to `count`, of which those in `failing` run a script that exits 3.
fn exec(environment: &Environment, fleet: &Fleet, count: u8, flags: &[&str], failing: &[u8]) -> Invocation {
    let targets = fleet.names(1..=count);
    let failing: Vec<String> = failing.iter().map(|number| format!("*.{number}")).collect();
    let script = match failing.is_empty() {
        true => "true".to_owned(),
        false => format!("case $CRONIUM_HOST in {}) exit 3 ;; esac", failing.join("|")),
    };
    environment.exec(fleet, &targets).args(flags).args(["-o", "jsonl", "--", &script])
}

/// How hosts 1 to `count` ended, by their first letters: `ssf-`, `-` for skipped.
fn ends(events: &[Value], fleet: &Fleet, count: u8) -> String {
    let names: Vec<String> = (1..=count).map(|number| fleet.name(number)).collect();
    check_grammar(events, &names);
    let end = |name: &String| match finished(events, name)["outcome"].as_str().unwrap() {
        "skipped" => "-".to_owned(),
        outcome => outcome[..2].to_owned(),
    };
    names.iter().map(end).collect::<Vec<_>>().join(" ")
}

/// The hosts' numbers in the order in which they were connected to.
fn starts(events: &[Value], fleet: &Fleet) -> Vec<u8> {
    let connecting = events.iter().filter(|event| event["state"] == "connecting");
    connecting
        .map(|event| event["host"].as_str().unwrap().strip_prefix(&fleet.prefix()).unwrap().parse().unwrap())
        .collect()
}

fn stopped(events: &[Value]) -> Vec<&str> {
    let stopping = events.iter().filter(|event| event["kind"] == "run_stopping");
    stopping.map(|event| event["reason"].as_str().unwrap()).collect()
}

#[test]
fn what_stops_the_rest() {
    let (environment, fleet) = (Environment::new(), Fleet::start(5));
    // flags, hosts that fail, how all end, why it stopped, exit code
    type Row<'a> = (&'a [&'a str], &'a [u8], &'a str, &'a [&'a str], i32);
    let table: &[Row] = &[
        (&["--canary", "1"], &[1], "fa - - - -", &["limit"], 7),
        (&["--canary", "1"], &[3], "su su fa su su", &[], 3),
        (&["--canary", "2", "--max-fail", "9"], &[2], "su fa - - -", &["limit"], 7),
        (&["-f1", "--max-fail", "1"], &[1, 3], "fa su fa - -", &["limit"], 7),
        (&["-f1", "--max-fail", "40%"], &[1, 3], "fa su fa su su", &[], 3),
        (&["--serial", "2", "--max-fail", "1"], &[1, 4], "fa su su fa -", &["limit"], 7),
        (&["--serial", "1,40%"], &[], "su su su su su", &[], 0),
        (&["--serial", "2", "--gate", "false"], &[1], "fa su - - -", &["gate"], 7),
        (
            &["--canary", "1", "--serial", "2", "--gate", "[ $CRONIUM_BATCH = 1 ]"],
            &[],
            "su su su - -",
            &["gate"],
            7,
        ),
        (&["--serial", "5", "--gate", "false"], &[], "su su su su su", &[], 0),
    ];
    for (flags, failing, want, why, code) in table {
        let outcome = exec(&environment, &fleet, 5, flags, failing).run().exits(*code);
        let events = outcome.json_lines();
        assert_eq!((ends(&events, &fleet, 5).as_str(), stopped(&events)), (*want, why.to_vec()), "{flags:?}");
        let ledger = environment.ledger();
        assert_eq!(ledger.end_of(&ledger.last_run()).1, Some(i64::from(*code)), "{flags:?}");
    }
    // A run that was stopped is told from the ledger as it was.
    exec(&environment, &fleet, 5, &["--serial", "2", "--gate", "false"], &[]).run().exits(7).ignore();
    let shown = environment.run(["show", "last"]).succeeds();
    assert_eq!(shown.out().matches("skipped").count(), 3, "{shown:?}");
    assert!(shown.out().contains("stopped (exit code 7)"), "{shown:?}");
}

#[test]
fn a_batch_waits_for_the_one_before() {
    let (environment, fleet) = (Environment::new(), Fleet::start(5));
    let flags = ["--canary", "1", "--serial", "2", "--pause", "1s"];
    let begun = Instant::now();
    let events = exec(&environment, &fleet, 5, &flags, &[]).run().succeeds().json_lines();
    assert!(begun.elapsed() >= Duration::from_secs(2), "two pauses between three batches");
    let place = |kind: &str, field: &str, value: &str, number: u8| {
        let name = fleet.name(number);
        let fits = |event: &Value| event["kind"] == kind && event["host"] == name && event[field] == value;
        events.iter().position(fits).unwrap()
    };
    for (batch, next) in [(&[1][..], &[2, 3][..]), (&[2, 3], &[4, 5])] {
        let ended = batch.iter().map(|number| place("host_finished", "outcome", "succeeded", *number)).max();
        let started = next.iter().map(|number| place("host_state", "state", "connecting", *number)).min();
        assert!(ended < started, "{batch:?} before {next:?}");
    }
}

#[test]
fn a_gate_is_told_what_happened() {
    let (environment, fleet) = (Environment::new(), Fleet::start(3));
    let gate = "cat >stdin; echo \"$CRONIUM_BATCH/$CRONIUM_BATCHES $CRONIUM_FAILED of $CRONIUM_HOSTS\"; \
                echo \"$CRONIUM_RUN_ID\" >run";
    let outcome = exec(&environment, &fleet, 3, &["--serial", "2", "--gate", gate], &[2]).run().exits(3);
    assert!(outcome.err().contains("gate after batch 1 of 2: 1/2 1 of 3\n"), "{outcome:?}");
    let told: Value = serde_json::from_slice(&std::fs::read(environment.path("stdin")).unwrap()).unwrap();
    let run = environment.ledger().last_run();
    let hosts = json!([
        {"host": fleet.name(1), "outcome": "succeeded"},
        {"host": fleet.name(2), "outcome": "failed"},
    ]);
    assert_eq!(
        told,
        json!({"run": run, "batch": 1, "batches": 2, "canary": false, "hosts": hosts, "total": 3, "left": 1,
               "outcomes": {"succeeded": 1, "failed": 1}})
    );
    assert_eq!(std::fs::read_to_string(environment.path("run")).unwrap(), format!("{run}\n"));
    // What a gate is may be secret.
    let ledger = std::fs::read(environment.ledger_path()).unwrap();
    assert!(!String::from_utf8_lossy(&ledger).contains("cat >stdin"), "in the ledger");
}

#[test]
fn a_gate_that_takes_too_long_stays_shut() {
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    let flags = ["--serial", "1", "--gate", "sleep 60", "--gate-timeout", "1s"];
    let begun = Instant::now();
    let outcome = exec(&environment, &fleet, 2, &flags, &[]).run().exits(7);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(
        outcome.err().contains("gate after batch 1 of 2: killed: it took longer than 1 s"),
        "{outcome:?}"
    );
    assert_eq!(ends(&outcome.json_lines(), &fleet, 2), "su -");
}

#[test]
fn a_gate_cannot_come_from_a_file_and_needs_batches() {
    let environment = Environment::new();
    let local = ["exec", "local", "--gate", "true", "--", "true"];
    let error = environment.run(local).exits(2).err();
    assert!(error.contains("error: --gate stands between batches") && error.contains("--serial"), "{error}");
    environment.write("../home/.config/cronium-run/config.toml", "canary = 1\ngate = 'touch bad'\n");
    let error = environment.run(["exec", "local", "--", "true"]).exits(2).err();
    assert!(error.contains("config.toml:2") && error.contains("gate"), "{error}");
}

#[test]
fn ctrl_c_ends_a_pause_a_gate_and_the_wait_for_a_retry() {
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    // Nobody listens at host 9.
    let (one, nobody) = (fleet.name(1), fleet.name(9));
    let table: [(&[&str], &str, &str); 3] = [
        (&["--serial", "1", "--pause", "10m"], &one, "succeeded"),
        (&["--serial", "1", "--gate", "echo up; sleep 600"], &one, "succeeded"),
        (&["--serial", "1", "--retries", "1000"], &nobody, "unreachable"),
    ];
    for (flags, first, want) in table {
        let targets = format!("{first},{}", fleet.name(2));
        let invocation = environment.exec(&fleet, &targets).args(flags).args(["-o", "jsonl", "--", "true"]);
        let running = invocation.limit(60).start();
        let waits = || {
            let told = String::from_utf8_lossy(&running.stdout_so_far()).into_owned();
            told.contains("\"host_finished\"") || told.contains("try 4 of")
        };
        assert!(until(30, waits), "{flags:?}");
        // What follows the first batch takes a moment to begin.
        thread::sleep(Duration::from_millis(300));
        running.signal(Signal::INT);
        let begun = Instant::now();
        let events = running.wait().exits(130).json_lines();
        assert!(begun.elapsed() < Duration::from_secs(5), "{flags:?} took {:?}", begun.elapsed());
        assert_eq!(stopped(&events), ["interrupted"], "{flags:?}");
        assert_eq!(finished(&events, first)["outcome"], want, "{flags:?}");
        assert_eq!(finished(&events, &fleet.name(2))["outcome"], "skipped", "{flags:?}");
        check_grammar(&events, &[first.to_owned(), fleet.name(2)]);
    }
}

/// Host `number` says nothing on its first `bad` connections and passes the others to `to`. One that
/// closes them is tried again already while connecting.
fn shy(fleet: &Fleet, number: u8, to: u8, bad: u32) -> Arc<AtomicU32> {
    let listener = TcpListener::bind((fleet.name(number).as_str(), fleet.port())).unwrap();
    fleet.record(number, to);
    let behind = (fleet.name(to), fleet.port());
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        let mut held = Vec::new();
        for near in listener.incoming().map_while(Result::ok) {
            if counted.fetch_add(1, Ordering::SeqCst) < bad {
                held.push(near);
                continue;
            }
            let far = TcpStream::connect((behind.0.as_str(), behind.1)).unwrap();
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    count
}

#[test]
fn a_host_that_could_not_be_reached_is_tried_again() {
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    let count = shy(&fleet, 3, 2, 2);
    // The budget counts the last try alone, and a host that waits holds no fork: 1 runs meanwhile.
    let targets = fleet.names([3, 1]);
    let flags = ["-f1", "--retries", "3", "--max-fail", "0", "-o", "jsonl"];
    let outcome = environment.exec(&fleet, &targets).args(flags).args(["--", "true"]).run().succeeds();
    let events = outcome.json_lines();
    check_grammar(&events, &[fleet.name(3), fleet.name(1)]);
    assert_eq!(starts(&events, &fleet), [3, 1, 3, 3]);
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert_eq!(finished(&events, &fleet.name(3))["attempt"], 3);
    assert_eq!(finished(&events, &fleet.name(1))["attempt"], 1);
    let ledger = environment.ledger();
    assert_eq!(ledger.result(&ledger.last_run(), &fleet.name(3)).attempt, 3);
    let why: Vec<&str> = events.iter().filter_map(|event| event["message"].as_str()).collect();
    assert_eq!(
        why,
        [
            "try 1 of 4 failed: the host accepted the connection and said nothing within 3 s",
            "try 2 of 4 failed: the host accepted the connection and said nothing within 3 s",
        ]
    );
}

#[test]
fn what_a_retry_cannot_mend_is_tried_once() {
    let environment = Environment::new();
    let fleet = FleetPlan::default()
        .host_with(1, |host| host.authorized = false)
        .host_with(2, |host| host.recorded = harness::Recorded::Wrong)
        .host(3)
        .host(4)
        .start();
    // Host 5 is lost while its script runs: nobody knows what became of it.
    let running = fleet.home(4).join("running");
    relay(&fleet, 5, 4, move || running.exists());
    let script = "case $CRONIUM_HOST in *.5) : >\"$HOME/running\"; sleep 60 ;; *) exit 3 ;; esac";
    let targets = fleet.names([1, 2, 3, 5]);
    let flags = ["--retries", "5", "--reconnect", "0", "-o", "jsonl", "--", script];
    let outcome = environment.exec(&fleet, &targets).args(flags).run().exits(8);
    let events = outcome.json_lines();
    for (number, want) in [(1, "unreachable"), (2, "unreachable"), (3, "failed"), (5, "unknown")] {
        let end = finished(&events, &fleet.name(number));
        assert_eq!((&end["outcome"], &end["attempt"]), (&json!(want), &json!(1)), "{end:#}");
    }
    let mut started = starts(&events, &fleet);
    started.sort_unstable();
    assert_eq!(started, [1, 2, 3, 5]);
}

#[test]
fn tries_end_and_the_last_one_is_told() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let nobody = fleet.name(9);
    let flags = ["--retries", "1", "-o", "jsonl", "--", "true"];
    let events = environment.exec(&fleet, &nobody).args(flags).run().exits(4).json_lines();
    let end = finished(&events, &nobody);
    assert_eq!((&end["attempt"], &end["failure"]["phase"]), (&json!(2), &json!("tcp")), "{end:#}");
    // Between the two tries it is queued.
    let states: Vec<&str> = events.iter().filter_map(|event| event["state"].as_str()).collect();
    assert_eq!(states, ["connecting", "queued", "connecting"]);
}

#[test]
fn a_check_prints_the_rollout_and_keeps_the_gate_to_itself() {
    let environment = Environment::new();
    let flags =
        ["--canary", "1", "--serial", "1,10%", "--max-fail", "15%", "--retries", "2", "--pause", "1m"];
    let check = environment.command(["exec", "web[1-20]", "-C", "-f", "7"]).args(flags);
    let plan = check.args(["--gate", "curl hooks.example.org/s3cr3t", "--", "true"]).run().succeeds().json();
    assert_eq!(plan["forks"], 7);
    assert_eq!(
        plan["rollout"],
        json!({"canary": 1, "serial": ["1", "10%"], "batches": [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2],
               "max_fail": "15%", "may_fail": 3, "retries": 2, "gate": {"timeout_ms": 600_000}, "pause_ms": 60_000})
    );
    assert!(!plan.to_string().contains("s3cr3t"), "{plan:#}");
    // The same by environment and by file; `deploy` takes it, too.
    environment.write("../home/.config/cronium-run/config.toml", "serial = '5'\nmax-fail = 0\n");
    let check = environment.command(["deploy", "web[1-20]", "-C"]).env("CRONIUM_RUN_SERIAL", "50%");
    let plan = check.run().succeeds().json();
    assert_eq!((&plan["rollout"]["batches"], &plan["rollout"]["may_fail"]), (&json!([10, 10]), &json!(0)));
}

#[test]
fn open_files_are_raised_or_hosts_are_fewer() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let run = |limits: &str, forks: &str, hosts: &str| {
        let line = format!("{limits}; exec cronium-run exec {hosts} -C -f {forks} -- true");
        environment.program("sh", ["-c", &line]).run().succeeds()
    };
    let low = run("ulimit -n 350", "1000", "web[1-900]");
    assert_eq!(low.json()["forks"], 50);
    assert!(
        low.err().contains("warning: --forks 1000 needs more open files than the 350 allowed"),
        "{low:?}"
    );
    let soft = run("ulimit -Sn 200; ulimit -Hn 4000", "900", "web[1-900]");
    assert_eq!((&soft.json()["forks"], soft.err().as_str()), (&json!(900), ""));
    let few = run("ulimit -n 350", "1000", "web[1-9]");
    assert_eq!(
        (&few.json()["forks"], few.err().as_str()),
        (&json!(1000), ""),
        "only as many as there are hosts"
    );
    // The estimate holds: a run at its tightest.
    let line = "ulimit -n 64; exec \"$@\"";
    let flags = ["-u", harness::user(), "-p", &fleet.port().to_string()].map(str::to_owned);
    let key = fleet.private_key().display().to_string();
    let known = fleet.known_hosts().display().to_string();
    let name = fleet.name(1);
    let words =
        ["-c", line, "sh", "cronium-run", "exec", &name, "--private-key", &key, "--known-hosts", &known];
    environment.program("sh", words).args(flags).args(["--", "true"]).run().succeeds().ignore();
}

/// Whoever interrupts a run that is being stopped anyway has interrupted it.
#[test]
fn ctrl_c_outranks_a_limit() {
    let (environment, fleet) = (Environment::new(), Fleet::start(3));
    let script = "case $CRONIUM_HOST in *.1) exit 3 ;; *) sleep 60 ;; esac";
    let targets = fleet.names(1..=3);
    let flags = ["-f2", "--max-fail", "0", "-o", "jsonl", "--", script];
    let running = environment.exec(&fleet, &targets).args(flags).limit(60).start();
    let told = |word: &str| String::from_utf8_lossy(&running.stdout_so_far()).contains(word);
    let runs = format!("\"host\":\"{}\",\"state\":\"running\"", fleet.name(2));
    assert!(until(30, || told("\"run_stopping\"") && told(&runs)));
    running.signal(Signal::INT);
    let events = running.wait().exits(130).json_lines();
    assert_eq!(stopped(&events), ["limit", "interrupted"]);
    assert_eq!(ends(&events, &fleet, 3), "fa ca -");
}
