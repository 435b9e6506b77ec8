use std::fs::File;

use cronium_wire::manifest::{HelperAccess, KeyPatterns};
use cronium_wire::message::{Snapshot, SnapshotVariable};

use super::*;

/// A desk whose operator cannot be asked, with what the job brought.
fn bundled(helpers: HelperAccess, complete: bool) -> Desk {
    let variables = vec![
        SnapshotVariable { key: "n".into(), value: json!(40), version: 7, scope: "global".into() },
        SnapshotVariable { key: "t".into(), value: json!("text"), version: 1, scope: "host:web1".into() },
    ];
    let mut job = Job {
        host: "web1".into(),
        run: "R".into(),
        scopes: ["run:R", "host:web1", "global"].map(str::to_owned).to_vec(),
        context: json!({"eventName": "e"}),
        snapshot: Snapshot { variables, complete },
        ..Job::default()
    };
    let uplink = || Uplink::over(File::options().write(true).open("/dev/null").unwrap());
    let tunnel = Arc::new(Tunnel::new(&job, uplink(), "/nowhere".into()));
    tunnel.ask();
    tunnel.refused("no".into());
    while tunnel.way().1.is_none() {
        std::thread::yield_now();
    }
    tunnel.refused("no".into());
    while tunnel.way().0.is_none() {
        std::thread::yield_now();
    }
    Desk::new(&mut job, b"{\"a\":1}".to_vec(), helpers, tunnel, uplink(), "w".into())
}

fn ask(desk: &Desk, request: &str) -> (u16, Value) {
    let reply = desk.answer(serde_json::from_str(request).unwrap());
    (reply.status, if reply.is_ok() { reply.data } else { json!(reply.error.unwrap()) })
}

#[test]
fn answers_without_an_operator() {
    let desk = bundled(HelperAccess::default(), true);
    let variable = |key: &str, value: Value, version: u64, scope: &str| {
        (200, json!({"key": key, "value": value, "version": version, "scope": scope}))
    };
    for (request, want) in [
        (r#""input""#, (200, json!({"a": 1}))),
        (r#""event""#, (200, json!({"eventName": "e"}))),
        (r#"{"getVariable": {"key": "n"}}"#, variable("n", json!(40), 7, "global")),
        (r#"{"getVariable": {"key": "none"}}"#, (404, json!("no variable none"))),
        (r#"{"increment": {"key": "n", "by": 2}}"#, variable("n", json!(42), 8, "global")),
        (r#"{"increment": {"key": "t", "by": 2}}"#, (400, json!("the variable 't' is no number"))),
        (r#"{"increment": {"key": "new", "by": -1.5}}"#, variable("new", json!(-1.5), 1, "global")),
        (r#"{"setVariable": {"key": "t", "value": null}}"#, variable("t", json!(null), 2, "host:web1")),
        (r#"{"getVariable": {"key": "t"}}"#, variable("t", json!(null), 2, "host:web1")),
        (
            r#"{"setVariable": {"key": "t", "value": 1, "ifVersion": 1}}"#,
            (409, json!("the variable has version 2")),
        ),
        (
            r#"{"setVariable": {"key": "x", "value": 1, "ifVersion": 1}}"#,
            (409, json!("the variable does not exist")),
        ),
        (
            r#"{"setVariable": {"key": "x", "value": 1, "ifVersion": 0}}"#,
            variable("x", json!(1), 1, "global"),
        ),
        (r#"{"setVariable": {"key": "x", "value": 2, "scope": "run"}}"#, variable("x", json!(2), 1, "run:R")),
        (r#"{"getVariable": {"key": "x"}}"#, variable("x", json!(2), 1, "run:R")),
        (r#"{"getVariable": {"key": "x", "scope": "global"}}"#, variable("x", json!(1), 1, "global")),
        (
            r#"{"unset": {"key": "x"}}"#,
            (200, json!({"key": "x", "value": null, "version": 0, "scope": "run:R"})),
        ),
        (r#"{"getVariable": {"key": "x"}}"#, variable("x", json!(1), 1, "global")),
        (r#"{"unset": {"key": "none"}}"#, (404, json!("no variable none"))),
        (r#"{"setVariable": {"key": "", "value": 1}}"#, (400, json!("the key is empty"))),
        (r#"{"output": {"value": 1, "append": true}}"#, (200, json!(null))),
        (
            r#"{"setVariable": {"key": "x", "value": 1, "scope": "project"}}"#,
            (400, json!("this run has no project: exec --project NAME")),
        ),
        (r#"{"progress": {"percent": 101}}"#, (400, json!("101 is not from 0 to 100"))),
        (r#"{"condition": {"condition": true}}"#, (200, json!(null))),
    ] {
        assert_eq!(ask(&desk, request), want, "{request}");
    }
    let keys = desk.answer(Request::Variables { scope: None }).data;
    let keys: Vec<&str> = keys.as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["n", "new", "t", "x"]);
    let told = desk.close().0.unwrap();
    assert_eq!(told.mode, Mode::Bundled);
    assert_eq!(told.reason.unwrap(), "no Unix socket: no; no TCP port: no");
}

/// Versions that were made here are the operator's to count: a script that compares with one names
/// the write that made it.
#[test]
fn versions_made_here() {
    let desk = bundled(HelperAccess::default(), true);
    let version = |request: &str| ask(&desk, request).1["version"].clone();
    assert_eq!(version(r#"{"setVariable": {"key": "n", "value": 1, "ifVersion": 7}}"#), 8, "the operator's");
    assert_eq!(version(r#"{"setVariable": {"key": "n", "value": 2, "ifVersion": 8}}"#), 9, "our own");
    assert_eq!(version(r#"{"unset": {"key": "n"}}"#), 0);
    assert_eq!(version(r#"{"setVariable": {"key": "n", "value": 3}}"#), 10, "never one again");
}

/// What fills a frame is refused, not sent: the operator would cut the host off.
#[test]
fn what_is_told_fits_into_a_frame() {
    let desk = bundled(HelperAccess::default(), true);
    for (message, status) in
        [("x".repeat(16 << 10), 200), ("\u{1}".repeat(12 << 10), 413), ("x".repeat(17 << 10), 413)]
    {
        let request = Request::Log { level: "info".into(), message, context: Value::Null };
        assert_eq!(desk.answer(request).status, status);
    }
    let context = json!(["x".repeat(5 << 10)]);
    let request = Request::Log { level: "info".into(), message: String::new(), context };
    assert_eq!(desk.answer(request).status, 413);
}

/// What the job did not bring is not said to be missing, and a write to it is not lost.
#[test]
fn what_is_not_known_is_said() {
    let desk = bundled(HelperAccess::default(), false);
    let (status, error) = ask(&desk, r#"{"getVariable": {"key": "other"}}"#);
    assert_eq!(status, 503);
    assert!(error.as_str().unwrap().ends_with("helpers: {read: [other]}"), "{error}");
    let (status, data) = ask(&desk, r#"{"increment": {"key": "other", "by": 1}}"#);
    assert_eq!((status, &data["value"]), (200, &Value::Null));
    assert_eq!(
        ask(&desk, r#"{"setVariable": {"key": "other", "value": 5, "ifVersion": 3}}"#).1["version"],
        4
    );
    assert_eq!(ask(&desk, r#"{"getVariable": {"key": "other"}}"#).1["value"], 5);
    assert_eq!(ask(&desk, r#"{"variables": {}}"#).0, 503);
}

#[test]
fn the_manifest_holds_here_too() {
    let patterns = |words: &[&str]| Some(KeyPatterns(words.iter().map(|word| (*word).into()).collect()));
    let desk =
        bundled(HelperAccess { read: patterns(&["n"]), write: patterns(&["own/*", "n"]), http: false }, true);
    for (request, want) in [
        (r#"{"getVariable": {"key": "n"}}"#, 200),
        (r#"{"getVariable": {"key": "t"}}"#, 403),
        (r#"{"setVariable": {"key": "t", "value": 1}}"#, 403),
        (r#"{"setVariable": {"key": "own/x", "value": 1, "ifVersion": 4}}"#, 200),
        (r#"{"increment": {"key": "t", "by": 1}}"#, 403),
        (r#"{"unset": {"key": "t"}}"#, 403),
    ] {
        assert_eq!(ask(&desk, request).0, want, "{request}");
    }
}

#[test]
fn no_call_is_no_mode() {
    assert_eq!(bundled(HelperAccess::default(), true).close(), (None, None));
}

/// A script that tells without end fills no disk: so much of each, and then the number of what was more.
#[test]
fn there_is_an_end_to_what_is_told() {
    let path = std::env::temp_dir().join(crate::run_folder::random_word().unwrap());
    let desk = bundled(HelperAccess::default(), true);
    desk.uplink.spool_to(&path).unwrap();
    (desk.said().told_left, desk.said().journal_left) = (150, 45);
    let log = r#"{"log": {"level": "info", "message": "12345678901234567890"}}"#;
    let answers: Vec<u16> = (0..4).map(|_| ask(&desk, log).0).collect();
    assert_eq!(answers, [200, 200, 507, 507]);
    assert_eq!(ask(&desk, r#"{"condition": {"condition": true}}"#).0, 507);
    let (status, error) = ask(&desk, r#"{"output": {"value": "12345678901234567890"}}"#);
    assert_eq!((status, error), (507, json!("this run has told the operator more than 64 MiB")));
    assert_eq!(ask(&desk, r#"{"output": {"value": 7}}"#).0, 200);
    assert_eq!(desk.close().1, None, "what was not told is not so");
    assert_eq!(ask(&desk, r#"{"output": {"value": 8}}"#), (503, json!("the script has ended")));
    desk.repeat_output();
    let told = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    assert!(told.contains("4 messages were not kept, as this run has told the operator more than 64 MiB"));
    assert_eq!(told.matches(r#""value":7"#).count(), 2, "{told}");
    std::fs::remove_file(&path).unwrap();
}
