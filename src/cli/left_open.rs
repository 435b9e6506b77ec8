//! Hosts whose end nobody recorded, as the process that ran them died.

use jiff::Timestamp;

use crate::ledger::Reader;
use crate::plan::LEASE_DETACHED;
use crate::report::units;
use crate::term::Term;

/// Runs that are named.
const NAMED: usize = 3;

/// Names the newest such runs, except the one that a command is about, with what settles them. Of no
/// weight to the command: what cannot be read is not told.
pub fn tell(reader: &Reader, except: Option<&str>, term: &Term) {
    let now = Timestamp::now();
    let since = now.checked_sub(LEASE_DETACHED).unwrap_or(Timestamp::UNIX_EPOCH);
    let Ok(left) = reader.left_open(since, NAMED + 1) else { return };
    for (run, hosts) in left.iter().filter(|(run, _)| Some(run.as_str()) != except).take(NAMED) {
        let hosts = units::hosts(*hosts as usize);
        let note = format!("note: run {run} was left with {hosts} unsettled: cronium-run collect {run}");
        term.note(&term.to_type(&note));
    }
}
