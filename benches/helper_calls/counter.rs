//! Many hosts add to one variable.

use std::fs;
use std::time::Instant;

use serde_json::json;

use crate::Row;
use crate::harness::{Environment, Fleet, user};
use crate::interrupt;
use crate::options::Options;

pub const HEAD: [&str; 7] =
    ["incr of one key", "forks", "final value", "wall s", "incr/s", "ledger bytes", "bytes/incr"];

const SCRIPT: &str = "#!/bin/sh
set -eu
i=0
while [ $i -lt $1 ]; do
    cronium incr bench >/dev/null
    i=$((i + 1))
done
";

/// How many hosts at once get the stub.
const FORKS_COLD: usize = 16;

/// Panics unless the value is exact.
pub fn measure(options: &Options) -> Vec<Row> {
    let Options { hosts, each, forks, .. } = *options;
    eprintln!("{hosts} hosts × {each}");
    let fleet = Fleet::start(hosts);
    let environment = Environment::new();
    interrupt::guard(&environment);
    environment.write("none.sh", "#!/bin/sh\n");
    environment.write("count.sh", SCRIPT);
    // Then the stub is there, and what a run of so many hosts takes in the ledger is known. A few
    // at a time: here all hosts share one processor to unpack it.
    let before = run(options, &environment, &fleet, "none.sh", forks.min(FORKS_COLD)).1;
    let (seconds, after) = run(options, &environment, &fleet, "count.sh", forks);
    let writes = usize::from(hosts) * each;
    let ledger = environment.ledger();
    assert_eq!(ledger.variable("bench"), Some((json!(writes), writes as i64)), "value and version");
    ledger.check();
    vec![vec![
        format!("{hosts} hosts × {each}"),
        forks.to_string(),
        writes.to_string(),
        format!("{seconds:.2}"),
        format!("{:.0}", writes as f64 / seconds),
        after.to_string(),
        format!("{:.0}", after.saturating_sub(before) as f64 / writes as f64),
    ]]
}

/// Seconds, and bytes of the ledger once it is over.
fn run(
    options: &Options,
    environment: &Environment,
    fleet: &Fleet,
    script: &str,
    forks: usize,
) -> (f64, u64) {
    let begin = Instant::now();
    environment
        .program(&options.program, ["exec", &fleet.names(1..=options.hosts), "-o", "quiet"])
        .args(["-u", user(), "-p", &fleet.port().to_string()])
        .args(["--private-key".as_ref(), fleet.private_key().as_os_str()])
        .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
        .args(["--forks", &forks.to_string(), script, "--", &options.each.to_string()])
        .limit(1800)
        .run()
        .succeeds()
        .ignore();
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!("{script}: {seconds:.1} s");
    let path = environment.ledger_path();
    let bytes = |ending: &str| {
        fs::metadata(format!("{}{ending}", path.display())).map_or(0, |metadata| metadata.len())
    };
    (seconds, bytes("") + bytes("-wal"))
}
