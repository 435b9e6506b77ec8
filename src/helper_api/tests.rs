//! Requests and their answers.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};

use super::http::Fixture;
use super::*;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn every_path_has_its_answer() {
    let fixture = Fixture::new(Limits::default());
    let variable = |value: Value, version: u64| json!({"success": true, "data": {"key": "a/b", "value": value, "version": version, "scope": "global"}});
    let input = json!({"success": true, "data": {"name": "gr\u{fc}n", "n": 0, "none": null}});
    let context = json!({"success": true, "data": {
        "executionId": "01RUN.1", "eventId": "42", "eventName": "disk-report", "eventType": "manual",
        "userId": "alice", "startTime": "2026-11-03T05:06:07Z", "metadata": {"trigger": "cli"},
    }});
    let done = json!({"success": true});
    let key = "/executions/ID/variables/a%2Fb";
    // In order: later calls see what earlier ones wrote. `None` is any error.
    for (method, path, body, status, expected) in [
        ("GET", "/health", "", 200, Some(json!({"status": "healthy"}))),
        ("GET", "/executions/ID/input", "", 200, Some(input)),
        ("GET", "/executions/ID/context", "", 200, Some(context)),
        ("GET", "/executions/ID/context?x=1", "", 200, None),
        ("POST", "/executions/ID/output", r#"{"data":{"free":7}}"#, 200, Some(done.clone())),
        ("POST", "/executions/ID/output", r#"{"data":null,"more":1}"#, 200, Some(done.clone())),
        ("POST", "/executions/ID/condition", r#"{"condition":true}"#, 200, Some(done.clone())),
        ("GET", key, "", 404, None),
        ("DELETE", key, "", 404, None),
        (
            "PUT",
            key,
            r#"{"value":1,"ifVersion":1}"#,
            409,
            Some(json!({"success": false, "error": "the variable does not exist", "version": 0})),
        ),
        ("PUT", key, r#"{"value":"x","ifVersion":0}"#, 200, Some(variable(json!("x"), 1))),
        ("PUT", key, r#"{"value":null}"#, 200, Some(variable(Value::Null, 2))),
        (
            "PUT",
            key,
            r#"{"value":[0,false,""],"ifVersion":null}"#,
            200,
            Some(variable(json!([0, false, ""]), 3)),
        ),
        (
            "PUT",
            key,
            r#"{"value":1,"ifVersion":2}"#,
            409,
            Some(json!({"success": false, "error": "the variable has version 3", "version": 3})),
        ),
        ("GET", key, "", 200, Some(variable(json!([0, false, ""]), 3))),
        ("GET", "/executions/ID/variables/a/b", "", 404, None),
        ("DELETE", key, "", 200, Some(variable(Value::Null, 0))),
        ("GET", key, "", 404, None),
        // Bad bodies.
        ("POST", "/executions/ID/output", "", 400, None),
        ("POST", "/executions/ID/output", "{", 400, None),
        ("POST", "/executions/ID/output", "[1]", 400, None),
        ("POST", "/executions/ID/output", "{}", 400, None),
        ("POST", "/executions/ID/output", "{\"data\":1} x", 400, None),
        ("POST", "/executions/ID/output", &"[".repeat(MIB), 400, None),
        ("POST", "/executions/ID/condition", r#"{"condition":"true"}"#, 400, None),
        ("PUT", key, r#"{"ifVersion":1}"#, 400, None),
        ("PUT", key, r#"{"value":1,"ifVersion":-1}"#, 400, None),
        ("PUT", key, r#"{"value":1,"ifVersion":"1"}"#, 400, None),
        ("PUT", "/executions/ID/variables/%ff", r#"{"value":1}"#, 400, None),
        // 1 MiB is the limit.
        ("PUT", key, &sized(MIB), 200, None),
        ("PUT", key, &sized(MIB + 1), 413, None),
        // Paths, methods, executions.
        ("GET", "/", "", 404, None),
        ("GET", "/executions/ID/secrets", "", 404, None),
        ("DELETE", "/executions/ID/input", "", 405, None),
        ("GET", "/executions/01RUN.2/input", "", 403, None),
        ("GET", "/executions/01OTHER.1/input", "", 403, None),
        ("GET", "/executions/%30%31RUN.1/input", "", 200, None),
        // The store.
        (
            "GET",
            "/executions/ID/variables/broken",
            "",
            500,
            Some(json!({"success": false, "error": "the variable store failed"})),
        ),
        ("GET", "/executions/ID/variables/panics", "", 500, None),
    ] {
        let answered = fixture.call("web1", method, path, body).await;
        let what = format!("{method} {path} {:.60}", body);
        assert_eq!(answered.0, status, "{what}: {}", answered.1);
        match expected {
            Some(expected) => assert_eq!(answered.1, expected, "{what}"),
            None if status == 200 => assert_eq!(answered.1["success"], true, "{what}"),
            None => {
                assert_eq!(answered.1["success"], false, "{what}");
                assert!(answered.1["error"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
            }
        }
    }
    assert_eq!(fixture.store.history.lock().unwrap()[0], "global/a/b version 1 by run 01RUN host web1");
}

/// A PUT body of exactly `bytes` bytes.
fn sized(bytes: usize) -> String {
    let frame = r#"{"value":""}"#;
    format!(r#"{{"value":"{}"}}"#, "x".repeat(bytes - frame.len()))
}

#[tokio::test]
async fn the_run_sees_what_the_script_gave() {
    let fixture = Fixture::new(Limits::default());
    assert_eq!(fixture.api.take_output("web1"), None);
    assert_eq!((fixture.api.condition("web1"), fixture.api.calls("web1")), (None, 0));

    fixture.call("web1", "GET", "/health", "").await;
    assert_eq!(fixture.api.calls("web1"), 0, "a probe is no call");
    for data in ["1", r#"{"free":"7 GB"}"#] {
        fixture.call("web1", "POST", "/executions/ID/output", &format!(r#"{{"data":{data}}}"#)).await;
    }
    fixture.call("web1", "POST", "/executions/ID/output", "broken").await;
    fixture.call("web1", "POST", "/executions/ID/condition", r#"{"condition":false}"#).await;

    assert_eq!(fixture.api.take_output("web1"), Some(json!({"free": "7 GB"})), "the last one counts");
    assert_eq!(fixture.api.take_output("web1"), None);
    assert_eq!((fixture.api.condition("web1"), fixture.api.calls("web1")), (Some(false), 4));
    assert_eq!((fixture.api.take_output("web2"), fixture.api.calls("web2")), (None, 0));
    assert_eq!((fixture.api.take_output("no"), fixture.api.calls("no")), (None, 0));
}

#[tokio::test]
async fn an_execution_is_one_host_of_one_run() {
    let fixture = Fixture::new(Limits::default());
    let first = fixture.api.register("web1", &[]);
    assert_eq!((first.execution_id.as_str(), first.scope.as_str()), ("01RUN.1", "global"));
    assert_eq!(fixture.api.register("web1", &[]), first);
    assert_eq!(fixture.api.register("web2", &[]).execution_id, "01RUN.2");
    assert_eq!(fixture.api.register("web3", &[]).execution_id, "01RUN.3");
}

#[tokio::test]
async fn tokens() {
    let fixture = Fixture::new(Limits::default());
    let other_run = Fixture::new(Limits::default());
    let ago = |seconds: i64| {
        let deadline = jiff::Timestamp::now().as_second() - seconds;
        fixture.api.token(&fixture.api.register("web1", &[]), jiff::Timestamp::from_second(deadline).unwrap())
    };
    let good = fixture.token("web1");
    let (rest, mac) = good.rsplit_once('.').unwrap();
    let claims = rest.split_once('.').unwrap().1;
    let header = |json: &str| Base64UrlUnpadded::encode_string(json.as_bytes());
    let none = format!("{}.{claims}.", header(r#"{"alg":"none"}"#));
    let upper = format!("{}.{claims}.{mac}", header(r#"{"alg":"HS512","typ":"JWT"}"#));
    for (what, authorization, status) in [
        ("good", Some(format!("Bearer {good}")), 200),
        ("scheme in lower case", Some(format!("bearer {good}")), 200),
        ("within the grace", Some(format!("Bearer {}", ago(100))), 200),
        ("expired", Some(format!("Bearer {}", ago(121))), 401),
        ("none", None, 401),
        ("another scheme", Some(format!("Basic {good}")), 401),
        ("no scheme", Some(good.clone()), 401),
        ("empty", Some("Bearer ".into()), 401),
        ("two headers", Some(format!("Bearer {good}\r\nAuthorization: Bearer {good}")), 401),
        ("alg none", Some(format!("Bearer {none}")), 401),
        ("alg HS512", Some(format!("Bearer {upper}")), 401),
        ("tampered", Some(format!("Bearer {}", good.replacen('e', "f", 3))), 401),
        ("another host's", Some(format!("Bearer {}", fixture.token("web2"))), 401),
        ("another run's", Some(format!("Bearer {}", other_run.token("web1"))), 401),
    ] {
        let mut connection = fixture.connect("web1");
        let path = "/executions/01RUN.1/input";
        let answered = connection.call("GET", path, authorization.as_deref(), "").await;
        assert_eq!(answered.0, status, "{what}: {}", answered.1);
    }
    // A good token is good for its own host's tunnel only, whatever execution it asks for.
    for id in ["01RUN.1", "01RUN.2"] {
        let path = format!("/executions/{id}/input");
        let answered = fixture.connect("web2").call("GET", &path, Some(&format!("Bearer {good}")), "").await;
        assert_eq!(answered.0, 401);
    }
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let fixture = Fixture::new(Limits::default());
    let token = format!("Bearer {}", fixture.token("web1"));
    let mut connection = fixture.connect("web1");
    for n in 1..=100 {
        let path = "/executions/01RUN.1/variables/n";
        let (status, answer) =
            connection.call("PUT", path, Some(&token), &format!(r#"{{"value":{n}}}"#)).await;
        assert_eq!((status, &answer["data"]["version"]), (200, &json!(n)));
        // An error does not end the connection.
        assert_eq!(connection.call("GET", "/nowhere", Some(&token), "").await.0, 404);
    }
}

#[tokio::test]
async fn a_host_outside_the_run_is_not_answered() {
    let fixture = Fixture::new(Limits::default());
    assert_eq!(fixture.connect("web9").answer().await, None);
}

/// 50 hosts count with compare-and-set: no step is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_hosts_count_together() {
    let fixture = std::sync::Arc::new(Fixture::new(Limits::default()));
    let hosts = (0..50).map(|n| {
        let fixture = std::sync::Arc::clone(&fixture);
        let host: &'static str = Box::leak(format!("host{n}").into_boxed_str());
        tokio::spawn(async move {
            let token = format!("Bearer {}", fixture.token(host));
            let path = format!("/executions/{}/variables/n", fixture.api.register(host, &[]).execution_id);
            let mut connection = fixture.connect(host);
            let mut added = 0;
            while added < 4 {
                let (_, read) = connection.call("GET", &path, Some(&token), "").await;
                let (value, version) = (read["data"]["value"].as_u64(), read["data"]["version"].as_u64());
                let body = json!({"value": value.unwrap_or(0) + 1, "ifVersion": version.unwrap_or(0)});
                let (status, _) = connection.call("PUT", &path, Some(&token), &body.to_string()).await;
                assert!(matches!(status, 200 | 409 | 429), "{status}");
                added += u32::from(status == 200);
            }
        })
    });
    for host in hosts.collect::<Vec<_>>() {
        host.await.unwrap();
    }
    let counted = fixture.call("web1", "GET", "/executions/ID/variables/n", "").await;
    assert_eq!(counted.1["data"], json!({"key": "n", "value": 200, "version": 200, "scope": "global"}));
}
