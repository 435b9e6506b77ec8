//! `getVariable`, one call after the other, as scripts make it.

use std::time::Duration;

use crate::Row;
use crate::delay::delay;
use crate::harness::{Environment, Fleet, FleetPlan, HostTraits, user};
use crate::interrupt;
use crate::options::Options;
use crate::quantiles::{Quantiles, ms};

pub const HEAD: [&str; 8] =
    ["getVariable", "RTT ms", "mode", "calls", "first ms", "calls/s", "median ms", "p99 ms"];

/// What an sshd forbids.
type Forbids = fn(&mut HostTraits);

/// `results.helper_mode`, and a host that has it.
const MODES: [(&str, Forbids); 3] =
    [("api", |_| {}), ("tcp", |host| host.streamlocal = false), ("bundled", |host| host.forwarding = false)];

/// Each prints the nanoseconds of every call, a line each; the first line is the first call's.
const SCRIPTS: [(&str, &str, &str); 3] = [
    (
        "bash",
        "calls.bash",
        r#"#!/bin/bash
set -eu
for ((i = 0; i <= $1; i++)); do
    before=${EPOCHREALTIME/./}
    cronium getVariable bench >/dev/null
    after=${EPOCHREALTIME/./}
    echo $(((after - before) * 1000))
done
"#,
    ),
    (
        "python",
        "calls.py",
        r#"#!/usr/bin/env python3
import sys, time
import cronium
for _ in range(int(sys.argv[1]) + 1):
    before = time.perf_counter_ns()
    value = cronium.getVariable("bench")
    print(time.perf_counter_ns() - before)
    assert value == {"n": 42}, value
"#,
    ),
    (
        "node",
        "calls.js",
        r#"#!/usr/bin/env node
const cronium = require('cronium')
const times = []
for (let i = 0; i <= Number(process.argv[2]); i++) {
  const before = process.hrtime.bigint()
  const value = cronium.getVariable('bench')
  times.push(process.hrtime.bigint() - before)
  if (value.n !== 42) throw new Error(JSON.stringify(value))
}
console.log(times.join('\n'))
"#,
    ),
];

pub fn measure(options: &Options) -> Vec<Row> {
    // Host n has mode n; 10 n + m is host n at the m-th round-trip time.
    let mut plan = FleetPlan::default();
    for (number, (_, traits)) in (1..).zip(MODES) {
        plan = plan.host_with(number, traits);
    }
    let fleet = plan.start();
    let environment = Environment::new();
    interrupt::guard(&environment);
    for (_, file, text) in SCRIPTS {
        environment.write(file, text);
    }
    let set = ["vars", "set", "bench", r#"{"n": 42}"#];
    environment.program(&options.program, set).run().succeeds().ignore();
    let mut rows = Vec::new();
    for (at, rtt) in (0..).zip(&options.rtt) {
        for (near, (mode, _)) in (1..).zip(MODES) {
            let host = match *rtt {
                0 => near,
                rtt => {
                    let far = 10 * near + at;
                    delay(&fleet, far, near, Duration::from_millis(rtt));
                    far
                }
            };
            for (language, file, _) in SCRIPTS {
                eprintln!("{language}, {mode}, {rtt} ms");
                let (first, times) = run(options, &environment, &fleet, host, file, mode);
                rows.push(vec![
                    language.to_owned(),
                    rtt.to_string(),
                    mode.to_owned(),
                    times.count().to_string(),
                    ms(first),
                    format!("{:.0}", times.a_second()),
                    ms(times.at(50)),
                    ms(times.at(99)),
                ]);
            }
        }
    }
    rows
}

/// The first call, and those behind it.
fn run(
    options: &Options,
    environment: &Environment,
    fleet: &Fleet,
    host: u8,
    file: &str,
    mode: &str,
) -> (Duration, Quantiles) {
    let name = fleet.name(host);
    environment
        .program(&options.program, ["exec", &name, "-o", "quiet"])
        .args(["-u", user(), "-p", &fleet.port().to_string()])
        .args(["--private-key".as_ref(), fleet.private_key().as_os_str()])
        .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
        .args([file, "--", &options.calls.to_string()])
        .limit(600)
        .run()
        .succeeds()
        .ignore();
    let ledger = environment.ledger();
    let run = ledger.last_run();
    let row = ledger.result(&run, &name);
    assert_eq!(row.helper_mode.as_deref(), Some(mode), "{:?}", row.helper_reason);
    let out = String::from_utf8(ledger.output(&run, &name, "stdout").unwrap_or_default()).unwrap();
    let mut times = out.lines().map(|line| Duration::from_nanos(line.parse().expect("nanoseconds")));
    let first = times.next().expect("the first call");
    let times: Vec<Duration> = times.collect();
    assert_eq!(times.len(), options.calls);
    (first, Quantiles::of(times))
}
