//! What is known of a host that has been asked more than once.

use super::{HostResult, Outcome};

impl HostResult {
    /// Whether the host has answered that it has nothing of the run, or no more: how it ended stays unknown.
    pub fn is_gone(&self) -> bool {
        let has_nothing = |kind: &str| matches!(kind, "absent" | "dropped");
        self.outcome == Outcome::Unknown
            && self.failure.as_ref().is_some_and(|failure| has_nothing(&failure.kind))
    }

    /// How a host stands of whom this was known, and `later` was told. What that says less of stays as it
    /// was known: a host that has ended has ended once, one that was not even asked stays as it was, and so
    /// does one that had nothing to tell and was not reached since.
    pub fn settled_by(self, later: Self) -> Self {
        let says_less = later.outcome == Outcome::Unknown && self.is_gone() && !later.is_gone();
        match !self.outcome.is_open() || later.outcome == Outcome::Skipped || says_less {
            true => self,
            false => filled(later, self),
        }
    }
}

/// `result` with what `earlier`, which was left open, knows and it does not.
fn filled(mut result: HostResult, earlier: HostResult) -> HostResult {
    let new = std::mem::take(&mut result.conflicts);
    let mut conflicts = earlier.conflicts;
    conflicts.extend(new);
    let mut seen = Vec::new();
    conflicts.retain(|conflict| {
        let is_new = !seen.contains(conflict);
        seen.push(conflict.clone());
        is_new
    });
    HostResult {
        conflicts,
        started_at: result.started_at.or(earlier.started_at),
        cpu_ms: result.cpu_ms.or(earlier.cpu_ms),
        max_rss_kb: result.max_rss_kb.or(earlier.max_rss_kb),
        helper_mode: result.helper_mode.or(earlier.helper_mode),
        helper_reason: result.helper_reason.or(earlier.helper_reason),
        condition: result.condition.or(earlier.condition),
        trust: result.trust.or(earlier.trust),
        stub_digest: result.stub_digest.or(earlier.stub_digest),
        arch: result.arch.or(earlier.arch),
        output: result.output.or(earlier.output),
        stdout_bytes: result.stdout_bytes.max(earlier.stdout_bytes),
        stderr_bytes: result.stderr_bytes.max(earlier.stderr_bytes),
        ..result
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::event::{Conflict, Failure, Phase, Trust};

    #[test]
    fn what_was_known_is_not_lost() {
        use Outcome::*;
        let result = |outcome| HostResult::bare(outcome, Timestamp::UNIX_EPOCH);
        // how it stood, what came, how it stands
        for (earlier, later, want) in [
            (Unknown, Succeeded, Succeeded),
            (Unknown, Unknown, Unknown),
            (Unknown, Unreachable, Unreachable),
            (Unknown, Skipped, Unknown),
            (Detached, Skipped, Detached),
            (Detached, Unknown, Unknown),
            (Unknown, Detached, Detached),
            (Failed, Unknown, Failed),
            (Succeeded, Skipped, Succeeded),
            (Failed, Succeeded, Failed),
        ] {
            assert_eq!(result(earlier).settled_by(result(later)).outcome, want, "{earlier:?} {later:?}");
        }
    }

    #[test]
    fn a_host_that_has_nothing_is_not_waited_for() {
        let unknown = |kind: &str| {
            let failure = Failure {
                phase: Phase::Lost,
                kind: kind.into(),
                message: String::new(),
                causes: Vec::new(),
                hint: None,
            };
            let bare = HostResult::bare(Outcome::Unknown, Timestamp::UNIX_EPOCH);
            HostResult { failure: Some(failure), ..bare }
        };
        // how it stood, what came, how it stands
        for (earlier, later, want) in [
            ("absent", "unasked", "absent"),
            ("absent", "dropped", "dropped"),
            ("unasked", "absent", "absent"),
            ("unasked", "link", "link"),
        ] {
            let stands = unknown(earlier).settled_by(unknown(later));
            assert_eq!(stands, unknown(want), "{earlier} {later}");
            assert_eq!(stands.is_gone(), ["absent", "dropped"].contains(&want));
        }
    }

    #[test]
    fn a_late_result_is_filled_from_the_one_that_was_left_open() {
        let at = Timestamp::from_second;
        let conflict = |key: &str| Conflict { key: key.into(), reason: "gone".into() };
        let earlier = HostResult {
            attempt: 1,
            started_at: Some(at(1).unwrap()),
            trust: Some(Trust::Pinned),
            stub_digest: Some("5a".into()),
            arch: Some("x86_64".into()),
            conflicts: vec![conflict("a"), conflict("b")],
            stdout_bytes: 7,
            ..HostResult::bare(Outcome::Unknown, at(2).unwrap())
        };
        let later = HostResult {
            exit_code: Some(0),
            conflicts: vec![conflict("b"), conflict("c")],
            stdout_bytes: 9,
            ..HostResult::bare(Outcome::Succeeded, at(3).unwrap())
        };
        let want = HostResult {
            started_at: Some(at(1).unwrap()),
            trust: Some(Trust::Pinned),
            stub_digest: Some("5a".into()),
            arch: Some("x86_64".into()),
            conflicts: vec![conflict("a"), conflict("b"), conflict("c")],
            ..later.clone()
        };
        assert_eq!(earlier.settled_by(later), want);
    }
}
