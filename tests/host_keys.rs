//! Keys of hosts that nobody knows: who is asked, how often, and what is recorded.

mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use harness::{Environment, Fleet, FleetPlan, Invocation, Outcome, Recorded};

/// Hosts of which known_hosts has nothing, and others behind them that it knows.
fn fleet(unknown: std::ops::RangeInclusive<u8>, known: std::ops::RangeInclusive<u8>) -> Fleet {
    let nothing = |plan: FleetPlan, number| plan.host_with(number, |host| host.recorded = Recorded::Nothing);
    known.fold(unknown.fold(FleetPlan::default(), nothing), FleetPlan::host).start()
}

fn exec(environment: &Environment, fleet: &Fleet, hosts: impl IntoIterator<Item = u8>) -> Invocation {
    environment.exec(fleet, &fleet.names(hosts)).args(["--", "echo in"]).on_a_terminal(environment)
}

fn doctor(
    environment: &Environment,
    fleet: &Fleet,
    hosts: impl IntoIterator<Item = u8>,
    args: &[&str],
) -> Invocation {
    environment.reaching(fleet, ["doctor", &fleet.names(hosts)]).args(args).on_a_terminal(environment)
}

/// The hosts that known_hosts has a line of, and how many lines there are.
fn recorded(fleet: &Fleet) -> (BTreeSet<u8>, usize) {
    let text = fs::read_to_string(fleet.known_hosts()).unwrap();
    (fleet.numbers_in(&text), text.lines().count())
}

fn fingerprint(fleet: &Fleet, number: u8) -> String {
    let key = fleet.folder().join(format!("host{number}.pub"));
    let output = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

/// What each host of the last run came to.
fn outcomes(environment: &Environment) -> Vec<String> {
    let ledger = environment.ledger();
    let rows = ledger.results(&ledger.last_run());
    rows.into_iter().map(|row| row.status).collect()
}

const QUESTION: &str = "and go on? (yes";

#[track_caller]
fn is_asked(outcome: &Outcome, times: usize) {
    assert_eq!(outcome.out().matches(QUESTION).count(), times, "{outcome:?}");
}

#[test]
fn all_unknown_keys_are_one_question_and_a_yes_goes_on() {
    let (environment, fleet) = (Environment::new(), fleet(1..=3, 4..=5));
    let mut running = exec(&environment, &fleet, 1..=5).start();
    running.types(QUESTION, "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    is_asked(&outcome, 1);
    let shown = outcome.out();
    assert!(shown.contains("3 hosts show keys that are not in known_hosts:"), "{shown}");
    for number in 1..=3 {
        let row = format!("{}  ssh-ed25519 {}", fleet.name(number), fingerprint(&fleet, number));
        assert!(shown.contains(&row), "{row}: {shown}");
        assert_eq!(fleet.logins(number), 1);
    }
    assert_eq!(recorded(&fleet), ((1..=5).collect(), 5));
    assert!(
        environment.ledger().results(&environment.ledger().last_run()).iter().all(|row| row.attempt == 1)
    );
    let again = exec(&environment, &fleet, 1..=5).run();
    assert_eq!(again.code, 0, "{again:?}");
    is_asked(&again, 0);
}

#[test]
fn a_no_ends_them_as_unreachable_and_records_nothing() {
    let (environment, fleet) = (Environment::new(), fleet(1..=3, 4..=5));
    let mut running = exec(&environment, &fleet, 1..=5).start();
    running.types(QUESTION, "what\n");
    running.types("Please type yes or no: ", "no\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    is_asked(&outcome, 1);
    assert!(outcome.out().contains("the host's key is not in known_hosts"), "{outcome:?}");
    let bad = "unreachable";
    assert_eq!(outcomes(&environment), [bad, bad, bad, "succeeded", "succeeded"]);
    assert_eq!(recorded(&fleet), ((4..=5).collect(), 2));
}

#[test]
fn a_key_that_cannot_be_recorded_ends_its_own_host_alone() {
    let (environment, fleet) = (Environment::new(), fleet(1..=3, 4..=4));
    let config = format!(
        "Host {}\n  HostKeyAlias a,b\nHost {}\n  HostKeyAlias [alias]:2222\n",
        fleet.name(1),
        fleet.name(2)
    );
    let file = environment.write("config", config);
    let run = |hosts: std::ops::RangeInclusive<u8>| {
        let exec = environment.exec(&fleet, &fleet.names(hosts)).args(["-F", file.to_str().unwrap()]);
        exec.args(["--", "true"]).on_a_terminal(&environment).start()
    };
    let mut running = run(1..=4);
    running.types(QUESTION, "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    for told in ["the host's key cannot be recorded", "a character that has a meaning", "HostKeyAlias in"] {
        assert!(outcome.out().contains(told), "{told}: {outcome:?}");
    }
    assert_eq!(outcomes(&environment), ["unreachable", "succeeded", "succeeded", "succeeded"]);
    let known = fs::read_to_string(fleet.known_hosts()).unwrap();
    assert!(known.lines().count() == 3 && known.contains("[alias]:2222 "), "{known}");

    // A file that takes nothing keeps all of them out, and says why.
    fs::remove_file(fleet.known_hosts()).unwrap();
    fs::create_dir(fleet.known_hosts()).unwrap();
    let mut running = run(3..=4);
    running.types(QUESTION, "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    for told in ["Is a directory", "ls -ld "] {
        assert!(outcome.out().contains(told), "{told}: {outcome:?}");
    }
    assert_eq!(outcomes(&environment), ["unreachable", "unreachable"]);
}

/// As the next line of a paste may be: it is no answer to a question that nobody has seen.
#[test]
fn what_was_typed_before_the_question_does_not_answer_it() {
    let (environment, fleet) = (Environment::new(), fleet(1..=1, 2..=2));
    let gate = environment.path("gate");
    let hosts = fleet.names([2, 1]);
    let script = format!("echo at work; until [ -e {} ]; do sleep 0.05; done", gate.display());
    let exec = environment.exec(&fleet, &hosts).args(["--canary", "1", "-o", "stream", "--", &script]);
    let mut running = exec.on_a_terminal(&environment).start();
    running.types("at work", "yes\n");
    std::thread::sleep(std::time::Duration::from_millis(200));
    environment.write("gate", "");
    running.types(QUESTION, "nonsense\nyes\n");
    running.types("Please type yes", "no\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert_eq!(outcomes(&environment), ["unreachable", "succeeded"]);
    assert_eq!(recorded(&fleet), ([2].into(), 1));
}

#[test]
fn one_key_may_be_answered_with_its_fingerprint() {
    let (environment, fleet) = (Environment::new(), fleet(1..=1, 2..=2));
    let mut running = exec(&environment, &fleet, 1..=1).start();
    running.types("(yes, no or the fingerprint) ", &format!("{}\n", fingerprint(&fleet, 2)));
    running.types(
        "That is another fingerprint.\r\nPlease type yes, no or the fingerprint: ",
        &format!("{}\n", fingerprint(&fleet, 1)),
    );
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.ignore();
    assert_eq!(recorded(&fleet), ((1..=2).collect(), 2));
}

#[test]
fn a_long_question_shows_its_head_and_all_where_it_is_asked_to() {
    let (environment, fleet) = (Environment::new(), fleet(1..=23, 24..=24));
    let mut running = exec(&environment, &fleet, 1..=23).start();
    running.types("and go on? (yes, no, or v to view all) ", "v\n");
    let shown = String::from_utf8_lossy(&running.stdout_so_far()).into_owned();
    assert!(shown.contains("  and 3 more\r\n") && !shown.contains(&fingerprint(&fleet, 23)), "{shown}");
    running.types("Please type yes, no, or v to view all: ", "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for number in 1..=23 {
        let times = outcome.out().matches(&fingerprint(&fleet, number)).count();
        assert_eq!(times, if number <= 20 { 2 } else { 1 }, "{number}: {outcome:?}");
    }
}

#[test]
fn hosts_at_work_are_not_waited_for_and_parked_ones_hold_no_fork() {
    let (environment, fleet) = (Environment::new(), fleet(1..=2, 3..=4));
    let gate = environment.path("gate");
    let script =
        format!("case $CRONIUM_HOST in *.[34]) until [ -e {0} ]; do sleep 0.05; done;; esac", gate.display());
    let mut running = environment
        .exec(&fleet, &fleet.names(1..=4))
        .args(["--forks", "2", "--retries", "2", "--", &script])
        .on_a_terminal(&environment)
        .start();
    // Hosts 3 and 4 hold both forks now, and go on only once those that were parked could not.
    running.types(QUESTION, "yes\n");
    environment.write("gate", "");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    is_asked(&outcome, 1);
    assert!(!outcome.out().contains("try 1 of"), "no retry is counted: {outcome:?}");
}

#[test]
fn a_later_batch_is_a_question_of_its_own() {
    let (environment, fleet) = (Environment::new(), fleet(1..=3, 4..=4));
    let hosts = fleet.names(1..=4);
    let exec = environment.exec(&fleet, &hosts).args(["--canary", "1", "--", "true"]);
    let mut running = exec.on_a_terminal(&environment).start();
    running.types("(yes, no or the fingerprint) ", "yes\n");
    running.types("(yes or no) ", "no\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    is_asked(&outcome, 2);
    assert_eq!(recorded(&fleet), ([1, 4].into(), 2));
}

#[test]
fn changed_keys_are_refused_with_both_fingerprints_of_each_and_nobody_is_asked() {
    let environment = Environment::new();
    let wrong = |plan: FleetPlan, number| plan.host_with(number, |host| host.recorded = Recorded::Wrong);
    let fleet = (1..=3).fold(FleetPlan::default(), wrong).start();
    let known = fs::read_to_string(fleet.known_hosts()).unwrap();
    let decoy = fleet.folder().join("decoy.pub");
    assert!(known.contains(fs::read_to_string(&decoy).unwrap().split(' ').nth(1).unwrap()));
    let output = Command::new("ssh-keygen").arg("-lf").arg(decoy).output().unwrap();
    let old = String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned();
    for invocation in [exec(&environment, &fleet, 1..=3), doctor(&environment, &fleet, 1..=3, &[])] {
        let outcome = invocation.env("NO_COLOR", "1").run();
        assert_eq!(outcome.code, 4, "{outcome:?}");
        is_asked(&outcome, 0);
        for (number, line) in (1..=3).zip(1..) {
            let (name, file) = (fleet.name(number), fleet.known_hosts());
            for shown in [
                format!("error: {name}: unreachable: the host's key is not the one in known_hosts"),
                format!("it shows ssh-ed25519 {}", fingerprint(&fleet, number)),
                format!("recorded: ssh-ed25519 {old} at {}:{line}", file.display()),
                format!("ssh-keygen -f {} -R '[{name}]:{}'", file.display(), fleet.port()),
            ] {
                assert!(outcome.out().contains(&shown), "{shown}: {outcome:?}");
            }
        }
    }
    // The command is right.
    let entry = format!("[{}]:{}", fleet.name(2), fleet.port());
    let mut forget = Command::new("ssh-keygen");
    let forgotten = forget.arg("-f").arg(fleet.known_hosts()).args(["-R", &entry]).output().unwrap();
    assert!(forgotten.status.success(), "{forgotten:?}");
    assert_eq!(recorded(&fleet), ([1, 3].into(), 2));
}

/// More of them than fit a screen.
#[test]
fn of_many_unknown_keys_one_is_told_and_where_the_others_are() {
    let (environment, fleet) = (Environment::new(), fleet(1..=12, 13..=13));
    let names = fleet.names(1..=12);
    for (command, args, more) in [
        ("exec", &["-q", "--", "true"][..], "cronium-run show "),
        ("doctor", &[], "cronium-run doctor TARGETS -o json"),
    ] {
        let outcome = environment.reaching(&fleet, [command, &names]).args(args).run().exits(4);
        let told = outcome.err();
        assert_eq!(told.matches("error: ").count(), 1, "{told}");
        let example = format!(
            "caused by: {}: it shows ssh-ed25519 {} (others differ)",
            fleet.name(1),
            fingerprint(&fleet, 1)
        );
        assert!(told.contains(&example) && told.contains(&format!("hint: {more}")), "{told}");
    }
    let run = environment.ledger().last_run();
    let shown = environment.run(["show", &run]).succeeds().out();
    (1..=12).for_each(|number| assert!(shown.contains(&fingerprint(&fleet, number)), "{shown}"));
}

#[test]
fn doctor_asks_as_exec_does() {
    let (environment, fleet) = (Environment::new(), fleet(1..=4, 5..=5));
    let refused = |invocation: Invocation| {
        let outcome = invocation.run();
        assert_eq!(outcome.code, 4, "{outcome:?}");
        is_asked(&outcome, 0);
        let told = outcome.out() + &outcome.err();
        assert!(told.contains("then run once with --host-key accept-new"), "{told}");
        assert_eq!(recorded(&fleet), ([5].into(), 1));
    };
    refused(doctor(&environment, &fleet, 1..=1, &["-o", "json"]));
    refused(doctor(&environment, &fleet, 1..=1, &[]).env("CI", "true"));
    refused(environment.reaching(&fleet, ["doctor", &fleet.name(1)]));

    let mut running = doctor(&environment, &fleet, 1..=1, &[]).start();
    running.types(QUESTION, "no\n");
    let outcome = running.wait();
    assert_eq!((outcome.code, recorded(&fleet).1), (4, 1), "{outcome:?}");

    let mut running = doctor(&environment, &fleet, [1, 2, 5], &[]).env("NO_COLOR", "1").start();
    running.types("2 hosts show keys that are not in known_hosts:", "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    is_asked(&outcome, 1);
    assert!(outcome.out().contains("(3 hosts): helpers: answered"), "{outcome:?}");
    assert_eq!(recorded(&fleet), ([1, 2, 5].into(), 3));

    // What stands behind an unknown jump host is a question of its own.
    let jump = format!("{}:{}", fleet.name(3), fleet.port());
    let mut running = doctor(&environment, &fleet, [4], &["-J", &jump]).start();
    running.types("and go on? (yes", "yes\n");
    assert!(harness::until(20, || recorded(&fleet).0.contains(&3)));
    assert!(harness::until(20, || {
        String::from_utf8_lossy(&running.stdout_so_far()).matches(QUESTION).count() == 2
    }));
    running.types(QUESTION, "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(recorded(&fleet), ((1..=5).collect(), 5));
}

#[test]
fn where_nobody_can_be_asked_it_fails_closed() {
    let (environment, fleet) = (Environment::new(), fleet(1..=1, 2..=2));
    let plain = |args: &[&str]| environment.exec(&fleet, &fleet.names(1..=2)).args(args).args(["--", "true"]);
    let terminal = |args: &[&str]| plain(args).on_a_terminal(&environment);
    for (what, invocation) in [
        ("no terminal", plain(&[])),
        ("no terminal, told to ask", plain(&["--host-key", "ask"])),
        ("CI", terminal(&[]).env("CI", "true")),
        ("json", terminal(&["-o", "json"])),
        ("jsonl", terminal(&["-o", "jsonl"])),
        ("quiet", terminal(&["-o", "quiet"])),
        ("-q", terminal(&["-q"])),
        ("strict", terminal(&["--host-key", "strict"])),
        ("unattended", terminal(&["--ssh-option", "BatchMode=yes"])),
        ("ssh_config", terminal(&["--ssh-option", "StrictHostKeyChecking=yes"])),
    ] {
        let outcome = invocation.run();
        assert_eq!(outcome.code, 4, "{what}: {outcome:?}");
        is_asked(&outcome, 0);
        let told = outcome.out() + &outcome.err();
        if !what.starts_with("json") {
            assert!(told.contains("then run once with --host-key accept-new"), "{what}: {told}");
        }
    }
    assert_eq!(recorded(&fleet), ([2].into(), 1));
}

/// As Debian's ssh_config has it.
#[test]
fn names_are_hashed_where_ssh_config_says_so() {
    let (environment, fleet) = (Environment::new(), fleet(1..=2, 3..=3));
    let hash = ["--ssh-option", "HashKnownHosts=yes"];
    let mut asked = exec(&environment, &fleet, [1]).env("CRONIUM_RUN_SSH_OPTION", hash[1]).start();
    asked.types(QUESTION, "yes\n");
    let asked = asked.wait();
    assert_eq!(asked.code, 0, "{asked:?}");
    let accepted = environment.exec(&fleet, &fleet.name(2)).args(hash);
    accepted.args(["--host-key", "accept-new", "--", "true"]).run().succeeds().ignore();
    let text = fs::read_to_string(fleet.known_hosts()).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("|1|")).count(), 2, "{text}");
    assert_eq!(recorded(&fleet), ([3].into(), 3), "no name is shown");
    for number in 1..=2 {
        let name = format!("[{}]:{}", fleet.name(number), fleet.port());
        let found =
            Command::new("ssh-keygen").arg("-f").arg(fleet.known_hosts()).args(["-F", &name]).output();
        let found = String::from_utf8(found.unwrap().stdout).unwrap();
        let key = fs::read_to_string(fleet.folder().join(format!("host{number}.pub"))).unwrap();
        assert!(found.contains(key.split(' ').nth(1).unwrap()), "{name}: {found}");
    }
    let strict = environment.exec(&fleet, &fleet.names(1..=3)).args(["--host-key", "strict", "--", "true"]);
    strict.run().succeeds().ignore();
}

#[test]
fn hosts_behind_an_unknown_bastion_are_one_question() {
    let (environment, fleet) = (Environment::new(), fleet(1..=1, 2..=4));
    let jump = format!("{}:{}", fleet.name(1), fleet.port());
    let exec = environment.exec(&fleet, &fleet.names(2..=4)).args(["-J", &jump, "--", "true"]);
    let mut running = exec.on_a_terminal(&environment).start();
    running.types(QUESTION, "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    is_asked(&outcome, 1);
    let row = format!("jump host {}@{jump} of {}[2-4]  ssh-ed25519", harness::user(), fleet.prefix());
    assert!(outcome.out().contains(&row), "{row}: {outcome:?}");
    assert_eq!(recorded(&fleet), ((1..=4).collect(), 4));
}

#[test]
fn ctrl_c_at_the_question_ends_the_run() {
    let (environment, fleet) = (Environment::new(), fleet(1..=2, 3..=3));
    let mut running = exec(&environment, &fleet, 1..=3).start();
    running.types(QUESTION, "");
    assert!(harness::until(20, || outcomes(&environment)[2] == "succeeded"));
    running.types(QUESTION, "\x03");
    let outcome = running.wait();
    assert_eq!(outcome.code, 130, "{outcome:?}");
    is_asked(&outcome, 1);
    assert_eq!(outcomes(&environment), ["skipped", "skipped", "succeeded"]);
    assert_eq!(recorded(&fleet), ([3].into(), 1));
}

/// Above the question the display makes way; afterwards it is drawn again.
#[test]
fn the_live_display_is_away_while_the_question_stands() {
    let (environment, fleet) = (Environment::new(), fleet(1..=1, 2..=2));
    let exec = environment.exec(&fleet, &fleet.names(1..=2)).args(["--", "sleep 2"]);
    let mut running = exec.on_a_terminal(&environment).env("TERM", "xterm").start();
    running.types(QUESTION, "");
    let before = running.stdout_so_far().len();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let asked = running.stdout_so_far();
    assert_eq!(asked.len(), before, "{}", String::from_utf8_lossy(&asked));
    running.types(QUESTION, "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    is_asked(&outcome, 1);
    assert!(outcome.stdout.len() > before + 100, "drawn again: {outcome:?}");
}

/// Each of `ssh` and we adds lines of its own to one file, all at once.
#[test]
fn nothing_is_lost_of_a_file_that_others_write_too() {
    const SSH: u8 = 20;
    let (environment, fleet) = (Environment::new(), fleet(1..=40, 41..=41));
    let mut running = exec(&environment, &fleet, 1..=SSH).limit(180).start();
    running.types(QUESTION, "");
    let clients: Vec<_> = (SSH + 1..=40)
        .map(|number| {
            let option = format!("UserKnownHostsFile={}", fleet.known_hosts().display());
            Command::new("ssh")
                .args(["-F", "/dev/null", "-p", &fleet.port().to_string(), "-o", &option])
                .args(["-o", "StrictHostKeyChecking=accept-new", "-o", "GlobalKnownHostsFile=/dev/null"])
                .args(["-o", "PreferredAuthentications=none", "-o", "KexAlgorithms=curve25519-sha256"])
                .args([&fleet.name(number), "true"])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    running.types(QUESTION, "yes\n");
    let outcome = running.wait();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.ignore();
    for mut client in clients {
        client.wait().unwrap();
    }
    let text = fs::read_to_string(fleet.known_hosts()).unwrap();
    assert_eq!(recorded(&fleet), ((1..=41).collect(), 41), "{text}");
    for number in 1..=40 {
        let key = fs::read_to_string(fleet.folder().join(format!("host{number}.pub"))).unwrap();
        let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let line = format!("[{}]:{} {key}", fleet.name(number), fleet.port());
        assert_eq!(text.lines().filter(|known| **known == line).count(), 1, "{line}\n{text}");
    }
}
