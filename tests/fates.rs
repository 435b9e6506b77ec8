//! A table of hosts and their fates. Every way of telling, and the ledger, must say the same.

use serde_json::Value;

mod harness;

use harness::{
    Environment, Fleet, FleetPlan, Outcome, Recorded, black_hole, bytes_of, check_grammar, finished, garbage,
    relay,
};

/// What must become of a host.
struct Fate {
    number: u8,
    name: &'static str,
    outcome: &'static str,
    exit_code: Option<i64>,
    signal: Option<i64>,
    phase: Option<&'static str>,
    /// What it writes to stdout; `None` where that is not certain.
    stdout: Option<fn() -> Vec<u8>>,
}

const fn fate(number: u8, name: &'static str, outcome: &'static str) -> Fate {
    Fate { number, name, outcome, exit_code: None, signal: None, phase: None, stdout: None }
}

const fn ran(number: u8, name: &'static str, code: i64, stdout: fn() -> Vec<u8>) -> Fate {
    let outcome = if code == 0 { "succeeded" } else { "failed" };
    Fate { exit_code: Some(code), stdout: Some(stdout), ..fate(number, name, outcome) }
}

const fn unreachable(number: u8, name: &'static str, phase: &'static str) -> Fate {
    Fate { phase: Some(phase), stdout: Some(Vec::new), ..fate(number, name, "unreachable") }
}

/// The hosts of the table; [`SCRIPT`] and [`pretend`] make them behave so.
const FATES: &[Fate] = &[
    ran(1, "answers", 0, || b"hello from answers\n".to_vec()),
    ran(2, "exits 7", 7, || b"about to exit 7\n".to_vec()),
    Fate {
        signal: Some(15),
        stdout: Some(|| b"about to die\n".to_vec()),
        ..fate(3, "killed by TERM", "failed")
    },
    ran(4, "20 MB of output", 0, large),
    ran(5, "binary output", 0, binary),
    ran(6, "a 1 MB line", 0, long_line),
    ran(7, "silent", 0, Vec::new),
    ran(8, "no newline at the end", 0, || b"cut off".to_vec()),
    ran(9, "stderr alone", 0, Vec::new),
    unreachable(21, "refuses", "tcp"),
    unreachable(22, "black hole", "banner"),
    unreachable(23, "wrong host key", "hostkey"),
    unreachable(24, "key not recorded", "hostkey"),
    unreachable(25, "auth refused", "auth"),
    unreachable(26, "garbage before the banner, held", "banner"),
    unreachable(27, "garbage before the banner, closed", "banner"),
    Fate { phase: Some("lost"), ..fate(31, "dies mid-run", "unknown") },
];

/// `CRONIUM_HOST` is the host as typed: its last number says what it is to do.
const SCRIPT: &str = r#"
case $CRONIUM_HOST in
*.1) echo 'hello from answers' ;;
*.2) echo 'about to exit 7'; exit 7 ;;
*.3) echo 'about to die'; kill -TERM $$; sleep 5 ;;
*.4) yes 'a line of the twenty megabytes' | head -c 20000000 ;;
*.5) i=0; while [ $i -lt 256 ]; do printf "\\$(printf %03o $i)"; i=$((i + 1)); done
     printf '\033[31mred\033]0;title\007 \r\n\377\376' ;;
*.6) head -c 1000000 /dev/zero | tr '\0' L; echo ;;
*.7) ;;
*.8) printf 'cut off' ;;
*.9) echo 'a word on stderr' >&2 ;;
*.31) echo 'about to be lost'; : >"$HOME/running"; sleep 60 ;;
*) echo "unexpected host $CRONIUM_HOST"; exit 99 ;;
esac
"#;

fn large() -> Vec<u8> {
    b"a line of the twenty megabytes\n".iter().copied().cycle().take(20_000_000).collect()
}

fn binary() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend_from_slice(b"\x1b[31mred\x1b]0;title\x07 \r\n\xff\xfe");
    bytes
}

fn long_line() -> Vec<u8> {
    let mut line = vec![b'L'; 1_000_000];
    line.push(b'\n');
    line
}

/// Starts the table's hosts, those that only pretend among them.
fn pretend() -> Fleet {
    let fleet = (1..=9)
        .fold(FleetPlan::default(), FleetPlan::host)
        .host_with(23, |host| host.recorded = Recorded::Wrong)
        .host_with(24, |host| host.recorded = Recorded::Nothing)
        .host_with(25, |host| host.authorized = false)
        // Behind 31, the host that is lost.
        .host(41)
        .start();
    black_hole(&fleet, 22);
    garbage(&fleet, 26, b"220 mail.example.org ESMTP\r\n", true);
    garbage(&fleet, 27, b"HTTP/1.1 400 Bad Request\r\n\r\n", false);
    let running = fleet.home(41).join("running");
    relay(&fleet, 31, 41, move || running.exists());
    fleet
}

fn all() -> impl Iterator<Item = u8> {
    FATES.iter().map(|fate| fate.number)
}

/// Runs the script on hosts of the table.
#[track_caller]
fn exec(environment: &Environment, fleet: &Fleet, numbers: impl Iterator<Item = u8>, mode: &str) -> Outcome {
    let targets = fleet.names(numbers);
    environment
        .exec(fleet, &targets)
        .args(["-o", mode, "--reconnect", "1s", "--lease", "1s", "--", SCRIPT])
        .run()
}

/// The whole table in one mode; the ledger is checked on the way.
fn told(mode: &str) -> (Environment, Fleet, Outcome) {
    let (environment, fleet) = (Environment::new(), pretend());
    let outcome = exec(&environment, &fleet, all(), mode).exits(8);
    check_ledger(&environment, &fleet);
    for number in 1..=9 {
        let runs = || fleet.runs(number);
        assert!(harness::until(20, || runs().is_empty()), "host {number}: {:?}", runs());
    }
    // What the lost host did is told to whoever asks for it.
    assert!(harness::until(20, || fleet.processes(41).is_empty()), "{:#?}", fleet.processes(41));
    assert_eq!(fleet.runs(41).len(), 1);
    (environment, fleet, outcome)
}

fn check_ledger(environment: &Environment, fleet: &Fleet) {
    let ledger = environment.ledger();
    ledger.check();
    let run = ledger.last_run();
    assert_eq!(ledger.end_of(&run).1, Some(8));
    assert_eq!(ledger.results(&run).len(), FATES.len(), "one row a host");
    let numbers = ledger.event_numbers(&run);
    assert!(numbers.iter().enumerate().all(|(at, seq)| *seq == at as i64), "events have no gap");
    for fate in FATES {
        let name = fleet.name(fate.number);
        let row = ledger.result(&run, &name);
        let end = (row.status.as_str(), row.exit_code, row.signal);
        assert_eq!(end, (fate.outcome, fate.exit_code, fate.signal), "{}: {row:#?}", fate.name);
        assert_eq!(row.phase.as_deref(), fate.phase, "{}: {row:#?}", fate.name);
        assert_eq!(row.error.is_some(), fate.phase.is_some(), "{}: {row:#?}", fate.name);
        assert_eq!(row.attempt, 1, "{}", fate.name);
        if let Some(stdout) = fate.stdout {
            let stored = ledger.output(&run, &name, "stdout").unwrap_or_default();
            assert!(stored == stdout(), "{}: {} bytes are stored", fate.name, stored.len());
        }
    }
    let stderr = ledger.output(&run, &fleet.name(9), "stderr");
    assert_eq!(stderr.as_deref(), Some(b"a word on stderr\n".as_slice()));
}

/// Each host that did not succeed is named to the operator, alone or in a folded set.
fn check_told(fleet: &Fleet, text: &str) {
    let told = fleet.numbers_in(text);
    for fate in FATES.iter().filter(|fate| fate.outcome != "succeeded") {
        assert!(
            told.contains(&fate.number),
            "{} ({}) is not told:\n{text}",
            fate.name,
            fleet.name(fate.number)
        );
    }
}

#[test]
fn stream() {
    let (_environment, fleet, outcome) = told("stream");
    let (out, err) = (outcome.out(), outcome.err());
    for (number, text) in [(1, "hello from answers"), (2, "about to exit 7"), (8, "cut off")] {
        let name = fleet.name(number);
        let line = out.lines().find(|line| line.contains(text));
        assert!(
            line.is_some_and(|line| line.contains(&name)),
            "{text:?} stands on a line of {name}: {line:?}"
        );
    }
    assert_eq!(out.matches("a line of the twenty megabytes").count(), 20_000_000 / 31);
    // Others may come between its parts; one more is among the bytes of the binary output.
    assert_eq!(out.matches('L').count(), 1_000_001, "nothing of the long line is lost");
    assert!(err.contains("a word on stderr") && !out.contains("a word on stderr"));
    check_told(&fleet, &err);
}

#[test]
fn grouped() {
    let (_environment, fleet, outcome) = told("grouped");
    let out = outcome.out();
    for text in ["hello from answers\n", "about to exit 7\n", "about to die\n", "cut off"] {
        assert_eq!(out.matches(text).count(), 1, "{text:?} is shown once");
    }
    assert!(out.contains(&fleet.name(1)));
    assert!(out.contains(&"L".repeat(1_000_000)), "the long line is whole");
    check_told(&fleet, &format!("{out}{}", outcome.err()));
}

#[test]
fn grouped_shows_identical_output_once_under_a_folded_set() {
    let (environment, fleet) = (Environment::new(), Fleet::start(5));
    let script = "case $CRONIUM_HOST in *.4) echo other ;; *) echo same ;; esac";
    let targets = fleet.names(1..=5);
    let out = environment.exec(&fleet, &targets).args(["-o", "grouped", "--", script]).run().succeeds().out();
    assert_eq!((out.matches("same\n").count(), out.matches("other\n").count()), (1, 1), "{out}");
    assert!(out.contains("[1-3,5]"), "the set is folded: {out}");
}

#[test]
fn json() {
    let (_environment, fleet, outcome) = told("json");
    let document = outcome.json();
    for fate in FATES {
        let name = fleet.name(fate.number);
        let result = about(&document, &name).unwrap_or_else(|| panic!("{} is not told", fate.name));
        check_result(fate, result);
    }
}

#[test]
fn jsonl() {
    let (_environment, fleet, outcome) = told("jsonl");
    let events = outcome.json_lines();
    let hosts: Vec<String> = all().map(|number| fleet.name(number)).collect();
    check_grammar(&events, &hosts);
    for fate in FATES {
        let name = fleet.name(fate.number);
        check_result(fate, finished(&events, &name));
        if let Some(stdout) = fate.stdout {
            let told = bytes_of(&events, &name, "stdout");
            assert!(told == stdout(), "{}: {} bytes are told", fate.name, told.len());
        }
    }
    assert_eq!(bytes_of(&events, &fleet.name(9), "stderr"), b"a word on stderr\n");
    let counts = &events.last().unwrap()["outcomes"];
    assert_eq!(
        *counts,
        serde_json::json!({"succeeded": 7, "failed": 2, "unreachable": 7, "unknown": 1}),
        "the summary counts"
    );
}

#[test]
fn quiet() {
    let (_environment, _fleet, outcome) = told("quiet");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
}

/// `logs` gives back what the hosts wrote, byte for byte.
#[test]
fn logs_are_exact() {
    let (environment, fleet) = (Environment::new(), Fleet::start(9));
    exec(&environment, &fleet, 1..=9, "quiet").exits(3).ignore();
    for fate in FATES.iter().filter(|fate| fate.number <= 9) {
        let name = fleet.name(fate.number);
        let outcome = environment.run(["logs", "last", &name]).succeeds();
        let want = fate.stdout.unwrap()();
        assert!(
            outcome.stdout == want,
            "{}: {} bytes instead of {}",
            fate.name,
            outcome.stdout.len(),
            want.len()
        );
    }
    // By an unambiguous beginning of the run's id, too.
    let run = environment.ledger().last_run();
    let outcome = environment.run(["logs", &run[..25], &fleet.name(1)]).succeeds();
    assert_eq!(outcome.stdout, b"hello from answers\n");
    let shown = environment.run(["show", "last"]).succeeds().out();
    let told = fleet.numbers_in(&shown);
    assert!((1..=9).all(|number| told.contains(&number)), "{told:?} of\n{shown}");
    assert!(environment.run(["runs"]).succeeds().out().contains(&run[..10]));
}

/// Where hosts end in several ways: 6 > 7 > 8 > 4 > 5 > 3.
#[test]
fn mixed_exit_codes() {
    let environment = Environment::new();
    let fleet = pretend();
    // A host that trusts another key than the operator's.
    let pinned = fleet.home(9).join(".config/cronium-run/trust");
    std::fs::create_dir_all(&pinned).unwrap();
    std::fs::write(pinned.join("other.pub"), harness::TestKey::new(3).public_pem()).unwrap();
    let table: &[(&[u8], i32)] = &[
        (&[1, 7], 0),
        (&[1, 2], 3),
        (&[2, 3], 3),
        (&[2, 21], 4),
        (&[1, 25], 4),
        (&[2, 21, 31], 8),
        (&[9], 6),
        (&[1, 2, 9, 21, 23], 6),
    ];
    for (hosts, code) in table {
        let outcome = exec(&environment, &fleet, hosts.iter().copied(), "quiet");
        assert_eq!(outcome.code, *code, "{hosts:?}\n{outcome:?}");
    }
    // The same with a host that takes too long: 4 > 5 > 3.
    let slow = "case $CRONIUM_HOST in *.1) sleep 30 ;; *.2) exit 7 ;; esac";
    for (hosts, code) in [(&[1, 7][..], 5), (&[1, 2], 5), (&[1, 2, 21], 4), (&[1, 9], 6)] {
        let targets = fleet.names(hosts.iter().copied());
        let invocation =
            environment.exec(&fleet, &targets).args(["--timeout", "1s", "-o", "quiet", "--", slow]);
        let outcome = invocation.run();
        assert_eq!(outcome.code, code, "{hosts:?}\n{outcome:?}");
    }
}

/// The hosts that are slow to fail hold up nobody: they are tried side by side.
#[test]
fn the_table_is_tried_side_by_side() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    (51..=60).for_each(|number| black_hole(&fleet, number));
    let begun = std::time::Instant::now();
    exec(&environment, &fleet, (51..=60).chain([1]), "quiet").exits(4).ignore();
    assert!(begun.elapsed().as_secs() < 9, "ten black holes took {:?}", begun.elapsed());
}

fn check_result(fate: &Fate, result: &Value) {
    assert_eq!(result["outcome"], fate.outcome, "{}: {result:#}", fate.name);
    assert_eq!(result["exit_code"].as_i64(), fate.exit_code, "{}: {result:#}", fate.name);
    assert_eq!(result["signal"].as_i64(), fate.signal, "{}: {result:#}", fate.name);
    assert_eq!(result["failure"]["phase"].as_str(), fate.phase, "{}: {result:#}", fate.name);
    let hinted = result["failure"]["hint"].is_string() && result["failure"]["message"].is_string();
    assert_eq!(hinted, fate.phase.is_some(), "{} says what to do: {result:#}", fate.name);
}

/// The object of a document that holds the outcome of `host`.
fn about<'a>(value: &'a Value, host: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| about(item, host)),
        Value::Object(map) => {
            let named = map.values().any(|value| value == host) && map.contains_key("outcome");
            let beneath = || {
                let keyed = map.get(host).filter(|value| value.get("outcome").is_some());
                keyed.or_else(|| map.values().find_map(|value| about(value, host)))
            };
            if named { Some(value) } else { beneath() }
        }
        _ => None,
    }
}
