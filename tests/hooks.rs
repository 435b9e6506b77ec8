//! `--on-condition` and `--on-notify`: the operator's own programs, started by what scripts tell.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

mod harness;

use harness::{Environment, Fleet, until};

#[test]
fn a_condition_that_is_true_starts_a_hook() {
    let environment = Environment::new();
    let hook = "cat >event; echo \"$CRONIUM_HOST $CRONIUM_CONDITION $CRONIUM_RUN_ID\" >told";
    let script = "cronium condition false; cronium condition true";
    let outcome = environment.run(["exec", "local", "--on-condition", hook, "--", script]).succeeds();
    let told = fs::read_to_string(environment.path("told")).unwrap_or_else(|_| panic!("{outcome:?}"));
    assert_eq!(told, format!("local true {}\n", environment.ledger().last_run()));
    let event: Value = serde_json::from_slice(&fs::read(environment.path("event")).unwrap()).unwrap();
    assert_eq!((&event["kind"], &event["condition"]), (&"host_condition".into(), &true.into()), "{event}");

    fs::remove_file(environment.path("told")).unwrap();
    let script = "cronium condition true; cronium condition false";
    environment.run(["exec", "local", "--on-condition", hook, "--", script]).succeeds().ignore();
    assert!(!environment.path("told").exists(), "the last one counts");
}

#[test]
fn a_notification_starts_a_hook_on_each_host_and_never_becomes_part_of_it() {
    let (environment, fleet) = (Environment::new(), Fleet::start(3));
    let hook = "printf '%s<%s>%s\\n' \"$CRONIUM_HOST\" \"$CRONIUM_AUDIENCE\" \"$CRONIUM_MESSAGE\" >>told";
    let script = "cronium notify 'ops $(touch bad)' '`touch bad`; touch bad'";
    let targets = fleet.names(1..=3);
    let outcome =
        environment.exec(&fleet, &targets).args(["--on-notify", hook, "--", script]).run().succeeds();
    let told = fs::read_to_string(environment.path("told")).unwrap_or_else(|_| panic!("{outcome:?}"));
    let mut told: Vec<&str> = told.lines().collect();
    told.sort_unstable();
    let want: Vec<String> =
        (1..=3).map(|n| format!("{}<ops $(touch bad)>`touch bad`; touch bad", fleet.name(n))).collect();
    assert_eq!(told, want);
    assert!(!environment.path("bad").exists());
}

#[test]
fn a_hook_that_fails_makes_a_good_run_exit_1_and_no_other() {
    let environment = Environment::new();
    for (script, code) in [("cronium notify ops x", 1), ("cronium notify ops x; exit 9", 3)] {
        let exec = ["exec", "local", "--on-notify", "echo from the hook; exit 5", "--", script];
        let outcome = environment.run(exec).exits(code);
        let err = outcome.err();
        assert!(err.contains("on-notify of local: from the hook\n"), "{outcome:?}");
        assert!(err.contains("warning: on-notify of local: exit code 5\n"), "{outcome:?}");
        assert!(!outcome.out().contains("from the hook"), "{outcome:?}");
    }
    // The run itself went well, and the ledger says so.
    let shown = environment.run(["runs", "-o", "json"]).succeeds().json();
    assert_eq!(shown[1]["exit_code"], 0, "{shown:#}");
}

#[test]
fn ctrl_c_twice_leaves_hooks_that_wait() {
    let environment = Environment::new();
    let hook = "touch begun; sleep 50; touch ended";
    let script = "cronium notify ops 1; cronium notify ops 2";
    let running = environment.command(["exec", "local", "--on-notify", hook, "--", script]).start();
    assert!(until(20, || String::from_utf8_lossy(&running.stderr_so_far()).contains("waiting for 2 hooks")));
    running.signal(Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal(Signal::INT);
    let begun = std::time::Instant::now();
    let outcome = running.wait().exits(130);
    assert!(begun.elapsed().as_secs() < 10, "{outcome:?}");
    assert!(outcome.err().contains("1 hook not run: interrupted"), "{outcome:?}");
    assert!(environment.path("begun").exists() && !environment.path("ended").exists());
}

/// The folder of somebody else's project must not make us run programs.
#[test]
fn no_file_sets_a_hook() {
    for key in ["on-notify", "on-condition"] {
        let environment = Environment::new();
        environment.write("cronium.toml", format!("{key} = \"touch bad\"\n"));
        let outcome = environment.run(["exec", "local", "--", "true"]).exits(2);
        assert!(outcome.err().contains(&format!("cronium.toml:1: unknown key {key}")), "{outcome:?}");
        assert!(!environment.path("bad").exists());
    }
}

/// Its address is often a password.
#[test]
fn the_command_of_a_hook_is_not_kept() {
    let environment = Environment::new();
    let exec = ["exec", "local", "--on-notify", "curl https://hooks.example/s3cr3t", "--", "true"];
    environment.run(exec).succeeds().ignore();
    environment
        .command(["exec", "local", "--", "true"])
        .env("CRONIUM_RUN_ON_CONDITION", "echo s3cr3t")
        .run()
        .succeeds()
        .ignore();
    let ledger = fs::read(environment.ledger_path()).unwrap();
    assert!(!String::from_utf8_lossy(&ledger).contains("s3cr3t"));
    let help =
        environment.command(["exec", "--help"]).env("CRONIUM_RUN_ON_NOTIFY", "s3cr3t").run().succeeds();
    assert!(help.out().contains("--on-notify <CMD>") && !help.out().contains("s3cr3t"), "{help:?}");
}
