use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Names that people query. `variable_history`, `payloads` and `artifacts` are promised as tables.
const TABLES: &[(&str, &str)] = &[
    (
        "runs",
        "id command started_at finished_at status exit_code payload_digest payload_name release signer \
         git_sha operator plan rerun_of duration_ms",
    ),
    (
        "results",
        "run_id host attempt status exit_code signal phase error started_at finished_at duration_ms timings \
         cpu_ms max_rss_kb helper_mode trust stub_digest output helper_reason conflicts condition \
         mark is_kept is_gone",
    ),
    ("outputs", "run_id host stream blob bytes truncated cut"),
    ("blobs", "digest bytes data"),
    ("events", "run_id seq at kind data"),
    ("variables", "scope key version secret updated_at updated_by value"),
    ("variable_history", "id scope key version op value at by run_id host write_id secret"),
    ("refused_writes", "run_id host write_id answer"),
    ("payloads", "digest name release bytes signer first_used_at last_used_at"),
    ("payload_bytes", "digest data"),
    ("signatures", "digest signer public_key signature"),
    ("orders", "run_id sealed"),
    ("deployments", "host stub_digest arch deployed_at last_used_at"),
    ("artifacts", "run_id host path digest bytes mode"),
    ("chunks", "run_id host stream seq data"),
];

#[test]
fn tables_and_columns() {
    let place = Place::new();
    place.ledger();
    let mut all: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    all.sort_unstable();
    let tables: String = place.sql(
        "SELECT group_concat(name, ' ' ORDER BY name) FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    );
    assert_eq!(tables, all.join(" "));
    for (table, columns) in TABLES {
        let found: String = place
            .sql(&format!("SELECT group_concat(name, ' ' ORDER BY cid) FROM pragma_table_info('{table}')"));
        assert_eq!(found, *columns, "{table}");
    }
    assert_eq!(place.sql::<String>("PRAGMA journal_mode"), "wal");
    assert_eq!(place.sql::<i64>("PRAGMA user_version"), 4);
}

#[test]
fn only_the_owner_can_read_it() {
    let place = Place::new();
    let ledger = place.ledger();
    ledger.begin_run(new_run("R1", &["web1"])).unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = place.path().parent().unwrap().to_owned();
    assert_eq!(mode(folder.clone()), 0o700);
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "the ledger, its -wal and -shm, the run's lock: {files:?}");
    files.into_iter().for_each(|file| assert_eq!(mode(file.clone()), 0o600, "{}", file.display()));
}

#[test]
fn a_ledger_that_was_open_to_others_is_closed_to_them() {
    let place = Place::new();
    drop(place.ledger());
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(place.ledger());
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn files_that_are_no_ledger_of_ours_are_refused() {
    fn sqlite(sql: &'static str) -> impl Fn(&Path) {
        move |path| Connection::open(path).unwrap().execute_batch(sql).unwrap()
    }
    // what the file is, what is said
    type Make = Box<dyn Fn(&Path)>;
    let table: Vec<(Make, &str)> = vec![
        (
            Box::new(|path| {
                drop(Ledger::open(path).unwrap());
                sqlite("PRAGMA user_version = 99")(path);
            }),
            "has schema 99, this cronium-run knows 4 and older",
        ),
        (Box::new(sqlite("CREATE TABLE bookmarks (url)")), "is a SQLite file of another program"),
        (Box::new(|path| fs::write(path, "a".repeat(4096)).unwrap()), "cannot open the ledger"),
    ];
    for (make, message) in table {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        make(&path);
        let before = fs::read(&path).unwrap();
        for error in [Ledger::open(&path).err().unwrap(), Ledger::open_read(&path).err().unwrap()] {
            assert!(error.message.contains(message), "{error}");
            assert!(error.message.contains("ledger.db"), "{error}");
            assert!(!error.hints.is_empty(), "{error}");
        }
        assert!(fs::read(&path).unwrap() == before, "{message}: the file was changed");
    }
}

#[test]
fn reading_makes_no_ledger() {
    let place = Place::new();
    let error = Ledger::open_read(&place.path()).err().unwrap();
    assert_eq!(error.hints, ["cronium-run exec HOSTS -- COMMAND"]);
    assert!(!place.path().exists());
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::write(place.path(), "").unwrap();
    assert!(Ledger::open_read(&place.path()).is_err());
}

#[test]
fn many_may_make_it_at_once() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let place = &place;
            scope.spawn(move || {
                place.ledger().begin_run(new_run(&format!("R{thread}"), &["web1"])).unwrap();
            });
        }
    });
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM runs"), 8);
}
