//! Where a setting comes from: command line over environment over the project's file over the user's.

mod harness;

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
