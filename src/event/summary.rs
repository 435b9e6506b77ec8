use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Outcome, StopReason};
use crate::error::ExitCode;

/// A run in numbers: what `run_finished` says and what the exit code is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub hosts: u64,
    /// How many hosts ended in each way; an outcome nobody had is absent.
    pub outcomes: BTreeMap<Outcome, u64>,
    pub duration_ms: u64,
    /// Why no further host was started, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StopReason>,
}

impl Summary {
    /// Of hosts that have ended so.
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut summary = Self::default();
        for outcome in outcomes {
            summary.hosts += 1;
            summary.add(outcome);
        }
        summary
    }

    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }

    pub fn add(&mut self, outcome: Outcome) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    /// The exit code of the run: interrupted first, then our own failure, then
    /// 6 > 7 > 8 > 4 > 5 > 3 where hosts ended in several ways.
    pub fn exit_code(&self) -> ExitCode {
        let any = |outcome| self.count(outcome) > 0;
        match self.stopped {
            Some(StopReason::Interrupted) => ExitCode::Interrupted,
            Some(StopReason::Ledger) => ExitCode::Failure,
            _ if any(Outcome::Rejected) => ExitCode::Rejected,
            Some(StopReason::Limit | StopReason::Gate) => ExitCode::Stopped,
            Some(StopReason::Detached) | None if any(Outcome::Unknown) => ExitCode::Unknown,
            Some(StopReason::Detached) | None if any(Outcome::Unreachable) => ExitCode::Unreachable,
            Some(StopReason::Detached) | None if any(Outcome::TimedOut) => ExitCode::TimedOut,
            Some(StopReason::Detached) | None if any(Outcome::Failed) => ExitCode::HostFailed,
            Some(StopReason::Detached) | None if any(Outcome::Cancelled) => ExitCode::Interrupted,
            Some(StopReason::Detached) | None if any(Outcome::Skipped) => ExitCode::Stopped,
            // Those that were detached go on as they should.
            Some(StopReason::Detached) | None => ExitCode::Success,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// outcomes, why it stopped, exit code
    const TABLE: &[(&[Outcome], Option<StopReason>, u8)] = {
        use Outcome::*;
        &[
            (&[], None, 0),
            (&[Succeeded], None, 0),
            (&[Succeeded, Failed], None, 3),
            (&[Failed, Unreachable], None, 4),
            (&[Failed, TimedOut], None, 5),
            (&[TimedOut, Unreachable], None, 4),
            (&[Unreachable, Rejected], None, 6),
            (&[Unreachable, Unknown], None, 8),
            (&[Rejected, Unknown], Some(StopReason::Limit), 6),
            (&[Failed, Unknown, Skipped], Some(StopReason::Limit), 7),
            (&[Succeeded, Skipped], Some(StopReason::Gate), 7),
            (&[Rejected, Cancelled], Some(StopReason::Interrupted), 130),
            (&[Succeeded, Skipped], Some(StopReason::Ledger), 1),
            (&[Succeeded, Detached], None, 0),
            (&[Detached, Unreachable], None, 4),
            (&[Detached, Failed], Some(StopReason::Detached), 3),
            (&[Detached, Skipped], Some(StopReason::Detached), 7),
            (&[Detached, Unknown], Some(StopReason::Interrupted), 130),
        ]
    };

    #[test]
    fn exit_codes() {
        for (outcomes, stopped, code) in TABLE {
            let mut summary = Summary { stopped: *stopped, ..Summary::default() };
            outcomes.iter().for_each(|outcome| summary.add(*outcome));
            assert_eq!(summary.exit_code() as u8, *code, "{outcomes:?} {stopped:?}");
        }
    }
}
