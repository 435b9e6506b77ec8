//! A host that attacks the operator from a run's inside: it ends with a truthful outcome, takes
//! little of the operator's memory, and the good hosts of the run do not notice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

mod harness;

use harness::{Environment, Fleet, FleetPlan, Outcome, Running, until};

/// What the operator may have had in memory at any time, in MiB. Without an attack it is some 35, and
/// most attacks make it 60; calls and answers in flight, up to 125.
const MOST_MEMORY: u64 = 200;

/// The host that attacks, and those that do not.
const BAD: u8 = 1;
const GOOD: [u8; 3] = [2, 3, 4];

/// Calls its helpers for as long as an attack lasts at least.
const JOB: &str = r#"
until [ -e "$ARENA/attacking" ]; do sleep 0.02; done
for n in 1 2 3 4 5 6 7 8 9 10; do
    cronium incr "total-$ATTACK" >/dev/null || exit 11
    cronium setVariable "mine-$CRONIUM_HOST" $n || exit 12
    [ "$(cronium getVariable "mine-$CRONIUM_HOST")" = $n ] || exit 13
    cronium log info "at $n" || exit 14
done
[ "$(cronium input)" = '"classified"' ] || exit 15
: >"$ARENA/done-$CRONIUM_HOST"
"#;

struct Arena {
    environment: Environment,
    fleet: Fleet,
}

/// What came of an attack.
struct Seen {
    outcome: Outcome,
    /// Of `-o jsonl`, without output and what is told.
    finished: BTreeMap<String, Value>,
    /// What the hostile host saw of the operator.
    seen: Value,
}

impl Seen {
    fn bad(&self, arena: &Arena) -> &Value {
        &self.finished[&arena.fleet.name(BAD)]
    }
}

impl Arena {
    fn new() -> Self {
        let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/stub.py");
        let bad = FleetPlan::default()
            .host_with(BAD, |host| host.login = format!("exec python3 {}", stub.display()));
        let fleet = GOOD.into_iter().fold(bad, FleetPlan::host).start();
        let environment = Environment::new();
        environment.write(
            "job/manifest.yaml",
            "version: v1\nname: job\ninterpreter: sh\nentrypoint: job.sh\n\
             helpers: {read: [\"mine-*\", flood, k], write: [\"mine-*\", \"total-*\", flood, k]}\n",
        );
        environment.write("job/job.sh", JOB);
        environment.run(["vars", "set", "secret", "classified"]).succeeds().ignore();
        Self { environment, fleet }
    }

    /// Where the hosts of a run say how far they are.
    fn folder(&self, attack: &str, output: &str) -> PathBuf {
        self.environment.path(format!("arena-{attack}-{output}"))
    }

    fn start(&self, attack: &str, output: &str) -> Running {
        let arena = self.folder(attack, output);
        fs::create_dir(&arena).unwrap();
        self.environment
            .exec(&self.fleet, &self.fleet.names([BAD, 2, 3, 4]))
            .args(["-o", output, "--events", "events.jsonl", "--timeout", "60s", "--input", "\"classified\""])
            .args([
                "--env",
                &format!("ARENA={}", arena.display()),
                "--env",
                &format!("ATTACK={attack}"),
                "job",
            ])
            .start()
    }

    /// One run in which the hostile host does `attack`: the good hosts end well, and while it lasts.
    #[track_caller]
    fn under(&self, attack: &str, output: &str) -> Seen {
        let begun = Instant::now();
        let mut running = self.start(attack, output);
        let mut peak = 0;
        while !running.is_over() {
            peak = peak_memory(running.pid()).unwrap_or(peak);
            thread::sleep(Duration::from_millis(5));
        }
        let outcome = running.wait();
        let seconds = begun.elapsed().as_secs_f64();
        let (mut finished, mut said) = (BTreeMap::new(), Vec::new());
        let events = fs::read_to_string(self.environment.path("events.jsonl")).unwrap();
        for line in events.lines() {
            if line.contains("\"host_finished\"") {
                let event: Value = serde_json::from_str(line).unwrap();
                finished.insert(event["host"].as_str().unwrap().to_owned(), event);
            } else if line.contains("\\\"lasted\\\"") {
                let event: Value = serde_json::from_str(line).unwrap();
                said.extend_from_slice(event["text"].as_str().unwrap().as_bytes());
            }
        }
        fs::remove_file(self.environment.path("events.jsonl")).unwrap();
        let seen: Value = serde_json::from_slice(&said).unwrap_or_default();
        let seen = Seen { outcome, finished, seen };
        let bad = seen.bad(self);
        println!(
            "{attack:22} {output:8} {peak:4} MiB  {seconds:5.1} s  {}{}  {}",
            bad["outcome"].as_str().unwrap(),
            bad["failure"]["message"].as_str().map(|text| format!(": {text}")).unwrap_or_default(),
            seen.seen
        );
        for good in GOOD {
            let good = self.fleet.name(good);
            assert_eq!(seen.finished[&good]["outcome"], "succeeded", "{attack}: {:#}", seen.finished[&good]);
            assert!(self.folder(attack, output).join(format!("done-{good}")).exists());
        }
        // The attack went on for as long as they ran: had it stopped them, it would have ended first.
        assert!(seen.seen["lasted"].as_f64().is_none_or(|lasted| lasted < 25.0), "{attack}: {}", seen.seen);
        let total = self.environment.ledger().variable(&format!("total-{attack}")).unwrap().0;
        assert_eq!(total, json!(30), "{attack}");
        assert!(peak > 0 && peak <= MOST_MEMORY, "{attack}: {peak} MiB");
        seen
    }
}

/// The most memory that a process has had so far, in MiB; `None` once it has ended.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10)
}

/// What must come of the hostile host: its outcome and words of the reason.
type End = (&'static str, &'static str);

/// It ended as it said, whatever it did through the tunnel.
const AS_IT_SAID: End = ("succeeded", "");

/// One fleet for all of them: what an attack leaves behind must not harm the runs that follow.
#[track_caller]
fn survive(attacks: &[(&str, &str, End)]) {
    let arena = Arena::new();
    for (attack, output, (outcome, reason)) in attacks {
        let seen = arena.under(attack, output);
        let bad = seen.bad(&arena);
        assert_eq!(bad["outcome"], *outcome, "{attack}: {bad:#}");
        let failure = bad["failure"].to_string();
        assert!(failure.contains(reason), "{attack}: {failure}");
        assert_eq!(seen.outcome.code, if *outcome == "unknown" { 8 } else { 0 }, "{attack}");
        assert_eq!(arena.environment.ledger().variable("k"), None, "{attack}: it wrote nothing");
    }
    arena.environment.ledger().check();
}

#[test]
fn calls_that_flood() {
    survive(&[
        ("calls", "quiet", AS_IT_SAID),
        ("silent_strangers", "quiet", AS_IT_SAID),
        ("silent_callers", "quiet", AS_IT_SAID),
    ]);
}

#[test]
fn requests_that_never_end() {
    survive(&[
        ("endless_bodies", "quiet", AS_IT_SAID),
        ("dripping_bodies", "quiet", AS_IT_SAID),
        ("endless_heads", "quiet", AS_IT_SAID),
    ]);
}

/// It takes half a minute to be sure that nobody reads: its own connection waits for that, the
/// others' do not.
#[test]
fn answers_that_nobody_reads() {
    survive(&[("unread_answers", "quiet", AS_IT_SAID)]);
}

#[test]
fn values_that_grow_when_parsed() {
    survive(&[
        ("heavy_bodies", "quiet", AS_IT_SAID),
        ("heavy_journal", "quiet", AS_IT_SAID),
        ("heavy_logs", "quiet", AS_IT_SAID),
    ]);
}

#[test]
fn journals() {
    let no_journal = |reason| ("unknown", reason);
    survive(&[
        ("journal_without_end", "quiet", no_journal("a line of more than")),
        ("journal_that_stops", "quiet", AS_IT_SAID),
        ("large_journal", "quiet", AS_IT_SAID),
        ("malformed_journal", "quiet", no_journal("what is no write")),
    ]);
}

#[test]
fn frames_and_artifacts() {
    let broken = |reason| ("unknown", reason);
    survive(&[
        ("frame_of_4_gib", "quiet", broken("a frame of 4294967295 bytes")),
        ("frame_of_3_mib", "quiet", broken("a frame of 3145728 bytes")),
        ("many_artifacts", "quiet", broken("more artifacts than its manifest allows")),
        ("endless_artifact", "quiet", broken("more of an artifact than it announced")),
        ("unannounced_piece", "quiet", broken("a piece of no artifact")),
        ("climbing_artifact", "quiet", broken("no clean path")),
        ("starts_nothing", "quiet", broken("ended without a result")),
    ]);
}

#[test]
fn words_without_end() {
    survive(&[
        ("endless_logs", "grouped", AS_IT_SAID),
        ("endless_notes", "json", AS_IT_SAID),
        ("endless_progress", "quiet", AS_IT_SAID),
        ("endless_warnings", "grouped", ("unknown", "warnings without end")),
        ("endless_conditions", "quiet", AS_IT_SAID),
        ("endless_stdout", "grouped", AS_IT_SAID),
        ("endless_stderr_beside", "quiet", AS_IT_SAID),
    ]);
}

/// Each is answered, and none of the answers holds anything.
#[test]
fn what_belongs_to_others() {
    let arena = Arena::new();
    let seen = arena.under("trespass", "quiet").seen;
    let answers = seen["seen"]["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 15);
    for answer in answers {
        let (asked, status) = (answer[0].as_str().unwrap(), answer[1].as_u64().unwrap());
        let want: &[u64] = match asked {
            // A key like any other; the manifest does not name it.
            _ if asked.contains("..%2F") => &[403],
            _ if asked.contains("scope=") => &[400],
            _ if asked.starts_with("CONNECT") || asked.contains("http://") => &[400, 0],
            _ => &[403],
        };
        assert!(want.contains(&status), "{answer}");
        assert_eq!(answer[2], false, "{answer}");
    }
    assert_eq!(seen["seen"]["forged"], json!([401, 401, 401, 401]));
    let ledger = arena.environment.ledger();
    assert_eq!(ledger.variable("secret"), Some((json!("classified"), 1)));
    for row in ledger.results(&ledger.last_run()) {
        assert_eq!(row.output, None, "{row:#?}");
    }
}

/// One that goes on and on holds nobody who wants to leave.
#[test]
fn a_host_that_never_ends() {
    let arena = Arena::new();
    let mut running = arena.start("never_ends", "quiet");
    let done = |arena: &Arena| {
        GOOD.iter().all(|good| {
            arena.folder("never_ends", "quiet").join(format!("done-{}", arena.fleet.name(*good))).exists()
        })
    };
    assert!(until(60, || done(&arena)));
    // Asked to end its script, it does not; then nobody waits for it.
    running.signal(Signal::INT);
    thread::sleep(Duration::from_millis(500));
    assert!(!running.is_over());
    let begun = Instant::now();
    running.signal(Signal::INT);
    running.wait().exits(130).ignore();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let ledger = arena.environment.ledger();
    let bad = ledger.result(&ledger.last_run(), &arena.fleet.name(BAD));
    assert_eq!((bad.status.as_str(), bad.phase.as_deref()), ("unknown", Some("lost")), "{bad:#?}");
    for good in GOOD {
        assert_eq!(ledger.result(&ledger.last_run(), &arena.fleet.name(good)).status, "succeeded");
    }
}
