//! Each fault at each moment of a run, against real sshd: what is said of the host, that its script was
//! started once at most, that no byte of its output is lost or doubled, and that nothing is left behind.

#[path = "../harness/mod.rs"]
mod harness;

mod cell;
mod matrix;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use cell::Cell;
use harness::{Environment, Fleet, FleetPlan};
use matrix::{Fault, Moment, makes_no_sense};

/// Columns: moment, fault, exit code of `exec` (137: killed), the host's row by then, starts of the
/// script, and row and output after `collect`. Behind a last column there would stand what is left on the
/// host. The phase of a failure stands in brackets. Where two lines stand for a cell, either may come true:
/// what a process has handed to its kernel may still arrive when it is killed, and a connection that was
/// closed before sshd said a word is made once more.
#[rustfmt::skip]
const MATRIX: &str = "\
connect                   | TCP reset            |    0 | succeeded             | 1 | succeeded · all lines
connect                   | TCP reset            |    4 | unreachable (banner)  | 0 | unreachable (banner) · no output
connect                   | silent link          |    4 | unreachable (banner)  | 0 | unreachable (banner) · no output
connect                   | sshd killed          |    4 | unreachable (banner)  | 0 | unreachable (banner) · no output
connect                   | sshd killed          |    0 | succeeded             | 1 | succeeded · all lines
connect                   | operator SIGKILL     |  137 | open                  | 0 | unreachable (upload) · no output
connect                   | operator SIGSTOP     |    4 | unreachable (banner)  | 0 | unreachable (banner) · no output
connect                   | relay SIGKILL        | no cell: no runner is on the host yet
connect                   | supervisor SIGKILL   | no cell: no runner is on the host yet
connect                   | host's disk full     |    4 | unreachable (tempdir) | 0 | unreachable (tempdir) · no output
connect                   | operator's disk full |    1 | no row                | 0 | no row · no ledger
upload                    | TCP reset            |    4 | unreachable (upload)  | 0 | unreachable (upload) · no output
upload                    | silent link          |    4 | unreachable (upload)  | 0 | unreachable (upload) · no output
upload                    | sshd killed          |    4 | unreachable (upload)  | 0 | unreachable (upload) · no output
upload                    | operator SIGKILL     |  137 | open                  | 1 | succeeded · all lines
upload                    | operator SIGKILL     |  137 | open                  | 0 | unreachable (upload) · no output
upload                    | operator SIGSTOP     |    0 | succeeded             | 1 | succeeded · all lines
upload                    | relay SIGKILL        | no cell: no runner is on the host yet
upload                    | supervisor SIGKILL   | no cell: no runner is on the host yet
upload                    | host's disk full     |    4 | unreachable (tempdir) | 0 | unreachable (tempdir) · no output
upload                    | operator's disk full |    1 | open                  | 1 | succeeded · all lines
before start              | TCP reset            |    4 | unreachable (upload)  | 0 | unreachable (upload) · no output
before start              | silent link          |    4 | unreachable (upload)  | 0 | unreachable (upload) · no output
before start              | sshd killed          |    4 | unreachable (upload)  | 0 | unreachable (upload) · no output
before start              | operator SIGKILL     |  137 | open                  | 0 | unreachable (upload) · no output
before start              | operator SIGKILL     |  137 | open                  | 1 | succeeded · all lines
before start              | operator SIGSTOP     |    0 | succeeded             | 1 | succeeded · all lines
before start              | relay SIGKILL        |    4 | unreachable (upload)  | 0 | unreachable (upload) · no output
before start              | supervisor SIGKILL   |    4 | unreachable (upload)  | 0 | unreachable (upload) · no output
before start              | host's disk full     |    4 | unreachable (tempdir) | 0 | unreachable (tempdir) · no output
before start              | operator's disk full |    1 | open                  | 1 | succeeded · all lines
running                   | TCP reset            |    0 | succeeded             | 1 | succeeded · all lines
running                   | silent link          |    0 | succeeded             | 1 | succeeded · all lines
running                   | sshd killed          |    0 | succeeded             | 1 | succeeded · all lines
running                   | operator SIGKILL     |  137 | open                  | 1 | succeeded · all lines
running                   | operator SIGSTOP     |    0 | succeeded             | 1 | succeeded · all lines
running                   | relay SIGKILL        |    0 | succeeded             | 1 | succeeded · all lines
running                   | supervisor SIGKILL   |    3 | failed (exec)         | 1 | failed (exec) · the first lines
running                   | host's disk full     |    0 | succeeded             | 1 | succeeded · all lines
running                   | operator's disk full |    1 | open                  | 1 | succeeded · all lines
result sent               | TCP reset            |    0 | succeeded             | 1 | succeeded · all lines
result sent               | silent link          |    0 | succeeded             | 1 | succeeded · all lines
result sent               | sshd killed          |    0 | succeeded             | 1 | succeeded · all lines
result sent               | operator SIGKILL     |  137 | open                  | 1 | succeeded · all lines
result sent               | operator SIGSTOP     |    0 | succeeded             | 1 | succeeded · all lines
result sent               | relay SIGKILL        |    0 | succeeded             | 1 | succeeded · all lines
result sent               | supervisor SIGKILL   |    0 | succeeded             | 1 | succeeded · all lines
result sent               | host's disk full     |    0 | succeeded             | 1 | succeeded · all lines
result sent               | operator's disk full |    1 | open                  | 1 | succeeded · all lines
before acknowledgement    | TCP reset            |    0 | succeeded             | 1 | succeeded · all lines
before acknowledgement    | silent link          |    0 | succeeded             | 1 | succeeded · all lines
before acknowledgement    | sshd killed          |    0 | succeeded             | 1 | succeeded · all lines
before acknowledgement    | operator SIGKILL     |  137 | open                  | 1 | succeeded · all lines
before acknowledgement    | operator SIGSTOP     |    0 | succeeded             | 1 | succeeded · all lines
before acknowledgement    | relay SIGKILL        |    0 | succeeded             | 1 | succeeded · all lines
before acknowledgement    | supervisor SIGKILL   |    0 | succeeded             | 1 | succeeded · all lines
before acknowledgement    | host's disk full     |    0 | succeeded             | 1 | succeeded · all lines
before acknowledgement    | operator's disk full |    1 | open                  | 1 | succeeded · all lines
acknowledgement under way | TCP reset            |    0 | succeeded             | 1 | succeeded · all lines
acknowledgement under way | silent link          |    0 | succeeded             | 1 | succeeded · all lines
acknowledgement under way | sshd killed          |    0 | succeeded             | 1 | succeeded · all lines
acknowledgement under way | operator SIGKILL     |  137 | succeeded             | 1 | succeeded · all lines
acknowledgement under way | operator SIGSTOP     |    0 | succeeded             | 1 | succeeded · all lines
acknowledgement under way | relay SIGKILL        |    0 | succeeded             | 1 | succeeded · all lines
acknowledgement under way | supervisor SIGKILL   |    0 | succeeded             | 1 | succeeded · all lines
acknowledgement under way | host's disk full     |    0 | succeeded             | 1 | succeeded · all lines
acknowledgement under way | operator's disk full |    0 | succeeded             | 1 | succeeded · all lines
";

/// Cells at work at once: they wait more than they work.
const AT_ONCE: usize = 10;
const KEYS: u8 = 99;

#[test]
fn every_fault_at_every_moment() {
    let is_root = rustix::process::getuid().is_root();
    let only = std::env::var("MATRIX_ONLY").unwrap_or_default();
    let cells: Vec<(Moment, Fault)> = Moment::ALL
        .into_iter()
        .flat_map(|moment| Fault::ALL.map(|fault| (moment, fault)))
        .filter(|(moment, fault)| format!("{} × {}", moment.name(), fault.name()).contains(&only))
        .collect();
    let fleet = fleet(&cells);
    let keys = Environment::new();
    // Its key is made on the way; the host is none of those below.
    keys.exec(&fleet, &fleet.name(KEYS)).args(["--", "true"]).run().ignore();

    let rows: Mutex<Vec<Option<String>>> = Mutex::new(vec![None; cells.len()]);
    let mut begun: Vec<Option<Cell>> = Vec::new();
    for (at, (moment, fault)) in cells.iter().copied().enumerate() {
        let makes_sense = makes_no_sense(moment, fault).is_none() && (is_root || !fault.needs_root());
        begun.push(makes_sense.then(|| Cell::new(moment, fault, &fleet, at as u8 + 1, &keys)));
    }
    let waiting = Mutex::new(begun.into_iter().enumerate());
    let next = || waiting.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((at, cell)) = next() {
                    let (moment, fault) = cells[at];
                    let row = match (cell, makes_no_sense(moment, fault)) {
                        (_, Some(why)) => format!("no cell: {why}"),
                        (None, None) => {
                            eprintln!("NOT CHECKED: only root can mount a small disk; run tests/run as root");
                            continue;
                        }
                        (Some(cell), None) => match catch_unwind(AssertUnwindSafe(|| cell.observe())) {
                            Ok(observed) => observed.to_string(),
                            Err(_) => "PANICKED".to_owned(),
                        },
                    };
                    let head = format!("{:<25} | {:<20} | ", moment.name(), fault.name());
                    rows.lock().unwrap()[at] = Some(head + &row);
                }
            });
        }
    });
    let rows: Vec<String> = rows.into_inner().unwrap().into_iter().flatten().collect();
    println!("{}", rows.join("\n"));
    let differing: Vec<&String> =
        rows.iter().filter(|row| !MATRIX.lines().any(|line| line == *row)).collect();
    assert!(differing.is_empty(), "{} of {} cells differ:\n{differing:#?}", differing.len(), rows.len());
}

/// A cell that nobody thought of would be a cell that nobody checks.
#[test]
fn the_table_is_whole() {
    let heads = MATRIX.lines().map(|line| line.splitn(3, '|').take(2).map(str::trim).collect::<Vec<_>>());
    let mut heads: Vec<Vec<&str>> = heads.collect();
    heads.dedup();
    let all: Vec<Vec<&str>> = Moment::ALL
        .iter()
        .flat_map(|moment| Fault::ALL.map(|fault| vec![moment.name(), fault.name()]))
        .collect();
    assert_eq!(heads, all);
}

fn fleet(cells: &[(Moment, Fault)]) -> Fleet {
    let mut plan = FleetPlan::default().host(KEYS);
    for (at, (_, fault)) in cells.iter().enumerate() {
        plan = plan.host_with(at as u8 + 1, |host| {
            if *fault == Fault::HostDiskFull {
                host.mounts = "mount -t tmpfs -o size=16m,mode=700 none $home".to_owned();
            }
        });
    }
    plan.start()
}
