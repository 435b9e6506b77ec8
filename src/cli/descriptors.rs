//! Open files: each host at work needs some.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::shell::warn;
use crate::report::units;
use crate::term::Term;

/// A connection; while it is made two, for two addresses or a name server; where a program makes
/// it, its three pipes and its handle.
const PER_HOST: u64 = 4;

/// The ledger, the terminal, reports, spools, kept artifacts, hooks, agents, and the runtime.
const OURS: u64 = 150;

/// Raises the soft limit of open files to what `forks` of `hosts` need. Where the hard limit is in
/// the way, fewer hosts are at work at once, and the operator is told. Returns how many.
pub fn make_room(forks: usize, hosts: usize, term: &Term) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let room = Room::find(forks, hosts, limit.current, limit.maximum);
    if let Some(soft) = room.raise_to {
        let raised = Rlimit { current: Some(soft), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            warn(term, &format!("the limit of open files cannot be raised to {soft}: {error}"));
        }
    }
    if room.is_clamped {
        let (at_once, hard) = (room.forks, limit.maximum.unwrap_or(u64::MAX));
        warn(
            term,
            &format!(
                "--forks {forks} needs more open files than the {hard} allowed: {} at once",
                units::hosts(at_once)
            ),
        );
    }
    room.forks
}

#[derive(Debug, PartialEq, Eq)]
struct Room {
    forks: usize,
    is_clamped: bool,
    raise_to: Option<u64>,
}

impl Room {
    /// `soft` and `hard`: `None` for no limit.
    fn find(forks: usize, hosts: usize, soft: Option<u64>, hard: Option<u64>) -> Self {
        let at_once = forks.min(hosts) as u64;
        let fitting = hard.map_or(u64::MAX, |hard| (hard.saturating_sub(OURS) / PER_HOST).max(1));
        let is_clamped = fitting < at_once;
        let wanted = OURS + PER_HOST * at_once.min(fitting);
        // With a tiny hard limit even one host is more than fits; it may still go well.
        let wanted = wanted.min(hard.unwrap_or(u64::MAX));
        Self {
            forks: if is_clamped { fitting as usize } else { forks },
            is_clamped,
            raise_to: soft.is_some_and(|soft| soft < wanted).then_some(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_hosts() {
        let fine = |forks, raise_to| Room { forks, is_clamped: false, raise_to };
        let fewer = |forks, raise_to| Room { forks, is_clamped: true, raise_to };
        // forks, hosts, soft, hard, room
        let table = [
            (100, 64, Some(1024), Some(4096), fine(100, None)),
            (1000, 64, Some(1024), Some(4096), fine(1000, None)),
            (1000, 900, Some(1024), Some(4096), fine(1000, Some(3750))),
            (1000, 5000, Some(1024), Some(2150), fewer(500, Some(2150))),
            (1000, 5000, Some(1024), None, fine(1000, Some(4150))),
            (1000, 5000, None, None, fine(1000, None)),
            (5, 9, Some(64), Some(64), fewer(1, None)),
            (1, 9, Some(64), Some(64), fine(1, None)),
        ];
        for (forks, hosts, soft, hard, want) in table {
            assert_eq!(Room::find(forks, hosts, soft, hard), want, "{forks} {hosts} {soft:?} {hard:?}");
        }
    }
}
