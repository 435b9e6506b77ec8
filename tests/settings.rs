//! Where a setting comes from: command line over environment over the project's file over the user's.

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use harness::Environment;

fn forks(environment: &Environment, args: &[&str], variable: Option<&str>) -> u64 {
    let mut command = environment.command(["exec", "local", "--check"]).args(args).args(["--", "true"]);
    if let Some(value) = variable {
        command = command.env("CRONIUM_RUN_FORKS", value);
    }
    command.run().succeeds().json()["forks"].as_u64().unwrap()
}

#[test]
fn layers() {
    let environment = Environment::new();
    assert_eq!(forks(&environment, &[], None), 100);
    environment.write("../home/.config/cronium-run/config.toml", "forks = 7\n");
    assert_eq!(forks(&environment, &[], None), 7);
    assert_eq!(forks(&environment, &[], Some("8")), 8);
    assert_eq!(forks(&environment, &["-f", "9"], Some("8")), 9);
}

#[test]
fn a_mistake_in_a_file_is_told_with_its_place_and_hides_no_help() {
    let environment = Environment::new();
    environment.write("../home/.config/cronium-run/config.toml", "\nfroks = 7\n");
    let error = environment.run(["runs"]).exits(2).err();
    assert!(error.contains("config.toml:2") && error.contains("forks"), "{error}");
    environment.run(["--help"]).succeeds().ignore();
}

#[test]
fn a_check_touches_nothing() {
    let environment = Environment::new();
    let plan = environment.command(["exec", "local", "--", "true"]).env("CRONIUM_RUN_CHECK", "1").run();
    assert_eq!(plan.succeeds().json()["hosts"][0]["local"], true);
    assert!(!environment.home().join(".config/cronium-run/operator.key").exists());
    assert!(!environment.ledger_path().exists());
}

#[test]
fn the_log_file_tells_what_was_done_and_no_value() {
    let environment = Environment::new();
    let log = environment.path("run.log");
    let args = ["exec", "local", "-vv", "--env", "PW=hunter2", "--input", "\"s3cr3t\"", "--log-file"];
    environment.command(args).arg(&log).args(["--", "exit 3"]).run().exits(3).ignore();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("run begins") && text.contains("outcome=\"failed\""), "{text}");
    for secret in ["hunter2", "s3cr3t"] {
        assert!(!text.contains(secret), "{text}");
        let ledger = std::fs::read(environment.ledger_path()).unwrap();
        assert!(!String::from_utf8_lossy(&ledger).contains(secret), "in the ledger");
    }
}

/// Whoever wrote a repository must not run programs here because somebody enters its folder.
#[test]
fn a_project_runs_no_program() {
    let environment = Environment::new();
    let ran = environment.path("ran");
    let touch = format!("touch {}", ran.display());
    let evil = environment.write("evil", format!("#!/bin/sh\n{touch}\necho '{{\"web\": [\"web1\"]}}'\n"));
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    environment.write("sshcfg", format!("Match exec \"{touch}\"\n  User eve\n"));

    let project = environment.write("cronium.toml", "forks = 3\ninventory = [\"./evil\"]\n");
    let told = environment.run(["hosts"]).exits(2).err();
    assert!(told.contains("cronium.toml:2: the inventory ./evil is a program"), "{told}");
    assert!(told.contains("-i ./evil  runs it"), "{told}");
    for line in [
        "ssh-config = \"./sshcfg\"".to_owned(),
        format!("ssh-option = [\"ProxyCommand={touch}\"]"),
        "known-hosts = \"known_hosts\"".to_owned(),
        "host-key = \"off\"".to_owned(),
        "key = \"cosign.key\"".to_owned(),
        "verify-key = \"cosign.pub\"".to_owned(),
        "trust = [\"cosign.pub\"]".to_owned(),
        "env = [\"BASH_ENV=$(touch ran)\"]".to_owned(),
        "input = \"@/etc/passwd\"".to_owned(),
        "log-file = \"../home/.bashrc\"".to_owned(),
        "output-dir = \"../home/.ssh\"".to_owned(),
    ] {
        fs::write(&project, format!("\n{line}\n")).unwrap();
        let told = environment.run(["exec", "web1", "--check", "--", "true"]).exits(2).err();
        let key = line.split(' ').next().unwrap();
        let wanted = format!("cronium.toml:2: the file of a project cannot set {key}\n");
        assert!(told.contains(&wanted), "{line}: {told}");
    }
    environment.write("hosts.ini", format!("web1 ansible_ssh_common_args='-o ProxyCommand=\"{touch}\"'\n"));
    fs::write(&project, "inventory = [\"hosts.ini\"]\n").unwrap();
    let told = environment.run(["exec", "web1", "--", "true"]).exits(2).err();
    assert!(told.contains("has a ProxyCommand, and a project runs no programs"), "{told}");
    assert!(!ran.exists());

    // Named by the operator, or in a file of his own, they are run.
    fs::write(&project, "inventory = [\"./evil\"]\n").unwrap();
    environment.run(["hosts", "-i", "./evil"]).succeeds().ignore();
    assert!(ran.exists());
    fs::remove_file(&ran).unwrap();
    fs::remove_file(&project).unwrap();
    let user = environment.write("../home/.config/cronium-run/config.toml", "ssh-config = \"sshcfg\"\n");
    fs::rename(environment.path("sshcfg"), user.with_file_name("sshcfg")).unwrap();
    let hosts = environment.run(["hosts", "web1"]).succeeds().out();
    assert!(hosts.contains("eve@web1") && ran.exists(), "{hosts}");
}

#[test]
fn a_path_of_a_project_begins_in_its_folder() {
    let environment = Environment::new();
    environment.write("cronium.toml", "inventory = [\"lists/web.txt\"]\n");
    environment.write("lists/web.txt", "web1\n");
    environment.write("deep/x", "");
    let hosts = environment.program("sh", ["-c", "cd deep && exec cronium-run hosts -u me"]).run();
    assert!(hosts.succeeds().out().contains("me@web1:22"));
}
