use std::thread;

use super::*;

/// Adds one with `ifVersion` until it was not overtaken.
fn increment(variables: &Variables, by: &str) {
    loop {
        let current = variables.get("fleet", "n").unwrap();
        let (value, version) = current.map_or((0, 0), |now| (now.value.as_i64().unwrap(), now.version));
        let written = variables.set("fleet", "n", &json!(value + 1), Some(version), by).unwrap();
        if matches!(written, Written::Done(_)) {
            return;
        }
    }
}

#[test]
fn fifty_hosts_on_two_ledgers_at_once_lose_nothing() {
    let place = Place::new();
    // Two handles with a thread each are to SQLite what two processes are.
    let ledgers = [place.ledger(), place.ledger()];
    thread::scope(|scope| {
        for host in 0..50 {
            let variables = ledgers[host % 2].variables();
            scope.spawn(move || (0..4).for_each(|_| increment(&variables, &format!("R1/web{host}"))));
        }
    });
    let now = ledgers[0].variables().get("fleet", "n").unwrap().unwrap();
    assert_eq!((now.value, now.version), (json!(200), 200));
    let history = ledgers[1].variables().history("fleet", "n").unwrap();
    let versions: Vec<u64> = history.iter().map(|change| change.version).collect();
    assert_eq!(versions, (1..=200).collect::<Vec<_>>());
}

#[test]
fn versions() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = ledger.variables();
    let set = |value: i64, if_version| match variables.set("s", "k", &json!(value), if_version, "me").unwrap()
    {
        Written::Done(variable) => Ok(variable.version),
        Written::Conflict { current } => Err(current),
    };
    assert_eq!(set(1, Some(1)), Err(0));
    assert_eq!(set(1, Some(0)), Ok(1));
    assert_eq!(set(2, Some(0)), Err(1));
    assert_eq!(set(2, None), Ok(2));
    assert_eq!(set(3, Some(2)), Ok(3));
    assert!(variables.remove("s", "k", "me").unwrap());
    assert!(!variables.remove("s", "k", "me").unwrap());
    assert_eq!(variables.get("s", "k").unwrap(), None);
    assert_eq!(set(4, Some(3)), Err(0));
    // A version is never used twice.
    assert_eq!(set(4, Some(0)), Ok(4));
    let history = variables.history("s", "k").unwrap();
    let history: Vec<_> = history.into_iter().map(|change| (change.version, change.value)).collect();
    let wanted = [(1, Some(1)), (2, Some(2)), (3, Some(3)), (3, None), (4, Some(4))]
        .map(|(version, value)| (version, value.map(|n: i64| json!(n))));
    assert_eq!(history, wanted);
    assert_eq!(
        place.sql::<String>("SELECT group_concat(op, ' ' ORDER BY id) FROM variable_history"),
        "set set set remove set"
    );
}

#[test]
fn values_and_scopes_are_kept_apart() {
    let place = Place::new();
    let ledger = place.ledger();
    let variables = ledger.variables();
    let values = [json!(null), json!("text"), json!({"b": [1, 2.5], "a": "ž"}), json!(true)];
    for (index, value) in values.iter().enumerate() {
        variables.set(&format!("s{index}"), "k/with space", value, None, "R1/web1").unwrap();
    }
    for (index, value) in values.iter().enumerate() {
        let found = variables.get(&format!("s{index}"), "k/with space").unwrap().unwrap();
        assert_eq!((&found.value, found.version, found.updated_by.as_str()), (value, 1, "R1/web1"));
    }
    assert_eq!(variables.list(None).unwrap().len(), 4);
    assert_eq!(variables.list(Some("s1")).unwrap(), [variables.get("s1", "k/with space").unwrap().unwrap()]);
    assert_eq!(variables.list(Some("none")).unwrap(), []);
}
