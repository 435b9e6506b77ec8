use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use super::Reporter;
use super::fate::Fate;
use super::recorder::{Recorder, Written};
use super::remark::{Rank, Remark};
use super::spool::{Piece, Spool, TextId};
use super::units;
use crate::error::{OrFail, Result};
use crate::event::{Event, EventKind, HostResult, Outcome, Stream, Summary};
use crate::term::{Visible, visible_line};

/// `--junit FILE`: the run as a test suite, each host a test case, as CI systems read it. A
/// script's failure and a timeout are a `failure`; a host not reached, refused or not known is an
/// `error`; one that was not started or was cancelled is `skipped`.
///
/// What helpers did stands in each case's `properties`: `condition`, `helper_mode`,
/// `helper_reason` and `artifacts` (how many files were kept), where known. Behind the host's own
/// stderr, `system-err` has a line for each thing its script logged or notified (`debug` aside)
/// and for each write that was refused: `conflict: 'k': it has version 5, the script wanted 3`. Where
/// output was not kept, a line says how much: `⟨4.9 GB of stdout not kept⟩`.
///
/// The elements are those that Jenkins and GitLab agree on: `testsuites`, `testsuite`,
/// `testcase`, `properties`, `failure`, `error`, `skipped`, `system-out`, `system-err`.
pub struct Junit {
    out: BufWriter<File>,
    run: String,
    payload: String,
    recorder: Recorder,
    artifacts: HashMap<String, u64>,
    cases: Vec<Case>,
    /// Where hosts stand in it.
    places: HashMap<String, usize>,
}

struct Case {
    host: String,
    result: HostResult,
    written: Written,
    told: Option<TextId>,
    artifacts: u64,
}

impl Junit {
    /// Creates or empties the file; it is written when the run has ended.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path)
            .or_fail(|| format!("cannot create {}", path.display()))
            .map_err(|error| error.hint("name a file in a folder you may write to: --junit ./junit.xml"))?;
        Ok(Self {
            out: BufWriter::new(file),
            run: String::new(),
            payload: String::new(),
            recorder: Recorder::default(),
            artifacts: HashMap::new(),
            cases: Vec::new(),
            places: HashMap::new(),
        })
    }

    fn write(&mut self, summary: &Summary) -> io::Result<()> {
        let out = &mut self.out;
        out.rewind()?;
        // A run that was attached to has been written before.
        out.get_ref().set_len(0)?;
        let counts =
            |wanted: Kind| self.cases.iter().filter(|case| kind(case.result.outcome) == Some(wanted)).count();
        let numbers = format!(
            r#"tests="{}" failures="{}" errors="{}" skipped="{}" time="{}""#,
            self.cases.len(),
            counts(Kind::Failure),
            counts(Kind::Error),
            counts(Kind::Skipped),
            seconds(summary.duration_ms),
        );
        let (run, payload) = (escape(&self.run), escape(&self.payload));
        writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
        writeln!(out, r#"<testsuites name="cronium-run {run}" {numbers}>"#)?;
        writeln!(out, r#"<testsuite name="{payload}" {numbers}>"#)?;
        for case in &self.cases {
            let time = seconds(case.result.duration_ms);
            let host = escape(&case.host);
            writeln!(out, r#"<testcase name="{host}" classname="{payload}" time="{time}">"#)?;
            case.write_properties(out)?;
            case.write_end(out)?;
            let spool = &self.recorder.spool;
            write_text(out, spool, Stream::Stdout, case.written.stdout, "")?;
            let lines = case.lines(&self.recorder.told(case.told)?);
            write_text(out, spool, Stream::Stderr, case.written.stderr, &lines)?;
            writeln!(out, "</testcase>")?;
        }
        writeln!(out, "</testsuite>\n</testsuites>")?;
        out.flush()
    }
}

impl Reporter for Junit {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunResumed { .. } if !self.run.is_empty() => {}
            EventKind::RunStarted { run, payload, command, .. }
            | EventKind::RunResumed { run, payload, command, .. } => {
                self.run.clone_from(run);
                self.payload = payload.as_ref().map_or(command, |payload| &payload.name).clone();
            }
            EventKind::HostOutput { host, stream, data } => self.recorder.output(host, *stream, &data.0)?,
            EventKind::HostOutputCut { host, stream, bytes } => self.recorder.cut(host, *stream, *bytes)?,
            EventKind::HostFinished { host, result } => {
                let written = self.recorder.end(host)?;
                let told = self.recorder.end_told(host)?;
                let artifacts = self.artifacts.get(host).copied().unwrap_or(0);
                let result = (**result).clone();
                let case = Case { host: host.clone(), result, written, told, artifacts };
                let place = *self.places.entry(host.clone()).or_insert(self.cases.len());
                match self.cases.get_mut(place) {
                    Some(before) => *before = case,
                    None => self.cases.push(case),
                }
            }
            EventKind::HostArtifact { host, .. } => *self.artifacts.entry(host.clone()).or_default() += 1,
            EventKind::RunFinished { summary } => self.write(summary)?,
            _ => self.recorder.hear(event)?,
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failure,
    Error,
    Skipped,
}

fn kind(outcome: Outcome) -> Option<Kind> {
    match outcome {
        Outcome::Succeeded => None,
        Outcome::Failed | Outcome::TimedOut => Some(Kind::Failure),
        Outcome::Unreachable | Outcome::Rejected | Outcome::Unknown => Some(Kind::Error),
        Outcome::Cancelled | Outcome::Skipped | Outcome::Detached => Some(Kind::Skipped),
    }
}

impl Case {
    fn write_properties(&self, out: &mut impl Write) -> io::Result<()> {
        let result = &self.result;
        let properties: Vec<(&str, String)> = [
            ("condition", result.condition.map(|condition| condition.to_string())),
            ("helper_mode", result.helper_mode.map(|mode| mode.as_str().to_owned())),
            ("helper_reason", result.helper_reason.as_deref().map(visible_line)),
            ("artifacts", (self.artifacts > 0).then(|| self.artifacts.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        if properties.is_empty() {
            return Ok(());
        }
        writeln!(out, "<properties>")?;
        for (name, value) in properties {
            writeln!(out, r#"<property name="{name}" value="{}"/>"#, escape(&value))?;
        }
        writeln!(out, "</properties>")
    }

    /// What the script told, and what became of its writes, a line each.
    fn lines(&self, told: &[Event]) -> String {
        let mut lines = String::new();
        for (_, remark) in told.iter().filter_map(|event| Remark::of(&event.kind)) {
            if remark.rank != Rank::Quiet {
                lines += &format!("{}\n", remark.line());
            }
        }
        for conflict in &self.result.conflicts {
            let (key, reason) = (visible_line(&conflict.key), visible_line(&conflict.reason));
            lines += &format!("conflict: '{key}': {reason}\n");
        }
        lines
    }

    fn write_end(&self, out: &mut impl Write) -> io::Result<()> {
        let message = escape(&Fate::of(&self.host, &self.result).text(&[&self.host]));
        let element = match kind(self.result.outcome) {
            None => return Ok(()),
            Some(Kind::Skipped) => return writeln!(out, r#"<skipped message="{message}"/>"#),
            Some(Kind::Failure) => "failure",
            Some(Kind::Error) => "error",
        };
        let failure = self.result.failure.as_ref();
        let class = escape(failure.map_or("exit", |failure| &failure.kind));
        write!(out, r#"<{element} message="{message}" type="{class}">"#)?;
        let more = failure.map_or(&[][..], |failure| &failure.causes);
        out.write_all(escape(&more.join("\n")).as_bytes())?;
        writeln!(out, "</{element}>")
    }
}

/// The text `id`, if there is one, then whole lines of our own.
fn write_text(
    out: &mut impl Write,
    spool: &Spool,
    stream: Stream,
    id: Option<TextId>,
    lines: &str,
) -> io::Result<()> {
    let element = match stream {
        Stream::Stdout => "system-out",
        Stream::Stderr => "system-err",
    };
    if id.is_none() && lines.is_empty() {
        return Ok(());
    }
    write!(out, "<{element}>")?;
    if let Some(id) = id {
        let (mut visible, mut last) = (Visible::default(), None);
        // XML has no place for most control characters, not even escaped.
        spool.read_with_cuts(id, |piece| {
            let mut text = String::new();
            match piece {
                Piece::Bytes(bytes) => {
                    last = bytes.last().copied();
                    visible.push(bytes, &mut text);
                }
                Piece::Cut(bytes) => {
                    visible.finish(&mut text);
                    if last.is_some_and(|byte| byte != b'\n') {
                        text.push('\n');
                    }
                    last = Some(b'\n');
                    text += &format!("{}\n", units::gap(bytes, stream));
                }
            }
            out.write_all(escape(&text).as_bytes())
        })?;
        let mut rest = String::new();
        visible.finish(&mut rest);
        if last != Some(b'\n') && !lines.is_empty() {
            rest.push('\n');
        }
        out.write_all(escape(&rest).as_bytes())?;
    }
    out.write_all(escape(lines).as_bytes())?;
    writeln!(out, "</{element}>")
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Text of XML, in an element or an attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            // Not characters of XML 1.0.
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            _ => out.push(character),
        }
    }
    out
}
