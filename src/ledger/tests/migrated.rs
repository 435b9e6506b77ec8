use super::*;

/// A ledger as the first release left it.
const SCHEMA_1: &str = include_str!("../migrations/0001_runs.sql");
const FROM_1_TO_2: &str = include_str!("../migrations/0002_helpers.sql");
const FROM_2_TO_3: &str = include_str!("../migrations/0003_variables.sql");

const DATA: &str = r#"
INSERT INTO runs (id, command, started_at, finished_at, status, exit_code, plan)
    VALUES ('R1', 'cronium-run exec web1', '2026-11-18T11:06:40.000Z', '2026-11-18T11:06:44.000Z',
            'succeeded', 0, '{}');
INSERT INTO results (run_id, host, attempt, status, exit_code, finished_at)
    VALUES ('R1', 'web1', 1, 'succeeded', 0, '2026-11-18T11:06:44.000Z');
INSERT INTO events VALUES ('R1', 0, '2026-11-18T11:06:44.000000000Z', 'host_finished',
    '{"kind":"host_finished","host":"web1","outcome":"succeeded","attempt":1,"started_at":null,
      "finished_at":"2026-11-18T11:06:44Z","duration_ms":5,"stdout_bytes":0,"stderr_bytes":0}');
INSERT INTO variables VALUES ('global', 'n', '41', 2, '2026-11-18T11:06:43.000Z', 'run R1 host web1');
INSERT INTO variable_history (scope, key, version, op, value, at, "by") VALUES
    ('global', 'n', 1, 'set', '40', '2026-11-18T11:06:42.000Z', 'run R1 host web1'),
    ('global', 'n', 2, 'set', '41', '2026-11-18T11:06:43.000Z', 'run R1 host web1');
PRAGMA application_id = 0x4352524e;
PRAGMA user_version = 1;
"#;

fn old() -> Place {
    let place = Place::new();
    std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    connection.execute_batch(SCHEMA_1).unwrap();
    connection.execute_batch(DATA).unwrap();
    place
}

/// By who only looks as by who writes.
#[test]
fn a_ledger_of_schema_1_is_brought_up_and_keeps_what_it_has() {
    for write_first in [false, true] {
        let place = old();
        if write_first {
            drop(place.ledger());
        }
        let reader = place.reader();
        assert_eq!(place.sql::<i64>("PRAGMA user_version"), 4);
        let result = reader.results("R1").unwrap().remove(0).result.unwrap();
        assert_eq!((result.outcome, result.conflicts, result.condition), (Outcome::Succeeded, vec![], None));
        let stored = reader.variable("global", "n").unwrap().unwrap();
        assert_eq!((stored.value, stored.secret, stored.version), (Shown::Plain(json!(41)), false, 2));
        let history = reader.variable_history("global", "n").unwrap();
        let history: Vec<_> = history.into_iter().map(|write| (write.version, write.run)).collect();
        assert_eq!(history, [(1, None), (2, None)]);
        assert_eq!(reader.artifacts("R1", None).unwrap(), []);

        // It goes on where it was.
        let ledger = place.ledger();
        let write =
            Write { key: "n".into(), scope: None, act: Act::Increment { by: 1.into() }, secret: false };
        let by = Author::Script { run: "R2".into(), host: "web1".into(), write: Some("a".into()) };
        let written = place.variables(&ledger).write(&["global".to_owned()], write, by).unwrap();
        let Written::Done(variable) = written else { panic!("{written:?}") };
        assert_eq!((variable.value, variable.version), (json!(42), 3));
        assert_eq!(place.sql::<String>("PRAGMA integrity_check"), "ok");
        assert_eq!(place.sql::<i64>("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    }
}

#[test]
fn variables_of_schema_2_are_moved_whole() {
    let place = old();
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch(FROM_1_TO_2).unwrap();
    let rows = "INSERT INTO variables (scope, key, value, version, updated_at, updated_by, secret) VALUES
        ('host:web1', 'n', '[\"ž\"]', 3, '2026-11-19T11:06:43.000Z', 'operator ann@laptop', 0),
        ('global', 'pw', '{\"sealed\":\"AAAA\"}', 9, '2026-11-19T11:06:44.000Z', 'operator ann@laptop', 1);
        PRAGMA user_version = 2;";
    connection.execute_batch(rows).unwrap();
    let all =
        "SELECT group_concat(concat_ws(' ', scope, key, value, version, updated_at, updated_by, secret), '; '
                   ORDER BY scope, key) FROM variables";
    let before = place.sql::<String>(all);
    drop(place.ledger());
    assert_eq!(place.sql::<i64>("PRAGMA user_version"), 4);
    assert_eq!(place.sql::<String>(all), before);
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM variables"), 3);
    assert_eq!(place.sql::<String>("PRAGMA integrity_check"), "ok");
}

/// Their hosts are asked as ones of which something is known: they do not answer that nothing ran.
#[test]
fn runs_that_schema_3_left_open_stay_open() {
    let place = old();
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch(FROM_1_TO_2).unwrap();
    connection.execute_batch(FROM_2_TO_3).unwrap();
    let rows = "INSERT INTO runs (id, command, started_at, status, plan)
            VALUES ('R2', 'cronium-run exec web[1-4]', '2026-11-19T11:06:40.000Z', 'interrupted', '{}');
        INSERT INTO results (run_id, host, attempt, status, finished_at) VALUES
            ('R2', 'web1', 1, 'running', NULL), ('R2', 'web2', 1, 'queued', NULL),
            ('R2', 'web3', 1, 'unknown', '2026-11-19T11:06:44.000Z'),
            ('R2', 'web4', 1, 'failed', '2026-11-19T11:06:44.000Z');
        PRAGMA user_version = 3;";
    connection.execute_batch(rows).unwrap();
    drop(place.ledger());
    let all = "SELECT group_concat(concat_ws(' ', host, status, mark, is_kept), ', ' ORDER BY host)
               FROM results WHERE run_id = 'R2'";
    let want = "web1 running 1 0, web2 queued 1 0, web3 unknown 1 0, web4 failed 0 0";
    assert_eq!(place.sql::<String>(all), want);
    let reader = place.reader();
    assert_eq!(reader.left_open(Timestamp::UNIX_EPOCH, 9).unwrap(), [("R2".to_owned(), 2)]);
    assert_eq!(reader.unsettled(Timestamp::UNIX_EPOCH).unwrap(), ["R2"]);
    let (_recorder, goes_on) = resumed(&place.ledger(), "R2", &["web1"]);
    let known = Known { host: "web1".into(), mark: 1, attempt: 1, ..Known::default() };
    assert_eq!(goes_on.known, [known]);
}
