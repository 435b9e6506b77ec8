//! A host that attacks the operator from a run's inside: it ends with a truthful outcome, takes
//! little of the operator's memory, and the good hosts of the run do not notice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod harness;

use harness::{Environment, Fleet, FleetPlan, Outcome};

/// What the operator may have had in memory at any time, in MiB. See the table below.
const MOST_MEMORY: u64 = 250;

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

    /// One run in which the hostile host does `attack`.
    #[track_caller]
    fn under(&self, attack: &str, output: &str) -> Seen {
        let arena = self.environment.path(format!("arena-{attack}-{output}"));
        fs::create_dir(&arena).unwrap();
        let begun = Instant::now();
        let mut running = self
            .environment
            .exec(&self.fleet, &self.fleet.names([BAD, 2, 3, 4]))
            .args(["-o", output, "--events", "events.jsonl", "--timeout", "60s", "--input", "\"classified\""])
            .args([
                "--env",
                &format!("ARENA={}", arena.display()),
                "--env",
                &format!("ATTACK={attack}"),
                "job",
            ])
            .start();
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
            assert!(arena.join(format!("done-{good}")).exists());
        }
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

#[test]
fn explore() {
    let arena = Arena::new();
    let wanted = std::env::var("ATTACKS").unwrap();
    for attack in wanted.split(',') {
        let (attack, output) = attack.split_once(':').unwrap_or((attack, "quiet"));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| arena.under(attack, output)));
        if let Err(error) = result {
            println!("   FAILED {:.1500}", error.downcast_ref::<String>().unwrap());
        }
    }
}
