//! Mode `bundled` end to end: a host that may not forward answers its script by itself, and what it
//! wrote is merged in order and once. What loses against another host is told, never dropped.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

mod harness;

use harness::{Environment, Fleet, FleetPlan, finished};

/// May not forward, and may.
const BUNDLED: u8 = 1;
const TUNNELLED: u8 = 2;

struct Job {
    environment: Environment,
    fleet: Fleet,
    /// Where the two scripts wait for each other.
    meeting: PathBuf,
}

impl Job {
    fn new(bundled: &str, tunnelled: &str) -> Self {
        let fleet =
            FleetPlan::default().host_with(BUNDLED, |host| host.forwarding = false).host(TUNNELLED).start();
        let environment = Environment::new();
        environment.write(
            "job/manifest.yaml",
            "version: v1\nname: job\ninterpreter: sh\nentrypoint: job.sh\n\
             helpers: {read: ['c/*'], write: ['c/*']}\n",
        );
        let script = format!(
            "wait_for() {{ until [ -e \"$MEETING/$1\" ]; do sleep 0.02; done; }}\n\
             say() {{ : >\"$MEETING/$1\"; }}\n\
             if [ \"$CRONIUM_HOST\" = {} ]; then\n{bundled}\nelse\n{tunnelled}\nfi\n",
            fleet.name(BUNDLED)
        );
        environment.write("job/job.sh", script);
        let meeting = environment.path("meeting");
        fs::create_dir(&meeting).unwrap();
        Self { environment, fleet, meeting }
    }

    fn set(&self, key: &str, value: &str) {
        self.environment.run(["vars", "set", key, value]).succeeds().ignore();
    }

    /// The run over both hosts, or one; exit code and events.
    #[track_caller]
    fn run(&self, hosts: &[u8], more: &[&str], code: i32) -> (harness::Outcome, Vec<Value>) {
        let outcome = self
            .environment
            .exec(&self.fleet, &self.fleet.names(hosts.iter().copied()))
            .args(["-o", "grouped", "--events", "events.jsonl"])
            .args(["--env", &format!("MEETING={}", self.meeting.display())])
            .args(more)
            .arg("job")
            .run()
            .exits(code);
        let events = fs::read_to_string(self.environment.path("events.jsonl")).unwrap();
        (outcome, events.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn history(&self, key: &str) -> Vec<Value> {
        let history = self.environment.run(["vars", "history", key, "-o", "json"]).succeeds().json();
        history.as_array().unwrap().clone()
    }

    fn value(&self, key: &str) -> Option<Value> {
        self.environment.ledger().variable(key).map(|(value, _)| value)
    }

    fn show(&self) -> (String, Value) {
        let show = |args: [&str; 4]| self.environment.run(args).succeeds();
        (show(["show", "last", "-o", "text"]).out(), show(["show", "last", "-o", "json"]).json())
    }
}

fn result_of<'a>(document: &'a Value, host: &str) -> &'a Value {
    let results = document["results"].as_array().unwrap();
    results.iter().find(|result| result["host"] == host).unwrap_or_else(|| panic!("{host}: {document:#}"))
}

const MERGED: &str = r#"
[ "$(cronium getVariable c/shared --raw)" = base ] || exit 20
say started
wait_for written
cronium setVariable c/shared mine --if-version 1 || exit 21
[ "$(cronium getVariable c/shared --raw)" = mine ] || exit 22
for n in 1 2 3 4 5 6 7 8 9 10; do
    cronium setVariable c/order $n || exit 23
    cronium incr c/total >/dev/null || exit 24
    cronium incr c/total 3 >/dev/null || exit 25
done
cronium setVariable c/mine --if-version 0 '{"by": "one"}' || exit 26
cronium setVariable c/gone 1 && cronium unset c/gone || exit 27
said=$(cronium setVariable forbidden 1 2>&1) && exit 28
cronium output "$(cronium getVariable c/total)"
echo "$said"
"#;

const MEANWHILE: &str = r#"
wait_for started
cronium setVariable c/shared theirs --if-version 1 || exit 30
say written
for n in 1 2 3 4 5 6 7; do cronium incr c/total 2 >/dev/null || exit 31; done
said=$(cronium setVariable forbidden 1 2>&1) && exit 32
echo "$said"
"#;

#[test]
fn writes_are_merged_and_what_loses_is_told() {
    let job = Job::new(MERGED, MEANWHILE);
    let (one, two) = (job.fleet.name(BUNDLED), job.fleet.name(TUNNELLED));
    job.set("c/shared", "base");
    job.set("c/total", "100");
    let (outcome, events) = job.run(&[BUNDLED, TUNNELLED], &[], 0);
    let run = job.environment.ledger().last_run();

    // The loser, everywhere the same.
    assert_eq!(job.value("c/shared"), Some(json!("theirs")));
    let conflicts = &finished(&events, &one)["conflicts"];
    assert_eq!(conflicts.as_array().map(Vec::len), Some(1), "{conflicts}");
    assert_eq!(conflicts[0]["key"], "c/shared");
    let reason = conflicts[0]["reason"].as_str().unwrap();
    assert!(reason.contains("version 2"), "{reason}");
    let told = format!("warning: {one}: 1 write was refused: 'c/shared': {reason}\n");
    assert!(outcome.err().contains(&told), "{outcome:?}");
    let (text, document) = job.show();
    assert!(text.contains(&format!("{one}: 1 write was refused\n  'c/shared': {reason}\n")), "{text}");
    assert_eq!(&result_of(&document, &one)["conflicts"], conflicts);
    let of_winner = &result_of(&document, &two)["conflicts"];
    assert!(of_winner.is_null() || *of_winner == json!([]), "{of_winner}");

    // The mode and its reason.
    assert_eq!(result_of(&document, &two)["helper_mode"], "api");
    assert!(result_of(&document, &two)["helper_reason"].is_null());
    assert_eq!(result_of(&document, &one)["helper_mode"], "bundled");
    let reason = "no Unix socket: the host's sshd forwards no Unix sockets; \
                  no TCP port: the host's sshd forwards no ports";
    assert_eq!(result_of(&document, &one)["helper_reason"], reason);
    assert!(text.contains(&format!("{one}: helpers answered in bundled mode: {reason}\n")), "{text}");

    // What went in, in order and once, with who did it.
    let history = job.history("c/order");
    let written: Vec<_> = history.iter().map(|write| (&write["version"], &write["value"])).collect();
    let want: Vec<_> = (1..=10).map(|n| (json!(n), json!(n))).collect();
    assert_eq!(sorted(written), want.iter().map(|(version, value)| (version, value)).collect::<Vec<_>>());
    for write in &history {
        assert_eq!((&write["run"], &write["host"]), (&json!(run), &json!(one)), "{write}");
    }
    assert_eq!(job.value("c/total"), Some(json!(100 + 10 * (1 + 3) + 7 * 2)));
    let totals = job.history("c/total");
    assert_eq!(totals.len(), 1 + 20 + 7);
    let of = |host: &str| totals.iter().filter(|write| write["host"] == host).count();
    assert_eq!((of(&one), of(&two)), (20, 7));
    let winner = job.history("c/shared");
    assert_eq!(winner.len(), 2, "{winner:#?}");
    let who: Vec<_> = winner.iter().filter(|write| write["version"] == 2).collect();
    assert_eq!((&who[0]["host"], &who[0]["value"]), (&json!(two), &json!("theirs")));
    assert_eq!(job.value("c/mine"), Some(json!({"by": "one"})));
    assert_eq!(job.value("c/gone"), None);
    // What it knew of the total: the other's share came to the operator alone.
    assert_eq!(finished(&events, &one)["output"], 140);

    // Forbidden is forbidden already on the host, in the same words.
    let ledger = job.environment.ledger();
    let said = |host: &str| String::from_utf8(ledger.output(&run, host, "stdout").unwrap()).unwrap();
    assert_eq!(said(&one), said(&two));
    assert!(said(&one).contains("this payload may not write forbidden"), "{}", said(&one));
    assert_eq!(job.value("forbidden"), None);
}

/// By version.
fn sorted<'a>(mut writes: Vec<(&'a Value, &'a Value)>) -> Vec<(&'a Value, &'a Value)> {
    writes.sort_by_key(|(version, _)| version.as_u64());
    writes
}

/// What a script wrote before it was killed stands.
#[test]
fn a_script_that_is_killed_keeps_its_writes() {
    let job = Job::new(
        "cronium setVariable c/first 1 && cronium incr c/first 41 && cronium output half || exit 9\nsleep 60",
        "exit 9",
    );
    let (_, events) = job.run(&[BUNDLED], &["--timeout", "2s"], 5);
    let end = finished(&events, &job.fleet.name(BUNDLED));
    assert_eq!((&end["outcome"], &end["helper_mode"]), (&json!("timed_out"), &json!("bundled")), "{end:#}");
    assert_eq!(end["output"], "half");
    assert_eq!(job.value("c/first"), Some(json!(42)));
    assert_eq!(job.history("c/first").len(), 2);
}

/// The other end of a run is killed: the writes that had come are there, and nothing claims more.
#[test]
fn a_runner_that_is_killed_keeps_the_writes_that_came() {
    let job = Job::new(
        "cronium setVariable c/first 1 || exit 9\nuntil [ -e \"$MEETING/cut\" ]; do sleep 0.02; done\nkill -9 $PPID",
        "exit 9",
    );
    let environment = &job.environment;
    let running = environment
        .exec(&job.fleet, &job.fleet.name(BUNDLED))
        .args(["-o", "jsonl", "--env", &format!("MEETING={}", job.meeting.display()), "job"])
        .start();
    assert!(harness::until(60, || environment.run(["vars", "get", "c/first"]).code == 0));
    fs::write(job.meeting.join("cut"), "").unwrap();
    let outcome = running.wait().exits(3);
    let events = outcome.json_lines();
    let end = finished(&events, &job.fleet.name(BUNDLED));
    assert_eq!(
        (&end["outcome"], &end["failure"]["kind"]),
        (&json!("failed"), &json!("runner-killed")),
        "{end:#}"
    );
    assert_eq!(job.value("c/first"), Some(json!(1)));
}
