//! How many round trips it takes to run something on one host, over real sshd behind a delay.
//! Prints one table; round trips are the difference that the delay makes.
//!
//!     cargo bench --bench starts
//!     cargo bench --bench starts -- --program target/release/cronium-run --rtt 100 --runs 9
//!     cargo test --bench starts -- --quick          (unoptimised: only to see that it works)

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[path = "../helper_calls/delay.rs"]
mod delay;
#[path = "../../tests/harness/mod.rs"]
mod harness;

use harness::{Environment, Fleet, FleetPlan, Invocation, until};

const USAGE: &str = "usage: starts [--program PATH] [--rtt MS] [--runs N] [--quick]";

struct Options {
    program: PathBuf,
    rtt: Duration,
    runs: usize,
}

impl Options {
    /// The error is what to print.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            program: env!("CARGO_BIN_EXE_cronium-run").into(),
            rtt: Duration::from_millis(100),
            runs: 7,
        };
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().and_then(|value| value.parse().ok());
                value.filter(|value| *value > 0).ok_or_else(|| format!("{word} needs a number\n{USAGE}"))
            };
            match word.as_str() {
                // So cargo calls every bench.
                "--bench" => {}
                "--program" => options.program = words.next().ok_or(USAGE)?.into(),
                "--rtt" => options.rtt = Duration::from_millis(number()?),
                "--runs" => options.runs = number()? as usize,
                "--quick" => options.runs = 1,
                _ => return Err(format!("what is `{word}`?\n{USAGE}")),
            }
        }
        options.program = std::path::absolute(&options.program).map_err(|error| error.to_string())?;
        Ok(options)
    }
}

/// Host 1 is near, host 2 the same one far away.
const NEAR: u8 = 1;
const FAR: u8 = 2;

struct Bench {
    options: Options,
    environment: Environment,
    fleet: Fleet,
}

impl Bench {
    fn exec(&self, host: u8, args: &[&str]) -> Invocation {
        let fleet = &self.fleet;
        self.environment
            .program(&self.options.program, ["exec", &fleet.name(host), "-o", "quiet"])
            .args(["-u", harness::user(), "-p", &fleet.port().to_string(), "--connect-timeout", "20s"])
            .args(["--private-key".as_ref(), fleet.private_key().as_os_str()])
            .args(["--known-hosts".as_ref(), fleet.known_hosts().as_os_str()])
            .args(args)
    }

    /// OpenSSH with all that makes it fast, and the master of a connection where `path` is one.
    fn ssh(&self, host: u8, path: Option<&str>) -> Invocation {
        let fleet = &self.fleet;
        let mut words: Vec<OsString> =
            ["-F", "none", "-n", "-o", "KexAlgorithms=curve25519-sha256"].map(Into::into).into();
        words.extend(["-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-i"].map(Into::into));
        words.push(fleet.private_key().into());
        words.extend(["-p".into(), fleet.port().to_string().into(), "-o".into()]);
        words.push(format!("UserKnownHostsFile={}", fleet.known_hosts().display()).into());
        if let Some(path) = path {
            let path = self.environment.path(format!("{path}-%h"));
            words.extend(["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o"].map(Into::into));
            words.push(format!("ControlPath={}", path.display()).into());
        }
        words.extend([format!("{}@{}", harness::user(), fleet.name(host)).into(), "true".into()]);
        self.environment.program("ssh", words)
    }

    /// The median of some runs in milliseconds.
    fn time(&self, mut prepare: impl FnMut(), run: impl Fn() -> Invocation) -> f64 {
        let mut times: Vec<f64> = (0..self.options.runs)
            .map(|_| {
                prepare();
                let begun = Instant::now();
                run().run().succeeds().ignore();
                begun.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    fn row(&self, name: &str, prepare: impl Fn(u8), run: impl Fn(u8) -> Invocation) {
        let [near, far] = [NEAR, FAR].map(|host| self.time(|| prepare(host), || run(host)));
        let trips = (far - near) / (self.options.rtt.as_secs_f64() * 1000.0);
        println!("{name:<44}  {near:>8.1}  {far:>8.1}  {trips:>11.1}");
    }

    fn forget_runner(&self) {
        let _ = fs::remove_dir_all(self.fleet.home(NEAR).join(".cache"));
    }

    /// Until a runner waits on the other end of each kept connection.
    fn ready(&self) {
        let is_ready = || {
            let told = self.environment.program(&self.options.program, ["keeper", "status"]).run();
            !told.out().contains(" open ") && !told.out().contains("in use")
        };
        assert!(until(20, is_ready), "the runner does not come");
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let fleet = FleetPlan::default().host(NEAR).start();
    delay::delay(&fleet, FAR, NEAR, options.rtt);
    let bench = Bench { options, environment: Environment::new(), fleet };
    let script =
        bench.environment.write("script.sh", format!("#!/bin/sh\ntrue\nexit\n{}", "#".repeat(100_000)));
    let script = script.to_str().unwrap().to_owned();

    println!("{:<44}  {:>8}  {:>8}  {:>11}", "one host, medians", "near ms", "far ms", "round trips");
    let (nothing, runs) = (|_| {}, &["--", "true"][..]);
    bench.exec(NEAR, runs).run().succeeds().ignore();
    bench.row("ssh host true", nothing, |host| bench.ssh(host, None));
    bench.row("exec -- true", nothing, |host| bench.exec(host, runs));
    bench.row("exec -- true, no runner there yet", |_| bench.forget_runner(), |host| bench.exec(host, runs));
    bench.row("exec script of 100 kB", nothing, |host| bench.exec(host, &[&script]));
    for host in [NEAR, FAR] {
        bench.ssh(host, Some("mux")).run().succeeds().ignore();
        bench.exec(host, &["--persist", "5m", "--", "true"]).run().succeeds().ignore();
    }
    bench.row("ssh host true, over its ControlMaster", nothing, |host| bench.ssh(host, Some("mux")));
    bench.row(
        "exec --persist 5m -- true",
        |_| bench.ready(),
        |host| bench.exec(host, &["--persist", "5m", "--", "true"]),
    );
    bench.row(
        "exec --persist 5m script of 100 kB",
        |_| bench.ready(),
        |host| bench.exec(host, &["--persist", "5m", &script]),
    );
    bench.environment.program(&bench.options.program, ["keeper", "stop"]).run().succeeds().ignore();
    ExitCode::SUCCESS
}
