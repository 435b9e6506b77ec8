//! What helper calls cost, over real sshd on loopback. Prints one table.
//!
//!     cargo bench --bench helper_calls
//!     cargo bench --bench helper_calls -- --program target/release/cronium-run calls --rtt 0,50
//!     cargo test --bench helper_calls -- --quick          (unoptimised: only to see that it works)
//!
//! Parts, all of them where none is named:
//!
//! * `calls`: getVariable in turn, from bash, python and node, in every mode, at each round-trip time.
//! * `counter`: many hosts add to one variable; fails unless nothing is lost.
//! * `store`: what the ledger takes to answer, without SSH or HTTP.
//!
//! Everything is beneath temporary folders and goes with them, also at Ctrl-C.

use std::process::ExitCode;

#[path = "../../tests/harness/mod.rs"]
mod harness;

mod calls;
mod counter;
mod delay;
mod interrupt;
mod options;
mod quantiles;
mod store;

use options::{Options, Part};

/// A row of the table: what was measured, then the figures.
type Row = Vec<String>;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{} on {cores} cores, load {}", options.program.display(), load.trim());
    for part in &options.parts {
        let (head, rows): (&[&str], Vec<Row>) = match part {
            Part::Calls => (&calls::HEAD, calls::measure(&options)),
            Part::Counter => (&counter::HEAD, counter::measure(&options)),
            Part::Store => (&store::HEAD, store::measure(&options)),
        };
        print(head, &rows);
    }
    ExitCode::SUCCESS
}

/// The first column to the left, figures to the right.
fn print(head: &[&str], rows: &[Row]) {
    let head: Row = head.iter().map(|cell| (*cell).to_owned()).collect();
    let width = |column: usize| {
        rows.iter().chain([&head]).filter_map(|row| row.get(column)).map(|it| it.chars().count()).max()
    };
    println!();
    for row in [&head].into_iter().chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or(0);
            line += &if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
        }
        println!("{}", line.trim_end());
    }
}
