//! Who we are: keys, certificates, agents, passphrases and passwords, against real sshd.

mod harness;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{Environment, Fleet, FleetPlan, Invocation, Outcome, PASSWORD};

/// Hosts 1 to `count` with lines of configuration.
fn fleet(count: u8, config: &str) -> Fleet {
    let host = |plan: FleetPlan, number| plan.host_with(number, |host| host.config = config.to_owned());
    (1..=count).fold(FleetPlan::default(), host).start()
}

/// Hosts that also take a password.
fn with_password(config: &str) -> Fleet {
    let plan = FleetPlan::default().host_with(1, |host| {
        host.password = true;
        host.config = config.to_owned();
    });
    plan.start()
}

/// A command that reaches the fleet with no key but those that `args` name.
fn exec(environment: &Environment, fleet: &Fleet, targets: &str, args: &[&str]) -> Invocation {
    environment
        .command(["exec", targets, "-u", harness::user(), "-p", &fleet.port().to_string()])
        .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
        .env("CRONIUM_RUN_CONNECT_TIMEOUT", "5s")
        .args(args)
        .args(["--", "echo in"])
}

#[track_caller]
fn is_in(outcome: Outcome) {
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.ignore();
}

#[track_caller]
fn is_out(outcome: Outcome, why: &str) {
    assert_eq!(outcome.code, 4, "{outcome:?}");
    assert!(outcome.err().contains(why), "{why}: {outcome:?}");
    outcome.ignore();
}

fn keygen(args: &[&str], folder: &Path) {
    let output = Command::new("ssh-keygen").arg("-q").args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A new key pair in the folder commands run in.
fn key(environment: &Environment, name: &str, passphrase: &str) -> PathBuf {
    keygen(&["-t", "ed25519", "-N", passphrase, "-f", name], &environment.path(""));
    environment.path(name)
}

/// Lets a key into all hosts of the fleet.
fn authorize(fleet: &Fleet, key: &Path) {
    let public = std::fs::read(key.with_extension("pub")).unwrap();
    std::fs::write(fleet.folder().join("authorized"), public).unwrap();
}

fn fingerprint(key: &Path) -> String {
    let output = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

/// An agent of the test, gone with it.
struct Agent(Child, PathBuf);

impl Agent {
    fn start(environment: &Environment) -> Self {
        let socket = environment.path("agent");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !socket.exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Self(child, socket)
    }

    fn add(&self, key: &Path) {
        let added =
            Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.1).output().unwrap();
        assert!(added.status.success(), "{added:?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_certificate_opens_what_the_key_alone_does_not() {
    let environment = Environment::new();
    let fleet = fleet(3, "TrustedUserCAKeys FLEET/ca.pub\nAuthorizedKeysFile none");
    keygen(&["-t", "ed25519", "-N", "", "-f", "ca"], fleet.folder());
    let ca = fleet.folder().join("ca");
    key(&environment, "id", "");
    let sign = |valid: &str| {
        let principal = harness::user();
        keygen(
            &["-s", ca.to_str().unwrap(), "-I", "me", "-n", principal, "-V", valid, "id.pub"],
            &environment.path(""),
        );
    };
    let run = |args: &[&str]| exec(&environment, &fleet, &fleet.name(1), args).run();
    is_out(run(&["--private-key", "id"]), "in with 1 key");

    sign("-1h:+1h");
    is_in(run(&["--private-key", "id"]));
    let other = environment.path("elsewhere.pub");
    std::fs::rename(environment.path("id-cert.pub"), &other).unwrap();
    is_out(run(&["--private-key", "id"]), "in with 1 key");
    let option = format!("CertificateFile={}", other.display());
    is_in(run(&["--private-key", "id", "--ssh-option", &option]));

    // The agent has the key, the certificate is in a file; then the agent has both.
    let agent = Agent::start(&environment);
    agent.add(&environment.path("id"));
    let run = |number: u8, args: &[&str]| {
        exec(&environment, &fleet, &fleet.name(number), args).env("SSH_AUTH_SOCK", &agent.1).run()
    };
    is_in(run(2, &["--ssh-option", &option]));
    is_out(run(3, &[]), "in with 1 key");
    std::fs::rename(&other, environment.path("id-cert.pub")).unwrap();
    agent.add(&environment.path("id"));
    is_in(run(3, &[]));
    drop(agent);

    std::fs::remove_file(environment.path("id-cert.pub")).unwrap();
    sign("-2h:-1h");
    let expired = exec(&environment, &fleet, &fleet.name(1), &["--private-key", "id"]).run();
    is_out(expired, "id-cert.pub: the certificate has expired");
}

#[test]
fn the_key_that_worked_is_tried_first_and_no_more_than_five_are() {
    let (environment, fleet) = (Environment::new(), fleet(3, ""));
    let agent = Agent::start(&environment);
    let keys: Vec<PathBuf> = (1..=7).map(|number| key(&environment, &format!("key{number}"), "")).collect();
    keys.iter().for_each(|key| agent.add(key));
    let run = |targets: &str, args: &[&str]| {
        exec(&environment, &fleet, targets, args).env("SSH_AUTH_SOCK", &agent.1).run()
    };
    let failed = |number| fleet.log(number).matches("Failed publickey").count();

    authorize(&fleet, &keys[3]);
    is_in(run(&fleet.names(1..=3), &["--forks", "1"]));
    assert_eq!((failed(1), failed(2), failed(3)), (3, 0, 0), "{}", fleet.log(2));

    authorize(&fleet, &keys[6]);
    is_out(run(&fleet.name(1), &[]), "with none of the first 5 of 7 keys");
    assert_eq!(failed(1), 3 + 5);
    // Named by its public half alone, the private one being the agent's.
    std::fs::remove_file(&keys[6]).unwrap();
    let only = ["--ssh-option", "IdentitiesOnly=yes", "--ssh-option", "IdentityFile=key7"];
    let only = only.map(|arg| arg.replace("key7", keys[6].to_str().unwrap()));
    is_in(run(&fleet.name(1), &only.each_ref().map(String::as_str)));
    assert_eq!(failed(1), 3 + 5);
}

#[test]
fn the_key_a_host_took_is_its_first_in_the_next_run() {
    let (environment, fleet) = (Environment::new(), fleet(2, "MaxAuthTries 2"));
    let agent = Agent::start(&environment);
    let keys: Vec<PathBuf> = (1..=6).map(|number| key(&environment, &format!("key{number}"), "")).collect();
    keys.iter().for_each(|key| agent.add(key));
    authorize(&fleet, &keys[5]);
    let run = |number, args: &[&str]| {
        exec(&environment, &fleet, &fleet.name(number), args).env("SSH_AUTH_SOCK", &agent.1).run()
    };
    let failed = |number| fleet.log(number).matches("Failed publickey").count();
    let drowned = run(1, &[]);
    assert!(drowned.err().contains("it says 'Too many authentication failures'"), "{drowned:?}");
    assert!(drowned.err().contains("hint: --private-key FILE, with --ssh-option IdentitiesOnly=yes"));
    is_out(drowned, "the host hung up after 2 keys");
    assert_eq!((failed(1), fleet.connections(1)), (2, 1), "{}", fleet.log(1));

    is_in(run(1, &["--private-key", "key6"]));
    let file = environment.ledger_path().with_file_name("login-keys");
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 1, "{written}");
    is_in(run(1, &[]));
    assert_eq!((failed(1), fleet.logins(1)), (2, 2), "{}", fleet.log(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    // What the operator names comes before what is remembered.
    let both = keys[4..].iter().map(|key| std::fs::read_to_string(key.with_extension("pub")).unwrap());
    std::fs::write(fleet.folder().join("authorized"), both.collect::<String>()).unwrap();
    is_in(run(1, &["--private-key", "key5"]));
    let accepted = fleet.log(1).lines().rfind(|line| line.contains("Accepted publickey")).unwrap().to_owned();
    assert!(accepted.ends_with(&fingerprint(&keys[4])), "{accepted}");

    // It says nothing of another host, and a file that is lost costs tries, no more.
    is_out(run(2, &[]), "the host hung up after 2 keys");
    std::fs::write(&file, [0xff, 0, b'\n']).unwrap();
    is_out(run(1, &[]), "the host hung up after 2 keys");
}

#[test]
fn a_passphrase_is_asked_for_once_and_never_without_a_terminal() {
    let (environment, fleet) = (Environment::new(), fleet(3, ""));
    let sealed = key(&environment, "sealed", "open sesame");
    authorize(&fleet, &sealed);
    let run = |args: &[&str]| exec(&environment, &fleet, &fleet.name(1), args).run();
    is_out(run(&["--private-key", "sealed"]), "sealed: it has a passphrase that nobody was asked for");
    let hint = format!("hint: ssh-add {}\n", "sealed");
    is_out(run(&["--private-key", "sealed"]), &hint);
    // Nor on a terminal, where ssh_config says that nobody is there.
    let batch = ["--private-key", "sealed", "--ssh-option", "BatchMode=yes"];
    let batch = exec(&environment, &fleet, &fleet.name(1), &batch).on_a_terminal(&environment).run();
    assert!(batch.code == 4 && !batch.out().contains("Passphrase of"), "{batch:?}");

    let line = format!(
        "cronium-run exec {} -u {} -p {} --known-hosts {} --private-key sealed -- echo in",
        fleet.names(1..=3),
        harness::user(),
        fleet.port(),
        fleet.known_hosts().display(),
    );
    let asked = environment
        .program("script", ["-E", "never", "-qec", &line, "/dev/null"])
        .stdin("wrong\nopen sesame\n")
        .env("SHELL", "/bin/sh")
        .run();
    assert_eq!(asked.code, 0, "{asked:?}");
    let text = asked.out();
    assert_eq!(text.matches("Passphrase of").count(), 2, "{text}");
    assert!(text.contains("That does not open it.") && !text.contains("sesame"), "{text}");
    for host in 1..=3 {
        assert_eq!(fleet.logins(host), 1);
    }
    asked.ignore();
}

#[test]
fn the_protocol_is_spoken_as_ssh_config_says() {
    let environment = Environment::new();
    let fleet =
        fleet(1, "Ciphers aes256-ctr\nMACs hmac-sha2-512\nKexAlgorithms ecdh-sha2-nistp256\nCompression yes");
    let key = fleet.private_key();
    let run = |config: &str| {
        environment.write("config", config);
        let args = ["-F", "config", "--private-key", key.to_str().unwrap()];
        exec(&environment, &fleet, &fleet.name(1), &args).run()
    };
    is_out(run("Ciphers aes128-ctr\nKexAlgorithms +ecdh-sha2-nistp256\n"), "no cipher algorithm in common");
    is_in(run("Ciphers aes256-ctr,nonsense\nKexAlgorithms +ecdh-sha2-nistp256\nCompression yes\n"));
    is_in(run(
        "Ciphers ^aes256-ctr\nMACs hmac-sha2-512\nKexAlgorithms ecdh-sha2-*\nHostKeyAlgorithms ssh-ed25519\n",
    ));
    is_out(run("Ciphers nonsense\n"), "Ciphers of ssh_config leaves nothing that we have");
}

/// A test account's password stands in a file that takes the place of /etc/shadow for one sshd.
fn can_have_passwords() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        eprintln!("NOT TESTED: passwords. An account with a password cannot be made without root.");
    }
    root
}

#[test]
fn a_password_is_sent_once() {
    if !can_have_passwords() {
        return;
    }
    let environment = Environment::new();
    let fleet = with_password("PasswordAuthentication yes\nAuthorizedKeysFile none");
    let run = |args: &[&str]| exec(&environment, &fleet, &fleet.name(1), args).run();
    environment.write("right", format!("{PASSWORD}\n"));
    environment.write("wrong", "guess\n");
    environment.write("empty", "\n");
    is_in(run(&["--password-file", "right"]));
    is_in(run(&["--password-file", "right", "--private-key", fleet.private_key().to_str().unwrap()]));
    is_out(run(&["--password-file", "wrong"]), "the host refused the password of");
    assert_eq!(fleet.log(1).matches("Failed password").count(), 1, "{}", fleet.log(1));
    is_out(run(&["--private-key", fleet.private_key().to_str().unwrap()]), "or --ask-pass");
    for args in [&["-k"][..], &["--password-file", "empty"], &["--password-file", "missing"]] {
        let outcome = run(args);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        outcome.ignore();
    }

    let line = format!(
        "cronium-run exec {} -k -u {} -p {} --known-hosts {} -- echo in",
        fleet.name(1),
        harness::user(),
        fleet.port(),
        fleet.known_hosts().display(),
    );
    let asked = environment
        .program("script", ["-E", "never", "-qec", &line, "/dev/null"])
        .stdin(format!("{PASSWORD}\n"))
        .env("SHELL", "/bin/sh")
        .run();
    assert_eq!(asked.code, 0, "{asked:?}");
    assert!(asked.out().contains("SSH password:") && !asked.out().contains(PASSWORD), "{asked:?}");
    asked.ignore();
    let ledger = std::fs::read(environment.ledger_path()).unwrap();
    assert!(!ledger.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()), "in the ledger");
}

#[test]
fn keys_come_after_a_password_that_is_preferred() {
    if !can_have_passwords() {
        return;
    }
    let environment = Environment::new();
    let plan = FleetPlan::default().host_with(1, |host| {
        host.password = true;
        host.config = "PasswordAuthentication yes".to_owned();
    });
    let fleet = plan.host_with(2, |host| host.config = "PasswordAuthentication no".to_owned()).start();
    environment.write("right", PASSWORD);
    environment.write("wrong", "guess");
    environment.write("config", "PreferredAuthentications password,publickey\n");
    let key = fleet.private_key();
    self::key(&environment, "other", "");
    // host, password, key, in, logins by password and by key, refused passwords
    for (host, password, key, is_let_in, log) in [
        (1, "right", key.to_str().unwrap(), true, (1, 0, 0)),
        (1, "wrong", key.to_str().unwrap(), true, (1, 1, 1)),
        (1, "wrong", "other", false, (1, 1, 2)),
        (2, "right", key.to_str().unwrap(), true, (0, 1, 0)),
    ] {
        let args = ["-F", "config", "--password-file", password, "--private-key", key];
        let outcome = exec(&environment, &fleet, &fleet.name(host), &args).run();
        match is_let_in {
            true => is_in(outcome),
            false => is_out(outcome, "the host refused the password of"),
        }
        let count = |what: &str| fleet.log(host).matches(what).count();
        let counted = (count("Accepted password"), count("Accepted publickey"), count("Failed password"));
        assert_eq!(counted, log, "{host} {password}: {}", fleet.log(host));
    }
}

/// PAM takes about two seconds to say no.
#[test]
fn a_password_is_not_sent_again_where_the_answer_comes_late() {
    if !can_have_passwords() {
        return;
    }
    if !Path::new("/etc/pam.d/sshd").exists() {
        eprintln!("NOT TESTED: late answers. sshd has no PAM here.");
        return;
    }
    let environment = Environment::new();
    environment.write("wrong", "guess");
    for config in ["PasswordAuthentication yes", "KbdInteractiveAuthentication yes"] {
        let fleet = with_password(&format!("UsePAM yes\n{config}\nAuthorizedKeysFile none"));
        let args = ["--password-file", "wrong", "--retries", "2", "--connect-timeout", "1s"];
        is_out(exec(&environment, &fleet, &fleet.name(1), &args).run(), "the host was sent the password of");
        assert_eq!(fleet.connections(1), 1, "{config}: {}", fleet.log(1));
    }
}

#[test]
fn a_key_and_a_password_may_both_be_wanted() {
    if !can_have_passwords() {
        return;
    }
    let environment = Environment::new();
    let fleet = with_password("PasswordAuthentication yes\nAuthenticationMethods publickey,password");
    environment.write("right", PASSWORD);
    let key = fleet.private_key();
    let run = |args: &[&str]| exec(&environment, &fleet, &fleet.name(1), args).run();
    let key = key.to_str().unwrap();
    is_out(run(&["--private-key", key]), "the host took the key and wants password as well");
    is_in(run(&["--private-key", key, "--password-file", "right"]));
}

#[test]
fn a_password_answers_the_one_question_of_a_keyboard_login() {
    if !can_have_passwords() {
        return;
    }
    if !Path::new("/etc/pam.d/sshd").exists() {
        eprintln!("NOT TESTED: keyboard-interactive. sshd has no PAM here.");
        return;
    }
    let environment = Environment::new();
    let fleet = with_password("UsePAM yes\nKbdInteractiveAuthentication yes\nAuthorizedKeysFile none");
    environment.write("right", PASSWORD);
    environment.write("wrong", "guess");
    let run = |file: &str| exec(&environment, &fleet, &fleet.name(1), &["--password-file", file]).run();
    is_in(run("right"));
    is_out(run("wrong"), "the host refused the password of");
    let log = fleet.log(1);
    assert_eq!(log.matches("Failed keyboard-interactive/pam").count(), 1, "{log}");
}
