//! Settings of ssh_config that hosts themselves can tell were followed.

mod harness;

use harness::{Environment, Fleet, FleetPlan, Invocation};

fn fleet(config: &str) -> Fleet {
    FleetPlan::default().host_with(1, |host| host.config = config.to_owned()).start()
}

fn exec(environment: &Environment, fleet: &Fleet, config: &str, command: &str) -> Invocation {
    environment.write("config", config);
    environment.exec(fleet, &fleet.name(1)).args(["-F", "config", "-o", "stream", "--", command])
}

/// What the login shell had in its environment: the script's own is a clean one.
#[test]
fn set_env_and_send_env_ask_for_what_accept_env_takes() {
    let environment = Environment::new();
    let fleet = FleetPlan::default()
        .host_with(1, |host| {
            host.config = "AcceptEnv TOLD SENT_*".to_owned();
            host.login = "env >\"$HOME/seen\"".to_owned();
        })
        .start();
    let config = "SetEnv TOLD='two words' REFUSED=x\nSendEnv SENT_* -SENT_BACK\nSendEnv -SENT_NO*\n";
    let exec = exec(&environment, &fleet, config, "true").env("SENT_A", "a").env("SENT_NOT", "b");
    exec.run().succeeds().ignore();
    let seen = std::fs::read_to_string(fleet.home(1).join("seen")).unwrap();
    let ours = |line: &&str| ["TOLD", "REFUSED", "SENT_"].iter().any(|name| line.starts_with(name));
    let mut ours: Vec<&str> = seen.lines().filter(ours).collect();
    ours.sort_unstable();
    assert_eq!(ours, ["SENT_A=a", "SENT_NOT=b", "TOLD=two words"]);
}

/// OpenSSH leaves a timeout of zero to the system, which is more patient than we are.
#[test]
fn no_timeout_is_the_one_that_nobody_set() {
    let (environment, fleet) = (Environment::new(), fleet(""));
    let outcome = environment.run([
        "hosts",
        "-o",
        "json",
        "--ssh-option",
        "ConnectTimeout 0",
        "--ssh-option",
        "ConnectTimeout 3",
        "web1",
    ]);
    assert_eq!(outcome.succeeds().json()[0]["connect_timeout_ms"], 10_000);
    let (port, number) = (fleet.port().to_string(), fleet.name(1));
    let exec = environment.command(["exec", &number, "-u", harness::user(), "-p", &port]);
    let exec = exec.args(["--private-key".as_ref(), fleet.private_key().as_os_str()]);
    let exec = exec.args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()]);
    exec.args(["--ssh-option", "ConnectTimeout=0", "--", "true"]).run().succeeds().ignore();
}

#[test]
fn an_o_of_ssh_is_told_what_it_is_here() {
    let environment = Environment::new();
    let typed = ["exec", "web1", "-o", "StrictHostKeyChecking=no", "--", "true"];
    let told = environment.run(typed).exits(2).err();
    assert!(told.contains("tip: ssh's -o is '--ssh-option StrictHostKeyChecking=no' here\n"), "{told}");
    let told = environment.run(["exec", "web1", "-o", "jsom", "--", "true"]).exits(2).err();
    assert!(told.contains("tip: a similar value exists: 'json'") && !told.contains("--ssh-option"), "{told}");
}

/// What changes how ssh connects and is not followed.
#[test]
fn what_is_left_out_is_said() {
    let (environment, fleet) = (Environment::new(), fleet(""));
    let config = "HostbasedAuthentication yes\nConnectionAttempts 3\nUpdateHostKeys yes\nRekeyLimit 1G\n\
        GSSAPIAuthentication yes\nIPQoS none\nTCPKeepAlive yes\n";
    let told = exec(&environment, &fleet, config, "true").run().succeeds().err();
    for keyword in ["HostbasedAuthentication", "ConnectionAttempts", "UpdateHostKeys", "RekeyLimit"] {
        assert!(told.contains(keyword), "{keyword}: {told}");
    }
    assert_eq!(told.matches("warning: ").count(), 4, "{told}");
}

#[test]
fn addresses_are_those_that_are_asked_for() {
    let (environment, fleet) = (Environment::new(), fleet(""));
    let from = format!("{}77", fleet.prefix());
    exec(&environment, &fleet, &format!("BindAddress {from}\nAddressFamily inet\n"), "true")
        .run()
        .succeeds()
        .ignore();
    assert!(fleet.log(1).contains(&format!("Connection from {from} ")), "{}", fleet.log(1));
    let outcome = exec(&environment, &fleet, "AddressFamily inet6\n", "true").run().exits(4);
    assert!(outcome.err().contains("AddressFamily inet6 leaves no other"), "{outcome:?}");
    let outcome = exec(&environment, &fleet, "BindAddress ::1\n", "true").run().exits(4);
    assert!(outcome.err().contains("BindAddress is of another family"), "{outcome:?}");
}

#[test]
fn ways_to_log_in_that_are_forbidden_are_not_tried() {
    let (environment, fleet) = (Environment::new(), fleet(""));
    for config in ["PubkeyAuthentication no\n", "PreferredAuthentications password,keyboard-interactive\n"] {
        let outcome = exec(&environment, &fleet, config, "true").run().exits(4);
        assert!(outcome.err().contains("ssh_config allows no key of"), "{outcome:?}");
    }
    assert!(!fleet.log(1).contains("publickey"), "{}", fleet.log(1));
    exec(&environment, &fleet, "PreferredAuthentications publickey\n", "true").run().succeeds().ignore();
    environment.write("password", "guess\n");
    let refused = exec(&environment, &fleet, "PasswordAuthentication no\nPubkeyAuthentication no\n", "true");
    let outcome = refused.env("CRONIUM_RUN_PASSWORD_FILE", "password").run().exits(4);
    assert!(!fleet.log(1).contains("Failed password"), "{outcome:?}: {}", fleet.log(1));
}

#[test]
fn a_revoked_key_is_refused_whatever_known_hosts_says() {
    let (environment, fleet) = (Environment::new(), fleet(""));
    let own = std::fs::read_to_string(fleet.folder().join("host1.pub")).unwrap();
    let other = std::fs::read_to_string(fleet.folder().join("decoy.pub")).unwrap();
    let config = "RevokedHostKeys DIR/revoked\n".replace("DIR", environment.path("").to_str().unwrap());
    let run = |list: &str| {
        environment.write("revoked", list);
        exec(&environment, &fleet, &config, "true")
    };
    run(&other).run().succeeds().ignore();
    for policy in ["strict", "accept-new", "off"] {
        let outcome =
            run(&format!("# bad\n{other}\n{own}")).env("CRONIUM_RUN_HOST_KEY", policy).run().exits(4);
        assert!(outcome.err().contains("it is on the list of RevokedHostKeys"), "{outcome:?}");
    }
    // A line that nobody can read may be the very key.
    let blank = format!("\n  \n\t# comment\n  {other}\r\n");
    run(&blank).run().succeeds().ignore();
    for (list, line) in [
        (format!("{other}ssh-ed25519 AAAA\n"), "line 2"),
        (format!("\u{feff}{own}"), "line 1"),
        (format!("no-pty {own}"), "line 1"),
    ] {
        let outcome = run(&list).env("CRONIUM_RUN_HOST_KEY", "off").run().exits(4);
        assert!(outcome.err().contains(&format!("{line} is no public key")), "{list}: {outcome:?}");
        assert!(outcome.err().contains("hint: ssh-keygen -lf "), "{outcome:?}");
    }
    let krl = std::process::Command::new("ssh-keygen")
        .args(["-q", "-k", "-f"])
        .arg(environment.path("krl"))
        .arg(fleet.folder().join("decoy.pub"))
        .output()
        .unwrap();
    assert!(krl.status.success(), "{krl:?}");
    let bytes = std::fs::read(environment.path("krl")).unwrap();
    environment.write("revoked", bytes);
    let outcome = exec(&environment, &fleet, &config, "true").run().exits(4);
    assert!(outcome.err().contains("it is a binary KRL"), "{outcome:?}");
    std::fs::remove_file(environment.path("revoked")).unwrap();
    let outcome = exec(&environment, &fleet, &config, "true").run().exits(4);
    assert!(outcome.err().contains("the list of revoked host keys cannot be read"), "{outcome:?}");
}
