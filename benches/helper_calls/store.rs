//! The ledger's variables by themselves, as the helper API calls them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cronium_run::cli::variables::LedgerVariables;
use cronium_run::helper_api::{Act, Author, Change, VariableStore};
use cronium_run::ledger::Ledger;
use cronium_wire::manifest::KeyPatterns;
use serde_json::{Value, json};

use crate::Row;
use crate::options::Options;
use crate::quantiles::{Quantiles, ms};

pub const HEAD: [&str; 7] = ["store", "threads", "calls", "calls/s", "wall s", "median ms", "p99 ms"];

/// What a snapshot may take where a manifest names nothing, and where it does.
const UNNAMED: usize = 64 << 10;
const NAMED: usize = 1 << 20;

struct Bench {
    ledger: Ledger,
    store: Arc<LedgerVariables>,
    rows: Vec<Row>,
}

pub fn measure(options: &Options) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ledger = Ledger::open(&folder.path().join("ledger.db")).expect("a ledger");
    let store = Arc::new(LedgerVariables::new(&ledger).expect("HOME is set"));
    let mut bench = Bench { ledger, store, rows: Vec::new() };
    let most = options.store_calls;
    let app = KeyPatterns(vec!["app/*".to_owned()]);

    for calls in [most / 10, most] {
        bench.read_all("read_all, empty ledger", 1, calls, None, UNNAMED);
    }
    for number in 0..100 {
        bench.set(&format!("app/key{number}"), json!(format!("value {number}")));
    }
    for calls in [most / 10, most] {
        bench.read_all("read_all, 100 small", 1, calls, None, UNNAMED);
    }
    bench.read_all("read_all, 100 small, 4 threads", 4, most, None, UNNAMED);
    bench.read_all("read_all, 100 small, app/*", 1, most, Some(&app), NAMED);
    bench.default_read_all("the same by list and get", most / 10);

    for threads in [1, 4, 16, 64] {
        bench.run("get, found in global", threads, most, |store, call, scopes| {
            assert!(store.get(scopes, &format!("app/key{}", call % 100)).expect("it reads").is_some());
        });
    }
    bench.run("get, nowhere", 1, most, |store, _, scopes| {
        assert!(store.get(scopes, "none").expect("it reads").is_none());
    });
    for threads in [1, 16, 200] {
        let calls = if threads == 1 { most / 10 } else { most };
        bench.run("incr of one key", threads, calls, |store, call, scopes| {
            let act = Act::Increment { by: 1.into() };
            let by = Author { run: "R1".into(), host: "h".into(), write: Some(format!("{threads}.{call}")) };
            store.write(scopes, Change { key: "n".into(), scope: None, act }, by).expect("it writes");
        });
    }

    // 100 MB behind what is wanted, in large values and in small.
    for number in 0..50 {
        bench.set(&format!("large/{number}"), json!("x".repeat(1_000_000)));
    }
    let small = json!("x".repeat(1000));
    thread::scope(|scope| {
        for part in 0..50 {
            let (bench, small) = (&bench, &small);
            scope.spawn(move || {
                for number in 0..most / 10 {
                    bench.set(&format!("small/{part}/{number}"), small.clone());
                }
            });
        }
    });
    bench.run("get, 100 MB", 1, most, |store, call, scopes| {
        assert!(store.get(scopes, &format!("app/key{}", call % 100)).expect("it reads").is_some());
    });
    bench.read_all("read_all, 100 MB, app/*", 1, most / 10, Some(&app), NAMED);
    bench.read_all("read_all, 100 MB, 64 KiB", 1, most / 10, None, UNNAMED);
    let last = KeyPatterns(vec!["small/49/1*".to_owned(), "zz".to_owned()]);
    bench.read_all("read_all, 100 MB, near the end", 1, most / 10, Some(&last), UNNAMED);
    bench.rows
}

impl Bench {
    fn set(&self, key: &str, value: Value) {
        let change = Change {
            key: key.to_owned(),
            scope: None,
            act: Act::Set { value, if_version: None, after: None },
        };
        let by = Author { run: "R1".into(), host: "h".into(), write: None };
        self.store.write(&scopes(0), change, by).expect("it writes");
    }

    fn read_all(&mut self, what: &str, threads: usize, calls: usize, only: Option<&KeyPatterns>, max: usize) {
        self.run(what, threads, calls, |store, _, scopes| {
            store.read_all(scopes, only, max).expect("it reads");
        });
    }

    fn default_read_all(&mut self, what: &str, calls: usize) {
        self.run(what, 1, calls, |store, _, scopes| {
            for listed in store.list(scopes).expect("it reads") {
                store.get(scopes, &listed.key).expect("it reads");
            }
        });
    }

    /// `call` is given its number and the scopes of a host.
    fn run<F>(&mut self, what: &str, threads: usize, calls: usize, call: F)
    where
        F: Fn(&LedgerVariables, usize, &[String]) + Sync,
    {
        eprintln!("{what}, {threads} threads");
        // As in a run: the store is new to it.
        self.store = Arc::new(LedgerVariables::new(&self.ledger).expect("HOME is set"));
        let (next, begin) = (AtomicUsize::new(0), Instant::now());
        let times: Vec<Duration> = thread::scope(|scope| {
            let work = || {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= calls {
                        return times;
                    }
                    let scopes = scopes(number);
                    let before = Instant::now();
                    call(&self.store, number, &scopes);
                    times.push(before.elapsed());
                }
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no call fails")).collect()
        });
        let (wall, times) = (begin.elapsed().as_secs_f64(), Quantiles::of(times));
        self.rows.push(vec![
            what.to_owned(),
            threads.to_string(),
            calls.to_string(),
            format!("{:.0}", calls as f64 / wall),
            format!("{wall:.3}"),
            ms(times.at(50)),
            ms(times.at(99)),
        ]);
    }
}

/// Those of a host with two groups and a project.
fn scopes(host: usize) -> Vec<String> {
    let host = format!("host:web{host}");
    ["run:R1", &host, "group:web", "group:all", "project:shop", "global"].map(str::to_owned).to_vec()
}
