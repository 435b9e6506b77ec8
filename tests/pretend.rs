//! The harness itself, held against OpenSSH's own client: each pretend host behaves as named.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

mod harness;

use harness::{Environment, Fleet, FleetPlan, Recorded, black_hole, garbage, relay, until, with_marker};

fn err(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn hosts_have_homes_of_their_own() {
    let begun = Instant::now();
    let fleet = Fleet::start(3);
    println!("three hosts in {:?}", begun.elapsed());
    for number in 1..=3 {
        let output = fleet.ssh(number, "echo \"$HOME\"; pwd; echo to-stderr >&2; exit 7");
        let home = fleet.home(number).display().to_string();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{home}\n{home}\n"), "{}", err(&output));
        assert_eq!(output.status.code(), Some(7));
        assert!(err(&output).contains("to-stderr"));
        assert_eq!(fleet.executed(number), ["echo \"$HOME\"; pwd; echo to-stderr >&2; exit 7"]);
        assert_eq!(fleet.logins(number), 1);
    }
}

#[test]
fn hosts_that_refuse() {
    let fleet = FleetPlan::default()
        .host(1)
        .host_with(2, |host| host.recorded = Recorded::Wrong)
        .host_with(3, |host| host.recorded = Recorded::Nothing)
        .host_with(4, |host| host.authorized = false)
        .host_with(5, |host| host.login = "echo 'Welcome to host 5'".into())
        .start();
    assert!(fleet.ssh(1, "true").status.success());
    for (number, message) in [
        (2, "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        (3, "Host key verification failed"),
        (4, "Permission denied"),
        (6, "Connection refused"),
    ] {
        let output = fleet.ssh(number, "true");
        assert_eq!(output.status.code(), Some(255));
        assert!(err(&output).contains(message), "host {number}: {}", err(&output));
    }
    assert_eq!(fleet.ssh(5, "echo hello").stdout, b"Welcome to host 5\nhello\n");
}

#[test]
fn hosts_that_do_not_speak_ssh() {
    let fleet = FleetPlan::default().start();
    black_hole(&fleet, 1);
    garbage(&fleet, 2, b"220 mail.example.org ESMTP\r\n", true);
    garbage(&fleet, 3, b"\x16\x03\x01\x00\x05hello", false);
    for (number, message) in [(1, "timed out"), (2, "timed out"), (3, "banner exchange")] {
        let output = fleet.ssh(number, "true");
        assert_eq!(output.status.code(), Some(255));
        assert!(err(&output).contains(message), "host {number}: {}", err(&output));
    }
}

#[test]
fn a_relay_dies_when_told() {
    let fleet = Fleet::start(1);
    let file = fleet.home(1).join("go");
    let seen = file.clone();
    relay(&fleet, 2, 1, move || seen.exists());
    assert_eq!(fleet.ssh(2, "echo through").stdout, b"through\n");
    let output = fleet.ssh(2, "echo before; touch go; sleep 20; echo after");
    assert_eq!(output.status.code(), Some(255), "{}", err(&output));
    // What sshd has not sent yet when the link dies is lost, and on a busy machine that may be all.
    assert!(b"before\n".starts_with(&output.stdout), "{:?}", String::from_utf8_lossy(&output.stdout));
    assert!(err(&fleet.ssh(2, "true")).contains("refused"));
    assert!(fleet.ssh(1, "true").status.success(), "the host behind goes on");
}

#[test]
fn an_environment_is_empty_and_its_outcome_complete() {
    let environment = Environment::new();
    let outcome = environment
        .program("sh", ["-c", "env | cut -d= -f1 | sort | paste -sd' '; pwd; cat; echo oops >&2; exit 3"])
        .env("CRONIUM_RUN_X", "1")
        .stdin("01JAR0M5K8Q9Z3V7C2X4B6N8D0 took 12.5 ms, then 3s, at 2026-11-21T05:06:07.123Z\n")
        .run();
    insta::assert_snapshot!(outcome, @"
    --- stdout
    COLUMNS CRONIUM_RUN_X HOME LC_ALL LOGNAME PATH PWD TERM TMPDIR TZ USER XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME
    /ENV/work
    RUN took TIME, then TIME, at WHEN
    --- stderr
    oops
    --- exit code 3
    ");
}

#[test]
fn a_command_past_its_limit_is_killed() {
    let environment = Environment::new();
    let result = std::panic::catch_unwind(|| {
        environment
            .program("sh", ["-c", "echo begun; sleep 7203477 & sleep 7203477"])
            .limit(1)
            .run()
            .ignore();
    });
    assert!(result.is_err());
    assert!(until(5, || with_marker("7203477").is_empty()));
}

/// A test that is killed leaves no sshd, no process of its hosts and no folder.
#[test]
fn nothing_outlives_a_killed_test() {
    if std::env::var_os("CRONIUM_TEST_HANGS").is_some() {
        let fleet = Fleet::start(2);
        fleet.ssh(1, "setsid sh -c 'cd /; sleep 7204488' >/dev/null 2>&1 & sleep 0.1");
        println!("FOLDER {}", fleet.private_key().parent().unwrap().display());
        fleet.ssh(2, "cp /bin/sleep . && ./sleep 7204488");
        unreachable!("it is killed before");
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_outlives_a_killed_test", "--nocapture"])
        .env("CRONIUM_TEST_HANGS", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(until(20, || with_marker("./sleep 7204488").len() >= 2), "{:?}", with_marker("7204488"));
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let folder = text.split("FOLDER ").nth(1).unwrap().lines().next().unwrap();
    assert!(until(10, || with_marker(folder).is_empty()), "{:?}", with_marker(folder));
    assert!(until(5, || with_marker("./sleep 7204488").is_empty()));
    assert!(until(5, || !fs::exists(folder).unwrap()), "{folder} is still there");
    // The one that left on purpose, in a folder that is not the fleet's, is ours to end.
    for (pid, _) in with_marker("sleep 7204488") {
        Command::new("kill").arg(pid.to_string()).status().unwrap();
    }
    thread::sleep(Duration::from_millis(10));
}
