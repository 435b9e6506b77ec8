//! Every phase a host can fail in, made to happen by real programs: what the operator is told.
//! docs/errors.md has the whole list.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, listen, socket};

mod harness;

use harness::{Environment, Fleet, FleetPlan, HostTraits, Recorded, black_hole, garbage, relay};

/// What becomes of each host, in the order of the operator's selection.
#[track_caller]
fn told(environment: &Environment, fleet: &Fleet, hosts: &[(u8, &str)], args: &[&str]) -> String {
    let targets = fleet.names(hosts.iter().map(|(number, _)| *number));
    let outcome = environment.exec(fleet, &targets).args(["-o", "json"]).args(args).run();
    let document = outcome.json();
    let mut text = String::new();
    for (number, cause) in hosts {
        let name = fleet.name(*number);
        let results = document["hosts"].as_array().unwrap();
        let result = results.iter().find(|result| result["host"] == *name).unwrap();
        let failure = &result["failure"];
        let word = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        writeln!(
            text,
            "{cause}: {} in {} ({})\n  {}",
            word(&result["outcome"]),
            word(&failure["phase"]),
            word(&failure["kind"]),
            word(&failure["message"])
        )
        .unwrap();
        let causes = failure["causes"].as_array().into_iter().flatten();
        for cause in causes.filter(|cause| !word(cause).starts_with("so it did ")) {
            writeln!(text, "  caused by: {}", word(cause)).unwrap();
        }
        writeln!(text, "  hint: {}", word(&failure["hint"])).unwrap();
    }
    without_digests(&outcome.normalised(&text)).replace(harness::user(), "USER")
}

/// Fingerprints and digests of the runner differ from run to run.
fn without_digests(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| c.is_whitespace() || "/:'".contains(c)) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        match bare.len() {
            64 if bare.chars().all(|c| c.is_ascii_hexdigit()) => out += &word.replace(bare, "DIGEST"),
            _ => out += word,
        }
    }
    let mut rest = out.as_str();
    let mut text = String::new();
    while let Some((before, behind)) = rest.split_once("SHA256:") {
        text += &format!("{before}SHA256:…");
        rest = behind.trim_start_matches(|c: char| !c.is_whitespace());
    }
    text + rest
}

/// A port whose queue of connections is full: the kernel drops what else comes, as a filter does.
fn filtered(fleet: &Fleet, number: u8) -> (OwnedFd, Vec<TcpStream>) {
    let address = SocketAddrV4::new(fleet.name(number).parse().unwrap(), fleet.port());
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &address).unwrap();
    listen(&listener, 0).unwrap();
    let waiting = std::time::Duration::from_millis(200);
    let held = (0..8).map_while(|_| TcpStream::connect_timeout(&address.into(), waiting).ok()).collect();
    (listener, held)
}

#[test]
fn on_the_way() {
    let environment = Environment::new();
    let config = |lines: &'static str| move |host: &mut HostTraits| host.config = lines.to_owned();
    let fleet = FleetPlan::default()
        .host_with(1, config("KexAlgorithms sntrup761x25519-sha512@openssh.com"))
        .host_with(2, |host| host.recorded = Recorded::Nothing)
        .host_with(3, |host| host.recorded = Recorded::Wrong)
        .host_with(4, |host| host.authorized = false)
        .host_with(5, config("MaxSessions 0"))
        .start();
    let _filtered = filtered(&fleet, 21);
    black_hole(&fleet, 22);
    garbage(&fleet, 23, b"220 mail.example.org ESMTP\r\n", true);
    garbage(&fleet, 24, b"Exceeded MaxStartups\r\n", false);
    garbage(&fleet, 25, b"Not allowed at this time\r\n", false);
    garbage(&fleet, 26, b"", false);
    let hosts = [
        (20, "nothing listens"),
        (21, "filtered"),
        (22, "says nothing"),
        (23, "not an SSH server"),
        (24, "too many logins"),
        (25, "punished"),
        (26, "closes at once"),
        (1, "no common kex"),
        (2, "host key not recorded"),
        (3, "another host key"),
        (4, "key refused"),
        (5, "no session"),
    ];
    let text = told(&environment, &fleet, &hosts, &["--", "true"]);
    // Whether the end or the reset comes first is up to the kernel.
    let text = text.replace("Connection reset by peer (os error 104)", "Disconnected");
    insta::assert_snapshot!(text, @r#"
    nothing listens: unreachable in tcp (refused)
      nothing listens on 127.0.0.20:PORT
      caused by: Connection refused (os error 111)
      hint: nc -vz -w 5 127.0.0.20 PORT
    filtered: unreachable in tcp (timeout)
      127.0.0.21:PORT did not answer within TIME
      hint: nc -vz -w 5 127.0.0.21 PORT
    says nothing: unreachable in banner (timeout)
      the host accepted the connection and said nothing within TIME
      hint: --connect-timeout TIME
    not an SSH server: unreachable in banner (garbage)
      the port does not speak SSH
      caused by: it says '220 mail.example.org ESMTP'
      hint: --port N
    too many logins: unreachable in banner (max-startups)
      the host has too many logins under way
      caused by: it says 'Exceeded MaxStartups'
      hint: try again with fewer --forks, or raise MaxStartups in its sshd_config
    punished: unreachable in banner (penalised)
      the host answers no connection of this machine for a while
      caused by: it says 'Not allowed at this time': PerSourcePenalties of OpenSSH 9.8 and later
      hint: journalctl -u ssh  on the host shows the failed logins that are punished
    closes at once: unreachable in banner (closed)
      the host closed the connection before it said anything
      caused by: Disconnected
      hint: the server may be at its MaxStartups: try again with fewer --forks
    no common kex: unreachable in banner (algorithms)
      the host and we have no key exchange algorithm in common
      caused by: it offers sntrup761x25519-sha512@openssh.com
      caused by: we offer mlkem768x25519-sha256, curve25519-sha256, curve25519-sha256@libssh.org, diffie-hellman-group-exchange-sha256, diffie-hellman-group18-sha512, diffie-hellman-group17-sha512, diffie-hellman-group16-sha512, diffie-hellman-group15-sha512, diffie-hellman-group14-sha256
      hint: KexAlgorithms +diffie-hellman-group14-sha256  in its sshd_config
    host key not recorded: unreachable in hostkey (unknown)
      the host's key is not in known_hosts
      caused by: it shows ssh-ed25519 SHA256:…
      hint: compare the fingerprint, then run once with --host-key accept-new
    another host key: unreachable in hostkey (changed)
      the host's key is not the one in known_hosts
      caused by: it shows ssh-ed25519 SHA256:…
      caused by: recorded: ssh-ed25519 SHA256:… at /FLEET/known_hosts:2
      hint: if the change was yours: ssh-keygen -f /FLEET/known_hosts -R '[127.0.0.3]:PORT'
    key refused: unreachable in auth (refused)
      the host did not let 'USER' in with 1 key
      hint: --private-key FILE, --user NAME, or ssh-add FILE; why: journalctl -u ssh  on the host
    no session: unreachable in upload (session)
      the host opens no session
      caused by: it says ConnectFailed
      hint: MaxSessions 10 in its sshd_config
    "#);
}

#[test]
fn once_let_in() {
    let environment = Environment::new();
    let login = |lines: &'static str| move |host: &mut HostTraits| host.login = lines.to_owned();
    let config = |lines: &'static str| move |host: &mut HostTraits| host.config = lines.to_owned();
    let fleet = FleetPlan::default()
        .host_with(1, config("ForceCommand internal-sftp"))
        .host_with(2, config("ForceCommand echo hello"))
        .host_with(3, login("yes welcome"))
        .host_with(4, login("mkdir -p bin; printf '#!/bin/sh\\necho mips\\n' >bin/uname; chmod 755 bin/uname; PATH=$HOME/bin:$PATH"))
        .host_with(6, login("exec git-shell -c \"$SSH_ORIGINAL_COMMAND\""))
        .start();
    let hosts = [
        (1, "sftp alone"),
        (2, "another command"),
        (3, "endless output"),
        (4, "no runner for it"),
        (6, "git-shell"),
    ];
    let text = told(&environment, &fleet, &hosts, &["--", "true"]);
    insta::assert_snapshot!(text, @r#"
    sftp alone: unreachable in upload (restricted)
      the host lets 'USER' run only what it chooses
      caused by: it says 'This service allows sftp connections only.'
      caused by: it exited with 1
      hint: getent passwd USER; grep -ri ForceCommand /etc/ssh  on the host, or --user NAME
    another command: unreachable in upload (forced)
      the host ran something else than our command
      caused by: it says 'hello'
      caused by: it exited with 0
      hint: grep -ri ForceCommand /etc/ssh; grep command= ~/.ssh/authorized_keys  on the host
    endless output: unreachable in upload (noise)
      the host prints without end instead of running a command
      caused by: it begins with 'welcome'
      hint: look for what prints in ~/.profile, ~/.bashrc, ~/.cshrc and ForceCommand of the host
    no runner for it: unreachable in upload (architecture)
      there is no runner for a mips machine
      hint: Linux on x86_64 and aarch64 is served
    git-shell: unreachable in upload (restricted)
      the host lets 'USER' run only what it chooses
      caused by: it says 'fatal: unrecognized command 'exec sh -c …'
      caused by: it exited with 128
      hint: getent passwd USER; grep -ri ForceCommand /etc/ssh  on the host, or --user NAME
    "#);
}

/// It says the name of another architecture whose runner we have.
#[test]
fn a_machine_that_cannot_run_its_runner() {
    let (other, handler) = match std::env::consts::ARCH {
        "x86_64" => ("aarch64", "qemu-aarch64"),
        _ => ("x86_64", "qemu-x86_64"),
    };
    if std::path::Path::new("/proc/sys/fs/binfmt_misc").join(handler).exists() {
        eprintln!("NOT CHECKED: the kernel of this machine runs programs for {other} through qemu");
        return;
    }
    let environment = Environment::new();
    let login = format!(
        "mkdir -p bin; printf '#!/bin/sh\\necho {other}\\n' >bin/uname; chmod 755 bin/uname; PATH=$HOME/bin:$PATH"
    );
    let fleet = FleetPlan::default().host_with(1, |host| host.login = login).start();
    let text = told(&environment, &fleet, &[(1, "cannot run its runner")], &["--", "true"]);
    insta::assert_snapshot!(text.replace(other, "MACHINE"), @r#"
    cannot run its runner: unreachable in upload (architecture)
      the host says that it is MACHINE and cannot run programs of that
      caused by: it says 'sh: 1: exec: /FLEET/h1/.cache/cronium-run/stub/DIGEST: Exec format error'
      caused by: it exited with 126
      hint: uname -m; file /bin/sh  on the host
    "#);
}

#[test]
fn once_it_runs() {
    let environment = Environment::new();
    // Behind 31, the host that is lost.
    let fleet = FleetPlan::default().host(1).host(2).host(41).start();
    let pinned = fleet.home(2).join(".config/cronium-run/trust");
    std::fs::create_dir_all(&pinned).unwrap();
    std::fs::write(pinned.join("other.pub"), harness::TestKey::new(3).public_pem()).unwrap();
    let running = fleet.home(41).join("running");
    relay(&fleet, 31, 41, move || running.exists());
    let hosts = [(1, "takes too long"), (2, "another key is pinned"), (31, "the link breaks")];
    let script = ": >$HOME/running; sleep 60";
    let text = told(&environment, &fleet, &hosts, &["--timeout", "2s", "--reconnect", "1s", "--", script]);
    insta::assert_snapshot!(text, @r#"
    takes too long: timed_out in timeout (timeout)
      the script was killed with all it started after TIME
      hint: --timeout TIME
    another key is pinned: rejected in verify (untrusted)
      no key pinned on the host made the payload's signature
      caused by: pinned: SHA256:…
      hint: --key KEY  signs with the key that is pinned; cronium-run sign PAYLOAD --key KEY  signs an archive
    the link breaks: unknown in lost (lost)
      the connection broke
      caused by: for TIME it could not be made again: nothing listens on 127.0.0.31:PORT
      caused by: Connection refused (os error 111)
      hint: cronium-run attach RUN
    "#);
}

/// A name that no server is asked for: one of its parts is longer than names may have.
#[test]
fn a_host_without_an_address() {
    let name = "x".repeat(64);
    let outcome = Environment::new().run(["exec", &name, "-o", "json", "--", "true"]).exits(4);
    let failure = &outcome.json()["hosts"][0]["failure"];
    let told = ["phase", "kind", "message", "hint"].map(|key| failure[key].as_str().unwrap().to_owned());
    let want = ["dns", "unknown", &format!("'{name}' has no address"), &format!("getent hosts {name}")];
    assert_eq!(told, want);
    assert_eq!(failure["causes"].as_array().unwrap().len(), 1, "{failure}");
}

/// What only a host with mounts and accounts of its own can show.
#[test]
fn once_let_in_to_a_sick_host() {
    if !rustix::process::getuid().is_root() {
        eprintln!(
            "NOT CHECKED: only root can give a host accounts and file systems of its own; run tests/run as root"
        );
        return;
    }
    let environment = Environment::new();
    let mounts = |lines: &'static str| move |host: &mut HostTraits| host.mounts = lines.to_owned();
    let shell = |shell: &'static str| move |host: &mut HostTraits| host.shell = Some(shell);
    let shadow = |line: &'static str, config: &'static str| {
        move |host: &mut HostTraits| {
            host.mounts = format!(
                "echo '{}:{line}' >$home.shadow; mount --bind $home.shadow /etc/shadow",
                harness::user()
            );
            host.config = config.to_owned();
        }
    };
    let fleet = FleetPlan::default()
        .host_with(1, shell("/usr/sbin/nologin"))
        .host_with(2, shell("/bin/false"))
        .host_with(3, shell("/bin/rbash"))
        .host_with(4, shadow("!:20000:0:99999:7:::", ""))
        .host_with(5, shadow("*:20000:0:99999:7::1:", "UsePAM yes"))
        .host_with(6, shadow("*:0:0:99999:7:::", "UsePAM yes"))
        .host_with(7, mounts("mount -t tmpfs -o size=64k none $home; dd if=/dev/zero of=$home/full bs=64k 2>/dev/null || true"))
        .host_with(8, mounts(NOEXEC))
        .host_with(9, mounts("mount -t tmpfs -o noexec none $home"))
        .host_with(10, mounts("mount -t tmpfs -o ro none $home"))
        .host_with(11, |host| host.login = "[ -d bin ] || mkdir bin; for p in sh uname id sleep cat chmod mktemp dd gzip mv rm rmdir sha256sum mkdir; do ln -sf $(command -v $p) bin/$p; done; PATH=$HOME/bin".into())
        .host_with(12, |host| host.login = "[ -d bin ] || mkdir bin; for p in sh uname id sleep cat chmod mktemp dd mv rm rmdir sha256sum mkdir; do ln -sf $(command -v $p) bin/$p; done; PATH=$HOME/bin".into())
        .start();
    environment.write("probe.py", "print('python')\n");
    let hosts = [
        (1, "nologin"),
        (2, "false"),
        (3, "rbash"),
        (4, "locked account"),
        (5, "expired account"),
        (6, "expired password"),
        (7, "full disk"),
        (8, "noexec everywhere"),
        (9, "noexec home"),
        (10, "read-only home"),
        (11, "no python"),
        (12, "no gzip"),
    ];
    let text = told(&environment, &fleet, &hosts, &["probe.py"]);
    insta::assert_snapshot!(text, @r#"
    nologin: unreachable in upload (nologin)
      the account 'USER' has a login shell that runs nothing
      caused by: it says 'This account is currently not available.'
      caused by: it exited with 1
      hint: usermod -s /bin/sh USER  on the host, or --user NAME
    false: unreachable in upload (nologin)
      the account 'USER' has a login shell that runs nothing
      caused by: it exited with 1
      hint: usermod -s /bin/sh USER  on the host, or --user NAME
    rbash: unreachable in upload (restricted)
      the host lets 'USER' run only what it chooses
      caused by: it says 'rbash: line 1: exec: restricted'
      caused by: it exited with 1
      hint: getent passwd USER; grep -ri ForceCommand /etc/ssh  on the host, or --user NAME
    locked account: unreachable in auth (refused)
      the host did not let 'USER' in with 1 key
      hint: --private-key FILE, --user NAME, or ssh-add FILE; why: journalctl -u ssh  on the host
    expired account: unreachable in auth (expired)
      the account 'USER' has expired
      caused by: it says 'Your account has expired; please contact your system administrator.'
      hint: chage -E -1 USER  on the host
    expired password: unreachable in auth (expired)
      the password of 'USER' has expired, and the host runs nothing before it is changed
      caused by: it says 'Password change required but no TTY available.'
      caused by: it exited with 1
      hint: ssh -p PORT USER@127.0.0.6 -t  asks for a new one
    full disk: unreachable in tempdir (full)
      cannot fill /FLEET/h7/.local/state/cronium-run/runs/RUN
      caused by: No space left on device (os error 28)
      hint: df -h ~; df -i ~; quota  on the host
    noexec everywhere: unreachable in tempdir (noexec)
      the host has no place for the runner
      caused by: no folder can hold a program
      caused by: /FLEET/h8/.cache is mounted noexec
      caused by: /var/tmp is mounted noexec
      caused by: /tmp is mounted noexec
      hint: make ~/.cache, /var/tmp or /tmp writable and not mounted noexec
    noexec home: succeeded in - (-)
      -
      hint: -
    read-only home: succeeded in - (-)
      -
      hint: -
    no python: failed in exec (interpreter)
      the host has no 'python3' on its PATH
      hint: install python3 on the host, or change 'interpreter' in manifest.yaml
    no gzip: unreachable in tempdir (tool)
      the host lacks a program that takes the runner
      caused by: there is no gzip
      hint: busybox has what is needed: dd, gzip, mktemp, mkdir, chmod, mv, rm
    "#);
}

/// Nothing but the fleet's own folder can hold a program.
const NOEXEC: &str = "\
mount -t tmpfs -o noexec none $home
mount --rbind FLEET /mnt
for folder in /tmp /var/tmp; do mount -t tmpfs -o noexec none $folder; done
mkdir FLEET; mount --rbind /mnt FLEET";

/// The table of docs/errors.md knows every kind that the sources do.
#[test]
fn every_kind_is_documented() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/errors.md")).unwrap();
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .map(|(phase, rest)| (phase, rest.split(" | ").next().unwrap()))
        .collect();
    let is_told = |phase: &str, kind: &str| {
        rows.iter().any(|(told, kinds)| *told == phase && kinds.split(", ").any(|told| told == kind))
    };
    // Where phase or kind is chosen by the code around it: all that they may be.
    let chosen = |file: &str, phase: &str, kind: &str| match (file, phase, kind) {
        ("src/transport.rs", "phase", "\"timeout\"") => {
            Some(vec![("upload", "timeout"), ("lost", "timeout")])
        }
        ("src/transport/greet.rs", "tempdir", "kind") => {
            Some(vec![("tempdir", "noexec"), ("tempdir", "folder")])
        }
        ("src/transport/ssh/tcp.rs", "tcp", "kind") => {
            Some(["refused", "timeout", "unreachable", "connect"].map(|kind| ("tcp", kind)).to_vec())
        }
        ("src/transport/privilege/refusal.rs", "become", "kind") => Some(
            ["missing", "terminal", "password", "password-wanted", "denied", "no-user", "account", "refused"]
                .map(|kind| ("become", kind))
                .to_vec(),
        ),
        // It ends here: the host is reached without a keeper.
        ("src/transport/keeper/client.rs", "tcp", "GONE") => Some(Vec::new()),
        _ => None,
    };
    let mut found = 0;
    for pattern in
        ["src/transport.rs", "src/transport/**/*.rs", "src/fleet/**/*.rs", "runner-stub/src/**/*.rs"]
    {
        for source in glob::glob(&format!("{}/{pattern}", root.display())).unwrap() {
            let source = source.unwrap();
            let file = source.strip_prefix(root).unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(&source).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for call in code.split("Fault::new(").skip(1).chain(code.split("Refusal::new(").skip(1)) {
                let mut words = call.split(',').map(str::trim);
                let (phase, kind) = (words.next().unwrap(), words.next().unwrap());
                let phase = phase.trim_start_matches("Phase::").trim_matches('"').to_lowercase();
                // A constant stands in the same file.
                let constant = format!("const {kind}: &str = ");
                let value =
                    code.split_once(&constant).map_or(kind, |(_, value)| value.split(';').next().unwrap());
                let kinds = chosen(file, &phase, kind).unwrap_or_else(|| {
                    let is_literal = value.starts_with('"') && value.ends_with('"');
                    assert!(is_literal, "{file}: which kinds may {phase} {kind} be?");
                    vec![(phase.as_str(), value.trim_matches('"'))]
                });
                for (phase, kind) in kinds {
                    assert!(is_told(phase, kind), "{file}: {phase} {kind}");
                    found += 1;
                }
            }
        }
    }
    assert!(found > 60, "{found} are found");
}
