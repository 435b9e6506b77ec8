//! What the frames mean. Control messages are JSON; output and payload pieces are raw bytes.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::frame::Frame;

/// A message of one direction: its number on the wire and its body.
pub trait Message: Sized {
    fn encode(&self) -> (u8, Vec<u8>);
    fn decode(frame: Frame) -> Result<Self, MessageError>;

    /// The message as the bytes of one frame.
    fn to_frame(&self, seq: u64) -> Vec<u8> {
        let (kind, body) = self.encode();
        let mut out = Vec::new();
        Frame::write(kind, seq, &body, &mut out);
        out
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum MessageError {
    UnknownKind(u8),
    Body { kind: u8, reason: String },
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(f, "a message of unknown kind {kind}"),
            Self::Body { kind, reason } => write!(f, "a malformed message of kind {kind}: {reason}"),
        }
    }
}

impl std::error::Error for MessageError {}

/// One job for one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub run: String,
    /// The host as the operator's inventory names it.
    pub host: String,
    /// SHA-256 of the payload's tar.gz, lower-case hex.
    pub digest: String,
    /// Size of the tar.gz in bytes.
    pub size: u64,
    /// Whether the payload's bytes follow this message unasked; otherwise the stub asks
    /// ([`FromStub::NeedPayload`]) where its cache has none.
    pub payload_follows: bool,
    /// The signature in DER, base64.
    pub signature: String,
    /// The operator's public key as PEM: used where the host pins none.
    pub session_key: String,
    /// Put behind the manifest's `args`.
    pub args: Vec<String>,
    /// Put over the manifest's `environment`.
    pub environment: BTreeMap<String, String>,
    /// Wall time of the script. The operator's `--timeout`, else the manifest's.
    pub timeout_ms: Option<u64>,
    /// Between TERM and KILL.
    pub grace_ms: u64,
    /// For the helper API; stays in the stub.
    pub token: String,
    pub execution: String,
    /// Where the script's variables are looked for, nearest first: `run:ID`, `host:NAME`,
    /// `group:NAME`, `project:NAME`, `global`.
    pub scopes: Vec<String>,
    /// Open the tunnel at once, not at the first helper call.
    pub tunnel_now: bool,
    /// Bytes of the run's input as JSON, which come behind this message ([`ToStub::Input`]); 0: null.
    pub input_size: u64,
    /// What `cronium event` tells: the `data` of the helper API's `…/context`.
    pub context: Value,
    /// What helpers are answered from where the operator cannot be asked.
    pub snapshot: Snapshot,
    /// The manifest's `artifacts.inputs`: put into the work folder before the script starts.
    pub files: Vec<InputFile>,
    /// How long the script may go on without an operator; it is killed then.
    pub lease_ms: u64,
    /// The script is killed where it prints nothing for so long.
    pub idle_ms: Option<u64>,
    /// Bytes of each output stream that are kept: half of them from its beginning, half from its end.
    pub max_output: u64,
}

/// Asks for a run that a host has been given before: what its supervisor told, and will tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    pub run: String,
    /// As in [`Job::host`].
    pub host: String,
    /// The number of the first frame that is wanted.
    pub from: u64,
    /// Whether to stay until the script has ended. Without it, a script that still runs is told by
    /// [`RunState::Running`] alone.
    pub follow: bool,
}

/// How an asked-for run stands on its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RunState {
    /// Its script runs. Frames follow, if they were asked for.
    Running,
    /// It is over. Frames follow, [`FromStub::Finished`] the last of them.
    Ended,
    /// The host has none of this name, and cannot say whether it had.
    #[default]
    Absent,
    /// The host has had none of this name, and never will: a job that is still on its way finds its place
    /// taken and starts nothing.
    Barred,
    /// It was over, and nobody came for its result in time: it was dropped.
    Dropped,
}

/// The variables a script may read, as they were when its job left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub variables: Vec<SnapshotVariable>,
    /// Whether a key that is not here has no value at the operator either.
    pub complete: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotVariable {
    pub key: String,
    pub value: Value,
    pub version: u64,
    /// `host:web1`, `global` and so on.
    pub scope: String,
}

/// A file for the script, kept by content in the host's cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Inside the work folder.
    pub path: String,
    /// SHA-256, lower-case hex.
    pub digest: String,
    pub size: u64,
    pub executable: bool,
}

/// Operator → stub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToStub {
    Job(Box<Job>),
    /// The next bytes of the payload, in order, until [`Job::size`] have come.
    Payload(Vec<u8>),
    /// The socket named in [`FromStub::OpenTunnel`] is served, or this port of 127.0.0.1.
    TunnelOpen {
        port: Option<u16>,
    },
    TunnelRefused {
        reason: String,
    },
    /// Kill the script's process tree.
    Cancel,
    /// Put a payload, keys or nothing in place without running anything (`deploy`).
    Deploy(Box<Deploy>),
    /// The next bytes of the run's input, in order, until [`Job::input_size`] have come.
    Input(Vec<u8>),
    /// Instead of a job.
    Attach(Attach),
    /// Everything up to [`FromStub::Finished`] is recorded: the host may forget the run.
    Ack,
    /// The operator leaves on purpose: the lease is [`Self::Detach::lease_ms`] from now on.
    Detach {
        lease_ms: u64,
    },
}

/// What `deploy` puts on a host beside the stub itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// A payload for the cache; its bytes follow.
    pub payload: Option<Job>,
    /// Public keys as PEM, to be pinned.
    pub trust: Vec<String>,
}

/// Stub → operator.
///
/// What belongs to the run is numbered and spooled on the host until it is acknowledged:
/// `Started` to `Stderr`, `Warning`, `Told`, `Journal`, `Artifact…`, `Cut` and `Finished`. It may be
/// read by a newer build than wrote it: add, never change. What belongs to one connection is
/// [`UNNUMBERED`](crate::frame::UNNUMBERED): `Hello`, `NeedPayload`, `NeedFile`, `OpenTunnel`,
/// `Attached`, `Superseded`, `Alive`.
#[derive(Debug, Clone, PartialEq)]
pub enum FromStub {
    Hello(Hello),
    NeedPayload,
    Started(Started),
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// Forward a Unix socket of this path to the helper API; without one, a port of 127.0.0.1.
    OpenTunnel {
        path: Option<String>,
    },
    Warning {
        message: String,
    },
    /// The last message. What was the script's is gone from the run folder when it is sent.
    Finished(Finished),
    Told(Told),
    /// The next bytes of the journal: [`Write`]s as JSON, a line each, in the order they were made.
    Journal(Vec<u8>),
    /// A file of [`Job::files`] is not in the cache; its bytes come as [`ToStub::Payload`].
    NeedFile {
        digest: String,
    },
    /// A file that the script left; its bytes follow.
    Artifact(Artifact),
    ArtifactPiece(Vec<u8>),
    /// The file is over.
    ArtifactEnd {
        /// SHA-256 of its bytes, lower-case hex. Empty: they could not be read to the end.
        digest: String,
    },
    /// The answer to [`ToStub::Attach`].
    Attached(RunState),
    /// So many bytes of a stream, between what came before and what follows, were not kept.
    Cut {
        stderr: bool,
        bytes: u64,
    },
    /// Another operator, or the same one over a newer connection, is told from here on.
    Superseded,
    /// No news: sent now and then, so that a connection whose other end is dead fails in time.
    Alive,
}

impl FromStub {
    /// Whether it belongs to the run, and not to the connection that brings it.
    pub fn is_numbered(&self) -> bool {
        !matches!(
            self,
            Self::Hello(_)
                | Self::NeedPayload
                | Self::NeedFile { .. }
                | Self::OpenTunnel { .. }
                | Self::Attached(_)
                | Self::Superseded
                | Self::Alive
        )
    }
}

/// Numbers of messages of [`FromStub`], for whoever does not read them: a decoder of all is 60 kB of a
/// stub.
pub mod kind {
    pub const STARTED: u8 = 103;
    pub const STDOUT: u8 = 104;
    pub const STDERR: u8 = 105;
    pub const FINISHED: u8 = 108;
    pub const JOURNAL: u8 = 110;
    pub const ARTIFACT: u8 = 112;
    pub const ARTIFACT_END: u8 = 114;
    pub const CUT: u8 = 116;
}

/// Bytes of a [`Told`] as it stands in its frame. As many as wait for the ledger fit into memory.
pub const MAX_TOLD: usize = 32 << 10;
/// Bytes of a log's context, as JSON.
pub const MAX_CONTEXT: usize = 4 << 10;

/// What a script tells beside its output.
///
/// [`MAX_TOLD`] bytes of JSON at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Log {
        /// As the script wrote it: `info`, `warn` and so on.
        level: String,
        message: String,
        /// JSON text: parsed it would take up to 40 times the memory. Empty where there is none.
        context: String,
    },
    Progress {
        /// 0 to 100.
        percent: f64,
        step: Option<String>,
    },
    Notify {
        audience: String,
        message: String,
    },
    Condition {
        condition: bool,
    },
}

/// A write of a helper call. Made twice, it counts once: that is what `id` is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// Unique on the host of the run.
    pub id: String,
    pub op: Op,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// What the run's output is from now on.
    Output {
        value: Value,
    },
    Set {
        key: String,
        value: Value,
        if_version: Option<u64>,
        /// Instead of `if_version`, for a version that this host made itself while the operator could
        /// not be asked: the [`Write::id`] of the write that made it.
        #[serde(default)]
        after: Option<String>,
        /// `run`, `host`, `project` or `global`; without one, the nearest that has the key.
        scope: Option<String>,
    },
    Unset {
        key: String,
        scope: Option<String>,
    },
    Increment {
        key: String,
        by: serde_json::Number,
        scope: Option<String>,
    },
}

/// A file that a script left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Below `$CRONIUM_OUT` or the work folder: of two with one path that of `$CRONIUM_OUT` is sent.
    /// `/` between its parts, no `..`, no control characters.
    pub path: String,
    /// As announced: no more bytes follow, but fewer may.
    pub size: u64,
    /// The permission bits.
    pub mode: u32,
}

/// How helper calls were answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Helpers {
    pub mode: Mode,
    /// Why it is not `api`.
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Api,
    Tcp,
    Bundled,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// SHA-256 of the running stub, lower-case hex.
    pub stub_digest: String,
    /// `linux/amd64` or `linux/arm64`.
    pub arch: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub pid: u32,
    /// Whether the key that verified the payload is pinned on the host.
    pub pinned: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub end: End,
    /// User and system time of the script and what it waited for.
    pub cpu_ms: Option<u64>,
    /// The largest resident set of one process of the script.
    pub max_rss_kb: Option<u64>,
    /// `None` where no helper was called.
    pub helpers: Option<Helpers>,
    /// What the script gave to `cronium condition` last.
    #[serde(default)]
    pub condition: Option<bool>,
    /// From the script's start to its end.
    #[serde(default)]
    pub wall_ms: Option<u64>,
    /// As in [`Started::pinned`], for whoever was not there then.
    #[serde(default)]
    pub pinned: Option<bool>,
}

/// How the job ended on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    Exited {
        code: i32,
    },
    Signalled {
        signal: i32,
    },
    TimedOut {
        after_ms: u64,
    },
    /// Killed because it printed nothing for so long.
    Idle {
        after_ms: u64,
    },
    /// Killed because no operator came for so long.
    LeaseEnded {
        after_ms: u64,
    },
    /// The runner itself was killed, or its host went down, while the script ran: what the script had
    /// done by then is not known.
    RunnerKilled,
    Cancelled,
    /// Nothing ran: `phase` is one of `tempdir`, `upload`, `verify`, `policy`, `exec`.
    Refused {
        phase: String,
        kind: String,
        message: String,
        causes: Vec<String>,
        hint: Option<String>,
    },
    /// A `deploy` is done.
    Deployed {
        pinned: Vec<String>,
    },
}

#[derive(Serialize, Deserialize)]
struct Reason {
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct Path {
    path: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Port {
    port: Option<u16>,
}

#[derive(Serialize, Deserialize)]
struct Digest {
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct Lease {
    lease_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Gap {
    stderr: bool,
    bytes: u64,
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("wire types are plain data with string keys")
}

fn parse<'a, T: Deserialize<'a>>(frame: &'a Frame) -> Result<T, MessageError> {
    serde_json::from_slice(&frame.body)
        .map_err(|error| MessageError::Body { kind: frame.kind, reason: error.to_string() })
}

impl Message for ToStub {
    fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Job(job) => (1, json(job)),
            Self::Payload(bytes) => (2, bytes.clone()),
            Self::TunnelOpen { port } => (3, json(&Port { port: *port })),
            Self::TunnelRefused { reason } => (4, json(&Reason { reason: reason.clone() })),
            Self::Cancel => (5, Vec::new()),
            Self::Deploy(deploy) => (6, json(deploy)),
            Self::Input(bytes) => (7, bytes.clone()),
            Self::Attach(attach) => (8, json(attach)),
            Self::Ack => (9, Vec::new()),
            Self::Detach { lease_ms } => (10, json(&Lease { lease_ms: *lease_ms })),
        }
    }

    fn decode(frame: Frame) -> Result<Self, MessageError> {
        Ok(match frame.kind {
            1 => Self::Job(parse(&frame)?),
            2 => Self::Payload(frame.body),
            3 => Self::TunnelOpen { port: parse::<Port>(&frame)?.port },
            4 => Self::TunnelRefused { reason: parse::<Reason>(&frame)?.reason },
            5 => Self::Cancel,
            6 => Self::Deploy(parse(&frame)?),
            7 => Self::Input(frame.body),
            8 => Self::Attach(parse(&frame)?),
            9 => Self::Ack,
            10 => Self::Detach { lease_ms: parse::<Lease>(&frame)?.lease_ms },
            kind => return Err(MessageError::UnknownKind(kind)),
        })
    }
}

impl Message for FromStub {
    fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Hello(hello) => (101, json(hello)),
            Self::NeedPayload => (102, Vec::new()),
            Self::Started(started) => (103, json(started)),
            Self::Stdout(bytes) => (kind::STDOUT, bytes.clone()),
            Self::Stderr(bytes) => (kind::STDERR, bytes.clone()),
            Self::OpenTunnel { path } => (106, json(&Path { path: path.clone() })),
            Self::Warning { message } => (107, json(&Reason { reason: message.clone() })),
            Self::Finished(finished) => (kind::FINISHED, json(finished)),
            Self::Told(told) => (109, json(told)),
            Self::Journal(bytes) => (kind::JOURNAL, bytes.clone()),
            Self::NeedFile { digest } => (111, json(&Digest { digest: digest.clone() })),
            Self::Artifact(artifact) => (kind::ARTIFACT, json(artifact)),
            Self::ArtifactPiece(bytes) => (113, bytes.clone()),
            Self::ArtifactEnd { digest } => (kind::ARTIFACT_END, json(&Digest { digest: digest.clone() })),
            Self::Attached(state) => (115, json(state)),
            Self::Cut { stderr, bytes } => (kind::CUT, json(&Gap { stderr: *stderr, bytes: *bytes })),
            Self::Superseded => (117, Vec::new()),
            Self::Alive => (118, Vec::new()),
        }
    }

    fn decode(frame: Frame) -> Result<Self, MessageError> {
        Ok(match frame.kind {
            101 => Self::Hello(parse(&frame)?),
            102 => Self::NeedPayload,
            103 => Self::Started(parse(&frame)?),
            kind::STDOUT => Self::Stdout(frame.body),
            kind::STDERR => Self::Stderr(frame.body),
            106 => Self::OpenTunnel { path: parse::<Path>(&frame)?.path },
            107 => Self::Warning { message: parse::<Reason>(&frame)?.reason },
            kind::FINISHED => Self::Finished(parse(&frame)?),
            kind @ 109 if frame.body.len() > MAX_TOLD => {
                let reason = format!("{} bytes, more than {MAX_TOLD}", frame.body.len());
                return Err(MessageError::Body { kind, reason });
            }
            109 => Self::Told(parse(&frame)?),
            kind::JOURNAL => Self::Journal(frame.body),
            111 => Self::NeedFile { digest: parse::<Digest>(&frame)?.digest },
            kind::ARTIFACT => Self::Artifact(parse(&frame)?),
            113 => Self::ArtifactPiece(frame.body),
            kind::ARTIFACT_END => Self::ArtifactEnd { digest: parse::<Digest>(&frame)?.digest },
            115 => Self::Attached(parse(&frame)?),
            kind::CUT => {
                let Gap { stderr, bytes } = parse(&frame)?;
                Self::Cut { stderr, bytes }
            }
            117 => Self::Superseded,
            118 => Self::Alive,
            kind => return Err(MessageError::UnknownKind(kind)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Decoder;

    fn there_and_back<M: Message + PartialEq + fmt::Debug>(message: M, kind: u8) {
        let mut decoder = Decoder::default();
        decoder.push(&message.to_frame(9));
        let frame = decoder.next().unwrap().unwrap();
        assert_eq!((frame.kind, frame.seq), (kind, 9));
        assert_eq!(M::decode(frame).unwrap(), message);
    }

    /// The numbers are the protocol: two messages may never share one.
    #[test]
    fn every_message_survives_the_wire() {
        there_and_back(ToStub::Job(Box::default()), 1);
        there_and_back(ToStub::Payload(vec![0, 255]), 2);
        there_and_back(ToStub::TunnelOpen { port: Some(1) }, 3);
        there_and_back(ToStub::TunnelRefused { reason: "no".into() }, 4);
        there_and_back(ToStub::Cancel, 5);
        there_and_back(ToStub::Deploy(Box::default()), 6);
        there_and_back(ToStub::Input(b"null".to_vec()), 7);
        there_and_back(ToStub::Attach(Attach { from: 7, ..Attach::default() }), 8);
        there_and_back(ToStub::Ack, 9);
        there_and_back(ToStub::Detach { lease_ms: 1 }, 10);
        there_and_back(FromStub::Hello(Hello::default()), 101);
        there_and_back(FromStub::NeedPayload, 102);
        there_and_back(FromStub::Started(Started { pid: 1, pinned: true }), 103);
        there_and_back(FromStub::Stdout(b"\0\n".to_vec()), 104);
        there_and_back(FromStub::Stderr(Vec::new()), 105);
        there_and_back(FromStub::OpenTunnel { path: Some("/x".into()) }, 106);
        there_and_back(FromStub::Warning { message: "w".into() }, 107);
        let end = End::Exited { code: 7 };
        let helpers = Some(Helpers { mode: Mode::Tcp, reason: Some("r".into()) });
        let finished = Finished {
            end,
            cpu_ms: Some(1),
            max_rss_kb: None,
            helpers,
            condition: Some(true),
            wall_ms: Some(2),
            pinned: None,
        };
        there_and_back(FromStub::Finished(finished), 108);
        there_and_back(FromStub::Told(Told::Condition { condition: true }), 109);
        there_and_back(FromStub::Journal(b"{}".to_vec()), 110);
        there_and_back(FromStub::NeedFile { digest: "d".into() }, 111);
        there_and_back(FromStub::Artifact(Artifact::default()), 112);
        there_and_back(FromStub::ArtifactPiece(vec![0]), 113);
        there_and_back(FromStub::ArtifactEnd { digest: "d".into() }, 114);
        there_and_back(FromStub::Attached(RunState::Barred), 115);
        there_and_back(FromStub::Cut { stderr: true, bytes: 5 }, 116);
        there_and_back(FromStub::Superseded, 117);
        there_and_back(FromStub::Alive, 118);
    }

    #[test]
    fn a_message_of_the_other_direction_is_refused() {
        let frame = Frame { kind: 101, seq: 0, body: b"{}".to_vec() };
        assert_eq!(ToStub::decode(frame), Err(MessageError::UnknownKind(101)));
    }

    #[test]
    fn a_bad_body_is_named() {
        let frame = Frame { kind: 1, seq: 0, body: b"{".to_vec() };
        assert!(matches!(ToStub::decode(frame), Err(MessageError::Body { kind: 1, .. })));
    }
}
