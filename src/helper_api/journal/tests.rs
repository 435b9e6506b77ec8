use std::time::Duration;

use cronium_wire::manifest::HelperAccess;
use cronium_wire::manifest::KeyPatterns;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::Limits;
use super::super::http::Fixture;
use super::*;

fn line(id: &str, op: Value) -> String {
    format!("{}\n", json!({"id": id, "op": op}))
}

fn set(id: &str, key: &str, value: Value) -> String {
    line(id, json!({"set": {"key": key, "value": value, "if_version": null, "scope": null}}))
}

/// One journal of web1, all at once; what was refused.
async fn merge(fixture: &Fixture, text: &str) -> Vec<(String, String)> {
    let mut journal = Journal::default();
    journal.push(&fixture.api, "web1", text.as_bytes()).await.unwrap();
    journal.conflicts()
}

#[tokio::test]
async fn writes_are_made_in_order_and_what_is_refused_is_told() {
    let write = Some(KeyPatterns(vec![
        "a".into(),
        "n".into(),
        "s*".into(),
        "*gone".into(),
        "broken".into(),
        "k*".into(),
    ]));
    let helpers = HelperAccess { write, ..HelperAccess::default() };
    let fixture = Fixture::of_manifest(helpers, Limits::default());
    let key = "k".repeat(513);
    let deep = format!("{}1{}", "[".repeat(126), "]".repeat(126));
    let mib = "x".repeat((1 << 20) - 2);
    let journal = [
        set("1", "a", json!(1)),
        line("2", json!({"set": {"key": "a", "value": 2, "if_version": 1, "scope": null}})),
        line("3", json!({"set": {"key": "a", "value": 3, "if_version": 1}})),
        line("4", json!({"increment": {"key": "n", "by": 5, "scope": "run"}})),
        line("5", json!({"increment": {"key": "n", "by": 2, "scope": null}})),
        set("6", "s", json!("text")),
        line("7", json!({"increment": {"key": "s", "by": 1}})),
        set("8", "forbidden", json!(1)),
        line("9", json!({"set": {"key": "s2", "value": 1, "scope": "planet"}})),
        line("10", json!({"set": {"key": "s3", "value": [1], "scope": "project"}})),
        set("11", "", json!(1)),
        set("12", &key, json!(1)),
        set("13", "s4", json!(mib)),
        set("14", "s5", json!(format!("{mib}x"))),
        line("15", json!({"unset": {"key": "s", "scope": null}})),
        line("16", json!({"unset": {"key": "gone"}})),
        set("17", "broken", json!(1)),
        format!(r#"{{"id":"18","op":{{"set":{{"key":"s6","value":{deep}}}}}}}"#) + "\n",
        line("19", json!({"output": {"value": {"first": true}}})),
        line("20", json!({"output": {"value": format!("{mib}x")}})),
        set("21", "a", json!("last")),
    ];
    let conflicts = merge(&fixture, &journal.concat()).await;
    let expected = [
        ("a", "the variable has version 2"),
        ("s", "the variable 's' is no number"),
        ("forbidden", "this payload may not write forbidden: add it to helpers.write in its manifest.yaml"),
        ("s2", "the scope is none of run, host, project, global"),
        ("", "the key is empty"),
        (&format!("{}…", &key[..512]), "the key is longer than 512 bytes"),
        ("s5", "its value is larger than 1048576 bytes"),
        ("broken", "the variable store failed: cannot read /secret/ledger.db"),
        ("s6", "its value cannot be read: recursion limit exceeded"),
        ("output", "its value is larger than 1048576 bytes"),
    ];
    assert_eq!(
        conflicts.len(),
        expected.len(),
        "{:?}",
        conflicts.iter().map(|(key, _)| key).collect::<Vec<_>>()
    );
    for ((key, reason), (expected_key, expected)) in conflicts.iter().zip(expected) {
        assert!(key == expected_key && reason.starts_with(expected), "{key}: {reason}");
    }
    for (scope, key, value) in [
        ("global", "a", Some(json!("last"))),
        ("run:01RUN", "n", Some(json!(7))),
        ("global", "n", None),
        ("global", "s", None),
        ("project:shop", "s3", Some(json!([1]))),
        ("global", "s4", Some(json!(mib))),
    ] {
        assert_eq!(fixture.store.value(scope, key), value, "{scope} {key}");
    }
    assert_eq!(fixture.api.take_output("web1"), Some(json!({"first": true})));
    assert!(fixture.store.history.lock().unwrap()[0].ends_with("by run 01RUN host web1"));
}

/// A call whose answer was lost may arrive behind the journal that took its place.
#[tokio::test]
async fn a_late_call_does_not_undo_a_journalled_output() {
    let fixture = Fixture::new(Limits::default());
    let output = |id, value: Value| line(id, json!({"output": {"value": value}}));
    let token = fixture.bearer("web1");
    let post = async |id: &str, data: u64| {
        let body = json!({"data": data}).to_string();
        let call = format!(
            "POST /executions/01RUN.1/output HTTP/1.1\r\nAuthorization: {token}\r\n\
             Idempotency-Key: {id}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(fixture.connect("web1").send(&call).await, Some(200));
    };
    post("w-1", 1).await;
    assert_eq!(merge(&fixture, &[output("w-2", json!(2)), output("w-3", json!(3))].concat()).await, []);
    post("w-2", 20).await;
    assert_eq!(fixture.api.take_output("web1"), Some(json!(3)));
    post("w-4", 4).await;
    assert_eq!(fixture.api.take_output("web1"), Some(json!(4)));
}

/// The script saw versions that only its own host made up.
#[tokio::test]
async fn writes_that_build_on_each_other() {
    let fixture = Fixture::new(Limits::default());
    fixture.store.put("global", "k", json!("there before"));
    let after = |id: &str, key: &str, value: i64, after: &str| {
        line(id, json!({"set": {"key": key, "value": value, "if_version": 1, "scope": null, "after": after}}))
    };
    let refused = line("4", json!({"set": {"key": "n", "value": 0, "if_version": 5}}));
    let journal = [
        set("1", "k", json!(1)),
        after("2", "k", 2, "1"),
        after("3", "k", 3, "1"),
        refused,
        after("5", "n", 5, "4"),
        after("6", "k", 6, "2"),
    ];
    for _ in 0..2 {
        let conflicts = merge(&fixture, &journal.concat()).await;
        let told = |reason: &str| reason.to_owned();
        assert_eq!(
            conflicts,
            [
                (told("k"), told("it was changed after the script's own write: the variable has version 3")),
                (told("n"), told("the variable does not exist")),
                (
                    told("n"),
                    told("the script's own write before it was not made: the variable does not exist")
                ),
            ]
        );
        assert_eq!(fixture.store.value("global", "k"), Some(json!(6)));
    }
}

#[tokio::test]
async fn a_write_counts_once_whichever_way_it_came() {
    let fixture = Fixture::new(Limits::default());
    let token = fixture.bearer("web1");
    let body = r#"{"by":1}"#;
    let call = format!(
        "POST /executions/01RUN.1/variables/n/increment HTTP/1.1\r\nAuthorization: {token}\r\n\
         Idempotency-Key: w1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Its answer was lost, so the stub journals it; and sends the journal twice.
    assert_eq!(fixture.connect("web1").send(&call).await, Some(200));
    let increment = |id| line(id, json!({"increment": {"key": "n", "by": 1}}));
    for _ in 0..2 {
        assert_eq!(merge(&fixture, &[increment("w1"), increment("w2")].concat()).await, []);
    }
    assert_eq!(fixture.store.value("global", "n"), Some(json!(2)));
}

#[tokio::test]
async fn lines_may_be_cut_anywhere() {
    let text = [
        set("1", "a", json!("gr\u{fc}n")),
        set("2", "b", json!("x".repeat(70_000))),
        set("3", "a", json!(2)),
    ]
    .concat();
    for cut in [1, 2, 7, 1000, 65_536, text.len()] {
        let fixture = Fixture::new(Limits::default());
        let mut journal = Journal::default();
        for piece in text.as_bytes().chunks(cut) {
            journal.push(&fixture.api, "web1", piece).await.unwrap();
        }
        assert_eq!(journal.conflicts(), [], "{cut}");
        assert_eq!(journal.deadline(), None, "{cut}");
        assert_eq!(fixture.store.value("global", "a"), Some(json!(2)), "{cut}");
        assert_eq!(fixture.store.history.lock().unwrap().len(), 3, "{cut}");
    }
}

#[tokio::test]
async fn what_is_no_journal_ends_the_conversation() {
    let good = set("1", "a", json!(1));
    let endless = "x".repeat((1 << 20) + (8 << 10) + 1);
    let malformed = "the host's journal holds what is no write";
    for (what, text, expected) in [
        ("no JSON", "rubbish\n".to_owned(), malformed),
        ("an empty line", "\n".into(), malformed),
        ("no write", "{\"id\":\"2\"}\n".into(), malformed),
        ("an unknown one", "{\"id\":\"2\",\"op\":{\"drop\":{}}}\n".into(), malformed),
        ("two in a line", good.replace('\n', "") + &good, malformed),
        ("a bad id", set("a b", "a", json!(1)), malformed),
        ("no id", set("", "a", json!(1)), malformed),
        ("by what is no number", line("2", json!({"increment": {"key": "a", "by": "1"}})), malformed),
        ("a line without end", endless, "the host's journal holds a line of more than 1056768 bytes"),
    ] {
        let fixture = Fixture::new(Limits::default());
        let mut journal = Journal::default();
        let fault = journal.push(&fixture.api, "web1", (good.clone() + &text).as_bytes()).await.unwrap_err();
        assert!(fault.to_string().starts_with(expected) && fault.to_string().len() < 700, "{what}: {fault}");
        assert_eq!(fixture.store.value("global", "a"), Some(json!(1)), "{what}: what came before is made");
    }
    let fixture = Fixture::new(Limits::default());
    let mut journal = Journal::default();
    assert!(journal.push(&fixture.api, "web9", good.as_bytes()).await.is_err(), "a host outside the run");
}

#[tokio::test]
async fn of_many_conflicts_a_hundred_are_kept() {
    let fixture = Fixture::new(Limits::default());
    let text: String = (0..250).map(|n| set(&n.to_string(), "", json!(1))).collect();
    let mut journal = Journal::default();
    journal.push(&fixture.api, "web1", text.as_bytes()).await.unwrap();
    journal.push(&fixture.api, "web1", b"{\"id\":").await.unwrap();
    let conflicts = journal.conflicts();
    assert_eq!(conflicts.len(), 102);
    assert_eq!(conflicts[100].1, "150 more writes were refused");
    assert_eq!(conflicts[101].1, "the last write did not arrive whole");
}

/// A large value on a slow link is no fault; one that drips for ever is.
#[tokio::test]
async fn a_long_line_may_take_its_time_while_it_comes() {
    let short = Duration::from_millis(500);
    for (most, wanted) in [(short * 50, Ok(())), (short, Err(JournalFault::TooSlow))] {
        let limits = Limits { journal_timeout: short, journal_line_timeout: most, ..Limits::default() };
        let fixture = Fixture::new(limits);
        let value = json!("x".repeat(900 << 10));
        let text = set("1", "a", value.clone());
        let mut journal = Journal::default();
        let began = std::time::Instant::now();
        let mut came = Ok(());
        for piece in text.as_bytes().chunks(32 << 10) {
            came = journal.push(&fixture.api, "web1", piece).await;
            if came.is_err() {
                break;
            }
            let left =
                journal.deadline().map(|deadline| deadline.duration_since(tokio::time::Instant::now()));
            assert!(left.is_none_or(|left| left <= short));
            tokio::time::sleep(short / 10).await;
        }
        assert!(began.elapsed() > short, "longer than without a byte");
        assert_eq!(came, wanted);
        assert_eq!(fixture.store.value("global", "a"), wanted.is_ok().then_some(value));
    }
}

/// Hosts that begin long lines and never end them: only a few hold them, and not for long.
#[tokio::test]
async fn long_lines_wait_for_their_turn() {
    let short = Duration::from_millis(200);
    let limits = Limits { journal_lines: 2, journal_timeout: short, ..Limits::default() };
    let fixture = Fixture::new(limits);
    let long = "x".repeat(100_000);
    let (mut first, mut second, mut third) = (Journal::default(), Journal::default(), Journal::default());
    for journal in [&mut first, &mut second] {
        journal.push(&fixture.api, "web1", long.as_bytes()).await.unwrap();
        assert!(journal.deadline().is_some());
    }
    assert!(timeout(short / 4, third.push(&fixture.api, "web2", long.as_bytes())).await.is_err(), "it waits");
    // Short lines do not.
    let mut fourth = Journal::default();
    fourth.push(&fixture.api, "web2", set("1", "a", json!(1)).as_bytes()).await.unwrap();
    assert_eq!(fixture.store.value("global", "a"), Some(json!(1)));

    tokio::time::sleep(short).await;
    assert_eq!(first.push(&fixture.api, "web1", b"x").await, Err(JournalFault::TooSlow));
    drop((first, second));
    let mut fifth = Journal::default();
    fifth.push(&fixture.api, "web2", set("2", "b", json!(long)).as_bytes()).await.unwrap();
    assert_eq!(fixture.store.value("global", "b"), Some(json!(long)));
}
