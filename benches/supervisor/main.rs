//! What a run costs on its host beside the script itself, without a network: `cargo bench --bench supervisor`.
//! `STUB` names the program of another build to compare with, whose runs come in between.

#[path = "../../tests/harness/mod.rs"]
mod harness;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cronium_wire::message::{FromStub, Job};
use harness::{Arch, Archive, MANIFEST, SpokenStub, TestKey, stub_path};

const FLOOD: u64 = 1 << 30;

fn main() {
    let mut stubs = vec![stub_path(Arch::here())];
    stubs.extend(std::env::var_os("STUB").map(PathBuf::from));
    // `cargo test` only sees that it works.
    let is_quick = !std::env::args().any(|arg| arg == "--bench");
    let runs = if is_quick { 3 } else { 400 };
    let mut times = vec![Vec::new(); stubs.len()];
    for _ in 0..runs {
        for (stub, times) in stubs.iter().zip(&mut times) {
            times.push(nothing(stub));
        }
    }
    for (stub, times) in stubs.iter().zip(times) {
        println!("{}", stub.display());
        let (mut results, mut ends): (Vec<_>, Vec<_>) = times.into_iter().unzip();
        for (what, times) in [("result", &mut results), ("end", &mut ends)] {
            times.sort();
            let [least, median, most] =
                [0, runs / 2, runs * 9 / 10].map(|at| times[at].as_secs_f64() * 1000.0);
            println!("  ms to its {what}: least {least:.2}, median {median:.2}, 90 % {most:.2}");
        }
        for most in [64 << 20, 4 * FLOOD].into_iter().filter(|_| !is_quick) {
            println!(
                "  s for 1 GiB of output, {most} bytes of it kept: {:.2}",
                flood(stub, most).as_secs_f64()
            );
        }
    }
}

/// To the result of a script that does nothing, and to the end of the process behind its acknowledgement.
fn nothing(stub: &Path) -> (Duration, Duration) {
    let home = tempfile::tempdir().unwrap();
    let payload = Archive::new(MANIFEST).file("run.sh", b"#!/bin/sh\n").finish();
    let job = TestKey::new(1).job(&payload);
    let begun = Instant::now();
    let mut stub = SpokenStub::start_with(Command::new(stub), home.path());
    stub.send_job(job, &payload);
    stub.until_finished();
    let result = begun.elapsed();
    stub.acknowledge();
    (result, begun.elapsed())
}

fn flood(stub: &Path, most: u64) -> Duration {
    let home = tempfile::tempdir().unwrap();
    let script = format!("#!/bin/sh\nhead -c {FLOOD} /dev/zero\n");
    let payload = Archive::new(MANIFEST).file("run.sh", script.as_bytes()).finish();
    let job = Job { max_output: most, ..TestKey::new(1).job(&payload) };
    let begun = Instant::now();
    let mut stub = SpokenStub::start_with(Command::new(stub), home.path());
    stub.send_job(job, &payload);
    let mut bytes = 0;
    loop {
        match stub.next() {
            FromStub::Stdout(piece) => bytes += piece.len() as u64,
            FromStub::Cut { bytes: cut, .. } => bytes += cut,
            FromStub::Finished(_) => break,
            _ => {}
        }
    }
    let time = begun.elapsed();
    assert_eq!(bytes, FLOOD);
    stub.acknowledge();
    time
}
