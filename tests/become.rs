//! Scripts that run as another user of the host: sudo, doas and su as they really are, on hosts
//! with accounts of their own.

mod harness;

use std::fs;
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Accounts, Environment, Fleet, FleetPlan, Invocation, LOGIN, PASSWORD, bytes_of, until};
use rustix::process::Signal;
use serde_json::Value;

/// Accounts stand in files that take the place of `/etc` for one sshd.
fn can_have_accounts() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        eprintln!("NOT TESTED: privilege. Hosts with accounts of their own cannot be made without root.");
    }
    root
}

/// Hosts 1 and on with these rules.
fn fleet(accounts: impl IntoIterator<Item = Accounts>) -> Fleet {
    let host =
        |plan: FleetPlan, (number, accounts)| plan.host_with(number, |host| host.accounts = Some(accounts));
    (1..).zip(accounts).fold(FleetPlan::default(), host).start()
}

fn sudoers(rules: &str) -> Accounts {
    Accounts { sudoers: rules.into(), ..Accounts::default() }
}

fn doas(rules: &str) -> Accounts {
    Accounts { doas_conf: rules.into(), ..Accounts::default() }
}

const NO_PASSWORD: &str = "ann ALL=(ALL) NOPASSWD: ALL";
const WITH_PASSWORD: &str = "ann ALL=(ALL) ALL";

/// `cronium-run exec TARGETS ARGS…` as [`LOGIN`].
fn exec(environment: &Environment, fleet: &Fleet, targets: &str, args: &[&str]) -> Invocation {
    environment.write("right", format!("{PASSWORD}\n"));
    environment.write("wrong", "guess\n");
    environment.reaching_as(LOGIN, fleet, ["exec", targets]).args(args)
}

/// What a script sees of its user: the name, the home, its folder's owner and mode, and what is
/// left of whoever it was before.
const WHO: &str = "echo \"$(id -un) $USER $LOGNAME ${HOME##*/} $(stat -c '%U %a' .)\" \
     \"$(env | grep -cE '^(SUDO|DOAS)_|^LC_ALL|cronium-run-password')\"";

const RIGHT: &[&str] = &["--become-password-file", "right"];

#[test]
fn scripts_run_as_whom_they_are_told_to() {
    if !can_have_accounts() {
        return;
    }
    let environment = Environment::new();
    let busybox = Accounts { busybox: true, ..Accounts::default() };
    let mut plan = FleetPlan::default();
    for (number, accounts, config) in [
        (1, sudoers(NO_PASSWORD), ""),
        (2, Accounts { doas_conf: "permit ann".into(), ..sudoers(WITH_PASSWORD) }, ""),
        (3, doas("permit nopass ann"), ""),
        (4, sudoers("Defaults requiretty\nann ALL=(ALL) NOPASSWD: ALL"), ""),
        (5, sudoers("Defaults requiretty\nann ALL=(ALL) ALL"), ""),
        (6, busybox, "PATH=/etc/busybox:$PATH"),
        (
            7,
            sudoers("Defaults !env_reset, !use_pty\nann ALL=(ALL) NOPASSWD: ALL"),
            "XDG_CACHE_HOME=$HOME/.cache; XDG_STATE_HOME=$HOME/.s; export XDG_CACHE_HOME XDG_STATE_HOME",
        ),
    ] {
        plan = plan.host_with(number, |host| {
            host.accounts = Some(accounts);
            host.login = config.to_owned();
        });
    }
    let fleet = plan.start();
    for (host, args, password, user) in [
        (1, &["-b"][..], &[][..], "root"),
        (1, &["-b"], RIGHT, "root"),
        (1, &["--become", "--become-user", "app"], &[], "app"),
        (1, &["--become-user", "app"], &[], LOGIN),
        (1, &["-b", "--become-user", LOGIN], &[], LOGIN),
        (2, &["-b"], RIGHT, "root"),
        (2, &["-b", "--become-user", "app"], RIGHT, "app"),
        (2, &["-b", "--become-method", "doas"], RIGHT, "root"),
        (2, &["-b", "--become-method", "su"], RIGHT, "root"),
        (3, &["-b", "--become-method", "doas"], &[], "root"),
        (3, &["-b", "--become-method", "doas", "--become-user", "app"], &[], "app"),
        (4, &["-b"], &[], "root"),
        (5, &["-b"], RIGHT, "root"),
        (6, &["-b", "--become-method", "su"], RIGHT, "root"),
        (7, &["-b"], &[], "root"),
    ] {
        for (round, persist) in [("cold", "0"), ("warm", "0"), ("kept", "1m"), ("kept and ready", "1m")] {
            let outcome = exec(&environment, &fleet, &fleet.name(host), args)
                .args(password)
                .args(["--persist", persist])
                .args(["-o", "json", "--", WHO])
                .run();
            let told = format!("{round} {host} {args:?}: {outcome:?}");
            assert_eq!(outcome.code, 0, "{told}");
            let home = if user == LOGIN { format!("h{host}") } else { format!("{user}{host}") };
            let json = outcome.json();
            let text = json["hosts"][0]["stdout"].as_str().unwrap_or_else(|| panic!("{told}"));
            assert_eq!(text, format!("{user} {user} {user} {home} {user} 700 0\n"), "{told}");
        }
        let home =
            if user == LOGIN { fleet.home(host) } else { fleet.folder().join(format!("{user}{host}")) };
        assert_eq!(entries(&home.join(".local/state/cronium-run/runs")), 0, "{host} {args:?}");
        assert!(
            entries(&home.join(".cache/cronium-run/stub")) > 0,
            "{host} {args:?}: the runner is in {user}'s cache"
        );
    }
    environment.run(["keeper", "stop"]).succeeds().ignore();
    // `deploy` does the same, for each payload anew; the runner is there already.
    environment.write("one.sh", "#!/bin/sh\n");
    environment.write("two.sh", "#!/bin/sh\n");
    environment.command(["keygen", "team"]).env("COSIGN_PASSWORD", "").run().succeeds().ignore();
    let deployed = environment
        .reaching_as(LOGIN, &fleet, ["deploy", &fleet.name(2)])
        .args(["-b", "--trust", "team.pub", "one.sh", "two.sh"])
        .args(RIGHT)
        .run();
    assert_eq!(deployed.code, 0, "{deployed:?}");
    let root = fleet.folder().join("root2");
    assert_eq!(entries(&root.join(".cache/cronium-run/payload")), 2, "{deployed:?}");
    assert_eq!(entries(&root.join(".config/cronium-run/trust")), 1);
    let own = exec(&environment, &fleet, &fleet.name(2), &["-o", "json", "--", "true"]).run().succeeds();
    assert_eq!(own.json()["hosts"][0]["trust"], "session", "root's keys are not those of others");
    exec(&environment, &fleet, &fleet.name(2), &["-b"])
        .args(RIGHT)
        .args(["--", "true"])
        .run()
        .exits(6)
        .ignore();
    // Root needs nobody's leave to become another user.
    let root = environment.reaching_as("root", &fleet, ["exec", &fleet.name(1), "-b"]);
    let root =
        root.args(["--become-user", "app", "--become-method", "su", "-o", "json", "--", "id -un"]).run();
    assert_eq!((root.code, &root.json()["hosts"][0]["stdout"]), (0, &"app\n".into()), "{root:?}");
    assert!(!fleet.home(7).join(".cache").exists(), "root's files are in root's home");
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| entries.count())
}

/// What a host that does not let us become another user ends with, and how often its sudo took a
/// password for wrong.
#[test]
fn a_refusal_is_told_once_and_with_its_reason() {
    if !can_have_accounts() {
        return;
    }
    let environment = Environment::new();
    let nowhere = "mkdir -p $HOME/bin; ln -sf /usr/bin/env $HOME/bin/env; PATH=$HOME/bin; export PATH";
    let mut plan = FleetPlan::default();
    for (number, accounts, login) in [
        (1, Accounts { doas_conf: "permit ann".into(), ..sudoers(WITH_PASSWORD) }, ""),
        (2, sudoers(""), ""),
        (3, sudoers("ann ALL=(ALL) NOPASSWD: /usr/bin/true"), ""),
        (4, doas("permit nopass app"), nowhere),
        (5, Accounts { busybox: true, ..doas("permit nopass app") }, "PATH=/etc/busybox:$PATH"),
        (6, sudoers("Defaults passwd_tries=5\nann ALL=(ALL) ALL"), ""),
        (7, sudoers(WITH_PASSWORD), "echo 'For vi a tty is required.' >&2"),
    ] {
        plan = plan.host_with(number, |host| {
            host.accounts = Some(accounts);
            host.login = login.to_owned();
        });
    }
    let fleet = plan.start();
    const WRONG: &[&str] = &["--become-password-file", "wrong"];
    for (host, args, password, kind) in [
        (1, &[][..], &[][..], "password-wanted"),
        (1, &[], WRONG, "password"),
        (1, &["--become-user", "nosuch"], RIGHT, "no-user"),
        (1, &["--become-method", "doas"], &[], "password-wanted"),
        (1, &["--become-method", "doas"], WRONG, "password"),
        (1, &["--become-method", "su"], &[], "password-wanted"),
        (1, &["--become-method", "su"], WRONG, "password"),
        (1, &["--become-method", "su", "--become-user", "nosuch"], RIGHT, "no-user"),
        (1, &["--become-method", "su", "--become-user", "app"], RIGHT, "account"),
        (2, &[], &[], "password-wanted"),
        (2, &[], RIGHT, "denied"),
        (2, &[], WRONG, "password"),
        (3, &[], RIGHT, "denied"),
        (4, &[], &[], "missing"),
        (4, &[], RIGHT, "missing"),
        (4, &["--become-method", "doas"], RIGHT, "missing"),
        (4, &["--become-method", "su"], RIGHT, "missing"),
        (5, &["--become-method", "doas"], &[], "denied"),
        (5, &["--become-method", "doas"], RIGHT, "denied"),
        (5, &["--become-method", "su"], WRONG, "password"),
        (5, &["--become-method", "su", "--become-user", "nosuch"], RIGHT, "no-user"),
        (6, &[], WRONG, "password"),
        (7, &[], WRONG, "password"),
    ] {
        let before = (wrong_tries(&fleet, host), fleet.connections(host));
        let outcome = exec(&environment, &fleet, &fleet.name(host), &["-b", "--retries", "3"])
            .args(args)
            .args(password)
            .args(["-o", "json", "--", "echo ran"])
            .run();
        let told = format!("{host} {args:?} {password:?}: {outcome:?}");
        assert_eq!(outcome.code, 4, "{told}");
        let json = outcome.json();
        let end = &json["hosts"][0];
        let failure = &end["failure"];
        assert_eq!((&end["outcome"], &failure["phase"]), (&"unreachable".into(), &"become".into()), "{told}");
        assert_eq!((&failure["kind"], &end["attempt"]), (&kind.into(), &1.into()), "{told}");
        assert!(failure["hint"].is_string(), "{told}");
        assert!(end["stdout"] == "" && !told.contains(PASSWORD), "{told}");
        assert_eq!(fleet.connections(host), before.1 + 1, "{told}");
        if kind == "password" && args.is_empty() && host != 2 {
            // It is written when sudo has seen that nobody answers any more.
            let seen = || wrong_tries(&fleet, host);
            assert!(until(10, || seen() == before.0 + 1), "{} {told}", seen());
            assert!(sudo_log(&fleet, host).contains("1 incorrect password attempt"), "{told}");
        }
    }
    insta::assert_snapshot!(
        exec(&environment, &fleet, &fleet.name(1), &["-b", "--become-password-file", "wrong", "-o", "quiet", "--", "true"]).run(),
        @r"
        --- stderr

        error: 127.0.0.1: unreachable: sudo on the host refused the password
        caused by: it was sent once: a second wrong one may lock the account

        hint: --ask-become-pass  asks for it: that of the user who logs in

        --- exit code 4
        "
    );
    insta::assert_snapshot!(
        exec(&environment, &fleet, &fleet.name(3), &["-b", "--become-password-file", "right", "-o", "quiet", "--", "true"]).run(),
        @r"
        --- stderr

        error: 127.0.0.3: unreachable: sudo on the host does not let us become 'root'
        caused by: Sorry, user ann is not allowed

        hint: visudo -f /etc/sudoers.d/cronium-run  on the host; `sudo -l` there says what holds

        --- exit code 4
        "
    );
}

fn sudo_log(fleet: &Fleet, host: u8) -> String {
    fs::read_to_string(fleet.etc(host).join("sudo.log")).unwrap_or_default()
}

fn wrong_tries(fleet: &Fleet, host: u8) -> usize {
    sudo_log(fleet, host).matches("incorrect password attempt").count()
}

/// A password is in no argument and no environment of any process of this machine, which plays
/// operator and host, and in no file that either of them leaves.
#[test]
fn the_password_is_nowhere_to_be_seen() {
    if !can_have_accounts() {
        return;
    }
    let environment = Environment::new();
    let fleet = fleet([Accounts { doas_conf: "permit ann".into(), ..sudoers(WITH_PASSWORD) }]);
    for method in ["sudo", "doas", "su"] {
        let log = format!("{method}.log");
        let running = exec(&environment, &fleet, &fleet.name(1), &["-b", "--become-method", method])
            .args(["--become-password-file", "right", "-vv", "--log-file", &log, "--events", "events"])
            .args(["-o", "jsonl", "--", "touch $HOME/here; while [ -e $HOME/here ]; do sleep 0.05; done"])
            .start();
        let here = fleet.folder().join("root1/here");
        assert!(
            until(30, || here.exists()),
            "{method}: {}",
            String::from_utf8_lossy(&running.stderr_so_far())
        );
        let (mut lines, mut seen) = (0, Vec::new());
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            for file in ["cmdline", "environ"] {
                let Ok(bytes) = fs::read(entry.path().join(file)) else { continue };
                // That of the program in between, which stays as long as the script.
                lines += usize::from(holds(&bytes, "unset XDG_CACHE_HOME"));
                if holds(&bytes, PASSWORD) {
                    seen.push((entry.path(), file, String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
        }
        assert!(lines > 0 && seen.is_empty(), "{method}: {seen:?}");
        fs::remove_file(here).unwrap();
        let outcome = running.wait().succeeds();
        assert!(!holds(&outcome.stdout, PASSWORD) && !holds(&outcome.stderr, PASSWORD), "{outcome:?}");
        fs::remove_file(environment.path("right")).unwrap();
        let folders =
            [environment.home(), environment.path(""), environment.temporary(), fleet.folder().into()];
        for file in folders.iter().flat_map(|folder| files(folder)) {
            assert!(!holds(&fs::read(&file).unwrap(), PASSWORD), "{method}: {}", file.display());
        }
        assert!(!fs::read_to_string(environment.path(log)).unwrap().is_empty());
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// All plain files beneath a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

#[test]
fn what_is_typed_is_asked_for_once() {
    if !can_have_accounts() {
        return;
    }
    let environment = Environment::new();
    let mut plan = FleetPlan::default();
    for number in 1..=2 {
        plan = plan.host_with(number, |host| {
            host.accounts = Some(sudoers(WITH_PASSWORD));
            host.config = "PasswordAuthentication yes".into();
        });
    }
    let fleet = plan.start();
    let key = format!("--private-key {}", fleet.private_key().display());
    for (flags, typed, questions, code) in [
        (format!("-bK {key}"), format!("{PASSWORD}\n"), 1, 0),
        ("-bkK -F none".to_owned(), format!("{PASSWORD}\n\n"), 2, 0),
        ("-bkK -F none".to_owned(), format!("{PASSWORD}\nguess\n"), 2, 4),
        (format!("-bK {key}"), "\n".to_owned(), 1, 2),
        (format!("-K {key}"), String::new(), 0, 0),
    ] {
        let line = format!(
            "cronium-run exec {} {flags} -u {LOGIN} -p {} --known-hosts {} -o quiet -- true",
            fleet.names(1..=2),
            fleet.port(),
            fleet.known_hosts().display(),
        );
        let asked = environment
            .program("script", ["-E", "never", "-qec", &line, "/dev/null"])
            .stdin(typed)
            .env("SHELL", "/bin/sh")
            .run();
        let text = asked.out();
        assert_eq!(asked.code, code, "{flags}: {text}");
        assert_eq!(
            text.matches("assword: ").count() + text.matches("SSH password): ").count(),
            questions,
            "{text}"
        );
        assert_eq!(text.contains("--ask-become-pass changes nothing"), questions == 0, "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
    let blind = exec(&environment, &fleet, &fleet.name(1), &["-bK", "--", "true"]).run().exits(2);
    insta::assert_snapshot!(blind, @r"
    --- stderr
    error: no password to become another user, and no terminal to ask for it

    hint: --become-password-file FILE  reads it from a file
    --- exit code 2
    ");
}

/// Bytes of all values in both directions and more of them than any buffer on the way, through
/// sudo's own pipes and through a terminal.
#[test]
fn bytes_pass_sudo_and_terminals_as_they_are() {
    if !can_have_accounts() {
        return;
    }
    let environment = Environment::new();
    let fleet = fleet([
        sudoers(WITH_PASSWORD),
        doas("permit ann"),
        sudoers("Defaults requiretty\nann ALL=(ALL) NOPASSWD: ALL"),
        sudoers("Defaults !use_pty\nann ALL=(ALL) NOPASSWD: ALL"),
    ]);
    let next = |last: &u32| Some(last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let all: Vec<u8> = successors(Some(1), next).map(|word: u32| (word >> 24) as u8).take(3 << 20).collect();
    environment.write("job/manifest.yaml", "version: v1\nname: job\ninterpreter: sh\nentrypoint: job.sh\n");
    environment.write("job/job.sh", "cat bytes; cat bytes | sha256sum >&2\n");
    environment.write("job/bytes", &all);
    let digest = cronium_wire::digest::sha256_hex(&all);
    for (host, args) in
        [(1, &["-b"][..]), (2, &["-b", "--become-method", "doas"]), (3, &["-b"]), (4, &["-b"])]
    {
        let outcome = exec(&environment, &fleet, &fleet.name(host), args)
            .args(RIGHT)
            .args(["-o", "jsonl", "job"])
            .run();
        assert_eq!(outcome.code, 0, "{host}: {outcome:?}");
        let events = outcome.json_lines();
        let name = fleet.name(host);
        assert!(bytes_of(&events, &name, "stdout") == all, "{host}: every byte as it was");
        let told = String::from_utf8(bytes_of(&events, &name, "stderr")).unwrap();
        assert_eq!(told.split(' ').next(), Some(digest.as_str()), "{host}");
    }
    // sudo said no, and then yes at a terminal.
    assert!(fleet.executed(3).len() > fleet.executed(4).len());
}

/// However a run ends, nothing of it is left on the host, and no sudo in between.
#[test]
fn every_end_takes_roots_processes_with_it() {
    if !can_have_accounts() {
        return;
    }
    let environment = Environment::new();
    let fleet = fleet([
        Accounts { doas_conf: "permit ann".into(), ..sudoers(NO_PASSWORD) },
        sudoers("Defaults !use_pty\nann ALL=(ALL) NOPASSWD: ALL"),
    ]);
    // The results that nobody has come for.
    let mut waiting = [0; 3];
    for (host, method) in [(1, "sudo"), (2, "sudo"), (1, "su"), (1, "doas")] {
        for (how, code) in [("timeout", 5), ("interrupt", 130), ("kill", 137)] {
            let marker = format!("{host}{method}{how}");
            let here = fleet.folder().join(format!("root{host}/{marker}"));
            let script = format!("touch $HOME/{marker}; sleep 600 & wait");
            let timeout = if how == "timeout" { "2s" } else { "1m" };
            let running = exec(&environment, &fleet, &fleet.name(host), &["-b", "--become-method", method])
                .args(RIGHT)
                .args(["--timeout", timeout, "--lease", "1s", "-o", "quiet", "--", &script])
                .start();
            assert!(until(30, || here.exists()), "{marker}");
            // The runner, the script and its child at least, and the operator.
            assert!(started(&fleet).len() > 3, "{marker}: {:?}", started(&fleet));
            match how {
                "interrupt" => running.signal(Signal::INT),
                "kill" => running.signal(Signal::KILL),
                _ => {}
            }
            running.wait().exits(code).ignore();
            assert!(until(20, || started(&fleet).is_empty()), "{marker}: {:?}", started(&fleet));
            let runs = fleet.folder().join(format!("root{host}/.local/state/cronium-run/runs"));
            waiting[host as usize] += usize::from(how == "kill");
            assert!(
                until(5, || entries(&runs) == waiting[host as usize]),
                "{marker}: the run folder is gone"
            );
        }
    }
}

/// What was started on the fleet's hosts and is still there: sudo has the home of whoever logged in
/// in its environment, and the script that of root.
fn started(fleet: &Fleet) -> Vec<String> {
    let folder = fleet.folder().display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let is_of_us = holds(&read("environ"), &folder) || line.contains(&folder);
        if is_of_us && !line.contains("sshd") {
            found.push(line);
        }
    }
    found
}

/// sshd serves the user who logged in and can open no socket in root's folder: its port is used at
/// once, and where it forwards none the host answers by itself.
#[test]
fn helpers_work_as_another_user() {
    if !can_have_accounts() {
        return;
    }
    let environment = Environment::new();
    let mut plan = FleetPlan::default();
    for (number, forwarding) in [(1, true), (2, false)] {
        plan = plan.host_with(number, |host| {
            host.accounts = Some(Accounts { doas_conf: "permit ann".into(), ..sudoers(NO_PASSWORD) });
            host.forwarding = forwarding;
        });
    }
    let fleet = plan.start();
    let script = "cronium incr seen >/dev/null && cronium output \"$(cronium getVariable seen)\"; id -un";
    let no_socket = "no Unix socket: it would lie in the folder of another user";
    for (number, (host, args, mode, reason)) in (1..).zip([
        (1, &["-b"][..], "tcp", no_socket.to_owned()),
        (1, &["-b", "--become-user", "app"], "tcp", no_socket.to_owned()),
        (1, &["-b", "--become-method", "su"], "tcp", no_socket.to_owned()),
        (1, &["-b", "--become-method", "doas"], "tcp", no_socket.to_owned()),
        (2, &["-b"], "bundled", format!("{no_socket}; no TCP port: the host's sshd forwards no ports")),
    ]) {
        let begun = Instant::now();
        let outcome = exec(&environment, &fleet, &fleet.name(host), args)
            .args(RIGHT)
            .args(["-o", "json", "--", script])
            .run();
        assert_eq!(outcome.code, 0, "{host} {args:?}: {outcome:?}");
        let json = outcome.json();
        let end = &json["hosts"][0];
        assert_eq!((&end["helper_mode"], &end["output"]), (&mode.into(), &number.into()), "{args:?}: {end}");
        assert_eq!(end["helper_reason"], reason.as_str(), "{args:?}");
        assert!(begun.elapsed() < Duration::from_secs(15), "nothing is waited for in vain");
    }
    assert!(!fleet.log(1).contains("streamlocal"), "{}", fleet.log(1));
}

/// As root may be on this machine: sudo makes of the operator another user.
#[test]
fn this_machine_has_other_users_too() {
    if !can_have_accounts() {
        return;
    }
    let environment = Environment::new();
    let name = "nobody";
    let sudo = environment
        .command(["exec", "local", "-b", "--become-user", name, "-o", "json", "--"])
        .arg("id -un; env | grep -c ^SUDO_; stat -c %U .; cronium setVariable k 1; cronium getVariable k")
        .run();
    assert_eq!(sudo.code, 0, "{sudo:?}");
    let json = sudo.json();
    assert_eq!(json["hosts"][0]["stdout"], format!("{name}\n0\n{name}\n1\n"), "{sudo:?}");
    assert_eq!(json["hosts"][0]["helper_mode"], "tcp", "{sudo:?}");
    let doas = environment.command(["exec", "local", "-b", "--become-user", name, "--become-method", "doas"]);
    environment.write("right", PASSWORD);
    let doas = doas.args(RIGHT).args(["-o", "quiet", "--", "true"]).run().exits(4);
    insta::assert_snapshot!(doas, @r"
    --- stderr

    error: local: unreachable: doas asks at a terminal, and on this machine there is none but yours

    hint: --become-method sudo

    --- exit code 4
    ");
}

/// Flags win over the inventory, and nobody but the operator makes us root on this machine.
#[test]
fn who_is_become_where() {
    let environment = Environment::new();
    fn words<'a>(command: &'a str, args: &'a str) -> impl Iterator<Item = &'a str> {
        [command, "-F", "none", "--ssh-option", "User=me"].into_iter().chain(args.split(' '))
    }
    environment.write(
        "hosts.yaml",
        "groups:\n  db: {hosts: [db1, db2], connect: {become: true, become_user: postgres, become_method: doas}}\n\
         hosts:\n  db2: {become: false}\n  web1: {become: true}\n  own: {user: root, become: true}\n",
    );
    environment.write(
        "hosts.ini",
        "[db]\ndb1 ansible_become_user=pg\nodd ansible_become_method=pbrun\nhere ansible_connection=local\n\
         [db:vars]\nansible_become=yes\nansible_become_method=ansible.builtin.su\nansible_become_password=hunter2\n",
    );
    for (args, expected) in [
        ("-i hosts.yaml db1", "doas postgres"),
        ("-i hosts.yaml db2", "-"),
        ("-i hosts.yaml web1", "sudo root"),
        ("-i hosts.yaml own", "-"),
        ("-i hosts.yaml web1 -u root", "-"),
        ("-i hosts.yaml other", "-"),
        ("-i hosts.yaml db1 --become=false", "-"),
        ("-i hosts.yaml db2 -b", "doas postgres"),
        ("-i hosts.yaml db1 --become-user app --become-method su", "su app"),
        ("-i hosts.yaml other --become-user app", "-"),
        ("-i hosts.ini db1", "su pg"),
        ("-i hosts.ini odd --become-method sudo", "sudo root"),
        ("-i hosts.ini here", "-"),
        ("-i hosts.ini here -b --become-user app", "su app"),
        ("local", "-"),
        ("local -b --become-user app", "sudo app"),
    ] {
        let outcome = environment.run(words("hosts", args).chain(["-o", "json"])).succeeds();
        let json = outcome.json();
        let shown = match &json[0]["become"] {
            Value::Null => "-".to_owned(),
            of => format!("{} {}", of["method"].as_str().unwrap(), of["user"].as_str().unwrap()),
        };
        assert_eq!(shown, expected, "{args}");
        let check = environment.run(words("exec", args).chain(["--check", "--", "true"]));
        assert_eq!(check.succeeds().json()["hosts"][0]["become"], json[0]["become"], "{args}");
        assert!(!outcome.out().contains("hunter2") && !outcome.err().contains("hunter2"), "{outcome:?}");
        let is_left_out = outcome.err().contains("ansible_become_password is not supported yet");
        assert_eq!(is_left_out, args.contains(".ini"), "{args}: {outcome:?}");
    }
    insta::assert_snapshot!(environment.run(words("hosts", "-i hosts.ini odd")), @r"
    --- stderr
    error: cannot become 'root' on odd as configured
    caused by: hosts.ini:3: there is no method 'pbrun' here

    hint: --become-method sudo, doas or su  is used in its place
    hint: --exclude odd  leaves the host out
    --- exit code 2
    ");
    // What only Ansible can read keeps no other host out, and this one only where it counts.
    environment.write(
        "odd.ini",
        "[win]\nw1\nw2\n[win:vars]\nansible_become_user=CORP\\svc\n[late]\nl1\n\
         [late:vars]\nansible_become='{{ x }}'\nansible_become_user='{{ y }}'\n[web]\nweb1\n",
    );
    let no_user = "odd.ini:5: ansible_become_user is not supported yet, left out for w1";
    let no_switch = "odd.ini:9: ansible_become is not supported yet, left out for l1";
    let no_name = "cannot become another user on";
    for (args, code, told) in [
        ("-i odd.ini web1", 0, ""),
        ("-i odd.ini web1 -b", 0, ""),
        ("-i odd.ini w1", 0, no_user),
        ("-i odd.ini w1 -b --become-user app", 0, ""),
        ("-i odd.ini w1 -b", 2, no_name),
        ("-i odd.ini l1", 0, no_switch),
        ("-i odd.ini l1 --become=false", 0, "odd.ini:10: ansible_become_user is not supported"),
        ("-i odd.ini l1 -b", 2, no_name),
        ("-i odd.ini l1 -b --become-user app", 0, ""),
    ] {
        let outcome = environment.run(words("hosts", args)).exits(code);
        let err = outcome.err();
        assert!(err.contains(told) && told.is_empty() == err.is_empty(), "{args}: {outcome:?}");
    }
    insta::assert_snapshot!(environment.run(words("hosts", "-i odd.ini w1,web1 -b")), @r"
    --- stderr
    error: cannot become another user on w1 as configured
    caused by: odd.ini:5: 'CORP\svc' is no plain name of a user: A-Z a-z 0-9 _ . - @

    hint: --become-user NAME  is used in its place
    hint: --exclude w1  leaves the host out
    --- exit code 2
    ");
    environment.write("odd.yaml", "hosts:\n  web1: {become: true, become_user: 'a;b'}\n");
    insta::assert_snapshot!(environment.run(words("hosts", "-i odd.yaml web1")), @r"
    --- stderr
    error: odd.yaml:2:37: 'a;b' is no plain name of a user: A-Z a-z 0-9 _ . - @

    hint: become_user: root
    --- exit code 2
    ");
    environment.write("odd.yaml", "hosts:\n  web1: {become: true, become_method: runas}\n");
    insta::assert_snapshot!(environment.run(words("hosts", "-i odd.yaml web1")), @r"
    --- stderr
    error: odd.yaml:2:39: there is no method 'runas' to become another user

    hint: become_method: sudo, doas or su
    --- exit code 2
    ");
    environment.write("cronium.toml", "become = true\n");
    insta::assert_snapshot!(environment.run(words("hosts", "web1")), @r"
    --- stderr
    error: /ENV/work/cronium.toml:1: the file of a project cannot set become
    caused by: it says who scripts run as, on this machine too: whoever wrote the project would run his as root

    hint: --become VALUE  sets it for one call
    hint: or set it in /ENV/home/.config/cronium-run/config.toml, for all projects
    --- exit code 2
    ");
}
