use std::thread;

use serde_json::{Number, Value};

use super::*;

fn scopes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn script(host: &str, write: Option<&str>) -> Author {
    Author::Script { run: "R1".into(), host: host.into(), write: write.map(str::to_owned) }
}

fn set(value: Value) -> Act {
    Act::Set { value, if_version: None, after: None }
}

fn increment(by: impl Into<Number>) -> Act {
    Act::Increment { by: by.into() }
}

fn plain(key: &str, act: Act) -> Write {
    Write { key: key.into(), scope: None, act, secret: false }
}

/// `value@version scope`, or what else became of it.
fn told(written: Result<Written>) -> String {
    match written.unwrap() {
        Written::Done(Variable { scope, value, version, .. }) => format!("{value}@{version} {scope}"),
        Written::Conflict { current } => format!("conflict {current}"),
        Written::NotAfter { made, current } => format!("made {made}, now {current}"),
        Written::Missing => "missing".into(),
        Written::NoNumber { reason } => reason,
    }
}

fn found(variables: &Variables, scopes: &[String], key: &str) -> String {
    match variables.get(scopes, key).unwrap() {
        Some(Variable { scope, value, version, .. }) => format!("{value}@{version} {scope}"),
        None => "nothing".into(),
    }
}

#[test]
fn fifty_hosts_on_two_ledgers_at_once_lose_nothing() {
    let place = Place::new();
    // Two handles with a thread each are to SQLite what two processes are.
    let ledgers = [place.ledger(), place.ledger()];
    let global = scopes(&["global"]);
    thread::scope(|scope| {
        for host in 0..50 {
            let (variables, global) = (place.variables(&ledgers[host % 2]), &global);
            scope.spawn(move || {
                for write in 0..4 {
                    let by = script(&format!("web{host}"), Some(&write.to_string()));
                    variables.write(global, plain("n", increment(1)), by).unwrap();
                    // With `ifVersion`, until it was not overtaken.
                    loop {
                        let current = variables.get(global, "cas").unwrap();
                        let (value, version) =
                            current.map_or((0, 0), |now| (now.value.as_i64().unwrap(), now.version));
                        let act =
                            Act::Set { value: json!(value + 1), if_version: Some(version), after: None };
                        let by = script(&format!("web{host}"), None);
                        if let Written::Done(_) = variables.write(global, plain("cas", act), by).unwrap() {
                            break;
                        }
                    }
                }
            });
        }
    });
    for key in ["n", "cas"] {
        assert_eq!(found(&place.variables(&ledgers[0]), &global, key), "200@200 global");
        let history = place.reader().variable_history("global", key).unwrap();
        let versions: Vec<u64> = history.iter().map(|write| write.version).collect();
        assert_eq!(versions, (1..=200).collect::<Vec<_>>());
    }
}

#[test]
fn a_script_sees_and_writes_the_nearest() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    let sight = scopes(&["run:R1", "host:web1", "group:web", "global"]);
    let write = |key: &str, scope: Option<&str>, act: Act| {
        let scope = scope.map(str::to_owned);
        told(variables.write(&sight, Write { scope, ..plain(key, act) }, script("web1", None)))
    };
    // key, scope, act, what became of it, what is seen then
    let table = [
        ("k", None, set(json!("wide")), "\"wide\"@1 global", "\"wide\"@1 global"),
        ("k", Some("group:web"), set(json!("group")), "\"group\"@1 group:web", "\"group\"@1 group:web"),
        ("k", None, set(json!(7)), "7@2 group:web", "7@2 group:web"),
        ("k", Some("run:R1"), increment(5), "5@1 run:R1", "5@1 run:R1"),
        ("k", Some("global"), set(json!(1)), "1@2 global", "5@1 run:R1"),
        ("k", None, Act::Remove, "null@0 run:R1", "7@2 group:web"),
        ("k", Some("host:web1"), Act::Remove, "missing", "7@2 group:web"),
        ("k", None, increment(1), "8@3 group:web", "8@3 group:web"),
        (
            "k",
            None,
            Act::Set { value: json!(0), if_version: Some(2), after: None },
            "conflict 3",
            "8@3 group:web",
        ),
        (
            "k",
            Some("host:web1"),
            Act::Set { value: json!(0), if_version: Some(3), after: None },
            "conflict 0",
            "8@3 group:web",
        ),
        ("new", None, Act::Remove, "missing", "nothing"),
        (
            "new",
            None,
            Act::Set { value: json!(null), if_version: Some(0), after: None },
            "null@1 global",
            "null@1 global",
        ),
        ("new", None, increment(1), "the variable 'new' is no number", "null@1 global"),
        ("a b/ž?%", None, set(json!({"b": [1, 2.5], "a": "ž"})), "{\"a\":\"ž\",\"b\":[1,2.5]}@1 global", ""),
    ];
    for (key, scope, act, wanted, then) in table {
        assert_eq!(write(key, scope, act.clone()), wanted, "{key} {scope:?} {act:?}");
        if !then.is_empty() {
            assert_eq!(found(&variables, &sight, key), then, "{key} {scope:?} {act:?}");
        }
    }
    let listed = |sight: &[&str]| {
        let listed = variables.list(&scopes(sight)).unwrap().into_iter();
        listed.map(|one| format!("{}@{} {}", one.key, one.version, one.scope)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        listed(&["run:R1", "host:web1", "group:web", "global"]),
        "a b/ž?%@1 global, k@3 group:web, new@1 global"
    );
    assert_eq!(listed(&["host:web2", "global"]), "a b/ž?%@1 global, k@2 global, new@1 global");
    assert_eq!(listed(&[]), "");
    let elsewhere = Write { scope: Some("host:web2".into()), ..plain("k", Act::Remove) };
    let error = variables.write(&sight, elsewhere, script("web1", None)).unwrap_err();
    assert_eq!(error.message, "variables of the scope host:web2 are out of sight");
}

/// Why an increment is refused is told to people and kept in events: no value may stand in it.
#[test]
fn a_refused_increment_tells_no_value() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    let global = scopes(&["global"]);
    for value in
        [json!(u64::MAX), json!(f64::MAX), json!("s3cret"), json!(true), json!(["s3cret"]), json!({})]
    {
        let write = Write { secret: true, ..plain("pin", set(value.clone())) };
        variables.write(&global, write, Author::Operator("ann@laptop".into())).unwrap();
        let by = if value.is_f64() { Number::from_f64(f64::MAX).unwrap() } else { 1.into() };
        let wanted = match value.is_number() {
            true => "the variable 'pin' cannot hold the sum",
            false => "the variable 'pin' is no number",
        };
        let written = variables.write(&global, plain("pin", increment(by)), script("web1", None));
        assert_eq!(told(written), wanted, "{value}");
    }
    // Whole numbers are exact or refused.
    variables
        .write(&global, plain("n", set(json!(9_007_199_254_740_993_i64))), script("web1", None))
        .unwrap();
    let written = variables.write(&global, plain("n", increment(2)), script("web1", None));
    assert_eq!(told(written), "9007199254740995@2 global");
}

#[test]
fn versions_are_never_used_twice() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    let sight = scopes(&["s"]);
    let set = |value: i64, if_version| {
        let act = Act::Set { value: json!(value), if_version, after: None };
        told(variables.write(&sight, plain("k", act), script("web1", None)))
    };
    let remove = || {
        let by = Author::Operator("ann@laptop".into());
        told(variables.write(&sight, plain("k", Act::Remove), by))
    };
    assert_eq!(set(1, Some(1)), "conflict 0");
    assert_eq!(set(1, Some(0)), "1@1 s");
    assert_eq!(set(2, Some(0)), "conflict 1");
    assert_eq!(set(2, None), "2@2 s");
    assert_eq!(set(3, Some(2)), "3@3 s");
    assert_eq!((remove(), remove()), ("null@0 s".into(), "missing".into()));
    assert_eq!(found(&variables, &sight, "k"), "nothing");
    assert_eq!(set(4, Some(3)), "conflict 0");
    assert_eq!(set(4, Some(0)), "4@4 s");
    let history = place.reader().variable_history("s", "k").unwrap();
    let history: Vec<_> = history
        .into_iter()
        .map(|write| format!("{} {}", write.version, serde_json::to_string(&write.value).unwrap()))
        .collect();
    assert_eq!(history, ["1 1", "2 2", "3 3", "3 null", "4 4"]);
    assert_eq!(
        place.sql::<String>(
            r#"SELECT group_concat(op || ' ' || "by" || ' ' || coalesce(run_id, '-'), ', ' ORDER BY id)
               FROM variable_history WHERE version = 3"#
        ),
        "set run R1 host web1 R1, remove operator ann@laptop -"
    );
}

#[test]
fn a_write_with_an_id_is_made_once() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    let sight = scopes(&["host:web1", "global"]);
    let write = |host: &str, id: &str, act: Act| {
        told(variables.write(&sight, plain("n", act), script(host, Some(id))))
    };
    assert_eq!(write("web1", "a", increment(1)), "1@1 global");
    assert_eq!(write("web1", "b", increment(1)), "2@2 global");
    // Whatever has happened since, and whatever is asked: the first answer.
    for act in [increment(1), increment(7), set(json!("x")), Act::Remove] {
        assert_eq!(write("web1", "a", act), "1@1 global");
    }
    // Ids of others are others.
    assert_eq!(write("web2", "a", increment(1)), "3@3 global");
    let other = Author::Script { run: "R2".into(), host: "web1".into(), write: Some("a".into()) };
    assert_eq!(told(variables.write(&sight, plain("n", increment(1)), other)), "4@4 global");
    assert_eq!(write("web1", "c", Act::Remove), "null@0 global");
    assert_eq!(write("web1", "c", increment(1)), "null@0 global");
    assert_eq!(write("web1", "d", set(json!(9))), "9@5 global");
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM variable_history"), 6);
    // Another process knows them too.
    let again = place.variables(&place.ledger());
    assert_eq!(told(again.write(&sight, plain("n", increment(1)), script("web1", Some("b")))), "2@2 global");
}

/// A script that was told of a conflict must not have written after all, once the answer's way is
/// tried again.
#[test]
fn a_write_with_an_id_is_refused_once_and_for_all() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    let global = scopes(&["global"]);
    let write = |host: &str, id: &str, key: &str, act: Act| {
        told(variables.write(&global, plain(key, act), script(host, Some(id))))
    };
    let at_one = || Act::Set { value: json!("mine"), if_version: Some(1), after: None };
    assert_eq!(write("web1", "conflict", "k", at_one()), "conflict 0");
    assert_eq!(write("web1", "missing", "k", Act::Remove), "missing");
    assert_eq!(write("web1", "text", "k", set(json!("text"))), "\"text\"@1 global");
    assert_eq!(write("web1", "number", "k", increment(1)), "the variable 'k' is no number");
    // Now each of them could be made.
    assert_eq!(write("web1", "conflict", "k", at_one()), "conflict 0");
    assert_eq!(write("web1", "missing", "k", Act::Remove), "missing");
    write("web2", "a", "k", set(json!(7)));
    let again = place.variables(&place.ledger());
    let repeated = again.write(&global, plain("k", increment(1)), script("web1", Some("number")));
    assert_eq!(told(repeated), "the variable 'k' is no number", "another process knows it, too");
    assert_eq!(found(&variables, &global, "k"), "7@2 global");
    // Ids of others are others, and the history tells what was made.
    assert_eq!(write("web2", "number", "k", increment(1)), "8@3 global");
    assert_eq!(place.reader().variable_history("global", "k").unwrap().len(), 3);
}

/// A host that answered its script by itself does not know which version its writes made.
#[test]
fn a_write_after_the_scripts_own() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    let sight = scopes(&["host:web1", "global"]);
    let write = |host: &str, id: &str, scope: Option<&str>, act: Act| {
        let write = Write { scope: scope.map(str::to_owned), ..plain("k", act) };
        told(variables.write(&sight, write, script(host, Some(id))))
    };
    // What the script believes the version to be counts for nothing.
    let after = |id: &str| Act::Set { value: json!(id), if_version: Some(9), after: Some(id.into()) };
    let refused = Act::Set { value: json!(0), if_version: Some(9), after: None };
    // In order: host, id, scope, act, what became of it.
    for (host, id, scope, act, wanted) in [
        ("web2", "x", None, set(json!("there before")), "\"there before\"@1 global"),
        ("web1", "a", None, set(json!(1)), "1@2 global"),
        ("web1", "b", None, after("a"), "\"a\"@3 global"),
        ("web1", "c", None, after("b"), "\"b\"@4 global"),
        ("web1", "d", None, after("b"), "made true, now 4"),
        ("web1", "e", None, after("d"), "made false, now 4"),
        ("web1", "f", None, refused, "conflict 4"),
        ("web1", "g", None, after("f"), "made false, now 4"),
        ("web1", "h", None, after("never seen"), "made false, now 4"),
        ("web1", "i", None, after("x"), "made false, now 4"),
        ("web2", "j", None, after("x"), "made true, now 4"),
        // Somebody else in between.
        ("web1", "k", None, increment(1), "the variable 'k' is no number"),
        ("web1", "l", None, set(json!(1)), "1@5 global"),
        ("web2", "m", None, increment(1), "2@6 global"),
        ("web1", "n", None, after("l"), "made true, now 6"),
        ("web1", "o", None, increment(1), "3@7 global"),
        ("web1", "p", None, after("o"), "\"o\"@8 global"),
        // A nearer one hides what the script has seen.
        ("web2", "q", Some("host:web1"), set(json!(0)), "0@1 host:web1"),
        ("web1", "r", None, after("p"), "made true, now 1"),
        ("web1", "s", Some("global"), after("p"), "\"p\"@9 global"),
        // What it removed must still be gone.
        ("web1", "t", Some("global"), Act::Remove, "null@0 global"),
        ("web1", "u", Some("global"), after("t"), "\"t\"@10 global"),
        ("web1", "v", Some("global"), after("t"), "made true, now 10"),
        ("web1", "w", Some("global"), Act::Remove, "null@0 global"),
        ("web1", "y", Some("global"), after("u"), "made true, now 0"),
        ("web1", "z", Some("global"), Act::Remove, "missing"),
        ("web1", "A", Some("global"), after("z"), "\"z\"@11 global"),
        ("web1", "B", Some("global"), after("z"), "made true, now 11"),
        // As ever.
        ("web1", "e", None, after("p"), "made false, now 4"),
    ] {
        assert_eq!(write(host, id, scope, act), wanted, "{id}");
    }
    let other = plain("other", after("u"));
    assert_eq!(told(variables.write(&sight, other, script("web1", None))), "made false, now 0");
}

#[test]
fn a_secret_stands_nowhere_in_plain() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    let sight = scopes(&["host:web1", "global"]);
    let operator = || Author::Operator("ann@laptop".into());
    let secret = |value: &str| Write { secret: true, ..plain("pw", set(json!(value))) };
    // A plain value makes and needs no key file.
    variables.write(&sight, plain("plain", set(json!("x"))), operator()).unwrap();
    assert!(!place.key_file().exists());

    assert_eq!(told(variables.write(&sight, secret("s3cret-one"), operator())), "\"s3cret-one\"@1 global");
    assert_eq!(found(&variables, &sight, "pw"), "\"s3cret-one\"@1 global");
    // A script's write is sealed without asking, and answered twice alike.
    for _ in 0..2 {
        let written =
            variables.write(&sight, plain("pw", set(json!("s3cret-two"))), script("web1", Some("a")));
        assert_eq!(told(written), "\"s3cret-two\"@2 global");
    }
    // Also when it removed the secret before.
    variables.write(&sight, plain("pw", Act::Remove), script("web1", None)).unwrap();
    variables.write(&sight, plain("pw", set(json!(40))), script("web1", None)).unwrap();
    assert_eq!(told(variables.write(&sight, plain("pw", increment(2)), script("web1", None))), "42@4 global");
    // An operator who writes without a word of secrets discloses nothing either.
    variables.write(&sight, plain("pw", set(json!("s3cret-three"))), operator()).unwrap();

    let stored = place.reader().variable("global", "pw").unwrap().unwrap();
    assert_eq!((stored.value, stored.secret, stored.version), (Shown::Secret, true, 5));
    let history = place.reader().variable_history("global", "pw").unwrap();
    assert!(history.iter().all(|write| write.secret && write.value.iter().all(|it| *it == Shown::Secret)));
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM variable_history WHERE key = 'pw' AND secret"), 6);
    assert_eq!(
        place.sql::<String>("SELECT group_concat(value, '') FROM variables WHERE secret").find("sealed"),
        Some(2)
    );
    drop((variables, ledger));
    for file in ["ledger.db", "ledger.db-wal"] {
        let bytes = std::fs::read(place.path().with_file_name(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cret"), "{file}");
    }

    // Only removed and set anew by an operator it is plain again; the past stays hidden.
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    variables.write(&sight, plain("pw", Act::Remove), operator()).unwrap();
    variables.write(&sight, plain("pw", set(json!("open"))), operator()).unwrap();
    let history = place.reader().variable_history("global", "pw").unwrap();
    let shown: Vec<_> = history.iter().map(|write| serde_json::to_string(&write.value).unwrap()).collect();
    let hidden = "\"***\"";
    assert_eq!(shown, [hidden, hidden, "null", hidden, hidden, hidden, "null", "\"open\""]);
    // A plain value that becomes secret takes its past with it.
    variables.write(&sight, Write { secret: true, ..plain("plain", set(json!("y"))) }, operator()).unwrap();
    let history = place.reader().variable_history("global", "plain").unwrap();
    assert!(history.iter().all(|write| write.value == Some(Shown::Secret)));
}

/// All bytes of the ledger's files.
fn on_disk(place: &Place) -> String {
    let bytes = ["ledger.db", "ledger.db-wal"]
        .map(|file| std::fs::read(place.path().with_file_name(file)).unwrap_or_default());
    String::from_utf8_lossy(&bytes.concat()).into_owned()
}

#[test]
fn what_becomes_secret_takes_its_past_with_it() {
    let place = Place::new();
    // Holds the -wal open, as a run that goes on does.
    let ledger = place.ledger();
    let reader = place.reader();
    let variables = place.variables(&ledger);
    let global = scopes(&["global"]);
    let operator = || Author::Operator("ann@laptop".into());
    let written = |write: Write, by: Author| told(variables.write(&global, write, by));
    // Small ones share pages, large ones have pages of their own.
    for number in 0..200 {
        let value = format!("pl4in-{number}-{}", "x".repeat(number * number % 9_000));
        written(plain("pw", set(json!(value))), script("web1", None));
        written(plain("other", set(json!(number))), script("web1", None));
        if number % 50 == 7 {
            written(plain("pw", Act::Remove), operator());
        }
    }
    assert!(on_disk(&place).contains("pl4in-7-"));
    written(Write { secret: true, ..plain("pw", set(json!("s3cret"))) }, operator());
    assert!(ledger.forget_overwritten().unwrap());
    assert!(!on_disk(&place).contains("pl4in"));

    // Also when it is there no longer, or is plain again.
    written(plain("pw", Act::Remove), operator());
    let history = || reader.variable_history("global", "pw").unwrap();
    let values: Vec<_> = history().into_iter().filter_map(|write| write.value).collect();
    assert_eq!(values, vec![Shown::Secret; 201]);
    assert!(history().iter().all(|write| write.secret));
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM variable_history WHERE key = 'other' AND secret"), 0);
    written(plain("pw", set(json!("open"))), operator());
    assert_eq!(history().last().unwrap().value, Some(Shown::Plain(json!("open"))));
    assert_eq!(history().iter().filter(|write| write.value == Some(Shown::Secret)).count(), 201);
    // Sealed with the ledger's key, so that a write that is repeated is still answered.
    let by = || script("web1", Some("a"));
    assert_eq!(written(plain("n", increment(5)), by()), "5@1 global");
    written(Write { secret: true, ..plain("n", set(json!(6))) }, operator());
    assert_eq!(written(plain("n", increment(5)), by()), "5@1 global");
}

#[test]
fn a_lost_key_is_never_replaced() {
    let place = Place::new();
    let ledger = place.ledger();
    let global = scopes(&["global"]);
    let operator = || Author::Operator("ann@laptop".into());
    let secret = |key: &str| Write { secret: true, ..plain(key, set(json!("s3cret"))) };
    place.variables(&ledger).write(&global, secret("pw"), operator()).unwrap();
    let key = std::fs::read(place.key_file()).unwrap();
    std::fs::remove_file(place.key_file()).unwrap();
    // As another process would meet it: this one has it in memory.
    let refused = |write: Write, by: Author| {
        let error = place.variables(&ledger).write(&global, write, by).unwrap_err();
        let key = place.key_file().display().to_string();
        assert_eq!(error.message, format!("the key of secret variables {key} is not there"));
        assert_eq!(error.hints[0], format!("put {key} back from a copy"));
        assert!(!place.key_file().exists());
    };
    refused(secret("other"), operator());
    refused(plain("pw", set(json!("new"))), operator());
    refused(plain("pw", set(json!("new"))), script("web1", None));
    // The past is sealed, too.
    place.variables(&ledger).write(&global, plain("pw", Act::Remove), operator()).unwrap();
    refused(secret("other"), operator());
    refused(plain("pw", set(json!("new"))), script("web1", None));
    // What is plain needs no key.
    place.variables(&ledger).write(&global, plain("plain", set(json!(1))), operator()).unwrap();
    std::fs::write(place.key_file(), key).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(place.key_file(), std::fs::Permissions::from_mode(0o600)).unwrap();
    place.variables(&ledger).write(&global, secret("other"), operator()).unwrap();
}

#[test]
fn a_secret_moved_to_another_name_does_not_open() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = place.variables(&ledger);
    let global = scopes(&["global"]);
    let operator = || Author::Operator("ann@laptop".into());
    for key in ["a", "b"] {
        let write = Write { secret: true, ..plain(key, set(json!(key))) };
        variables.write(&global, write, operator()).unwrap();
    }
    let connection = Connection::open(place.path()).unwrap();
    let swap = "UPDATE variables SET value = (SELECT value FROM variables WHERE key = 'a') WHERE key = 'b'";
    connection.execute(swap, []).unwrap();
    assert_eq!(found(&variables, &global, "a"), "\"a\"@1 global");
    let error = variables.get(&global, "b").unwrap_err();
    assert_eq!(error.message, "cannot open the secret variable `b` of global");
    // What cannot be opened can be replaced, and the writer goes on.
    let error = variables.write(&global, plain("b", increment(1)), operator()).unwrap_err();
    assert_eq!(error.message, "cannot open the secret variable `b` of global");
    variables.write(&global, plain("b", set(json!(1))), operator()).unwrap();
    assert_eq!(found(&variables, &global, "b"), "1@2 global");
}
