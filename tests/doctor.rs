//! `doctor` against real sshd: hosts that are each ill in one way, and what is said of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

mod harness;

use harness::{
    Accounts, Environment, Fleet, FleetPlan, HostTraits, LOGIN, Outcome, PASSWORD, black_hole, until,
};

#[track_caller]
fn doctor(environment: &Environment, fleet: &Fleet, targets: &str, args: &[&str]) -> Outcome {
    environment.reaching(fleet, ["doctor", targets]).args(args).run()
}

/// What is said of one check of a host: its level, message and fix.
fn finding(document: &Value, host: &str, check: &str) -> Option<(String, String, String)> {
    let hosts = document.as_array().unwrap();
    let patient = hosts.iter().find(|patient| patient["host"] == host).expect("each host has its object");
    let findings = patient["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == check)?;
    let word = |key: &str| finding[key].as_str().unwrap_or("-").to_owned();
    Some((word("level"), word("message"), word("fix")))
}

/// Shell lines that put only these programs on the PATH.
fn only(programs: &str) -> String {
    format!(
        "mkdir -p bin; for p in {programs}; do ln -sf $(command -v $p) bin/$p; done; PATH=$HOME/bin; export PATH"
    )
}

const ENOUGH: &str = "sh date printf id uname grep tr head tail rm mkdir rmdir mktemp chmod dd df cat gzip sha256sum \
                      getent readlink bash ln cut mv";

/// Where doctor asks sshd to forward Unix sockets.
fn sockets() -> BTreeSet<PathBuf> {
    let all = fs::read_dir("/tmp").unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_str().is_some_and(|path| path.starts_with("/tmp/cronium-run."))).collect()
}

#[test]
fn each_host_is_ill_in_one_way() {
    let before = sockets();
    let environment = Environment::new();
    let login = |lines: String| move |host: &mut HostTraits| host.login = lines;
    let fleet = FleetPlan::default()
        .host(1)
        .host_with(2, |host| host.forwarding = false)
        .host_with(3, |host| host.streamlocal = false)
        .host_with(4, login(only(ENOUGH)))
        .host_with(5, login("mkdir -p bin; printf '#!/bin/sh\\nexec /bin/date -d \"+1 hour\" \"$@\"\\n' >bin/date; chmod 755 bin/date; PATH=$HOME/bin:$PATH".into()))
        .host_with(6, login("echo 'Welcome to Acme'".into()))
        .host_with(7, login("unset HOME".into()))
        .host_with(8, login("HOME=/nowhere/at/all".into()))
        .host_with(9, login("mkdir -p bin; printf '#!/bin/sh\\ncase $1 in -s) echo Linux;; *) echo riscv64;; esac\\n' >bin/uname; chmod 755 bin/uname; PATH=$HOME/bin:$PATH".into()))
        .host_with(10, login(only(&ENOUGH.replace("gzip ", "python3 "))))
        .start();
    let table: &[(u8, &str, &str, &str, &str)] = &[
        (1, "helpers", "ok", "(api)", "-"),
        (1, "cache", "ok", "the runner comes with the first run", "-"),
        (1, "machine", "ok", "Linux on", "-"),
        (1, "clock", "ok", "within 5 s", "-"),
        (2, "helpers", "warning", "(bundled)", "AllowStreamLocalForwarding yes"),
        (3, "helpers", "ok", "(tcp)", "-"),
        (4, "interpreters", "warning", "no python3: ", "apt-get install python3  on the host"),
        (5, "clock", "warning", "its clock is 1 h 0 min ahead", "timedatectl"),
        (6, "noise", "warning", "'Welcome to Acme'", "~/.bashrc"),
        (7, "home", "warning", "sets no HOME", "getent passwd"),
        (7, "cache", "warning", "no home for a cache; the runner is sent to /var/tmp", "HOME"),
        (8, "home", "warning", "/nowhere/at/all is not there", "mkdir -p /nowhere/at/all"),
        (9, "machine", "problem", "no runner for Linux on riscv64", "x86_64"),
        (10, "tools", "problem", "there is no gzip", "busybox"),
    ];
    let outcome = doctor(&environment, &fleet, &fleet.names(1..=10), &["-o", "json"]).exits(3);
    let document = outcome.json();
    for (number, check, level, message, fix) in table {
        let found =
            finding(&document, &fleet.name(*number), check).unwrap_or_else(|| panic!("{number}: {check}"));
        let fits = found.0 == *level && found.1.contains(message) && found.2.contains(fix);
        assert!(fits, "{number}: {check}: {found:?}");
    }
    // What is well is not called ill.
    for number in 1..=10 {
        let ill: Vec<&str> =
            table.iter().filter(|row| row.0 == number && row.2 != "ok").map(|row| row.1).collect();
        let name = fleet.name(number);
        let patient = document.as_array().unwrap().iter().find(|patient| patient["host"] == name).unwrap();
        for finding in patient["findings"].as_array().unwrap() {
            let is_told = ill.contains(&finding["check"].as_str().unwrap());
            assert!(is_told || finding["level"] == "ok", "{name}: {finding}");
        }
        assert!(fleet.runs(number).is_empty());
        assert!(fleet.stubs(number).is_empty(), "nothing is left on {name}");
    }
    // Sockets of other tests come and go meanwhile.
    let left: Vec<_> = sockets().difference(&before).cloned().collect();
    assert!(until(10, || left.iter().all(|path| !path.exists())), "{left:?}");
}

#[test]
fn what_only_root_can_make_ill() {
    if !rustix::process::getuid().is_root() {
        eprintln!("NOT CHECKED: only root can give a host file systems of its own; run tests/run as root");
        return;
    }
    let environment = Environment::new();
    let mounts = |lines: &'static str| move |host: &mut HostTraits| host.mounts = lines.to_owned();
    let nobody = |lines: String, mounts: &'static str| {
        move |host: &mut HostTraits| {
            let id = "--reuid=65534 --regid=65534 --clear-groups";
            host.login =
                format!("{lines}exec setpriv {id} env HOME=$HOME /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"");
            host.mounts = mounts.to_owned();
            // sshd would make its socket as root there.
            host.forwarding = false;
        }
    };
    let fleet = FleetPlan::default()
        .host_with(1, mounts("mount -t tmpfs -o noexec none $home"))
        .host_with(2, mounts("mount -t tmpfs -o ro none $home"))
        .host_with(3, mounts("mount -t tmpfs -o size=64k none $home"))
        .host_with(4, mounts(NOEXEC))
        .host_with(5, nobody(String::new(), ""))
        .host_with(6, nobody(String::new(), SUDOERS))
        .host_with(7, nobody(only(&format!("{ENOUGH} python3 setpriv env")) + "; ", ""))
        .start();
    let table: &[(u8, &str, &str, &str, &str)] = &[
        (
            1,
            "cache",
            "warning",
            ".cache is mounted noexec; the runner is sent to /var/tmp each time",
            "remount,exec",
        ),
        (2, "cache", "warning", "Read-only file system", "ls -ld"),
        (3, "cache", "warning", ".cache is full; the runner is sent to /var/tmp", "df -h"),
        (4, "cache", "problem", "/var/tmp is mounted noexec; /tmp is mounted noexec", "remount,exec"),
        (5, "cache", "warning", "Permission denied", "ls -ld"),
        (5, "become", "ok", "sudo asks for a password", "-"),
        (6, "become", "ok", "sudo without a password", "-"),
        (7, "become", "warning", "no sudo and no doas", "usermod -aG sudo nobody"),
    ];
    let outcome = doctor(&environment, &fleet, &fleet.names(1..=7), &["-o", "json"]).exits(3);
    for (number, check, level, message, fix) in table {
        let found = finding(&outcome.json(), &fleet.name(*number), check)
            .unwrap_or_else(|| panic!("{number}: {check}"));
        let fits = found.0 == *level && found.1.contains(message) && found.2.contains(fix);
        assert!(fits, "{number}: {check}: {found:?}");
    }
    // What doctor says of the runner's place is what exec does.
    for (number, code) in [(1, 0), (2, 0), (4, 4), (5, 0)] {
        let name = fleet.name(number);
        environment.exec(&fleet, &name).args(["-o", "quiet", "--", "true"]).run().exits(code).ignore();
    }
}

const NOEXEC: &str = "\
mount -t tmpfs -o noexec none $home
mount --rbind FLEET /mnt
for folder in /tmp /var/tmp; do mount -t tmpfs -o noexec none $folder; done
mkdir FLEET; mount --rbind /mnt FLEET";

const SUDOERS: &str = "\
{ cat /etc/sudoers; echo 'nobody ALL=(ALL) NOPASSWD: ALL'; } >$home.sudoers
chmod 440 $home.sudoers; mount --bind $home.sudoers /etc/sudoers";

#[test]
fn alike_hosts_stand_in_one_line_and_exit_codes_tell_the_worst() {
    let environment = Environment::new();
    let fleet = FleetPlan::default()
        .host(1)
        .host(2)
        .host_with(3, |host| host.forwarding = false)
        .host_with(4, |host| host.authorized = false)
        .start();
    let all = doctor(&environment, &fleet, &fleet.names([1, 2, 3, 4, 9]), &[]).exits(4);
    let out = all.out();
    let helpers: Vec<&str> = out.lines().filter(|line| line.contains("helpers:")).collect();
    let prefix = fleet.prefix();
    assert_eq!(helpers.len(), 2, "{out}");
    assert!(helpers[0].starts_with(&format!("warning  {prefix}3: helpers:")), "{out}");
    assert!(helpers[1].starts_with(&format!("ok       {prefix}[1-2] (2 hosts): helpers:")), "{out}");
    assert!(out.starts_with("warning"), "what is wrong stands first: {out}");
    let err = all.err();
    for part in [
        format!("error: {prefix}4: unreachable: the host did not let '{}' in with 1 key", harness::user()),
        format!("error: {prefix}9: unreachable: nothing listens on {prefix}9:{}", fleet.port()),
        "5 hosts: 2 ok, 1 with warnings, 2 unreachable in ".to_owned(),
    ] {
        assert!(err.contains(&part), "{part}\n{err}");
    }
    // The same words as exec's, and the same exit code for what is well.
    let exec = environment.exec(&fleet, &fleet.name(4)).args(["--", "true"]).run().exits(4).err();
    assert!(exec.contains(&format!("error: {prefix}4: unreachable: the host did not let")), "{exec}");
    doctor(&environment, &fleet, &fleet.names([1, 2, 3]), &[]).exits(0).ignore();
}

#[test]
fn the_key_that_let_us_in_and_a_cached_runner_are_named() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let name = fleet.name(1);
    environment.exec(&fleet, &name).args(["-o", "quiet", "--", "true"]).run().succeeds().ignore();
    let document = doctor(&environment, &fleet, &name, &["-o", "json"]).succeeds().json();
    let (_, key, _) = finding(&document, &name, "key").unwrap();
    let listed =
        std::process::Command::new("ssh-keygen").arg("-lf").arg(fleet.private_key()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let fingerprint = listed.split(' ').nth(1).unwrap();
    assert_eq!(key, format!("by the key ssh-ed25519 {fingerprint} of {}", fleet.private_key().display()));
    let (_, cache, _) = finding(&document, &name, "cache").unwrap();
    assert!(cache.ends_with("the runner is there"), "{cache}");
    assert_eq!(fleet.stubs(1).len(), 1, "it stays where it is");
}

#[test]
fn a_dead_host_delays_nobody_and_this_machine_is_a_host() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    (21..=28).for_each(|number| black_hole(&fleet, number));
    let begun = std::time::Instant::now();
    let targets = format!("local,{}", fleet.names((21..=28).chain([1])));
    let document = doctor(&environment, &fleet, &targets, &["-o", "json"]).exits(4).json();
    assert!(begun.elapsed().as_secs() < 12, "eight black holes took {:?}", begun.elapsed());
    assert_eq!(document.as_array().unwrap().len(), 10);
    assert_eq!(finding(&document, "local", "login"), None);
    assert_eq!(finding(&document, "local", "helpers").unwrap().0, "ok");
    assert_eq!(finding(&document, &fleet.name(1), "login").unwrap().0, "ok");
    let dead = &document.as_array().unwrap()[1];
    assert_eq!(
        (dead["state"].as_str(), dead["failure"]["phase"].as_str()),
        (Some("unreachable"), Some("banner"))
    );
}

/// With `--become` a host is seen with the eyes of whoever runs the script there, and a refusal is
/// that of exec.
#[test]
fn another_user_is_asked_where_scripts_run_as_one() {
    if !rustix::process::getuid().is_root() {
        eprintln!("NOT TESTED: privilege. Hosts with accounts of their own cannot be made without root.");
        return;
    }
    let environment = Environment::new();
    environment.write("right", format!("{PASSWORD}\n"));
    environment.write("wrong", "guess\n");
    let accounts = |sudoers: &str, doas_conf: &str| {
        let accounts =
            Accounts { sudoers: sudoers.into(), doas_conf: doas_conf.into(), ..Accounts::default() };
        move |host: &mut HostTraits| host.accounts = Some(accounts)
    };
    let fleet = FleetPlan::default()
        .host_with(1, accounts("ann ALL=(ALL) NOPASSWD: ALL", ""))
        .host_with(2, accounts("Defaults requiretty\nann ALL=(ALL) ALL", "permit ann"))
        .host_with(3, accounts("", ""))
        .start();
    let doctor = |host: u8, args: &str| {
        let doctor = environment.reaching_as(LOGIN, &fleet, ["doctor", &fleet.name(host), "-o", "json"]);
        doctor.args(args.split(' ').filter(|arg| !arg.is_empty())).run()
    };
    const RIGHT: &str = "--become-password-file right";
    // The user, whose folder of the fleet is home, and what made us that user.
    for (host, args, user, program) in [
        (1, String::new(), LOGIN, ""),
        (1, "-b".into(), "root", "sudo"),
        (1, "-b --become-user app".into(), "app", "sudo"),
        (1, format!("-b {RIGHT}"), "root", "sudo"),
        (2, format!("-b {RIGHT}"), "root", "sudo"),
        (2, format!("-b --become-method doas {RIGHT}"), "root", "doas"),
        (2, format!("-b --become-method su {RIGHT}"), "root", "su"),
    ] {
        let outcome = doctor(host, &args);
        assert_eq!(outcome.code, 0, "{host} {args}: {outcome:?}");
        let (document, name) = (outcome.json(), fleet.name(host));
        let message = |check: &str| finding(&document, &name, check).unwrap().1;
        let home = if user == LOGIN { format!("h{host}") } else { format!("{user}{host}") };
        assert!(message("account").starts_with(&format!("{user} (uid ")), "{host} {args}: {document}");
        assert!(
            message("cache").contains(&format!("/{home}/.cache/cronium-run, ")),
            "{host} {args}: {document}"
        );
        let (way, mode) = match program {
            "" => ("sudo without a password: -b".to_owned(), "(api)"),
            program => (format!("{user} by {program}"), "(tcp)"),
        };
        assert_eq!(message("become"), way, "{host} {args}");
        assert!(message("helpers").contains(mode), "{host} {args}: {document}");
    }
    for (host, args, kind) in [
        (2, "-b --become-method doas", "password-wanted"),
        (2, "-b --become-password-file wrong", "password"),
        (2, "-b --become-user nosuch --become-password-file right", "no-user"),
        (3, "-b --become-password-file right", "denied"),
    ] {
        let outcome = doctor(host, args).exits(4);
        let failure = &outcome.json()[0]["failure"];
        assert_eq!((&failure["phase"], &failure["kind"]), (&"become".into(), &kind.into()), "{outcome:?}");
        let exec = environment.reaching_as(LOGIN, &fleet, ["exec", &fleet.name(host), "-o", "json"]);
        let exec = exec.args(args.split(' ')).args(["--", "true"]).run().exits(4).json();
        assert_eq!(&exec["hosts"][0]["failure"], failure);
    }
    let this = environment.command(["doctor", "local", "-b", "--become-user", "nobody", "-o", "json"]).run();
    assert_eq!(finding(&this.json(), "local", "become").unwrap().1, "nobody by sudo", "{this:?}");
}

#[test]
fn connections_are_kept_for_jobs() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let refused = doctor(&environment, &fleet, &fleet.name(1), &["--persist", "10m"]).exits(2);
    assert!(refused.err().contains("unexpected argument '--persist'"), "{refused:?}");
}
