//! Connections that break while a script runs: it never notices, it is started once, and what it prints
//! comes exactly once.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

mod harness;

use harness::{Environment, Fleet, Invocation, Outcome, Proxy, Running, bytes_of, finished, until};

/// Where the network before host 1 stands.
const NEAR: u8 = 21;

/// Prints numbered lines, 100 a second, until it is let go.
const SCRIPT: &str = r#"
echo started >>"$PLACE.starts"
trap 'echo ended >>"$PLACE.ends"; exit 9' TERM
i=0
until [ -e "$PLACE.go" ]; do i=$((i + 1)); echo "line $i"; sleep 0.01; done
echo "last $i"
"#;

struct Place {
    environment: Environment,
    fleet: Fleet,
    network: Proxy,
}

impl Place {
    fn new() -> Self {
        let (environment, fleet) = (Environment::new(), Fleet::start(1));
        let network = Proxy::start(&fleet, NEAR, 1);
        Self { environment, fleet, network }
    }

    /// A file that the script and the test both know.
    fn file(&self, name: &str) -> PathBuf {
        self.fleet.folder().join(format!("place.{name}"))
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.file(name)).unwrap_or_default().lines().count()
    }

    fn exec(&self, args: &[&str]) -> Invocation {
        let place = format!("PLACE={}", self.fleet.folder().join("place").display());
        let alive = ["--ssh-option", "ServerAliveInterval=1", "--ssh-option", "ServerAliveCountMax=2"];
        self.environment
            .exec(&self.fleet, &self.fleet.name(NEAR))
            .args(alive)
            .args(["-o", "jsonl", "--env", &place])
            .args(args)
            .args(["--", SCRIPT])
    }

    /// Waits until lines come that were not there before.
    #[track_caller]
    fn more(&self, running: &Running) {
        let before = running.stdout_so_far().len();
        let more = || running.stdout_so_far().len() > before + 2000;
        assert!(until(30, more), "{}", String::from_utf8_lossy(&running.stderr_so_far()));
    }

    /// Lets the script go and reads what was told of it.
    #[track_caller]
    fn end(&self, running: Running) -> (Outcome, Vec<Value>) {
        fs::write(self.file("go"), "").unwrap();
        self.told(running)
    }

    #[track_caller]
    fn told(&self, running: Running) -> (Outcome, Vec<Value>) {
        let outcome = running.wait();
        let events = outcome.json_lines();
        let numbers = output(&events, &self.fleet.name(NEAR));
        assert!(numbers.iter().enumerate().all(|(at, number)| *number == at + 1), "{numbers:?}");
        assert_eq!(self.lines("starts"), 1, "it is started once");
        (outcome, events)
    }

    /// Nothing of the run is left on the host.
    #[track_caller]
    fn is_clean(&self) {
        assert!(until(10, || self.fleet.left_behind(1).is_empty()), "{:#?}", self.fleet.left_behind(1));
    }
}

/// The numbers of the lines that came, and of the last word.
fn output(events: &[Value], host: &str) -> Vec<usize> {
    let text = String::from_utf8(bytes_of(events, host, "stdout")).unwrap();
    let number = |line: &str| line.strip_prefix("line ").map(|number| number.parse().unwrap());
    let numbers: Vec<usize> = text.lines().map_while(number).collect();
    if let Some(last) = text.lines().find_map(|line| line.strip_prefix("last ")) {
        assert_eq!(last.parse(), Ok(numbers.len()), "the last word");
    }
    numbers
}

/// Of one kind, in order: its field `what`.
fn words(events: &[Value], kind: &str, what: &str) -> Vec<String> {
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event[what].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_reset_connection() {
    let place = Place::new();
    let running = place.exec(&[]).start();
    for _ in 0..3 {
        place.more(&running);
        place.network.reset();
    }
    place.more(&running);
    let (outcome, events) = place.end(running);
    outcome.succeeds().ignore();
    let states = words(&events, "host_state", "state");
    let again = ["reconnecting", "running"].repeat(3).join(" ");
    assert_eq!(
        states.join(" "),
        format!("connecting authenticating bootstrapping running {again} collecting")
    );
    let warnings = words(&events, "host_warning", "message");
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for warning in warnings {
        assert!(warning.starts_with("connection lost after "), "{warning}");
        assert!(warning.contains(" s (the connection broke), going on after "), "{warning}");
    }
    place.is_clean();
}

#[test]
fn a_silent_connection() {
    let place = Place::new();
    let running = place.exec(&[]).start();
    place.more(&running);
    place.network.silence();
    place.more(&running);
    let (outcome, events) = place.end(running);
    outcome.succeeds().ignore();
    assert_eq!(words(&events, "host_warning", "message").len(), 1);
    place.is_clean();
}

#[test]
fn a_session_of_sshd_that_is_killed() {
    let place = Place::new();
    let running = place.exec(&[]).start();
    place.more(&running);
    assert!(place.fleet.kill_sessions(1) > 0);
    place.more(&running);
    // The relay alone.
    place.fleet.relays(1).iter().for_each(|relay| relay.signal(Signal::KILL));
    place.more(&running);
    let (outcome, events) = place.end(running);
    outcome.succeeds().ignore();
    assert_eq!(words(&events, "host_warning", "message").len(), 2);
    place.is_clean();
}

/// The script has ended by the time the network is back.
#[test]
fn a_result_that_was_under_way() {
    let place = Place::new();
    let running = place.exec(&[]).start();
    place.more(&running);
    place.network.refuse(true);
    place.network.reset();
    fs::write(place.file("go"), "").unwrap();
    assert!(until(20, || place.fleet.supervisors(1).is_empty()), "no process waits where nobody is");
    place.network.refuse(false);
    let (outcome, events) = place.told(running);
    outcome.succeeds().ignore();
    assert_eq!(finished(&events, &place.fleet.name(NEAR))["outcome"], "succeeded");
    place.is_clean();
}

#[test]
fn a_connection_that_is_not_made_again() {
    let place = Place::new();
    let running = place.exec(&["--reconnect", "2s"]).start();
    place.more(&running);
    place.network.refuse(true);
    place.network.reset();
    let (outcome, events) = place.told(running);
    outcome.exits(8).ignore();
    let end = finished(&events, &place.fleet.name(NEAR));
    let run = place.environment.ledger().last_run();
    let failure = &end["failure"];
    assert_eq!(
        (&end["outcome"], &failure["phase"], &failure["kind"]),
        (&"unknown".into(), &"lost".into(), &"lost".into())
    );
    assert_eq!(failure["message"], "the connection broke");
    assert!(failure["causes"].to_string().contains("could not be made again"), "{failure}");
    assert_eq!(failure["hint"], format!("cronium-run attach {run}"));
    assert!(
        place.environment.ledger().mark(&run, &place.fleet.name(NEAR)) > 1,
        "an attach goes on from there"
    );
    // It runs on, as nobody has said otherwise.
    assert!(!place.fleet.supervisors(1).is_empty());
    assert_eq!(place.lines("ends"), 0);
}

/// Without leave to reconnect, the loss is told at once.
#[test]
fn a_connection_that_is_not_to_be_made_again() {
    let place = Place::new();
    let running = place.exec(&["--reconnect", "0"]).start();
    place.more(&running);
    place.network.reset();
    let (outcome, events) = place.told(running);
    outcome.exits(8).ignore();
    assert_eq!(place.network.alive(), 0);
    assert!(!words(&events, "host_state", "state").contains(&"reconnecting".to_owned()));
}

/// Ctrl-C while nobody can be reached: the host hears of it as soon as it can.
#[test]
fn a_script_that_is_cancelled_meanwhile() {
    let place = Place::new();
    let running = place.exec(&[]).start();
    place.more(&running);
    place.network.refuse(true);
    place.network.reset();
    assert!(until(10, || String::from_utf8_lossy(&running.stdout_so_far()).contains("reconnecting")));
    running.signal(Signal::INT);
    thread::sleep(Duration::from_millis(300));
    place.network.refuse(false);
    let (outcome, events) = place.told(running);
    outcome.exits(130).ignore();
    assert_eq!(finished(&events, &place.fleet.name(NEAR))["outcome"], "cancelled");
    assert_eq!(place.lines("ends"), 1, "it was told to end");
    place.is_clean();
}

/// Twice: nobody is waited for.
#[test]
fn an_operator_who_leaves_meanwhile() {
    let place = Place::new();
    let mut running = place.exec(&[]).start();
    place.more(&running);
    place.network.refuse(true);
    place.network.reset();
    assert!(until(10, || String::from_utf8_lossy(&running.stdout_so_far()).contains("reconnecting")));
    running.signal(Signal::INT);
    thread::sleep(Duration::from_millis(300));
    assert!(!running.is_over());
    running.signal(Signal::INT);
    assert!(until(3, || running.is_over()));
    let (outcome, events) = place.told(running);
    outcome.exits(130).ignore();
    let end = finished(&events, &place.fleet.name(NEAR));
    let run = place.environment.ledger().last_run();
    assert_eq!((&end["outcome"], &end["failure"]["kind"]), (&"unknown".into(), &"left".into()));
    assert_eq!(end["failure"]["hint"], format!("cronium-run attach {run}"));
}

/// The first to have it asks once more, and gives way then.
#[test]
fn a_run_that_somebody_else_has_attached_to() {
    let place = Place::new();
    let mut running = place.exec(&[]).start();
    place.more(&running);
    let (run, host) = (place.environment.ledger().last_run(), place.fleet.name(NEAR));
    let elsewhere = Environment::new();
    let attach = ["attach", &run, &host, "--adopt", "-o", "jsonl"];
    let other = elsewhere.reaching(&place.fleet, attach).start();
    assert!(until(20, || running.is_over()), "{}", String::from_utf8_lossy(&running.stderr_so_far()));
    place.more(&other);
    let (outcome, events) = place.told(running);
    outcome.exits(8).ignore();
    let end = finished(&events, &host);
    assert_eq!((&end["outcome"], &end["failure"]["kind"]), (&"unknown".into(), &"superseded".into()));
    let warnings = words(&events, "host_warning", "message");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("(another cronium-run has attached to it)"), "{warnings:?}");
    let (outcome, _) = place.end(other);
    outcome.succeeds().ignore();
    place.is_clean();
}

#[test]
fn a_script_that_is_left_to_itself() {
    let place = Place::new();
    let running = place.exec(&["--detach"]).start();
    let outcome = running.wait().succeeds();
    let events = outcome.json_lines();
    outcome.ignore();
    assert_eq!(finished(&events, &place.fleet.name(NEAR))["outcome"], "detached");
    assert!(until(10, || place.lines("starts") == 1));
    assert!(!place.fleet.supervisors(1).is_empty());
    fs::write(place.file("go"), "").unwrap();
    assert!(until(10, || place.fleet.processes(1).is_empty()), "no process waits for somebody to come");
    assert_eq!(place.fleet.runs(1).len(), 1, "its result does");
}

/// Much output, files and variables, over a network that breaks all the time.
#[test]
fn a_network_that_breaks_all_the_time() {
    let place = Place::new();
    place.environment.write(
        "job/manifest.yaml",
        "version: v1\nname: job\ninterpreter: sh\nentrypoint: job.sh\nhelpers: {write: [\"*\"], read: [\"*\"]}\n",
    );
    let script = "yes 'a line of the forty megabytes' | head -c 40000000\n\
                  for n in 1 2 3 4 5 6 7 8; do cronium setVariable key-$n $n; done\n\
                  head -c 8000000 /dev/urandom >\"$CRONIUM_OUT/random\"\n\
                  sha256sum <\"$CRONIUM_OUT/random\" | cut -c-64 >&2\n\
                  cronium output '{\"all\":true}'\n";
    place.environment.write("job/job.sh", script);
    let mut running = place
        .environment
        .exec(&place.fleet, &place.fleet.name(NEAR))
        .args(["-q", "-o", "json", "--events", "events", "job"])
        .start();
    let told = || fs::metadata(place.environment.path("events")).map_or(0, |file| file.len());
    for _ in 0..12 {
        let before = told();
        // Over the new connection.
        until(20, || running.is_over() || (place.network.alive() > 0 && told() > before + 500_000));
        place.network.reset();
        until(2, || place.network.alive() == 0);
    }
    let outcome = running.wait().succeeds();
    outcome.ignore();
    let text = fs::read_to_string(place.environment.path("events")).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let host = place.fleet.name(NEAR);
    let line = b"a line of the forty megabytes\n";
    let stdout = bytes_of(&events, &host, "stdout");
    assert_eq!(stdout.len(), 40_000_000);
    assert!(stdout.chunks(line.len()).all(|chunk| line.starts_with(chunk)), "in order, and nothing twice");
    let digest = String::from_utf8(bytes_of(&events, &host, "stderr")).unwrap();
    assert_eq!(words(&events, "host_artifact", "digest"), [digest.trim()]);
    let end = finished(&events, &host);
    assert_eq!((&end["outcome"], &end["output"]), (&"succeeded".into(), &serde_json::json!({"all": true})));
    let ledger = place.environment.ledger();
    for n in 1..=8 {
        assert!(ledger.variable(&format!("key-{n}")).is_some(), "key-{n}");
    }
    assert!(words(&events, "host_warning", "message").len() >= 3, "it broke, and often");
    place.is_clean();
}

#[test]
fn a_jump_host_that_is_lost() {
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    let network = Proxy::start(&fleet, NEAR, 1);
    let place = Place { environment, fleet, network };
    let jump = format!("{}:{}", place.fleet.name(NEAR), place.fleet.port());
    let file = format!("PLACE={}", place.fleet.folder().join("place").display());
    for how in [Proxy::reset, Proxy::silence] {
        let running = place
            .environment
            .exec(&place.fleet, &place.fleet.name(2))
            .args(["--ssh-option", "ServerAliveInterval=1", "--ssh-option", "ServerAliveCountMax=2"])
            .args(["-J", &jump, "-o", "jsonl", "--env", &file, "--", SCRIPT])
            .start();
        place.more(&running);
        how(&place.network);
        place.more(&running);
        fs::write(place.file("go"), "").unwrap();
        let outcome = running.wait().succeeds();
        let events = outcome.json_lines();
        outcome.ignore();
        let numbers = output(&events, &place.fleet.name(2));
        assert!(numbers.iter().enumerate().all(|(at, number)| *number == at + 1), "{numbers:?}");
        fs::remove_file(place.file("go")).unwrap();
    }
    assert_eq!(place.lines("starts"), 2);
}

/// This machine has no connection; what stands for it can be killed.
#[test]
fn a_relay_of_this_machine_that_is_killed() {
    let environment = Environment::new();
    let place = environment.path("place");
    let running = environment
        .command([
            "exec",
            "local",
            "-o",
            "jsonl",
            "--env",
            &format!("PLACE={}", place.display()),
            "--",
            SCRIPT,
        ])
        .start();
    // Children are listed by the thread that started them.
    let child = || {
        fs::read_dir(format!("/proc/{}/task", running.pid())).unwrap().flatten().find_map(|thread| {
            let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            text.split_whitespace().next().map(|pid| pid.parse().unwrap())
        })
    };
    assert!(until(20, || running.stdout_so_far().len() > 4000));
    let relay = Pid::from_raw(child().expect("the relay is a child")).unwrap();
    kill_process(relay, Signal::KILL).unwrap();
    let before = running.stdout_so_far().len();
    assert!(until(20, || running.stdout_so_far().len() > before + 4000));
    fs::write(environment.path("place.go"), "").unwrap();
    let outcome = running.wait().succeeds();
    let events = outcome.json_lines();
    outcome.ignore();
    let numbers = output(&events, "local");
    assert!(numbers.iter().enumerate().all(|(at, number)| *number == at + 1), "{numbers:?}");
    let state = environment.home().join(".local/state/cronium-run/runs");
    assert!(until(10, || fs::read_dir(&state).is_ok_and(|mut runs| runs.next().is_none())));
}
