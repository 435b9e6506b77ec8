use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use jiff::Timestamp;
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

use super::Reporter;
use super::recorder::{Recorder, Written};
use super::spool::TextId;
use crate::error::ExitCode;
use crate::event::{Event, EventKind, HostResult, PayloadInfo, Summary};
use crate::term::Term;

mod escape;
mod text;

use escape::Escaped;
pub use escape::escape_steering;
use text::Text;

/// `-o json`: the whole run as one document on stdout when it has ended.
///
/// ```json
/// {
///   "run": "01J…", "command": "cronium-run exec …", "version": "0.1.0",
///   "payload": {"name": "…", "digest": "…", "bytes": 1, "release": null, "signer": "SHA256:…"},
///   "started_at": "2026-01-01T00:00:00Z", "finished_at": "…",
///   "status": "failed", "exit_code": 3,
///   "summary": {"hosts": 2, "outcomes": {"succeeded": 1, "failed": 1}, "duration_ms": 1900},
///   "hosts": [
///     {"host": "web01", "outcome": "failed", "attempt": 1, "exit_code": 7, "duration_ms": 1800,
///      "failure": {"phase": "…", "kind": "…", "message": "…", "causes": [], "hint": "…"}, …,
///      "helper_mode": "bundled", "helper_reason": "…", "condition": true,
///      "conflicts": [{"key": "k", "reason": "it has version 5, the script wanted 3"}],
///      "warnings": [], "told": [{"at": "…", "kind": "host_log", "level": "info", "message": "…"}],
///      "artifacts": [{"path": "out/report.csv", "digest": "…", "bytes": 812}],
///      "stdout": "text", "stderr": {"base64": "/w=="}}
///   ]
/// }
/// ```
///
/// `status` is `succeeded` where the exit code is 0, `stopped` where the run was stopped before
/// its end, else `failed`. Hosts stand in the order of the plan; their fields are those of
/// [`HostResult`], absent where unknown. `stdout` and `stderr` are text, or base64 where they
/// are no UTF-8 as a whole; `stdout_cut` and `stderr_cut`, where they are there, say how many bytes
/// are missing in them (`--max-output`), and `stdout_cut_at` and `stderr_cut_at` behind how many bytes. `told` is what the script logged, notified and so on, in order: the
/// events of `-o jsonl` without `seq` and `host`.
pub struct Json {
    term: Term,
    run: Option<Run>,
    recorder: Recorder,
    warnings: HashMap<String, Vec<String>>,
    artifacts: HashMap<String, Vec<Artifact>>,
    ended: HashMap<String, Ended>,
}

struct Run {
    id: String,
    command: String,
    version: String,
    payload: Option<PayloadInfo>,
    hosts: Vec<String>,
    started_at: Timestamp,
}

struct Ended {
    result: HostResult,
    written: Written,
    told: Option<TextId>,
}

#[derive(Serialize)]
struct Artifact {
    path: String,
    digest: String,
    bytes: u64,
}

#[derive(Serialize)]
struct Document<'a, H: Serialize> {
    run: &'a str,
    command: &'a str,
    version: &'a str,
    payload: &'a Option<PayloadInfo>,
    started_at: Timestamp,
    finished_at: Timestamp,
    status: &'static str,
    exit_code: u8,
    summary: &'a Summary,
    hosts: H,
}

#[derive(Serialize)]
struct Host<'a> {
    host: &'a str,
    #[serde(flatten)]
    result: &'a HostResult,
    warnings: &'a [String],
    told: Told<'a>,
    artifacts: &'a [Artifact],
    /// Bytes that are missing in it.
    #[serde(skip_serializing_if = "is_zero")]
    stdout_cut: u64,
    /// Bytes before the first that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_cut_at: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    stderr_cut: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_cut_at: Option<u64>,
    stdout: Text<'a>,
    stderr: Text<'a>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

impl Json {
    pub fn new(term: &Term) -> Self {
        Self {
            term: term.clone(),
            run: None,
            recorder: Recorder::default(),
            warnings: HashMap::new(),
            artifacts: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    fn write(&self, finished_at: Timestamp, summary: &Summary) -> io::Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        let exit_code = summary.exit_code() as u8;
        let failed = RefCell::new(None);
        let text = |id| Text::new(&self.recorder.spool, id, &failed);
        let missing = |id: Option<TextId>| id.map_or(0, |id| self.recorder.spool.missing(id));
        let cut_at = |id: Option<TextId>| self.recorder.spool.first_cut(id?);
        let hosts = run.hosts.iter().filter_map(|host| {
            let Ended { result, written, told } = self.ended.get(host)?;
            Some(Host {
                host,
                result,
                warnings: self.warnings.get(host).map_or(&[][..], Vec::as_slice),
                told: Told { recorder: &self.recorder, id: *told, failed: &failed },
                artifacts: self.artifacts.get(host).map_or(&[][..], Vec::as_slice),
                stdout_cut: missing(written.stdout),
                stdout_cut_at: cut_at(written.stdout),
                stderr_cut: missing(written.stderr),
                stderr_cut_at: cut_at(written.stderr),
                stdout: text(written.stdout),
                stderr: text(written.stderr),
            })
        });
        let document = Document {
            run: &run.id,
            command: &run.command,
            version: &run.version,
            payload: &run.payload,
            started_at: run.started_at,
            finished_at,
            // The words of the ledger's `runs.status`.
            status: match summary.exit_code() {
                ExitCode::Success => "succeeded",
                ExitCode::Stopped => "stopped",
                ExitCode::Unknown => "unknown",
                ExitCode::Interrupted => "interrupted",
                _ => "failed",
            },
            exit_code,
            summary,
            hosts: Each(RefCell::new(hosts)),
        };
        let mut out = Escaped(BufWriter::with_capacity(64 << 10, Stdout(&self.term)));
        let written = serde_json::to_writer_pretty(&mut out, &document);
        // An error of the spool is told by the spool, not as one of formatting.
        failed.into_inner().map_or(Ok(()), Err)?;
        written?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

/// What a script told, one event in memory at a time. The first error of reading the spool is left
/// in `failed`; the list ends there.
struct Told<'a> {
    recorder: &'a Recorder,
    id: Option<TextId>,
    failed: &'a RefCell<Option<io::Error>>,
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut list, mut refused) = (serializer.serialize_seq(None)?, None);
        let read = self.recorder.each_told(self.id, |event| {
            let mut value = serde_json::to_value(event)?;
            if let Some(fields) = value.as_object_mut() {
                fields.retain(|name, _| name != "seq" && name != "host");
            }
            list.serialize_element(&value).map_err(|error| {
                refused = Some(error);
                io::ErrorKind::Other.into()
            })
        });
        match (refused, read) {
            (Some(error), _) => return Err(error),
            (None, Err(error)) => _ = self.failed.borrow_mut().get_or_insert(error),
            (None, Ok(())) => {}
        }
        list.end()
    }
}

impl Reporter for Json {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            // A run that is attached to is told as the run that it is.
            EventKind::RunResumed { .. } if self.run.is_some() => {}
            EventKind::RunStarted { run, command, version, payload, hosts }
            | EventKind::RunResumed { run, command, version, payload, hosts } => {
                self.run = Some(Run {
                    id: run.clone(),
                    command: command.clone(),
                    version: version.clone(),
                    payload: payload.clone(),
                    hosts: hosts.clone(),
                    started_at: event.at,
                });
            }
            EventKind::HostOutput { host, stream, data } => {
                self.recorder.output(host, *stream, &data.0)?;
            }
            EventKind::HostOutputCut { host, stream, bytes } => self.recorder.cut(host, *stream, *bytes)?,
            EventKind::HostWarning { host, message } => {
                self.warnings.entry(host.clone()).or_default().push(message.clone());
            }
            EventKind::HostFinished { host, result } => {
                let written = self.recorder.end(host)?;
                let told = self.recorder.end_told(host)?;
                let ended = Ended { result: (**result).clone(), written, told };
                self.ended.insert(host.clone(), ended);
            }
            EventKind::HostArtifact { host, path, digest, bytes, .. } => {
                let artifact = Artifact { path: path.clone(), digest: digest.clone(), bytes: *bytes };
                self.artifacts.entry(host.clone()).or_default().push(artifact);
            }
            EventKind::RunFinished { summary } => self.write(event.at, summary)?,
            _ => self.recorder.hear(event)?,
        }
        Ok(())
    }
}

/// A sequence whose elements are made one by one.
struct Each<I>(RefCell<I>);

impl<I: Iterator<Item: Serialize>> Serialize for Each<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&mut *self.0.borrow_mut())
    }
}

struct Stdout<'a>(&'a Term);

impl Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.data(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
