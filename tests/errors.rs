//! Every phase a host can fail in, made to happen by real programs: what the operator is told.
//! docs/errors.md has the whole list.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, listen, socket};

mod harness;

use harness::{Environment, Fleet, FleetPlan, HostTraits, Recorded, black_hole, garbage};

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
        for cause in failure["causes"].as_array().into_iter().flatten() {
            writeln!(text, "  caused by: {}", word(cause)).unwrap();
        }
        writeln!(text, "  hint: {}", word(&failure["hint"])).unwrap();
    }
    outcome.normalised(&text)
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
    insta::assert_snapshot!(text, @"");
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
        .host_with(4, login("mkdir bin; printf '#!/bin/sh\\necho mips\\n' >bin/uname; chmod 755 bin/uname; PATH=$HOME/bin:$PATH"))
        .host_with(5, login("mkdir -p bin; printf '#!/bin/sh\\necho aarch64\\n' >bin/uname; chmod 755 bin/uname; PATH=$HOME/bin:$PATH"))
        .host_with(6, login("echo This account is currently not available.; exit 1"))
        .host_with(7, login("exit 1"))
        .host_with(8, login("exec rbash -c \"$SSH_ORIGINAL_COMMAND\""))
        .host_with(9, login("exec git-shell -c \"$SSH_ORIGINAL_COMMAND\""))
        .start();
    let hosts = [
        (1, "sftp alone"),
        (2, "another command"),
        (3, "endless output"),
        (4, "no runner for it"),
        (5, "cannot run its runner"),
        (6, "nologin"),
        (7, "false"),
        (8, "rbash"),
        (9, "git-shell"),
    ];
    let text = told(&environment, &fleet, &hosts, &["--", "true"]);
    insta::assert_snapshot!(text, @"");
}
