//! Tests: which variable a call means, whether it may, and what a job takes along.

use cronium_wire::manifest::HelperAccess;
use cronium_wire::manifest::KeyPatterns;
use cronium_wire::message::{Snapshot, SnapshotVariable};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::http::Fixture;
use super::*;

fn patterns(keys: &[&str]) -> Option<KeyPatterns> {
    Some(KeyPatterns(keys.iter().map(|key| (*key).to_owned()).collect()))
}

/// One variable in each scope that web1 sees, and in one that it does not.
fn fill(fixture: &Fixture) {
    for scope in [
        "run:01RUN",
        "host:web1",
        "group:web",
        "group:all",
        "project:shop",
        "global",
        "host:web2",
        "group:db",
    ] {
        fixture.store.put(scope, "everywhere", json!(scope));
        fixture.store.put(scope, &format!("only {scope}"), json!(scope));
    }
}

#[tokio::test]
async fn the_scopes_of_a_host() {
    let fixture = Fixture::new(Limits::default());
    let scopes = |host| fixture.api.register(host, &[]).scopes;
    let near = ["run:01RUN", "host:web1", "group:web", "group:all", "project:shop", "global"];
    assert_eq!(scopes("web1"), near, "as it was registered first");
    assert_eq!(scopes("web2"), ["run:01RUN", "host:web2", "project:shop", "global"]);

    let bare = RunContext { run: "01R".into(), ..RunContext::default() };
    let api = Api::new(bare, HelperAccess::default(), fixture.store.clone(), Limits::default()).unwrap();
    assert_eq!(api.register("h", &[]).scopes, ["run:01R", "host:h", "global"]);
}

#[tokio::test]
async fn reading_takes_the_nearest() {
    let fixture = Fixture::new(Limits::default());
    fill(&fixture);
    for (host, call, expected) in [
        ("web1", "everywhere", "run:01RUN"),
        ("web1", "everywhere?scope=run", "run:01RUN"),
        ("web1", "everywhere?scope=host", "host:web1"),
        ("web2", "everywhere?scope=host", "host:web2"),
        ("web1", "everywhere?scope=project", "project:shop"),
        ("web1", "everywhere?scope=%67lobal&x=1", "global"),
        ("web1", "only%20group:web", "group:web"),
        ("web1", "only%20group:all", "group:all"),
        ("web1", "only%20global", "global"),
        ("web1", "only%20global?scope=run", "404"),
        ("web1", "only%20host:web2", "404"),
        ("web1", "only%20group:db", "404"),
        ("web2", "only%20group:web", "404"),
        ("web1", "everywhere?scope=", "400"),
        ("web1", "everywhere?scope", "400"),
        ("web1", "everywhere?scope=group", "400"),
        ("web1", "everywhere?scope=host:web2", "400"),
        ("web1", "everywhere?scope=run&scope=host", "400"),
    ] {
        let path = format!("/executions/ID/variables/{call}");
        let (status, answer) = fixture.call(host, "GET", &path, "").await;
        match expected.parse::<u16>() {
            Ok(expected) => assert_eq!(status, expected, "{call}: {answer}"),
            Err(_) => {
                assert_eq!(status, 200, "{call}: {answer}");
                let data = &answer["data"];
                assert_eq!((&data["scope"], &data["value"]), (&json!(expected), &json!(expected)), "{call}");
            }
        }
    }
}

#[tokio::test]
async fn writing_without_a_scope_goes_where_the_key_is_else_to_all() {
    let fixture = Fixture::new(Limits::default());
    fixture.store.put("group:web", "limit", json!(1));
    // In order.
    for (method, call, body, status, scope, value) in [
        ("PUT", "limit", r#"{"value":2}"#, 200, "group:web", json!(2)),
        ("PUT", "new", r#"{"value":"x"}"#, 200, "global", json!("x")),
        ("PUT", "new?scope=host", r#"{"value":"y"}"#, 200, "host:web1", json!("y")),
        ("PUT", "new", r#"{"value":"z"}"#, 200, "host:web1", json!("z")),
        ("PUT", "new?scope=global", r#"{"value":7,"ifVersion":1}"#, 200, "global", json!(7)),
        ("POST", "count/increment", r#"{"by":5}"#, 200, "global", json!(5)),
        ("POST", "count/increment", r#"{"by":-2}"#, 200, "global", json!(3)),
        ("POST", "count/increment?scope=run", r#"{"by":1}"#, 200, "run:01RUN", json!(1)),
        ("POST", "count/increment?scope=global", r#"{"by":1}"#, 200, "global", json!(4)),
        ("POST", "new/increment", r#"{"by":1}"#, 400, "", Value::Null),
        ("POST", "count/increment", r#"{"by":"1"}"#, 400, "", Value::Null),
        ("POST", "count/increment", r#"{"by":null}"#, 400, "", Value::Null),
        ("POST", "count/increment", r#"{}"#, 400, "", Value::Null),
        ("POST", "count/increment?scope=planet", r#"{"by":1}"#, 400, "", Value::Null),
        ("DELETE", "new", "", 200, "host:web1", Value::Null),
        ("DELETE", "new?scope=host", "", 404, "", Value::Null),
        ("DELETE", "new", "", 200, "global", Value::Null),
        ("DELETE", "new", "", 404, "", Value::Null),
    ] {
        let path = format!("/executions/ID/variables/{call}");
        let (answered, answer) = fixture.call("web1", method, &path, body).await;
        assert_eq!(answered, status, "{method} {call} {body}: {answer}");
        if status == 200 {
            assert_eq!(
                (&answer["data"]["scope"], &answer["data"]["value"]),
                (&json!(scope), &value),
                "{call}"
            );
        }
    }
}

#[tokio::test]
async fn a_run_without_a_project_has_no_such_scope() {
    let fixture = Fixture::new(Limits::default());
    let bare = RunContext { run: "01RUN".into(), ..RunContext::default() };
    let api = Api::new(bare, HelperAccess::default(), fixture.store.clone(), Limits::default()).unwrap();
    let fixture = Fixture { api, store: fixture.store };
    fixture.api.register("web1", &[]);
    for (method, body) in [("GET", ""), ("PUT", r#"{"value":1}"#), ("DELETE", "")] {
        let path = "/executions/ID/variables/k?scope=project";
        let (status, answer) = fixture.call("web1", method, path, body).await;
        assert_eq!((status, &answer["error"]), (400, &json!("the run has no project: exec --project NAME")));
    }
}

#[tokio::test]
async fn the_manifest_says_what_a_payload_may_touch() {
    let helpers = HelperAccess {
        read: patterns(&["app/*", "count"]),
        write: patterns(&["count", "out/*"]),
        http: false,
    };
    let fixture = Fixture::of_manifest(helpers, Limits::default());
    for key in ["app/db", "count", "out/x", "secret"] {
        fixture.store.put("global", key, json!(1));
    }
    let no = |act: &str, key: &str| {
        format!("this payload may not {act} {key}: add it to helpers.{act} in its manifest.yaml")
    };
    for (method, call, body, expected) in [
        ("GET", "app%2Fdb", "", None),
        ("GET", "app%2Fmissing", "", Some((404, "no variable app/missing".to_owned()))),
        ("GET", "secret", "", Some((403, no("read", "secret")))),
        ("GET", "out%2Fx", "", Some((403, no("read", "out/x")))),
        ("GET", "missing", "", Some((403, no("read", "missing")))),
        ("PUT", "out%2Fx", r#"{"value":2}"#, None),
        ("PUT", "app%2Fdb", r#"{"value":2}"#, Some((403, no("write", "app/db")))),
        ("POST", "count/increment", r#"{"by":1}"#, None),
        ("POST", "app%2Fdb/increment", r#"{"by":1}"#, Some((403, no("write", "app/db")))),
        ("DELETE", "secret?scope=global", "", Some((403, no("write", "secret")))),
        ("DELETE", "out%2Fx", "", None),
    ] {
        let path = format!("/executions/ID/variables/{call}");
        let (status, answer) = fixture.call("web1", method, &path, body).await;
        let answered = (status != 200).then(|| (status, answer["error"].as_str().unwrap().to_owned()));
        assert_eq!(answered, expected, "{method} {call}");
    }
    assert_eq!(fixture.store.value("global", "app/db"), Some(json!(1)));
    assert_eq!(fixture.store.value("global", "secret"), Some(json!(1)));
    let (_, listed) = fixture.call("web1", "GET", "/executions/ID/variables", "").await;
    let expected = json!([
        {"key": "app/db", "version": 1, "scope": "global"},
        {"key": "count", "version": 2, "scope": "global"},
    ]);
    assert_eq!(listed, json!({"success": true, "data": expected}));
}

/// Adding nothing would be reading.
#[tokio::test]
async fn what_may_only_be_written_is_not_told() {
    let helpers = HelperAccess { read: patterns(&["r"]), write: patterns(&["m", "r"]), http: false };
    let fixture = Fixture::of_manifest(helpers, Limits::default());
    fixture.store.put("global", "m", json!(41));
    let token = fixture.bearer("web1");
    // In order: method, path, id, body, value and version that are told.
    for (method, call, id, body, value, version) in [
        ("POST", "m/increment", "a", r#"{"by":0}"#, json!(null), 2),
        ("POST", "m/increment", "a", r#"{"by":0}"#, json!(null), 2),
        // An id that was used before has its old answer, whatever is asked with it.
        ("PUT", "m", "a", r#"{"value":7}"#, json!(null), 2),
        ("POST", "r/increment", "a", r#"{"by":1}"#, json!(null), 2),
        ("PUT", "r", "a", r#"{"value":7}"#, json!(null), 2),
        ("DELETE", "r", "a", "", json!(null), 2),
        ("PUT", "m", "b", r#"{"value":7}"#, json!(7), 3),
        ("POST", "r/increment", "c", r#"{"by":2}"#, json!(2), 1),
    ] {
        let mut connection = fixture.connect("web1");
        let text = format!(
            "{method} /executions/01RUN.1/variables/{call} HTTP/1.1\r\nAuthorization: {token}\r\n\
             Idempotency-Key: {id}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.stream.write_all(text.as_bytes()).await.unwrap();
        let (status, answer) = connection.answer().await.unwrap();
        let data = &answer["data"];
        assert_eq!(
            (status, &data["value"], &data["version"]),
            (200, &value, &json!(version)),
            "{method} {call} {id}"
        );
    }
    assert_eq!(fixture.store.value("global", "m"), Some(json!(7)));
}

#[tokio::test]
async fn listing() {
    let fixture = Fixture::new(Limits::default());
    let (_, listed) = fixture.call("web1", "GET", "/executions/ID/variables", "").await;
    assert_eq!(listed, json!({"success": true, "data": []}));
    fixture.store.put("global", "b", json!("x"));
    fixture.store.put("host:web1", "b", json!("y"));
    fixture.store.put("global", "a", json!("z"));
    fixture.store.put("host:web2", "c", json!("z"));
    for (query, status, expected) in [
        ("", 200, json!([["a", "global"], ["b", "host:web1"]])),
        ("?scope=global", 200, json!([["a", "global"], ["b", "global"]])),
        ("?scope=host", 200, json!([["b", "host:web1"]])),
        ("?scope=run", 200, json!([])),
        ("?scope=group", 400, json!([])),
    ] {
        let path = format!("/executions/ID/variables{query}");
        let (answered, answer) = fixture.call("web1", "GET", &path, "").await;
        let rows = answer["data"].as_array().cloned().unwrap_or_default();
        let rows: Vec<Value> = rows.iter().map(|row| json!([row["key"], row["scope"]])).collect();
        assert_eq!((answered, json!(rows)), (status, expected), "{query}");
    }
}

#[tokio::test]
async fn a_write_with_an_id_counts_once() {
    let fixture = Fixture::new(Limits::default());
    let token = fixture.bearer("web1");
    let body = r#"{"by":1}"#;
    let long = "x".repeat(65);
    // In order: what the key is then.
    for (headers, status, value) in [
        ("Idempotency-Key: a.1-b_2\r\n", 200, 1),
        ("Idempotency-Key: a.1-b_2\r\n", 200, 1),
        ("idempotency-key: other\r\n", 200, 2),
        ("", 200, 3),
        ("", 200, 4),
        ("Idempotency-Key: \r\n", 400, 4),
        ("Idempotency-Key: two words\r\n", 400, 4),
        (&format!("Idempotency-Key: {long}\r\n"), 400, 4),
        ("Idempotency-Key: a\r\nIdempotency-Key: a\r\n", 400, 4),
    ] {
        let mut connection = fixture.connect("web1");
        let call = format!(
            "POST /executions/01RUN.1/variables/n/increment HTTP/1.1\r\nAuthorization: {token}\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(connection.send(&call).await, Some(status), "{headers}");
        assert_eq!(fixture.store.value("global", "n"), Some(json!(value)), "{headers}");
    }
}

fn keys(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.variables.iter().map(|variable| variable.key.as_str()).collect()
}

#[tokio::test]
async fn what_a_job_takes_along() {
    let text = |kib: usize| json!("x".repeat(kib << 10));
    let named = |keys: &[&str]| HelperAccess { read: patterns(keys), ..HelperAccess::default() };
    let none: &[&str] = &[];
    for (what, helpers, variables, expected, complete) in [
        ("nothing there", HelperAccess::default(), vec![], none, true),
        ("a little", HelperAccess::default(), vec![("b", 1), ("a", 60)], &["a", "b"][..], true),
        ("too much of it", HelperAccess::default(), vec![("a", 1), ("b", 64)], none, false),
        ("named", named(&["a*"]), vec![("ab", 1), ("ac", 200), ("b", 1)], &["ab", "ac"], true),
        ("named and gone", named(&["a*"]), vec![("b", 1)], none, true),
        ("nothing is named", named(&[]), vec![("b", 1)], none, true),
        (
            "more than fits",
            named(&["*"]),
            vec![("a", 500), ("b", 500), ("c", 500), ("d", 1)],
            &["a", "b"],
            false,
        ),
    ] {
        let fixture = Fixture::of_manifest(helpers, Limits::default());
        for (key, kib) in variables {
            fixture.store.put("global", key, text(kib));
        }
        let snapshot = fixture.api.with_snapshot("web1", |snapshot| snapshot).await;
        assert_eq!((keys(&snapshot).as_slice(), snapshot.complete), (expected, complete), "{what}");
    }
}

#[tokio::test]
async fn a_snapshot_holds_the_nearest() {
    let fixture = Fixture::new(Limits::default());
    fill(&fixture);
    let snapshot = fixture.api.snapshot("web1");
    let mine = SnapshotVariable {
        key: "everywhere".into(),
        value: json!("run:01RUN"),
        version: 1,
        scope: "run:01RUN".into(),
    };
    assert_eq!((snapshot.variables.len(), snapshot.complete), (7, true));
    assert!(snapshot.variables.contains(&mine));
    assert!(!keys(&snapshot).contains(&"only host:web2"));

    fixture.store.put("global", "broken", json!(1));
    assert_eq!(fixture.api.snapshot("web1"), Snapshot::default(), "a store that fails: nothing, incomplete");
    assert_eq!(fixture.api.take_warnings(), ["jobs leave without variables: cannot read /secret/ledger.db"]);
    assert_eq!(fixture.api.snapshot("web9"), Snapshot::default(), "a host that is not in the run");
}

/// Whoever runs `exec web -- true` sends no password anywhere.
#[tokio::test]
async fn secrets_leave_with_a_job_only_where_they_are_named() {
    let named = |keys: &[&str]| HelperAccess { read: patterns(keys), ..HelperAccess::default() };
    for (what, helpers, expected, complete) in [
        ("no manifest", HelperAccess::default(), &["plain"][..], false),
        ("others are named", named(&["pl*"]), &["plain"], true),
        ("named", named(&["plain", "db/*"]), &["db/pw", "plain"], true),
        ("all are named", named(&["*"]), &["db/pw", "plain", "wide"], true),
    ] {
        let fixture = Fixture::of_manifest(helpers, Limits::default());
        fixture.store.put("global", "plain", json!(1));
        fixture.store.put_secret("global", "db/pw", json!("s3cret"));
        // A secret hides what a wider scope has: that is not what the script would see.
        fixture.store.put("global", "wide", json!("not seen"));
        fixture.store.put_secret("host:web1", "wide", json!("s3cret"));
        let snapshot = fixture.api.with_snapshot("web1", |snapshot| snapshot).await;
        assert_eq!((keys(&snapshot).as_slice(), snapshot.complete), (expected, complete), "{what}");
        assert_eq!(fixture.api.take_warnings(), [""; 0], "{what}");
        let (status, answer) = fixture.call("web1", "GET", "/executions/ID/variables/wide", "").await;
        match what {
            "no manifest" | "all are named" => {
                assert_eq!((status, &answer["data"]["value"]), (200, &json!("s3cret")), "{what}")
            }
            _ => assert_eq!(status, 403, "{what}"),
        }
        let (_, listed) = fixture.call("web1", "GET", "/executions/ID/variables", "").await;
        assert!(listed["data"][0].get("secret").is_none(), "{listed}");
    }
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_missed_once_a_run() {
    let helpers = HelperAccess { read: patterns(&["*"]), ..HelperAccess::default() };
    let fixture = Fixture::of_manifest(helpers, Limits::default());
    fixture.store.put("global", "a", json!(1));
    fixture.store.put_secret("global", "broken", json!(1));
    for host in ["web1", "web2"] {
        let snapshot = fixture.api.snapshot(host);
        assert_eq!((keys(&snapshot).as_slice(), snapshot.complete), (&["a"][..], false));
    }
    assert_eq!(
        fixture.api.take_warnings(),
        ["jobs leave without a secret: cannot read /secret/ledger.db"],
        "once, not once a host"
    );
    fixture.api.snapshot("web1");
    assert_eq!(fixture.api.take_warnings(), [""; 0]);
    // Asked for it later, the script learns that it failed, and the operator why.
    for host in ["web1", "web2"] {
        let (status, answer) = fixture.call(host, "GET", "/executions/ID/variables/broken", "").await;
        assert_eq!((status, &answer["error"]), (500, &json!("the variable store failed")));
    }
    assert_eq!(fixture.api.take_warnings(), ["a helper call failed: cannot read /secret/ledger.db"]);
}

/// Keys with characters that JSON escapes take more than they count.
#[tokio::test]
async fn a_snapshot_is_never_larger_than_it_may_be() {
    let helpers = HelperAccess { read: patterns(&["*"]), ..HelperAccess::default() };
    let fixture = Fixture::of_manifest(helpers, Limits::default());
    for n in 0..2_500 {
        fixture.store.put("global", &format!("{n}{}", "\"".repeat(500)), json!(1));
    }
    let snapshot = fixture.api.snapshot("web1");
    let bytes = serde_json::to_string(&snapshot.variables).unwrap().len();
    assert!((900 << 10..=1 << 20).contains(&bytes) && !snapshot.complete, "{bytes}");
}

#[tokio::test]
async fn a_thousand_hosts_with_nothing_to_take_along_cost_next_to_nothing() {
    let fixture = Fixture::new(Limits::default());
    let hosts: Vec<String> = (0..1_000).map(|n| format!("host{n}")).collect();
    hosts.iter().for_each(|host| drop(fixture.api.register(host, &[])));
    let start = std::time::Instant::now();
    for host in &hosts {
        assert!(fixture.api.with_snapshot(host, |snapshot| snapshot.complete).await);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}
