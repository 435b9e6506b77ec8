//! Scripts that run as another user of the host: sudo, doas and su as they really are, on hosts
//! with accounts of their own.

mod harness;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{
    Accounts, Environment, Fleet, FleetPlan, Invocation, LOGIN, Outcome, PASSWORD, finished, until, with_marker,
};
use rustix::process::Signal;

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
    let host = |plan: FleetPlan, (number, accounts)| {
        plan.host_with(number, |host| host.accounts = Some(accounts))
    };
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
    environment
        .command(["exec", targets, "-u", LOGIN, "-p", &fleet.port().to_string()])
        .args(["--private-key".as_ref(), fleet.private_key().as_os_str()])
        .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
        .args(["--connect-timeout", "5s"])
        .args(args)
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
        (7, sudoers("Defaults !env_reset, !use_pty\nann ALL=(ALL) NOPASSWD: ALL"), "XDG_CACHE_HOME=$HOME/.cache; XDG_STATE_HOME=$HOME/.s; export XDG_CACHE_HOME XDG_STATE_HOME"),
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
        // Cold, then warm.
        for round in ["cold", "warm"] {
            let outcome = exec(&environment, &fleet, &fleet.name(host), args)
                .args(password)
                .args(["-o", "json", "--", WHO])
                .run();
            let told = format!("{round} {host} {args:?}: {outcome:?}");
            assert_eq!(outcome.code, 0, "{told}");
            let home = if user == LOGIN { format!("h{host}") } else { format!("{user}{host}") };
            let json = outcome.json();
            let text = json["hosts"][0]["stdout"].as_str().unwrap_or_else(|| panic!("{told}"));
            assert_eq!(text, format!("{user} {user} {user} {home} {user} 700 0\n"), "{told}");
        }
        let home = if user == LOGIN { fleet.home(host) } else { fleet.folder().join(format!("{user}{host}")) };
        assert_eq!(entries(&home.join(".local/state/cronium-run/runs")), 0, "{host} {args:?}");
        assert!(entries(&home.join(".cache/cronium-run/stub")) > 0, "{host} {args:?}: the runner is in {user}'s cache");
    }
    // Who was never asked to run anything has nothing.
    assert!(!fleet.home(7).join(".cache").exists(), "root's files are in root's home");
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| entries.count())
}
