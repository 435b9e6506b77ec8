use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::orders::SealedOrder;
use crate::error::ExitCode;
use crate::event::{HostResult, Outcome, PayloadInfo, Summary};

/// What is known of a run before any host is touched.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Letters, digits, `-` and `_`; a ULID sorts by time.
    pub id: String,
    /// The command line as typed, without values of secrets.
    pub command: String,
    pub payload: Option<PayloadInfo>,
    pub git_sha: Option<String>,
    /// Who runs it, such as `ann@laptop`.
    pub operator: Option<String>,
    pub plan: Value,
    /// Every host of the plan, in the plan's order.
    pub hosts: Vec<String>,
    pub started_at: Timestamp,
    /// The run whose hosts this one runs on again.
    pub rerun_of: Option<String>,
    /// What `attach` and `rerun` need. `None` where nothing can be asked for again.
    pub order: Option<SealedOrder>,
    pub signed: Option<SignedPayload>,
}

/// A payload as it went to hosts, so that the very same bytes can go again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPayload {
    /// The tar.gz.
    pub bytes: Vec<u8>,
    /// DER.
    pub signature: Vec<u8>,
    /// PEM.
    pub public_key: String,
}

/// The ledger's `runs.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Not finished, and its process is not known to be gone.
    Running,
    /// Exit code 0.
    Succeeded,
    /// Some host did not succeed, or we failed.
    Failed,
    /// By canary or `--max-fail`: exit code 7.
    Stopped,
    /// A host's link was lost while its job ran: exit code 8.
    Unknown,
    /// The operator has left hosts on purpose: they go on, or wait to be fetched.
    Detached,
    /// By Ctrl-C or SIGTERM (exit code 130), or its process died (no exit code): hosts without an
    /// outcome show the state they were last seen in.
    Interrupted,
}

impl RunStatus {
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Stopped,
        Self::Unknown,
        Self::Detached,
        Self::Interrupted,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
            Self::Detached => "detached",
            Self::Interrupted => "interrupted",
        }
    }

    /// `None` for a name that no version up to this one writes.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Hosts that may have more to tell come before those that have ended.
    pub(super) fn of(summary: &Summary) -> Self {
        let is_detached = summary.count(Outcome::Detached) > 0;
        match summary.exit_code() {
            ExitCode::Unknown => Self::Unknown,
            _ if is_detached => Self::Detached,
            ExitCode::Success => Self::Succeeded,
            ExitCode::Stopped => Self::Stopped,
            ExitCode::Interrupted => Self::Interrupted,
            ExitCode::Failure
            | ExitCode::Usage
            | ExitCode::HostFailed
            | ExitCode::Unreachable
            | ExitCode::TimedOut
            | ExitCode::Rejected => Self::Failed,
        }
    }
}

/// A run as it is in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    pub id: String,
    pub command: String,
    pub status: RunStatus,
    pub exit_code: Option<u8>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// When the last event came; for a run without `finished_at`, how far it is known.
    pub last_event_at: Option<Timestamp>,
    /// SHA-256 of the payload's tar.gz, lower-case hex.
    pub payload_digest: Option<String>,
    pub payload_name: Option<String>,
    pub release: Option<u64>,
    pub signer: Option<String>,
    pub git_sha: Option<String>,
    pub operator: Option<String>,
    pub plan: Value,
    /// By a clock that nobody sets; `None` where it has not ended, and where it was resumed.
    #[serde(skip)]
    pub measured_ms: Option<u64>,
    /// The run whose hosts this one runs on again.
    pub rerun_of: Option<String>,
    /// Those that run on hosts of this one again, oldest first.
    pub reruns: Vec<String>,
    /// How many hosts have each `results.status`.
    pub hosts: BTreeMap<String, u64>,
    /// How many of the unknown ones have nothing more to tell.
    #[serde(skip)]
    pub gone: u64,
}

impl Run {
    /// Whether it put things in place and ran nothing.
    pub fn is_deploy(&self) -> bool {
        self.plan.pointer("/task/deploy").is_some()
    }

    /// Whether it was begun by another ledger.
    pub fn is_adopted(&self) -> bool {
        self.plan.pointer("/task/resume").is_some()
    }

    /// Milliseconds from the start to the end, or to the last event where there is no end.
    pub fn duration_ms(&self) -> Option<u64> {
        if self.measured_ms.is_some() {
            return self.measured_ms;
        }
        let end = self.finished_at.or(self.last_event_at)?;
        u64::try_from(end.duration_since(self.started_at).as_millis()).ok()
    }
}

/// How far a host's account is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    pub host: String,
    /// The number of the first frame of its host that is not recorded.
    pub mark: u64,
    /// Bytes of stdout and stderr that are recorded.
    pub bytes: [u64; 2],
    pub attempt: u32,
    pub started_at: Option<Timestamp>,
    /// How it ended, as far as was known; `None` where nobody ever said.
    pub outcome: Option<Outcome>,
}

/// One host of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostRow {
    pub host: String,
    /// An [`crate::event::Outcome`] by name, or, for a host that has not ended, the
    /// [`crate::event::HostState`] it was last seen in.
    pub status: String,
    /// `None` for a host that has not ended, as far as is known.
    #[serde(flatten)]
    pub result: Option<HostResult>,
    /// How many frames of the host's own account are recorded, where it may still keep them.
    #[serde(skip)]
    pub kept: Option<u64>,
}

impl HostRow {
    /// Whether the host may have more to tell.
    pub fn is_open(&self) -> bool {
        self.result.as_ref().is_none_or(|result| result.outcome.is_open() && !result.is_gone())
    }

    /// How it stands. Nobody knows of one that never ended.
    pub fn outcome(&self) -> Outcome {
        self.result.as_ref().map_or(Outcome::Unknown, |result| result.outcome)
    }

    /// Whether it has answered that it has nothing of the run: who asks again will hear the same.
    pub fn is_gone(&self) -> bool {
        self.result.as_ref().is_some_and(HostResult::is_gone)
    }
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// `None`: all.
    pub limit: Option<usize>,
    pub status: Option<RunStatus>,
    /// Runs with this host in their plan.
    pub host: Option<String>,
}
