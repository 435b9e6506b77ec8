use super::listing::{self, Format, Table, plain};
use super::{Context, left_open, runs};
use crate::error::{ExitCode, OrFail as _, Result};
use crate::event::{HostResult, Outcome, Stream};
use crate::ledger::{HostRow, Ledger, Run, RunStatus};
use crate::report::units::{self, duration, size};
use crate::term::{Term, Tone, visible_line};

mod artifacts;
mod remarks;
mod warnings;

use artifacts::Artifacts;
use warnings::Warnings;

/// Show one run: what was run, and how each host ended
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run show last
  cronium-run show 01JD2
  cronium-run show last -o json | jq '.results[] | select(.outcome != \"succeeded\")'

The exit code is 0 however the run ended.")]
pub struct Args {
    /// The run's id, an unambiguous beginning of it, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

impl Args {
    /// `show last`.
    pub(super) fn last() -> Self {
        Self { run: "last".into(), output: Format::Text }
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let reader = Ledger::open_read(&context.ledger_path()?)?;
    let run = reader.run(&reader.resolve_run(&args.run)?)?;
    let rows = reader.results(&run.id)?;
    let artifacts = Artifacts::read(&reader, &run.id)?;
    let warnings = Warnings::read(&reader, &run.id)?;
    if args.output == Format::Text {
        left_open::tell(&reader, Some(&run.id), &context.term);
    }
    let text = match args.output {
        Format::Json => {
            let mut document = runs::document(&run)?;
            document["results"] = serde_json::to_value(&rows).or_fail(|| "cannot write JSON")?;
            artifacts.add_to(&mut document["results"]);
            warnings.add_to(&mut document["results"]);
            listing::json(&document)?
        }
        Format::Text => text(&run, &rows, &reader.cuts(&run.id)?, &artifacts, &warnings, &context.term),
    };
    listing::printed(context.term.data(text.as_bytes()))
}

fn text(
    run: &Run,
    rows: &[HostRow],
    cuts: &[(String, Stream, u64)],
    artifacts: &Artifacts,
    warnings: &Warnings,
    term: &Term,
) -> String {
    let mut text = head(run, rows, term);
    text.push('\n');
    text.push_str(&hosts(rows, term));
    for row in rows {
        text.push_str(&failure(row, term));
    }
    let mut remarks = remarks::text(run, rows, artifacts, term);
    for (host, stream, bytes) in cuts {
        let who = term.paint_out(Tone::Strong, &visible_line(host));
        remarks.push_str(&format!("{who}: {}\n", cut(*stream, *bytes)));
    }
    remarks.push_str(&warnings.text(term));
    if !remarks.is_empty() {
        text.push('\n');
        text.push_str(&remarks);
    }
    text
}

/// `1.2 GB of stdout were not kept on the host`: from the middle, see `--max-output`.
pub(super) fn cut(stream: Stream, bytes: u64) -> String {
    format!("{} of {} not kept on the host", size(bytes), stream.as_str())
}

fn head(run: &Run, rows: &[HostRow], term: &Term) -> String {
    let mut table = Table::default();
    let mut line = |name: &str, value: Option<String>, tone| {
        if let Some(value) = value {
            table.row([(name.to_owned(), Some(Tone::Faint)), (value, tone)]);
        }
    };
    line("run", Some(run.id.clone()), Some(Tone::Strong));
    line("command", Some(run.command.clone()), None);
    line("status", Some(status(run)), Some(runs::tone(run.status)));
    line("started", Some(format!("{:.3}", run.started_at)), None);
    line("took", run.finished_at.and(run.duration_ms()).map(duration), None);
    line("payload", payload(run), None);
    line("signed by", run.signer.clone(), None);
    line("commit", run.git_sha.clone(), None);
    line("operator", run.operator.clone(), None);
    line("rerun of", run.rerun_of.clone(), None);
    line("rerun by", (!run.reruns.is_empty()).then(|| run.reruns.join(", ")), None);
    line("open", open(run, rows).map(|open| term.to_type(&open)), Some(Tone::Doubtful));
    table.text(term)
}

/// What settles hosts whose end is not known.
fn open(run: &Run, rows: &[HostRow]) -> Option<String> {
    if run.status == RunStatus::Running || run.is_deploy() {
        return None;
    }
    let count = rows.iter().filter(|row| row.is_open()).count();
    (count > 0).then(|| format!("{}: cronium-run collect {}", units::hosts(count), run.id))
}

fn status(run: &Run) -> String {
    let name = run.status.as_str();
    match (run.exit_code, run.last_event_at) {
        (Some(code), _) => format!("{name} (exit code {code})"),
        (None, Some(at)) if run.status == RunStatus::Interrupted => {
            format!("{name}: cronium-run died; known up to {at:.3}")
        }
        (None, None) if run.status == RunStatus::Interrupted => format!("{name}: cronium-run died"),
        (None, _) => name.to_owned(),
    }
}

fn payload(run: &Run) -> Option<String> {
    let name = run.payload_name.as_ref()?;
    let release = run.release.map(|release| format!(" release {release}")).unwrap_or_default();
    let digest = run.payload_digest.as_ref().map(|digest| format!(", sha256 {digest}")).unwrap_or_default();
    Some(format!("{name}{release}{digest}"))
}

fn hosts(rows: &[HostRow], term: &Term) -> String {
    let mut table = Table::new(["HOST", "OUTCOME", "EXIT", "TOOK", "HELPERS", "TRUST"]);
    for row in rows {
        let or_dash = |text: Option<String>| plain(text.unwrap_or_else(|| "-".to_owned()));
        let result = row.result.as_ref();
        table.row([
            plain(&row.host),
            (outcome(row), Some(tone(row))),
            or_dash(result.and_then(exit)),
            or_dash(result.filter(|r| r.started_at.is_some()).map(|r| duration(r.duration_ms))),
            or_dash(result.and_then(|r| r.helper_mode).map(|mode| mode.as_str().to_owned())),
            or_dash(result.and_then(|r| r.trust).map(|trust| trust.as_str().to_owned())),
        ]);
    }
    table.text(term)
}

/// The outcome, or in brackets the state a host without one was last seen in.
fn outcome(row: &HostRow) -> String {
    match row.result {
        Some(_) => row.status.replace('_', " "),
        None => format!("({})", row.status),
    }
}

pub(super) fn tone(row: &HostRow) -> Tone {
    match row.result.as_ref().map(|result| result.outcome) {
        Some(Outcome::Succeeded) => Tone::Good,
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable | Outcome::Rejected) => Tone::Bad,
        Some(Outcome::Cancelled | Outcome::Skipped | Outcome::Unknown | Outcome::Detached) | None => {
            Tone::Doubtful
        }
    }
}

pub(super) fn exit(result: &HostResult) -> Option<String> {
    match (result.exit_code, result.signal) {
        (_, Some(signal)) => Some(format!("signal {signal}")),
        (code, None) => code.map(|code| code.to_string()),
    }
}

/// Why a host did not succeed, where that is more than an exit code.
fn failure(row: &HostRow, term: &Term) -> String {
    let Some(failure) = row.result.as_ref().and_then(|result| result.failure.as_ref()) else {
        return String::new();
    };
    let mut text = format!(
        "\n{}: {}: {}\n",
        term.paint_out(Tone::Strong, &visible_line(&row.host)),
        term.paint_out(Tone::Bad, failure.phase.as_str()),
        visible_line(&failure.message)
    );
    for cause in &failure.causes {
        text.push_str(&format!("  caused by: {}\n", visible_line(cause)));
    }
    if let Some(hint) = &failure.hint {
        let hint = term.to_type(&visible_line(hint));
        text.push_str(&format!("  {} {hint}\n", term.paint_out(Tone::Good, "hint:")));
    }
    text
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::event::{
        Bytes, Conflict, Event, EventKind, Failure, HelperMode, HostState, PayloadInfo, Phase, Sink as _,
        Summary, Trust,
    };
    use crate::ledger::{NewRun, Reader};

    /// A ledger with two runs: `01JA`, finished, on three hosts; `01JB`, whose process died while
    /// `web2` ran.
    pub(in crate::cli) struct Recorded {
        folder: tempfile::TempDir,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    impl Recorded {
        pub(in crate::cli) fn new() -> Self {
            let recorded = Self { folder: tempfile::tempdir().unwrap() };
            let ledger = Ledger::open(&recorded.path()).unwrap();
            let output = |host: &str, stream, data: &[u8]| EventKind::HostOutput {
                host: host.into(),
                stream,
                data: Bytes(data.to_vec()),
            };
            let end =
                |host: &str, result| EventKind::HostFinished { host: host.into(), result: Box::new(result) };
            let state = |host: &str, state| EventKind::HostState { host: host.into(), state };
            let bare = |outcome| HostResult {
                started_at: Some(at(1)),
                duration_ms: 1234,
                ..HostResult::bare(outcome, at(2))
            };
            let good = HostResult {
                exit_code: Some(0),
                helper_mode: Some(HelperMode::Api),
                trust: Some(Trust::Pinned),
                ..bare(Outcome::Succeeded)
            };
            let unreachable = HostResult {
                failure: Some(Failure {
                    phase: Phase::Tcp,
                    kind: "refused".into(),
                    message: "connection to web2:22 refused".into(),
                    causes: vec!["Connection refused (os error 111)".into()],
                    hint: Some("ssh -v web2".into()),
                }),
                ..HostResult::bare(Outcome::Unreachable, at(2))
            };
            let conflict = |key: &str, reason: &str| Conflict { key: key.into(), reason: reason.into() };
            let killed = HostResult {
                signal: Some(9),
                helper_mode: Some(HelperMode::Bundled),
                helper_reason: Some("web3 forwards nothing\x1b[2J".into()),
                conflicts: vec![
                    conflict("k", "it has version 5, the script wanted 3"),
                    conflict("a\x1b]b", "it is no number"),
                ],
                ..bare(Outcome::Failed)
            };
            let told = HostResult {
                condition: Some(true),
                output: Some(json!({"free": 0.3, "esc": "\x1b[2J"})),
                ..good.clone()
            };
            let artifact = |host: &str, path: &str| EventKind::HostArtifact {
                host: host.into(),
                path: path.into(),
                digest: "cd".repeat(32),
                bytes: 1234,
                mode: 0o644,
            };
            let log = EventKind::HostLog {
                host: "web1".into(),
                level: "warn".into(),
                message: "disk is full".into(),
                context: json!({"disk": "/srv"}),
            };
            let warning = |host: &str, message: &str| EventKind::HostWarning {
                host: host.into(),
                message: message.into(),
            };
            let notify = EventKind::HostNotify {
                host: "web3".into(),
                audience: "ops".into(),
                message: "look\x1b[2J".into(),
            };
            let progress =
                EventKind::HostProgress { host: "web1".into(), percent: 50.0, step: Some("half".into()) };
            let mut summary = Summary { hosts: 3, duration_ms: 4000, ..Summary::default() };
            [Outcome::Succeeded, Outcome::Unreachable, Outcome::Failed]
                .into_iter()
                .for_each(|outcome| summary.add(outcome));
            recorded.record(
                &ledger,
                "01JA",
                &["web1", "web2", "web3"],
                vec![
                    output("web1", Stream::Stdout, b"one\ntw"),
                    output("web1", Stream::Stderr, b"careful\x1b[31m\n"),
                    output("web3", Stream::Stdout, b"\xff\x00"),
                    output("web1", Stream::Stdout, b"o\n"),
                    EventKind::HostOutputCut {
                        host: "web3".into(),
                        stream: Stream::Stdout,
                        bytes: 1_234_567,
                    },
                    log,
                    warning("web1", "connection lost after 12 s (no answer), going on after 1.2 s"),
                    warning("web1", "connection lost after 3 s (no answer), going on after 3.2 s"),
                    warning("web1", "web1 has no clock"),
                    warning("web3", "web3 has no clock"),
                    notify,
                    progress,
                    EventKind::HostCondition { host: "web1".into(), condition: true },
                    artifact("web1", "out/report.csv"),
                    artifact("web1", "out/b\x1b"),
                    end("web1", told),
                    end("web2", unreachable),
                    end("web3", killed),
                    EventKind::RunFinished { summary },
                ],
            );
            let events = vec![
                end("web1", good),
                state("web2", HostState::Running),
                output("web2", Stream::Stdout, b"so far"),
            ];
            recorded.record(&ledger, "01JB", &["web1", "web2", "web3"], events);
            recorded
        }

        fn record(&self, ledger: &Ledger, id: &str, hosts: &[&str], kinds: Vec<EventKind>) {
            let run = NewRun {
                id: id.into(),
                command: "cronium-run exec web[1-3] disk-report".into(),
                payload: Some(PayloadInfo {
                    name: "disk-report".into(),
                    digest: "d1".repeat(32),
                    bytes: 1234,
                    release: Some(7),
                    signer: Some("SHA256:abc".into()),
                }),
                git_sha: None,
                operator: Some("ann@laptop".into()),
                plan: json!({}),
                hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
                started_at: at(0),
                rerun_of: None,
                order: None,
                signed: None,
            };
            ledger.begin_run(run).unwrap();
            let mut recorder = ledger.recorder(id);
            let last = kinds.len() - 1;
            for (seq, kind) in kinds.into_iter().enumerate() {
                let at = if seq == last { at(4) } else { at(1) };
                recorder.event(&Event { seq: seq as u64, at, mark: None, kind }).unwrap();
            }
            recorder.finish().unwrap();
        }

        pub(in crate::cli) fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("ledger.db")
        }

        pub(in crate::cli) fn reader(&self) -> Reader {
            Ledger::open_read(&self.path()).unwrap()
        }
    }

    fn shown(id: &str) -> String {
        let reader = Recorded::new();
        let reader = reader.reader();
        let artifacts = Artifacts::read(&reader, id).unwrap();
        let cuts = reader.cuts(id).unwrap();
        let warnings = Warnings::read(&reader, id).unwrap();
        let (run, rows) = (reader.run(id).unwrap(), reader.results(id).unwrap());
        text(&run, &rows, &cuts, &artifacts, &warnings, &Term::captured().0)
    }

    #[test]
    fn json_has_all() {
        let recorded = Recorded::new();
        let reader = recorded.reader();
        let mut results = serde_json::to_value(reader.results("01JA").unwrap()).unwrap();
        Artifacts::read(&reader, "01JA").unwrap().add_to(&mut results);
        Warnings::read(&reader, "01JA").unwrap().add_to(&mut results);
        assert_eq!(results[0]["warnings"].as_array().unwrap().len(), 3);
        assert_eq!(
            (&results[1]["warnings"], &results[2]["warnings"]),
            (&json!([]), &json!(["web3 has no clock"]))
        );
        assert_eq!(results[0]["condition"], true);
        assert_eq!(results[2]["helper_reason"], "web3 forwards nothing\x1b[2J");
        assert_eq!(results[2]["conflicts"][0]["key"], "k");
        assert_eq!(results[2]["artifacts"], json!([]));
        let artifact =
            json!({"path": "out/report.csv", "digest": "cd".repeat(32), "bytes": 1234, "mode": 0o644});
        assert_eq!(results[0]["artifacts"][1], artifact);
    }

    #[test]
    fn a_run_that_ended() {
        insta::assert_snapshot!(shown("01JA"), @r#"
        run        01JA
        command    cronium-run exec web[1-3] disk-report
        status     failed (exit code 4)
        started    2026-11-18T11:06:40.000Z
        took       4.0 s
        payload    disk-report release 7, sha256 d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1
        signed by  SHA256:abc
        operator   ann@laptop

        HOST  OUTCOME      EXIT      TOOK   HELPERS  TRUST
        web1  succeeded    0         1.2 s  api      pinned
        web2  unreachable  -         -      -        -
        web3  failed       signal 9  1.2 s  bundled  -

        web2: tcp: connection to web2:22 refused
          caused by: Connection refused (os error 111)
          hint: ssh -v web2

        web3: helpers answered in bundled mode: web3 forwards nothing\x1b[2J
        web3: 2 writes were refused
          'k': it has version 5, the script wanted 3
          'a\x1b]b': it is no number
        web1: condition true
        web1: output {"esc":"\u001b[2J","free":0.3}
        web1: 2 files kept, 2.5 kB: cronium-run artifacts 01JA -o DIR
        web3: 1.2 MB of stdout not kept on the host
        web1: warning: connection lost 2 times
        web[1,3] (2 hosts): warning: web[1,3] has no clock
        "#);
    }

    #[test]
    fn a_run_whose_process_died() {
        insta::assert_snapshot!(shown("01JB"), @r"
        run        01JB
        command    cronium-run exec web[1-3] disk-report
        status     interrupted: cronium-run died; known up to 2026-11-18T11:06:44.000Z
        started    2026-11-18T11:06:40.000Z
        payload    disk-report release 7, sha256 d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1
        signed by  SHA256:abc
        operator   ann@laptop
        open       2 hosts: cronium-run collect 01JB

        HOST  OUTCOME    EXIT  TOOK   HELPERS  TRUST
        web1  succeeded  0     1.2 s  api      pinned
        web2  (running)  -     -      -        -
        web3  (queued)   -     -      -        -
        ");
    }
}
