//! Kept connections: what a second command finds, and what it must not be fooled by.

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::{
    Environment, Fleet, FleetPlan, Invocation, Outcome, relay, stalling_relay, until, with_marker,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// An operator's machine whose keepers end with it.
struct Operator(Environment);

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.run(["keeper", "stop", "--force"]).ignore();
    }
}

impl Operator {
    fn new() -> Self {
        Self(Environment::new())
    }

    /// `exec` that keeps connections.
    fn exec(&self, fleet: &Fleet, targets: &str) -> Invocation {
        self.0.exec(fleet, targets).args(["--persist", "10m", "-o", "grouped"])
    }

    #[track_caller]
    fn runs(&self, fleet: &Fleet, targets: &str) {
        let outcome = self.exec(fleet, targets).args(["--", "echo in"]).run();
        assert_eq!((outcome.code, outcome.out().contains("in\n")), (0, true), "{outcome:?}");
        outcome.ignore();
    }

    /// What `keeper status` says of the one keeper there is.
    fn status(&self) -> Option<Value> {
        let outcome = self.0.run(["keeper", "status", "-o", "json"]);
        let keepers: Vec<Value> = serde_json::from_str(&outcome.out()).unwrap();
        outcome.ignore();
        assert!(keepers.len() <= 1, "{keepers:?}");
        keepers.into_iter().next()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.status().unwrap()["pid"].as_i64().unwrap() as i32).unwrap()
    }

    /// Waits until a runner waits on so many hosts.
    #[track_caller]
    fn ready(&self, hosts: usize) {
        let is_ready = |standing: Option<Value>| {
            let kept =
                standing.and_then(|standing| standing["connections"].as_array().cloned()).unwrap_or_default();
            kept.iter().filter(|kept| kept["is_ready"] == true).count() == hosts
        };
        assert!(until(20, || is_ready(self.status())), "{:?}", self.status());
    }

    fn folder(&self) -> PathBuf {
        self.0.home().join(".local/state/cronium-run/keeper")
    }
}

/// Whether a script on a host has come to its `sleep`.
fn is_asleep(seconds: &str) -> bool {
    with_marker(seconds).iter().any(|(_, command)| command.starts_with("sleep"))
}

/// Runners that wait on the host.
fn waiting(fleet: &Fleet, number: u8) -> usize {
    let stubs = fleet.stubs(number);
    let is_stub = |pid: &PathBuf| stubs.contains(&fs::read_link(pid.join("exe")).unwrap_or_default());
    // The relay of each: its supervisor has the same words.
    let is_relay = |pid: &PathBuf| {
        let stat = fs::read_to_string(pid.join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1).map(str::to_owned);
        !is_stub(&PathBuf::from("/proc").join(parent.unwrap_or_default()))
    };
    let of = |pid: &PathBuf| {
        let is_waiting = fs::read(pid.join("cmdline")).unwrap_or_default().ends_with(b"waiting\0");
        is_waiting && is_stub(pid) && is_relay(pid)
    };
    fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path())).filter(of).count()
}

#[test]
fn a_second_command_logs_in_nowhere() {
    let (operator, fleet) = (Operator::new(), Fleet::start(5));
    let hosts = fleet.names(1..=5);
    operator.runs(&fleet, &hosts);
    operator.ready(5);
    let executed: Vec<_> = (1..=5).map(|host| fleet.executed(host).len()).collect();
    operator.runs(&fleet, &hosts);
    operator.ready(5);
    // One command was started for the second run before it came, and now there is one for the third.
    for host in 1..=5 {
        assert_eq!(fleet.logins(host), 1, "{}", fleet.log(host));
        assert_eq!(fleet.executed(host).len(), executed[usize::from(host) - 1] + 1);
        assert_eq!(waiting(&fleet, host), 1);
        assert_eq!(fleet.runs(host), [] as [PathBuf; 0]);
    }
    let text = operator.0.run(["keeper", "status"]);
    assert_eq!(text.out().matches(" ready ").count(), 5, "{text:?}");
    text.ignore();

    let stopped = operator.0.run(["keeper", "stop"]);
    assert_eq!((stopped.code, stopped.err().as_str()), (0, "the keeper is stopped\n"), "{stopped:?}");
    stopped.ignore();
    assert!(until(5, || (1..=5).all(|host| waiting(&fleet, host) == 0)));
    assert_eq!(operator.status(), None);
}

#[test]
fn everything_works_over_a_kept_connection() {
    let (operator, fleet) = (Operator::new(), Fleet::start(2));
    let script = operator.0.write(
        "all.sh",
        "#!/bin/sh\nset -e\ncronium incr seen >/dev/null\nhead -c 3000000 /dev/zero | tr '\\0' x\n\
         echo kept >\"$CRONIUM_OUT/file\"\ncronium output \"$(cronium input .name --raw)\"\nexit 3\n",
    );
    let script = script.to_str().unwrap();
    for run in 1..=3 {
        let outcome = operator
            .0
            .exec(&fleet, &fleet.names(1..=2))
            .args(["--persist", "5m", "-o", "json", script, "--input", r#"{"name": "Ada"}"#])
            .run();
        assert_eq!(outcome.code, 3, "{outcome:?}");
        let told: Value = serde_json::from_str(&outcome.out()).unwrap();
        let hosts = told["hosts"].as_array().unwrap();
        for host in hosts {
            assert_eq!((&host["output"], &host["helper_mode"]), (&"Ada".into(), &"api".into()), "{host}");
        }
        outcome.ignore();
        let seen = operator.0.run(["vars", "get", "seen"]);
        assert_eq!(seen.out(), format!("{}\n", 2 * run));
        seen.ignore();
        operator.ready(2);
    }
    assert_eq!((fleet.logins(1), fleet.logins(2)), (1, 1));
    for host in 1..=2 {
        assert_eq!(fleet.runs(host), [] as [PathBuf; 0]);
    }
}

#[test]
fn two_commands_at_once_have_a_connection_each() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    let slow = || operator.exec(&fleet, &fleet.name(1)).args(["--", "sleep 2; echo done"]).start();
    let both = [slow(), slow()];
    for running in both {
        let outcome = running.wait();
        assert_eq!((outcome.code, outcome.out().contains("done\n")), (0, true), "{outcome:?}");
        outcome.ignore();
    }
    operator.ready(2);
    assert_eq!(fleet.logins(1), 2);
    operator.runs(&fleet, &fleet.name(1));
    assert_eq!(fleet.logins(1), 2);
}

#[test]
fn a_connection_that_died_is_made_anew() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    operator.runs(&fleet, &fleet.name(1));
    operator.ready(1);
    kill_sessions(&fleet, 1);
    operator.runs(&fleet, &fleet.name(1));
    assert_eq!(fleet.logins(1), 2, "{}", fleet.log(1));
}

/// Kills what sshd of host `number` has forked.
fn kill_sessions(fleet: &Fleet, number: u8) {
    let conf = fleet.folder().join(format!("host{number}.conf"));
    let main = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&line).into_owned();
        text.contains("sshd") && text.contains(conf.to_str().unwrap()) && !text.starts_with("/bin/sh")
    });
    let main = main.expect("its sshd runs");
    let pid = main.file_name().unwrap().to_str().unwrap().to_owned();
    let children = fs::read_to_string(main.join(format!("task/{pid}/children"))).unwrap();
    let mut count = 0;
    for child in children.split_whitespace() {
        kill_process(Pid::from_raw(child.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        count += 1;
    }
    assert!(count > 0, "it has sessions");
}

#[test]
fn a_connection_that_fell_silent_is_made_anew() {
    let (operator, fleet) = (Operator::new(), FleetPlan::default().host(2).start());
    let ill = Arc::new(AtomicBool::new(false));
    let stalled = Arc::clone(&ill);
    stalling_relay(&fleet, 1, 2, move || stalled.load(Ordering::Relaxed));
    let silent = ["--ssh-option", "ServerAliveInterval=1", "--ssh-option", "ServerAliveCountMax=100"];
    let run = || operator.exec(&fleet, &fleet.name(1)).args(silent).args(["--", "echo in"]).run();
    run().ignore();
    operator.ready(1);
    ill.store(true, Ordering::Relaxed);
    // As long as a keep-alive and its answer may take.
    std::thread::sleep(Duration::from_secs(7));
    ill.store(false, Ordering::Relaxed);
    let outcome = run();
    assert_eq!((outcome.code, outcome.out().contains("in\n")), (0, true), "{outcome:?}");
    outcome.ignore();
    assert_eq!(fleet.logins(2), 2, "{}", fleet.log(2));
}

#[test]
fn only_what_was_asked_for_is_lent() {
    let (operator, fleet) = (Operator::new(), Fleet::start(2));
    let known = fs::read_to_string(fleet.known_hosts()).unwrap();
    let host = fleet.name(1);
    operator.runs(&fleet, &host);
    operator.ready(1);

    // Another way of saying who we are: other keys may not be let in.
    let other = operator.0.path("other");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&other).status();
    assert!(made.unwrap().success());
    let refused = operator
        .0
        .command(["exec", &host, "-u", harness::user(), "-p", &fleet.port().to_string(), "--persist", "10m"])
        .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
        .args(["--private-key", "other", "--", "true"])
        .run();
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(
        refused.err().contains("did not let 'root' in with 1 key") || harness::user() != "root",
        "{refused:?}"
    );
    refused.ignore();

    // A user who is none.
    let refused = operator
        .0
        .command(["exec", &host, "-u", "nobody-there", "-p", &fleet.port().to_string(), "--persist", "10m"])
        .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
        .args(["--private-key".as_ref(), fleet.private_key().as_os_str()])
        .args(["--", "true"])
        .run();
    assert_eq!(refused.code, 4, "{refused:?}");
    refused.ignore();

    // A key that was revoked meanwhile, and one that was forgotten.
    let run = || operator.exec(&fleet, &host).args(["--", "true"]).run();
    let entry = known.lines().next().unwrap();
    for (text, why) in [(format!("@revoked {entry}\n{known}"), "revoked"), (String::new(), "known_hosts")] {
        fs::write(fleet.known_hosts(), text).unwrap();
        let refused = run();
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(refused.err().contains(why), "{why}: {refused:?}");
        refused.ignore();
        fs::write(fleet.known_hosts(), &known).unwrap();
        operator.runs(&fleet, &host);
        operator.ready(1);
    }
    // Each distrust cost the connection, and nothing else did.
    assert_eq!(fleet.logins(1), 3, "{}", fleet.log(1));
}

#[test]
fn the_keeper_is_nobody_elses() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    operator.runs(&fleet, &fleet.name(1));
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(operator.folder()), 0o700);
    let files: Vec<_> = fs::read_dir(operator.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "a socket and a lock: {files:?}");
    for file in files {
        assert_eq!(mode(file.clone()), 0o600, "{}", file.display());
    }
    // It was given nothing of what this command was given.
    let environ = fs::read(format!("/proc/{}/environ", operator.pid().as_raw_nonzero())).unwrap();
    assert!(!String::from_utf8_lossy(&environ).contains("CRONIUM_RUN_"));

    operator.0.run(["keeper", "stop"]).ignore();
    fs::set_permissions(operator.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let outcome = operator.0.run(["keeper", "status"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err().contains("others may enter it (mode 755)"), "{outcome:?}");
    outcome.ignore();
    fs::set_permissions(operator.folder(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_keeper_ends_by_itself_and_another_follows() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    let outcome = operator.0.exec(&fleet, &fleet.name(1)).args(["--persist", "1s", "--", "true"]).run();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.ignore();
    let pid = operator.pid();
    let proc = PathBuf::from(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // A zombie has ended: who reaps it is not ours to say.
    let has_ended = || fs::read_to_string(&proc).map_or(true, |stat| stat.contains(") Z "));
    assert!(until(20, has_ended));
    assert_eq!(operator.status(), None);
    assert!(until(5, || waiting(&fleet, 1) == 0));

    // One that is killed leaves its socket behind, and that is in nobody's way.
    operator.runs(&fleet, &fleet.name(1));
    kill_process(operator.pid(), Signal::KILL).unwrap();
    operator.runs(&fleet, &fleet.name(1));
    operator.ready(1);
    assert_eq!(fleet.logins(1), 3);
}

#[test]
fn a_keeper_that_dies_takes_no_run_with_it() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    operator.runs(&fleet, &fleet.name(1));
    let running = operator
        .exec(&fleet, &fleet.name(1))
        .args(["-q", "--", "echo begun; sleep 3.0625; echo over"])
        .start();
    assert!(until(20, || is_asleep("3.0625")));
    kill_process(operator.pid(), Signal::KILL).unwrap();
    let outcome = running.wait();
    assert_eq!((outcome.code, outcome.out().lines().count()), (0, 2), "{outcome:?}");
    outcome.ignore();
    // Over a connection of its own: a kept one may have died unnoticed.
    assert_eq!(fleet.logins(1), 2);
}

#[test]
fn an_interrupted_command_leaves_nothing_but_the_connection() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    operator.runs(&fleet, &fleet.name(1));
    let running = operator.exec(&fleet, &fleet.name(1)).args(["--", "exec sleep 60.0626"]).start();
    assert!(until(20, || is_asleep("60.0626")));
    running.signal(Signal::INT);
    let outcome = running.wait();
    assert_eq!(outcome.code, 130, "{outcome:?}");
    outcome.ignore();
    assert!(!is_asleep("60.0626"));
    operator.ready(1);

    // A command that is killed says nothing to anybody: the keeper sees that it is gone.
    let running =
        operator.exec(&fleet, &fleet.name(1)).args(["--lease", "1s", "--", "exec sleep 60.0627"]).start();
    assert!(until(20, || is_asleep("60.0627")));
    running.signal(Signal::KILL);
    running.wait().ignore();
    assert!(until(20, || !is_asleep("60.0627")));
    operator.ready(1);
    assert_eq!(fleet.logins(1), 1);
}

#[test]
fn hosts_behind_a_bastion_are_kept_with_their_way() {
    let (operator, fleet) = (Operator::new(), Fleet::start(4));
    let jump = format!("{}:{}", fleet.name(1), fleet.port());
    let run = || {
        let outcome: Outcome =
            operator.exec(&fleet, &fleet.names(2..=4)).args(["-J", &jump, "--", "echo in"]).run();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.ignore();
        operator.ready(3);
    };
    run();
    run();
    for host in 1..=4 {
        assert_eq!(fleet.logins(host), 1, "{}", fleet.log(host));
    }
}

#[test]
fn a_pipeline_keeps_nothing_unless_it_says_so() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    let config = operator.0.home().join(".config/cronium-run");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), "persist = \"10m\"\n").unwrap();
    let run = |ci: &str, flag: &[&str]| {
        let outcome =
            operator.0.exec(&fleet, &fleet.name(1)).args(flag).args(["--", "true"]).env("CI", ci).run();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.ignore();
        let kept = operator.status().is_some();
        operator.0.run(["keeper", "stop"]).ignore();
        kept
    };
    assert!(!run("true", &[]));
    assert!(run("true", &["--persist", "1m"]));
    assert!(run("", &[]));
    assert!(run("0", &[]));
    assert!(!run("", &["--persist", "0"]));
    // The file of a project that came from elsewhere keeps nothing open.
    let path = operator.0.write("cronium.toml", "persist = \"10m\"\n");
    let outcome = operator.0.exec(&fleet, &fleet.name(1)).args(["--", "true"]).run();
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.err().contains("the file of a project cannot set persist"), "{outcome:?}");
    outcome.ignore();
    fs::remove_file(path).unwrap();
}

#[test]
fn a_relay_that_is_cut_between_two_commands_is_noticed_by_nobody() {
    let (operator, fleet) = (Operator::new(), FleetPlan::default().host(2).start());
    let cut = Arc::new(AtomicBool::new(false));
    let is_cut = Arc::clone(&cut);
    relay(&fleet, 1, 2, move || is_cut.load(Ordering::Relaxed));
    operator.runs(&fleet, &fleet.name(1));
    operator.ready(1);
    cut.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(300));
    relay(&fleet, 1, 2, || false);
    operator.runs(&fleet, &fleet.name(1));
    assert_eq!(fleet.logins(2), 2);
}

#[test]
fn the_keeper_holds_nothing_of_the_command_that_started_it() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    // A lock of the shell, and a pipe that somebody reads to its end.
    let line = format!(
        "(flock 9; cronium-run exec {} -u {} -p {} --private-key {} --known-hosts {} --persist 10m -o quiet -- true) \
         9>lock 8>&1 | cat; flock -n lock true",
        fleet.name(1),
        harness::user(),
        fleet.port(),
        fleet.private_key().display(),
        fleet.known_hosts().display(),
    );
    operator.0.program("sh", ["-c", &line]).limit(30).run().succeeds().ignore();
    operator.ready(1);
}

#[test]
fn what_the_host_refuses_is_told_as_without_a_keeper() {
    let operator = Operator::new();
    let fleet = FleetPlan::default().host_with(1, |host| host.config = "MaxSessions 0".to_owned()).start();
    let outcome = operator.exec(&fleet, &fleet.name(1)).args(["--", "true"]).run();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert!(outcome.err().contains("the host opens no session"), "{outcome:?}");
    outcome.ignore();
}

#[test]
fn a_host_that_is_slow_to_let_us_in_is_asked_once() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    // Longer than a keeper stays that has nothing to do.
    harness::black_hole(&fleet, 2);
    let outcome = operator
        .0
        .command(["exec", &fleet.name(2), "-u", harness::user(), "-p", &fleet.port().to_string()])
        .args(["--persist", "10m", "--connect-timeout", "8s", "--", "true"])
        .limit(15)
        .run();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    outcome.ignore();
}

#[test]
fn a_keeper_that_is_stuck_or_cannot_be_is_done_without() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    operator.runs(&fleet, &fleet.name(1));
    let pid = operator.pid();
    kill_process(pid, Signal::STOP).unwrap();
    let outcome = operator.exec(&fleet, &fleet.name(1)).args(["--", "echo in"]).limit(40).run();
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!((outcome.code, outcome.out().contains("in\n")), (0, true), "{outcome:?}");
    outcome.ignore();
    operator.0.run(["keeper", "stop"]).ignore();

    fs::set_permissions(operator.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let outcome = operator.exec(&fleet, &fleet.name(1)).args(["--", "echo in"]).run();
    assert_eq!((outcome.code, outcome.out().contains("in\n")), (0, true), "{outcome:?}");
    assert!(outcome.err().contains("warning: no connection is kept"), "{outcome:?}");
    assert!(outcome.err().contains("others may enter it (mode 755)"), "{outcome:?}");
    outcome.ignore();
    fs::set_permissions(operator.folder(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_proxy_command_runs_where_and_as_it_was_typed() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    let relay = "exec 3<>/dev/tcp/$1/$2; cat <&3 & cat >&3; kill $!";
    let proxy = operator.0.write("px", format!("#!/bin/bash\necho \"$WHICH\" >>ways\n{relay}\n"));
    fs::set_permissions(&proxy, fs::Permissions::from_mode(0o755)).unwrap();
    for way in ["one", "two"] {
        let outcome = operator
            .exec(&fleet, &fleet.name(1))
            .args(["--ssh-option", "ProxyCommand=./px %h %p", "--", "echo in"])
            .env("WHICH", way)
            .run();
        assert_eq!((outcome.code, outcome.out().contains("in\n")), (0, true), "{outcome:?}");
        outcome.ignore();
    }
    assert_eq!(fs::read_to_string(operator.0.path("ways")).unwrap(), "one\ntwo\n");
}

#[test]
fn a_folder_that_was_made_anew_has_a_keeper_of_its_own() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    operator.runs(&fleet, &fleet.name(1));
    let first = operator.pid();
    fs::remove_dir_all(operator.folder()).unwrap();
    operator.runs(&fleet, &fleet.name(1));
    let second = operator.pid();
    assert_ne!(first, second);
    // Nobody finds the first one any more, and it takes nothing of the second's with it.
    let stat = PathBuf::from(format!("/proc/{}/stat", first.as_raw_nonzero()));
    assert!(until(20, || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))));
    operator.ready(1);
    assert_eq!(operator.pid(), second);
}

#[test]
fn a_runner_whose_program_was_removed_still_helps() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    operator.runs(&fleet, &fleet.name(1));
    operator.ready(1);
    fs::remove_dir_all(fleet.home(1).join(".cache")).unwrap();
    let outcome = operator.exec(&fleet, &fleet.name(1)).args(["--", "cronium incr seen"]).run();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.ignore();
}

#[test]
fn the_keys_of_jump_hosts_are_looked_at_again() {
    let (operator, fleet) = (Operator::new(), Fleet::start(2));
    let jump = format!("{}:{}", fleet.name(1), fleet.port());
    let run = || operator.exec(&fleet, &fleet.name(2)).args(["-J", &jump, "--", "true"]).run();
    run().succeeds().ignore();
    let known = fs::read_to_string(fleet.known_hosts()).unwrap();
    let of_jump = known.lines().find(|line| line.contains(&fleet.name(1))).unwrap();
    fs::write(fleet.known_hosts(), format!("@revoked {of_jump}\n{known}")).unwrap();
    let outcome = run();
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert!(outcome.err().contains("revoked"), "{outcome:?}");
    outcome.ignore();
}

#[test]
fn a_keeper_is_not_stopped_under_a_command() {
    let (operator, fleet) = (Operator::new(), Fleet::start(1));
    let running = operator.exec(&fleet, &fleet.name(1)).args(["--", "sleep 3.0628; echo done"]).start();
    assert!(until(20, || is_asleep("3.0628")));
    let refused = operator.0.run(["keeper", "stop"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err().contains("a command is at work over the keeper's connection"), "{refused:?}");
    assert!(refused.err().contains("keeper stop --force"), "{refused:?}");
    refused.ignore();
    let outcome = running.wait();
    assert_eq!((outcome.code, outcome.out().contains("done\n")), (0, true), "{outcome:?}");
    outcome.ignore();
}

#[test]
fn payloads_are_deployed_over_kept_connections() {
    let (operator, fleet) = (Operator::new(), Fleet::start(2));
    for name in ["one", "two"] {
        operator.0.run(["init", name]).succeeds().ignore();
        operator.0.write(format!("{name}/run.sh"), format!("#!/bin/sh\necho {name}\n"));
        operator.0.run(["pack", name]).succeeds().ignore();
    }
    let outcome = operator
        .0
        .reaching(&fleet, ["deploy", &fleet.names(1..=2), "one.tar.gz", "two.tar.gz"])
        .args(["--persist", "10m", "-o", "quiet"])
        .run();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.ignore();
    for host in 1..=2 {
        let payloads = fs::read_dir(fleet.home(host).join(".cache/cronium-run/payload")).unwrap().count();
        assert_eq!(payloads, 2);
    }
}
