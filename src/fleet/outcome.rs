//! What the wire and the transport say, in the words of events.

use cronium_wire::message::End;

use crate::event::{Failure, Outcome, Phase};
use crate::transport::{self, Fault};

/// How a host ended, with exit code, signal and reason where there are.
pub struct Verdict {
    pub outcome: Outcome,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub failure: Option<Failure>,
}

impl Verdict {
    fn of(outcome: Outcome) -> Self {
        Self { outcome, exit_code: None, signal: None, failure: None }
    }

    fn because(outcome: Outcome, failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::of(outcome) }
    }

    pub fn cancelled() -> Self {
        Self::of(Outcome::Cancelled)
    }

    /// Left on purpose, while its script ran.
    pub fn detached() -> Self {
        Self::of(Outcome::Detached)
    }

    /// With what there is to type where nothing else is said.
    pub fn or_hint(mut self, hint: impl FnOnce() -> String) -> Self {
        if let Some(failure) = &mut self.failure
            && self.outcome == Outcome::Unknown
        {
            failure.hint.get_or_insert_with(hint);
        }
        self
    }

    fn killed(outcome: Outcome, phase: Phase, kind: &str, message: String, hint: &str) -> Self {
        let (kind, hint) = (kind.into(), Some(hint.into()));
        Self::because(outcome, Failure { phase, kind, message, causes: Vec::new(), hint })
    }

    /// `after_ms` of the script's wall time.
    fn timed_out(after_ms: u64) -> Self {
        let message =
            format!("the script was killed with all it started after {} s", after_ms as f64 / 1000.0);
        let failure = Failure {
            phase: Phase::Timeout,
            kind: "timeout".into(),
            message,
            causes: Vec::new(),
            hint: Some("--timeout TIME".into()),
        };
        Self::because(Outcome::TimedOut, failure)
    }
}

impl From<End> for Verdict {
    fn from(end: End) -> Self {
        match end {
            End::Exited { code: 0 } => Self { exit_code: Some(0), ..Self::of(Outcome::Succeeded) },
            End::Exited { code } => Self { exit_code: Some(code), ..Self::of(Outcome::Failed) },
            End::Signalled { signal } => Self { signal: Some(signal), ..Self::of(Outcome::Failed) },
            End::TimedOut { after_ms } => Self::timed_out(after_ms),
            End::Idle { after_ms } => Self::killed(
                Outcome::TimedOut,
                Phase::Timeout,
                "idle",
                format!(
                    "the script was killed with all it started: it printed nothing for {} s",
                    after_ms as f64 / 1000.0
                ),
                "--idle-timeout TIME",
            ),
            End::LeaseEnded { after_ms } => Self::killed(
                Outcome::TimedOut,
                Phase::Timeout,
                "lease",
                format!(
                    "the script was killed with all it started: no operator came for {} s",
                    after_ms / 1000
                ),
                "--lease TIME",
            ),
            End::RunnerKilled => Self::killed(
                Outcome::Failed,
                Phase::Exec,
                "runner-killed",
                "the runner was killed while the script ran, or the host went down".to_owned(),
                "what the script had done by then is not known: look at the host before you run it again",
            ),
            End::Cancelled => Self::cancelled(),
            End::Deployed { .. } => Self::of(Outcome::Succeeded),
            End::Refused { phase, kind, message, causes, hint } => {
                let phase = match phase.as_str() {
                    "verify" => Phase::Verify,
                    "policy" => Phase::Policy,
                    "tempdir" => Phase::Tempdir,
                    "upload" => Phase::Upload,
                    _ => Phase::Exec,
                };
                let outcome = match phase {
                    Phase::Verify | Phase::Policy => Outcome::Rejected,
                    // As when the shell finds no place for the runner: nothing ran.
                    Phase::Tempdir | Phase::Upload => Outcome::Unreachable,
                    _ => Outcome::Failed,
                };
                Self::because(outcome, Failure { phase, kind, message, causes, hint })
            }
        }
    }
}

impl From<Fault> for Verdict {
    fn from(fault: Fault) -> Self {
        let Fault { phase, kind, message, causes, hint, unknown: _ } = fault;
        let (phase, outcome) = match phase {
            transport::Phase::Dns => (Phase::Dns, Outcome::Unreachable),
            transport::Phase::Tcp => (Phase::Tcp, Outcome::Unreachable),
            transport::Phase::Banner => (Phase::Banner, Outcome::Unreachable),
            transport::Phase::Hostkey => (Phase::Hostkey, Outcome::Unreachable),
            transport::Phase::Auth => (Phase::Auth, Outcome::Unreachable),
            transport::Phase::Tempdir => (Phase::Tempdir, Outcome::Unreachable),
            transport::Phase::Upload => (Phase::Upload, Outcome::Unreachable),
            transport::Phase::Become => (Phase::Become, Outcome::Unreachable),
            transport::Phase::Lost => (Phase::Lost, Outcome::Unknown),
        };
        Self::because(outcome, Failure { phase, kind: kind.into_owned(), message, causes, hint })
    }
}
