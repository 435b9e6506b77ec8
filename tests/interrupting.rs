//! Ctrl-C, signals and Enter while a run goes on: what is said, and what becomes of the run.

mod harness;

use std::time::{Duration, Instant};

use harness::{Environment, Invocation, Outcome, Running, until};
use rustix::process::Signal;

const QUESTION: &str = "[c]ancel, [d]etach or [w]ait? (Ctrl-C cancels) ";

/// A script that says that it has begun, and goes on until the file `end` is there.
const SCRIPT: &str = "echo begun; : >\"$D/begun\"; while [ ! -e \"$D/end\" ]; do sleep 0.05; done; echo done";

fn exec(environment: &Environment, flags: &[&str], script: &str) -> Invocation {
    let folder = format!("D={}", environment.path("").display());
    environment.command(["exec", "local", "--env", &folder]).args(flags).args(["--", script])
}

fn begun(environment: &Environment) {
    assert!(until(30, || environment.path("begun").exists()));
}

/// The run has noticed that the script runs.
fn is_running(environment: &Environment, running: &Running) {
    begun(environment);
    assert!(until(20, || environment.ledger_path().exists()));
    std::thread::sleep(Duration::from_millis(300));
    let _ = running;
}

#[track_caller]
fn status(environment: &Environment) -> String {
    environment.ledger().results(&environment.ledger().last_run())[0].status.clone()
}

/// Without the `\r` of a terminal.
fn lines(outcome: &Outcome) -> String {
    outcome.out().replace('\r', "")
}

#[test]
fn ctrl_c_asks_and_the_run_goes_on_meanwhile() {
    let environment = Environment::new();
    let mut running = exec(&environment, &[], SCRIPT).on_a_terminal(&environment).start();
    is_running(&environment, &running);
    // It is asked anew where nothing was said, and each time.
    for (keys, questions) in [("\x03", 1), ("what\n", 2), ("w\n", 2), ("\x03", 3)] {
        running.types("", keys);
        let asked = || String::from_utf8_lossy(&running.stdout_so_far()).matches(QUESTION).count();
        assert!(until(20, || asked() == questions), "{}", String::from_utf8_lossy(&running.stdout_so_far()));
        std::thread::sleep(Duration::from_millis(100));
    }
    environment.write("end", "");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "nobody waits for an answer: {outcome:?}");
    let shown = lines(&outcome);
    assert!(shown.contains("1 of 1 host pending after "), "{shown}");
    assert!(shown.contains("\n  local  running  "), "{shown}");
    assert!(shown.contains("last output "), "{shown}");
    assert!(shown.contains("\n1 host: "), "it begins a line of its own: {shown}");
}

#[test]
fn what_is_answered_is_done() {
    for (keys, code, ends_as) in [("c\n", 130, "cancelled"), ("\x03", 130, "cancelled")] {
        let environment = Environment::new();
        let mut running = exec(&environment, &[], SCRIPT).on_a_terminal(&environment).start();
        is_running(&environment, &running);
        running.types("", "\x03");
        running.types(QUESTION, keys);
        let outcome = running.wait();
        assert_eq!(outcome.code, code, "{keys:?}: {outcome:?}");
        assert_eq!(status(&environment), ends_as, "{keys:?}: {outcome:?}");
    }
}

#[test]
fn a_third_ctrl_c_leaves_at_once() {
    let environment = Environment::new();
    let script = format!("trap '' TERM; {SCRIPT}");
    let mut running = exec(&environment, &[], &script).on_a_terminal(&environment).start();
    is_running(&environment, &running);
    running.types("", "\x03");
    running.types(QUESTION, "\x03");
    running.types("leaves them to it", "\x03");
    let begun = Instant::now();
    let outcome = running.wait();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert_eq!(status(&environment), "unknown", "{outcome:?}");
    let hint = format!("cronium-run attach {}", environment.ledger().last_run());
    assert!(lines(&outcome).contains(&hint), "{hint}: {outcome:?}");
    environment.write("end", "");
}

/// Nobody sits before these: the first one cancels, the second one leaves.
#[test]
fn without_a_terminal_nobody_is_asked() {
    type Start = fn(&Environment, &str) -> Invocation;
    let plain: Start = |environment, script| exec(environment, &["-o", "quiet"], script);
    for signal in [Signal::INT, Signal::TERM] {
        let environment = Environment::new();
        let running = plain(&environment, SCRIPT).start();
        is_running(&environment, &running);
        running.signal(signal);
        running.wait().exits(130).ignore();
        assert_eq!(status(&environment), "cancelled", "{signal:?}");

        let environment = Environment::new();
        let running = plain(&environment, &format!("trap '' TERM; {SCRIPT}")).start();
        is_running(&environment, &running);
        running.signal(signal);
        std::thread::sleep(Duration::from_millis(500));
        running.signal(signal);
        let begun = Instant::now();
        running.wait().exits(130).ignore();
        assert!(begun.elapsed() < Duration::from_secs(8), "{signal:?}: {:?}", begun.elapsed());
        assert_eq!(status(&environment), "unknown", "{signal:?}");
        environment.write("end", "");
    }
}

#[test]
fn in_ci_nobody_is_asked() {
    let environment = Environment::new();
    let exec = exec(&environment, &[], SCRIPT).env("CI", "true").on_a_terminal(&environment);
    let mut running = exec.start();
    is_running(&environment, &running);
    running.types("", "\x03");
    let outcome = running.wait();
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(!outcome.out().contains(QUESTION), "{outcome:?}");
}

#[test]
fn sigusr1_tells_who_is_pending_whatever_is_printed() {
    for output in ["auto", "quiet", "jsonl"] {
        let environment = Environment::new();
        let running = exec(&environment, &["-o", output], SCRIPT).start();
        is_running(&environment, &running);
        running.signal(Signal::USR1);
        let told = || String::from_utf8_lossy(&running.stderr_so_far()).into_owned();
        assert!(until(20, || told().contains("  local  running  ")), "{output}: {}", told());
        assert!(told().starts_with("1 of 1 host pending after "), "{output}: {}", told());
        environment.write("end", "");
        running.wait().succeeds().ignore();
    }
}

#[test]
fn enter_tells_who_is_pending_and_what_is_typed_ahead_is_the_shells() {
    let environment = Environment::new();
    let folder = environment.path("").display().to_string();
    let line = "cronium-run exec local --env D=\"$1\" -- \"$2\"; read -r typed; echo \"got <$typed>\"";
    for term in ["dumb", "xterm"] {
        for name in ["begun", "end"] {
            let _ = std::fs::remove_file(environment.path(name));
        }
        let shell = environment.program("sh", ["-c", line, "sh", &folder, SCRIPT]);
        let mut running = shell.on_a_terminal(&environment).env("TERM", term).start();
        is_running(&environment, &running);
        running.types("", "\n");
        let shown = |running: &Running| String::from_utf8_lossy(&running.stdout_so_far()).into_owned();
        let told = |running: &Running| shown(running).matches("1 of 1 host pending").count();
        assert!(until(20, || told(&running) == 1), "{}", shown(&running));
        running.types("", "\n");
        assert!(until(20, || told(&running) == 2), "{}", shown(&running));
        running.types("", "ls -l\n");
        std::thread::sleep(Duration::from_millis(300));
        environment.write("end", "");
        let outcome = running.wait();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.out().contains("got <ls -l>"), "{outcome:?}");
        assert_eq!(outcome.out().matches("host pending").count(), 2, "{outcome:?}");
    }
}

/// What a later `attach` prints of the run's only host.
#[track_caller]
fn attached(environment: &Environment) -> String {
    environment.write("end", "");
    let outcome = environment.run(["attach", "last"]).succeeds();
    assert_eq!(status(environment), "succeeded", "{outcome:?}");
    outcome.out()
}

#[test]
fn a_run_that_is_detached_goes_on_and_is_attached_to() {
    let environment = Environment::new();
    let mut running = exec(&environment, &[], SCRIPT).on_a_terminal(&environment).start();
    is_running(&environment, &running);
    running.types("", "\x03");
    running.types(QUESTION, "d\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(status(&environment), "detached", "{outcome:?}");
    let (shown, run) = (lines(&outcome), environment.ledger().last_run());
    for told in [
        "detached: no further host is started, scripts that run go on without us\n".to_owned(),
        "1 started and left".to_owned(),
        format!("cronium-run attach {run}  follows those that were left\n"),
        format!("cronium-run collect {run}  fetches what is over\n"),
    ] {
        assert!(shown.contains(&told), "{told}: {shown}");
    }
    assert_eq!(attached(&environment), "begun\ndone\n");
    assert_eq!(environment.run(["logs", "last"]).succeeds().out(), "begun\ndone\n");
}

#[test]
fn exec_with_detach_leaves_once_scripts_have_started() {
    let environment = Environment::new();
    let outcome = exec(&environment, &["--detach"], SCRIPT).run().succeeds();
    assert!(outcome.err().contains("1 started and left in "), "{outcome:?}");
    assert!(outcome.err().contains("  follows those that were left\n"), "{outcome:?}");
    assert_eq!(status(&environment), "detached");
    begun(&environment);
    attached(&environment);
    assert_eq!(environment.run(["logs", "last"]).succeeds().out(), "begun\ndone\n");
    // What waits for the end of hosts does not go with it.
    let outcome = exec(&environment, &["--detach", "--canary", "1"], SCRIPT).run().exits(2);
    assert!(outcome.err().contains("--canary waits for that"), "{outcome:?}");
}

/// A lid that is closed loses nothing.
#[test]
fn sighup_detaches() {
    let environment = Environment::new();
    let running = exec(&environment, &[], SCRIPT).start();
    is_running(&environment, &running);
    running.signal(Signal::HUP);
    running.wait().succeeds().ignore();
    assert_eq!(status(&environment), "detached");
    attached(&environment);
}

/// The terminal is gone with all that could be written to it.
#[test]
fn a_terminal_that_goes_away_takes_nothing_with_it() {
    for flags in [&["-o", "stream"][..], &["-v"], &["-o", "jsonl"]] {
        for term in ["dumb", "xterm"] {
            let environment = Environment::new();
            let exec = exec(&environment, flags, SCRIPT).on_a_terminal(&environment).env("TERM", term);
            let mut running = exec.start();
            is_running(&environment, &running);
            if term == "xterm" {
                running.types("", "\x03");
                running.types(QUESTION, "");
            }
            // The program that is the terminal.
            running.signal(Signal::KILL);
            running.wait().ignore();
            let is_over = || environment.ledger().end_of(&environment.ledger().last_run()).1.is_some();
            assert!(until(20, is_over), "{flags:?} {term}");
            assert_eq!(status(&environment), "detached", "{flags:?} {term}");
            assert_eq!(environment.ledger().end_of(&environment.ledger().last_run()).1, Some(0));
            attached(&environment);
        }
    }
}

#[test]
fn whoever_ignores_sighup_goes_on() {
    let environment = Environment::new();
    let line = "trap '' HUP; exec cronium-run exec local --env D=\"$1\" -- \"$2\"";
    let folder = environment.path("").display().to_string();
    let running = environment.program("sh", ["-c", line, "sh", &folder, SCRIPT]).start();
    is_running(&environment, &running);
    running.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(500));
    environment.write("end", "");
    running.wait().succeeds().ignore();
    assert_eq!(status(&environment), "succeeded");
}

/// One who is asked about a key and presses Ctrl-C is asked what he means by that first.
#[test]
fn ctrl_c_at_another_question() {
    use harness::{FleetPlan, Recorded};
    let environment = Environment::new();
    let fleet = FleetPlan::default().host(1).host_with(2, |host| host.recorded = Recorded::Nothing).start();
    let key = "and go on? (yes";
    let end = environment.path("end");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", end.display());
    let exec = environment.exec(&fleet, &fleet.names([1, 2])).args(["--", &script]);
    let mut running = exec.on_a_terminal(&environment).start();
    running.types(key, "\x03");
    running.types(QUESTION, "w\n");
    let asked = |running: &Running| String::from_utf8_lossy(&running.stdout_so_far()).matches(key).count();
    assert!(until(20, || asked(&running) == 2), "{}", String::from_utf8_lossy(&running.stdout_so_far()));
    running.types("", "yes\n");
    environment.write("end", "");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(asked_in(&outcome, key), 2);
    assert_eq!(fleet.numbers_in(&std::fs::read_to_string(fleet.known_hosts()).unwrap()), [1, 2].into());
}

fn asked_in(outcome: &Outcome, question: &str) -> usize {
    outcome.out().matches(question).count()
}

/// Whoever comes back for a document is given all of it, as often as he likes.
#[test]
fn a_run_that_was_left_is_told_as_a_whole() {
    let environment = Environment::new();
    let left = exec(&environment, &["--detach", "-q"], SCRIPT).run().succeeds();
    let run = environment.ledger().last_run();
    assert_eq!((left.out(), left.err()), (format!("{run}\n"), String::new()), "RUN=$(… --detach -q)");
    begun(&environment);
    environment.write("end", "");
    let folder = environment.path("").join("out");
    let json = || {
        let files = ["--output-dir", folder.to_str().unwrap(), "-o", "json"];
        let document = environment.command(["attach", run.as_str()]).args(files).run().succeeds().json();
        assert_eq!(std::fs::read_to_string(folder.join("local.stdout")).unwrap(), "begun\ndone\n");
        std::fs::remove_dir_all(&folder).unwrap();
        document
    };
    let (first, again) = (json(), json());
    assert_eq!(first, again);
    let host = &first["hosts"][0];
    assert_eq!((&host["stdout"], &host["stdout_bytes"]), (&"begun\ndone\n".into(), &11.into()));
    assert_eq!(first["command"].as_str().unwrap().split(' ').nth(1), Some("exec"));
    let ledger = environment.ledger_path();
    let attach = ["--ledger", ledger.to_str().unwrap(), "attach", &run, "-o", "grouped"];
    let grouped = environment.run(attach).succeeds();
    assert_eq!(grouped.out(), "begun\ndone\n");
    let show = format!("run {run}: cronium-run --ledger {} show {run}\n", ledger.display());
    assert!(grouped.err().ends_with(&show), "{grouped:?}");
}
