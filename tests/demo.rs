//! The main job on hosts of our own, and every example payload on a real one.

mod harness;

use std::fs;
use std::path::Path;

use harness::{Environment, Fleet};

#[test]
fn the_demo_runs_the_whole_job_and_leaves_nothing() {
    let environment = Environment::new();
    let outcome = environment.command(["demo", "--hosts", "3"]).limit(60).run().succeeds();
    let (out, err) = (outcome.out(), outcome.err());
    assert!(out.starts_with("demo[01-03] (3 hosts): ok\nhello\n"), "identical output once:\n{out}");
    assert!(out.contains("demo02  succeeded"), "the run from the ledger:\n{out}");
    assert!(err.contains("3 hosts: 3 ok in "), "{err}");
    assert!(!environment.ledger_path().exists(), "the operator's own ledger is not touched");
    let left: Vec<_> =
        fs::read_dir(environment.temporary()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_demo_in_json_is_one_document() {
    let environment = Environment::new();
    let document =
        environment.command(["demo", "--hosts", "2", "-o", "json"]).limit(60).run().succeeds().json();
    assert_eq!(document["summary"]["outcomes"]["succeeded"], 2);
    assert_eq!(document["hosts"][0]["helper_mode"], "api");
    assert_eq!(document["hosts"][0]["output"]["visits"], 1);
}

#[test]
fn every_example_payload_packs_verifies_and_runs() {
    let (environment, fleet) = (Environment::new(), Fleet::start(1));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads");
    let mut seen = 0;
    for folder in fs::read_dir(&examples).unwrap().map(|entry| entry.unwrap().path()) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "init" {
            continue;
        }
        let packed = environment.path(format!("{name}.tar.gz"));
        let (folder, packed) = (folder.to_str().unwrap(), packed.to_str().unwrap());
        environment.run(["pack", folder, "-o", packed]).succeeds().ignore();
        environment.run(["verify", packed]).succeeds().ignore();
        // However full the disk of this machine is.
        let input = r#"{"limit": 100}"#;
        environment.exec(&fleet, &fleet.name(1)).args([packed, "--input", input]).run().succeeds().ignore();
        let result = environment.ledger().result(&environment.ledger().last_run(), &fleet.name(1));
        assert_eq!(result.helper_mode.as_deref(), Some("api"), "{name} calls its helpers: {result:#?}");
        seen += 1;
    }
    assert!(seen >= 4, "{seen} examples");
}
