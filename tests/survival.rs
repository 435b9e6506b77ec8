//! What the operator's side survives: its own death at any moment, and a ledger that is full, locked,
//! damaged, read-only, or shared by a hundred. No result is lost, and no script is started twice.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;
use rustix::process::Signal;

mod harness;

use harness::{Environment, Fleet, Outcome, until};

/// So many operators are killed, each at a moment of its own.
const KILLED: u64 = 10;

/// 40 numbered lines in some 0.8 s.
const SCRIPT: &str = r#"
echo started >>"$HOME/starts-$CRONIUM_RUN_ID"
i=0; while [ $i -lt 40 ]; do i=$((i + 1)); echo "line $i"; sleep 0.02; done
"#;

fn lines() -> Vec<u8> {
    (1..=40).flat_map(|number| format!("line {number}\n").into_bytes()).collect()
}

/// The same numbers for the same seed.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn killed_at_any_moment_it_leaves_what_collect_settles_exactly() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut seed = now.as_nanos() as u64 | 1;
    println!("seed {seed}");
    let (environment, fleet) = (Environment::new(), Fleet::start(2));
    let names = fleet.names(1..=2);
    for _ in 0..KILLED {
        let running = environment.exec(&fleet, &names).args(["--", SCRIPT]).start();
        thread::sleep(Duration::from_millis(random(&mut seed) % 1500));
        // It may be over.
        running.signal(Signal::KILL);
        running.wait().ignore();
    }
    if !environment.ledger_path().exists() {
        return;
    }
    let open = "SELECT count(*) FROM results
                WHERE finished_at IS NULL OR status IN ('unknown', 'detached')";
    let is_settled = || {
        environment.reaching(&fleet, ["collect"]).run().ignore();
        Connection::open(environment.ledger_path()).unwrap().query_row(open, [], |row| row.get(0)) == Ok(0)
    };
    assert!(until(60, is_settled), "{}", environment.run(["runs"]).out());

    let ledger = environment.ledger();
    for run in ledger.runs() {
        for number in 1..=2 {
            let host = fleet.name(number);
            let starts = fleet.home(number).join(format!("starts-{run}"));
            let starts = fs::read_to_string(starts).unwrap_or_default();
            let result = ledger.result(&run, &host);
            match result.status.as_str() {
                "succeeded" => {
                    assert_eq!(starts, "started\n", "{run} {host}");
                    assert_eq!(ledger.output(&run, &host, "stdout"), Some(lines()), "{run} {host}");
                }
                // It never was given its job, and never will be.
                "unreachable" => assert_eq!(starts, "", "{run} {host}: {result:?}"),
                _ => panic!("{run} {host}: {result:?}"),
            }
        }
        let numbers = ledger.event_numbers(&run);
        assert_eq!(numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
        let status = ledger.end_of(&run).0;
        assert!(["succeeded", "failed"].contains(&status.as_str()), "{run} is {status}");
    }
    ledger.check();
    // What is left bars a job that may still be on its way, and holds nothing; it goes after an hour.
    for number in 1..=2 {
        let left = || -> Vec<String> {
            let folders = fleet.runs(number).into_iter();
            let names = folders.map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned());
            names.filter(|run| ledger.result(run, &fleet.name(number)).status != "unreachable").collect()
        };
        assert!(until(30, || left().is_empty()), "{:?}", left());
        for folder in fleet.runs(number) {
            let names: Vec<_> =
                fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(names.iter().all(|name| name == "about" || name == "lease"), "{names:?}");
        }
    }
}

/// Runs a shell script that may mount what it alone sees, as root.
fn mounting(environment: &Environment, script: &str) -> Option<Outcome> {
    if !rustix::process::getuid().is_root() {
        eprintln!("not root: nothing can be mounted");
        return None;
    }
    Some(environment.program("unshare", ["-m", "sh", "-c", script]).run().succeeds())
}

#[test]
fn a_full_disk_under_the_ledger_loses_nothing() {
    let environment = Environment::new();
    let script = r#"
mkdir small; mount -t tmpfs -o size=2m none small
l="cronium-run --ledger small/ledger.db"
$l exec local -- 'echo started >>starts; head -c 3000000 /dev/urandom | base64' >printed 2>told
echo "exec $?"; grep -v '^run ' told
$l runs -o json | grep '"status"'
mount -o remount,size=40m small
$l collect | awk '{print $2, $3, $4, $5}'
$l logs last 2>&1 | cmp - printed && echo same
$l runs -o json | grep '"status"'
dd if=/dev/zero of=small/full bs=64k 2>/dev/null
$l exec local -- 'echo started >>starts'; echo "exec $?"
wc -l <~/starts
"#;
    let Some(outcome) = mounting(&environment, &script.replace(">>starts", ">>~/starts")) else { return };
    insta::assert_snapshot!(outcome.normalised(&outcome.out()), @r#"
    exec 1
    stopped: the ledger could not be written: no further host is started, waiting for those at work
    warning: local: the ledger takes no more, so the host keeps the result: cronium-run --ledger small/ledger.db collect RUN
    1 host: 1 ok in TIME (stopped: the ledger could not be written)
    error: cannot write the ledger /ENV/work/small/ledger.db
    caused by: database or disk is full

    hint: df -h /ENV/work/small
        "status": "interrupted"
    local succeeded exit 0
    same
        "status": "succeeded"
    exec 1
    1
    "#);
    insta::assert_snapshot!(outcome.normalised(&outcome.err()), @r"
    error: cannot open the ledger /ENV/work/small/ledger.db
    caused by: disk I/O error

    hint: df -h /ENV/work/small
    hint: ls -ld /ENV/work/small /ENV/work/small/ledger.db
    ");
}

#[test]
fn a_read_only_ledger_is_read() {
    let environment = Environment::new();
    let script = r#"
mkdir fixed; mount -t tmpfs none fixed
l="cronium-run --ledger fixed/ledger.db"
$l exec -q local -- 'echo one' >/dev/null
mount -o remount,ro fixed
$l logs last
$l show last -o json | grep '"exit_code": 0'
$l rerun last --all --list-hosts
$l exec local -- 'echo two'; echo "exec $?"
"#;
    let Some(outcome) = mounting(&environment, script) else { return };
    insta::assert_snapshot!(outcome.normalised(&outcome.out()), @r#"
    one
      "exit_code": 0,
          "exit_code": 0,
    local  this machine
    exec 1
    "#);
    insta::assert_snapshot!(outcome.normalised(&outcome.err()), @r"
    error: cannot open the ledger /ENV/work/fixed/ledger.db
    caused by: Read-only file system (os error 30)

    hint: ls -ld /ENV/work/fixed /ENV/work/fixed/ledger.db
    ");
}

#[test]
fn a_ledger_that_somebody_holds_is_waited_for() {
    let environment = Environment::new();
    environment.run(["exec", "local", "--", "true"]).succeeds().ignore();
    let hold = Connection::open(environment.ledger_path()).unwrap();
    hold.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let mut running = environment.command(["exec", "local", "--", "echo hello"]).start();
    thread::sleep(Duration::from_secs(10));
    assert!(!running.is_over());
    hold.execute_batch("ROLLBACK").unwrap();
    assert_eq!(running.wait().succeeds().out(), "hello\n");
    assert!(begun.elapsed() > Duration::from_secs(10));
}

#[test]
fn a_ledger_that_is_held_for_ever_stops_the_run_before_a_host_is_touched() {
    let environment = Environment::new();
    environment.run(["exec", "local", "--", "true"]).succeeds().ignore();
    let hold = Connection::open(environment.ledger_path()).unwrap();
    hold.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = environment.path("started");
    let outcome = environment.run(["exec", "local", "--", &format!(": >{}", started.display())]).exits(1);
    let ledger = environment.ledger_path();
    let told = format!(
        "error: cannot write the ledger {ledger}\ncaused by: database is locked\n\nhint: see who holds it: fuser -v {ledger}\n",
        ledger = ledger.display()
    );
    assert_eq!(outcome.err(), told);
    assert!(!started.exists());
    // Whoever only looks is not kept waiting.
    let begun = Instant::now();
    environment.run(["runs"]).succeeds().ignore();
    environment.run(["show", "last"]).succeeds().ignore();
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// While hosts are at work: they keep what the ledger does not take.
#[test]
fn a_ledger_that_is_taken_away_during_a_run_loses_nothing() {
    let environment = Environment::new();
    let started = environment.home().join("started");
    let script = format!("echo before; : >{}; sleep 2; echo after", started.display());
    let running = environment.command(["exec", "local", "--", &script]).start();
    assert!(until(30, || started.exists()));
    let hold = Connection::open(environment.ledger_path()).unwrap();
    hold.busy_timeout(Duration::from_secs(10)).unwrap();
    hold.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = running.wait().exits(1);
    assert!(outcome.err().contains("cannot write the ledger"), "{outcome:?}");
    hold.execute_batch("ROLLBACK").unwrap();
    let run = environment.ledger().last_run();
    let collected = environment.run(["collect"]).succeeds();
    assert!(collected.out().contains("succeeded"), "{collected:?}");
    assert_eq!(environment.ledger().output(&run, "local", "stdout").unwrap(), b"before\nafter\n");
    assert_eq!(environment.ledger().end_of(&run), ("succeeded".into(), Some(0)));
}

/// What is done to the file.
type Damage = fn(&mut Vec<u8>);

#[test]
fn a_damaged_ledger_is_told_with_what_helps_and_left_as_it_is() {
    const PAGE: usize = 4096;
    let garbage = |bytes: &mut [u8]| {
        let mut seed = 7;
        bytes.iter_mut().for_each(|byte| *byte = random(&mut seed) as u8);
    };
    let damages: [(&str, Damage); 4] = [
        ("cut in half", |bytes| bytes.truncate(bytes.len() / 2 + 100)),
        ("cut within its header", |bytes| bytes.truncate(50)),
        ("its first page overwritten", |_| {}),
        ("every other page overwritten", |_| {}),
    ];
    let environment = Environment::new();
    environment.run(["exec", "local", "--", "seq 1 2000"]).succeeds().ignore();
    let path = environment.ledger_path();
    let whole = fs::read(&path).unwrap();
    for (number, (what, damage)) in damages.into_iter().enumerate() {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        match number {
            2 => garbage(&mut bytes[..PAGE]),
            3 => garbage(&mut bytes[PAGE..]),
            _ => {}
        }
        fs::write(&path, &bytes).unwrap();
        let started = environment.path("started");
        let outcome = environment.run(["exec", "local", "--", &format!(": >{}", started.display())]).exits(1);
        assert!(!started.exists(), "{what}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: the file was changed");
        let told = outcome.err();
        assert!(told.contains(&format!(" the ledger {}\ncaused by: ", path.display())), "{what}: {told}");
        // What it says to type makes way for a new one, and keeps the old.
        let hint =
            told.lines().find_map(|line| line.strip_prefix("hint: mkdir ")).expect("a hint to move it");
        let command = format!("mkdir {}", hint.split("  and").next().unwrap());
        environment.program("sh", ["-c", &command]).run().succeeds().ignore();
        environment.run(["exec", "local", "--", "true"]).succeeds().ignore();
        let folder = path.parent().unwrap().join("damaged");
        assert!(fs::read(folder.join("ledger.db")).unwrap() == bytes, "{what}");
        fs::remove_dir_all(folder).unwrap();
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_hundred_runs_at_once_on_one_ledger_lose_nothing() {
    let environment = Environment::new();
    let running: Vec<_> = (0..100)
        .map(|number| {
            let script = format!("echo {number}; cronium incr runs >&2");
            environment.command(["exec", "local", "-q", "--", &script]).limit(300).start()
        })
        .collect();
    for (number, running) in running.into_iter().enumerate() {
        assert_eq!(running.wait().succeeds().out(), format!("{number}\n"));
    }
    let ledger = environment.ledger();
    ledger.check();
    let runs = ledger.runs();
    assert_eq!(runs.len(), 100);
    let mut printed: Vec<u32> = runs
        .iter()
        .map(|run| {
            assert_eq!(ledger.end_of(run), ("succeeded".into(), Some(0)));
            let numbers = ledger.event_numbers(run);
            assert_eq!(numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
            let out = ledger.output(run, "local", "stdout").unwrap();
            String::from_utf8(out).unwrap().trim().parse().unwrap()
        })
        .collect();
    printed.sort_unstable();
    assert_eq!(printed, (0..100).collect::<Vec<_>>());
    let folder = environment.ledger_path().parent().unwrap().to_owned();
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("-run-")), "{left:?}");
    is_private(&folder);
}

#[track_caller]
fn is_private(folder: &Path) {
    let mode = fs::metadata(folder.join("ledger.db")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}
