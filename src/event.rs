//! The one vocabulary of what happened. Execution emits [`Event`]s; the ledger and the
//! reporters read them. They are written to disk and read forever: add, never rename.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

mod bytes;
mod settled;
mod summary;
mod weight;

pub use bytes::Bytes;
pub use summary::Summary;

/// One fact of a run. `seq` starts at 0 with `run_started` and has no gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub seq: u64,
    pub at: Timestamp,
    /// How far its host's own account is known with this event: an `attach` goes on from there.
    /// The ledger's affair, so not part of the event's JSON.
    #[serde(skip)]
    pub mark: Option<u64>,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. In JSON the variant's name stands in `kind`, its fields beside it.
///
/// Grammar of a run: `run_started`, then for each host of the plan any number of
/// `host_state`, `host_output`, `host_warning` and what its script tells (`host_log` and so on),
/// and exactly one `host_finished`, then
/// `run_finished`. A run that was attached to, collected or cancelled later goes on behind that:
/// `run_resumed`, the same for each host that was asked, and `run_finished` once more. The last
/// `host_finished` of a host counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    RunStarted {
        run: String,
        /// The command line as typed, without values of secrets.
        command: String,
        version: String,
        payload: Option<PayloadInfo>,
        /// Every host of the plan, in the plan's order.
        hosts: Vec<String>,
    },
    /// Hosts of a run that has begun before are asked how it went.
    RunResumed {
        run: String,
        /// The command line as typed, without values of secrets.
        command: String,
        version: String,
        payload: Option<PayloadInfo>,
        /// Those that are asked, in the plan's order.
        hosts: Vec<String>,
    },
    HostState {
        host: String,
        state: HostState,
    },
    HostOutput {
        host: String,
        stream: Stream,
        #[serde(flatten)]
        data: Bytes,
    },
    /// The host printed so many bytes more at this place of the stream: `--max-output`, or its disk.
    HostOutputCut {
        host: String,
        stream: Stream,
        bytes: u64,
    },
    /// Something a person should know that changes no outcome.
    HostWarning {
        host: String,
        message: String,
    },
    /// `cronium log` of the script.
    HostLog {
        host: String,
        /// As the script wrote it: `info`, `warn` and so on.
        level: String,
        message: String,
        #[serde(default, skip_serializing_if = "Value::is_null")]
        context: Value,
    },
    /// `cronium progress` of the script.
    HostProgress {
        host: String,
        /// 0 to 100.
        percent: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
    /// `cronium notify` of the script.
    HostNotify {
        host: String,
        audience: String,
        message: String,
    },
    /// `cronium condition` of the script: the last one counts.
    HostCondition {
        host: String,
        condition: bool,
    },
    /// A file of the script that is now kept beside the ledger.
    HostArtifact {
        host: String,
        path: String,
        /// SHA-256 of its bytes, lower-case hex.
        digest: String,
        bytes: u64,
        /// The permission bits.
        mode: u32,
    },
    HostFinished {
        host: String,
        #[serde(flatten)]
        result: Box<HostResult>,
    },
    /// Ctrl-C, SIGTERM, canary, `--max-fail` or `--gate`: no further host starts. A weightier
    /// reason may follow.
    RunStopping {
        reason: StopReason,
    },
    RunFinished {
        #[serde(flatten)]
        summary: Summary,
    },
    /// An event of a newer version, kept as it was.
    #[serde(untagged)]
    Other(serde_json::Map<String, Value>),
}

impl EventKind {
    /// The name in JSON and in the ledger's `events.kind`.
    pub fn name(&self) -> &str {
        match self {
            Self::RunStarted { .. } => "run_started",
            Self::RunResumed { .. } => "run_resumed",
            Self::HostState { .. } => "host_state",
            Self::HostOutput { .. } => "host_output",
            Self::HostOutputCut { .. } => "host_output_cut",
            Self::HostWarning { .. } => "host_warning",
            Self::HostLog { .. } => "host_log",
            Self::HostProgress { .. } => "host_progress",
            Self::HostNotify { .. } => "host_notify",
            Self::HostCondition { .. } => "host_condition",
            Self::HostArtifact { .. } => "host_artifact",
            Self::HostFinished { .. } => "host_finished",
            Self::RunStopping { .. } => "run_stopping",
            Self::RunFinished { .. } => "run_finished",
            Self::Other(map) => map.get("kind").and_then(Value::as_str).unwrap_or("other"),
        }
    }

    /// The host the event is about, if it is about one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::HostState { host, .. }
            | Self::HostOutput { host, .. }
            | Self::HostOutputCut { host, .. }
            | Self::HostWarning { host, .. }
            | Self::HostLog { host, .. }
            | Self::HostProgress { host, .. }
            | Self::HostNotify { host, .. }
            | Self::HostCondition { host, .. }
            | Self::HostArtifact { host, .. }
            | Self::HostFinished { host, .. } => Some(host),
            _ => None,
        }
    }
}

/// The payload of a run, as the ledger and the reports name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadInfo {
    pub name: String,
    /// SHA-256 of the tar.gz, lower-case hex.
    pub digest: String,
    pub bytes: u64,
    pub release: Option<u64>,
    /// Fingerprint of the key that signed it: `SHA256:` and base64 of the public key's DER.
    pub signer: Option<String>,
}

/// Where a host stands. A host goes through these in order and may end from any; one that is to be
/// tried again is queued once more, and one that is reconnected to was running and runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    Queued,
    Connecting,
    Authenticating,
    Bootstrapping,
    Running,
    /// The link was lost while the script ran, and is being made again.
    Reconnecting,
    Collecting,
    Ended,
}

impl HostState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Connecting => "connecting",
            Self::Authenticating => "authenticating",
            Self::Bootstrapping => "bootstrapping",
            Self::Running => "running",
            Self::Reconnecting => "reconnecting",
            Self::Collecting => "collecting",
            Self::Ended => "ended",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How a host ended. `Unknown` means that the link was lost while the job ran: it is not a
/// failure and is never run again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    TimedOut,
    Unreachable,
    Rejected,
    Cancelled,
    Skipped,
    Unknown,
    /// The operator left it on purpose; it goes on, or waits to be fetched.
    Detached,
}

impl Outcome {
    pub const ALL: [Self; 9] = [
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Unreachable,
        Self::Rejected,
        Self::Cancelled,
        Self::Skipped,
        Self::Unknown,
        Self::Detached,
    ];

    /// The name in JSON and in the ledger's `results.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Detached => "detached",
        }
    }

    /// Whether the host may have more to tell: `attach` and `collect` ask it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Unknown | Self::Detached)
    }
}

/// Why a host did not succeed, where the reason is not simply its script's exit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub phase: Phase,
    /// A short stable name for machines, such as `refused`, `timeout`, `key-changed`.
    pub kind: String,
    /// One sentence without the causes.
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// A command to type, or what to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Dns,
    Tcp,
    Banner,
    Hostkey,
    Auth,
    Tempdir,
    Upload,
    Verify,
    Policy,
    Become,
    Exec,
    Timeout,
    Lost,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Banner => "banner",
            Self::Hostkey => "hostkey",
            Self::Auth => "auth",
            Self::Tempdir => "tempdir",
            Self::Upload => "upload",
            Self::Verify => "verify",
            Self::Policy => "policy",
            Self::Become => "become",
            Self::Exec => "exec",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
        }
    }
}

/// How the script's helper calls were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HelperMode {
    Api,
    Tcp,
    Bundled,
}

impl HelperMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Tcp => "tcp",
            Self::Bundled => "bundled",
        }
    }
}

/// A write that the host answered by itself (bundled mode) and the operator's side then refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    pub key: String,
    /// One sentence: `it has version 5, the script wanted 3`.
    pub reason: String,
}

/// Whose key let the payload run: one pinned on the host, or the operator's for this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    Pinned,
    Session,
}

impl Trust {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Session => "session",
        }
    }
}

/// All that is known of one host at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostResult {
    pub outcome: Outcome,
    /// 1 for the first try.
    pub attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The number of the signal that ended the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// `None` for a host that was never started.
    pub started_at: Option<Timestamp>,
    pub finished_at: Timestamp,
    pub duration_ms: u64,
    /// Milliseconds spent in each state that was entered, by [`HostState::as_str`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timings: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rss_kb: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper_mode: Option<HelperMode>,
    /// Why the mode is not `api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper_reason: Option<String>,
    /// Writes of the script that were not made, as the operator's side saw it later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// What the script gave to `cronium condition` last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// SHA-256 of the stub that ran the job, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stub_digest: Option<String>,
    /// `linux/amd64` or `linux/arm64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// What the script gave to `cronium output`; `null` is something it gave.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
}

impl HostResult {
    /// A host that ended before anything is known of it.
    pub fn bare(outcome: Outcome, at: Timestamp) -> Self {
        Self {
            outcome,
            attempt: 1,
            exit_code: None,
            signal: None,
            failure: None,
            started_at: None,
            finished_at: at,
            duration_ms: 0,
            timings: BTreeMap::new(),
            cpu_ms: None,
            max_rss_kb: None,
            helper_mode: None,
            helper_reason: None,
            conflicts: Vec::new(),
            condition: None,
            trust: None,
            stub_digest: None,
            arch: None,
            output: None,
            stdout_bytes: 0,
            stderr_bytes: 0,
        }
    }
}

/// A field that is there, whatever it holds: serde alone takes `null` for one that is not.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// Canary or `--max-fail`.
    Limit,
    /// `--gate` said no.
    Gate,
    /// The ledger could not be written.
    Ledger,
    /// The operator has left the run to its hosts.
    Detached,
}

/// Reads events as they are told. Called in order, from one thread.
pub trait Sink: Send {
    /// An error means that this run must start no further host.
    fn event(&mut self, event: &Event) -> crate::error::Result<()>;

    /// These hosts have heard that all they told is kept, and have forgotten the run. Told last.
    fn forgotten(&mut self, _hosts: Vec<String>) {}

    /// Calls `kept` once all that was told before is where it cannot be lost any more; never, where it
    /// will not be.
    fn keep(&mut self, _kept: Kept) {}
}

/// Told that something is kept. Called on any thread; does not block.
pub type Kept = Box<dyn FnOnce() + Send>;

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(event: &Event) {
        let json = serde_json::to_string(event).unwrap();
        assert_eq!(&serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
    }

    fn event(kind: EventKind) -> Event {
        Event { seq: 3, at: Timestamp::UNIX_EPOCH, mark: None, kind }
    }

    #[test]
    fn events_survive_json() {
        let host = || "web1".to_owned();
        for data in [b"text".to_vec(), vec![0xff, 0], Vec::new()] {
            let kind = EventKind::HostOutput { host: host(), stream: Stream::Stderr, data: Bytes(data) };
            there_and_back(&event(kind));
        }
        for output in [None, Some(Value::Null), Some(serde_json::json!({"a": [1, "x"]}))] {
            let result = HostResult { output, ..HostResult::bare(Outcome::Failed, Timestamp::UNIX_EPOCH) };
            there_and_back(&event(EventKind::HostFinished { host: host(), result: Box::new(result) }));
        }
        let summary = Summary { stopped: Some(StopReason::Limit), ..Summary::default() };
        there_and_back(&event(EventKind::RunFinished { summary }));
    }

    #[test]
    fn an_event_of_a_newer_version_is_kept_as_it_is() {
        let json =
            r#"{"seq":1,"at":"2026-11-21T00:00:00Z","kind":"host_teleported","host":"web1","to":"mars"}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        assert_eq!((event.kind.name(), event.kind.host()), ("host_teleported", None));
        there_and_back(&event);
    }
}
