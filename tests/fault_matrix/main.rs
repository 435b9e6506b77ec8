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
/// host. The phase of a failure stands in brackets.
const MATRIX: &str = "
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
    let differing: Vec<&String> =
        rows.iter().filter(|row| !MATRIX.lines().any(|line| line == *row)).collect();
    println!("{}", rows.join("\n"));
    assert!(differing.is_empty(), "{} of {} cells differ:\n{differing:#?}", differing.len(), rows.len());
    assert!(!only.is_empty() || MATRIX.lines().filter(|line| !line.is_empty()).count() == cells.len());
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
