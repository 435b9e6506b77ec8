use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::failures::{self, Failures};
use super::fate;
use super::fold::who;
use super::folded::Folded;
use super::losses::Losses;
use super::{Reporter, units};
use crate::event::{Conflict, Event, EventKind, HelperMode, HostResult, Outcome, StopReason, Summary};
use crate::term::{Term, Tone, visible_line};

/// How much is said at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Warnings, errors, the summary and what to type next.
    Full,
    /// Errors alone, and what is lost if nobody is told: writes that were refused, output that was not kept,
    /// and what the ledger did not take.
    Errors,
    /// What the ledger did not take: the rest is told elsewhere.
    Unkept,
}

/// Different warnings that are told one by one. All of it fits a screen.
const TOLD: usize = 10;

/// Refused writes of one host that are told one by one.
const REFUSED: usize = 3;

/// The end of a run on stderr, and that it is being stopped: how many hosts ended how, each different failure once for all its
/// hosts, and the commands to type next.
///
/// Of what scripts did with their helpers it says what an operator must know, alike hosts in one
/// line: writes that were refused after the script had been told they were made (always, they
/// change no exit code), hosts whose helpers could not ask the operator (where the mode is not
/// `api`), and how many files were kept. What scripts told is for the reporter on stdout.
///
/// Output that was not kept is told always, too: whoever reads on must know that it is not all. So is
/// what a ledger that failed did not take. Lost connections of a host are one warning.
pub struct Closing {
    term: Term,
    extent: Extent,
    run: String,
    failures: Failures,
    warnings: Folded,
    /// Warnings that the ledger does not have: nobody can look them up.
    unkept: Folded,
    losses: Losses,
    tells_losses: bool,
    conflicts: Folded,
    modes: Folded,
    /// Bytes of output that were not kept.
    cut: BTreeMap<String, u64>,
    left: BTreeSet<String>,
    artifacts: u64,
    stopping: Option<StopReason>,
    ledger_failed: bool,
}

impl Closing {
    pub fn new(term: &Term, extent: Extent) -> Self {
        Self {
            term: term.clone(),
            extent,
            run: String::new(),
            failures: Failures::default(),
            warnings: Folded::default(),
            unkept: Folded::default(),
            losses: Losses::default(),
            tells_losses: true,
            conflicts: Folded::default(),
            modes: Folded::default(),
            cut: BTreeMap::new(),
            left: BTreeSet::new(),
            artifacts: 0,
            stopping: None,
            ledger_failed: false,
        }
    }

    /// Where lost connections are told as they happen.
    pub fn without_losses(self) -> Self {
        Self { tells_losses: false, ..self }
    }

    fn ended(&mut self, host: &str, result: &HostResult) {
        if !result.conflicts.is_empty() {
            self.conflicts.say(host, &refused(&result.conflicts));
        }
        if let Some(mode @ (HelperMode::Tcp | HelperMode::Bundled)) = result.helper_mode {
            let reason = result.helper_reason.as_ref().map(|reason| format!(": {reason}"));
            let mode = mode.as_str();
            self.modes.say(host, &format!("helpers answered in {mode} mode{}", reason.unwrap_or_default()));
        }
        match result.outcome {
            Outcome::Detached => drop(self.left.insert(host.to_owned())),
            _ => drop(self.left.remove(host)),
        }
        self.failures.add(host, result);
    }

    fn tell(&mut self, summary: &Summary) {
        let full = self.extent == Extent::Full;
        if full {
            self.tell_warnings();
        }
        for (hosts, message) in self.unkept.take().iter().take(TOLD) {
            self.warn(hosts, &self.term.to_type(message));
        }
        if self.extent == Extent::Unkept {
            return;
        }
        let failed = self.failures.list();
        let ran = |outcome| matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Unknown);
        let with_logs =
            failed.iter().find(|failed| ran(failed.fate().outcome)).map(|failed| failed.hosts[0].clone());
        self.tell_conflicts();
        self.tell_cut();
        if full {
            self.tell_modes();
            self.term.note(&self.summary(summary));
        }
        let (ours, failed): (Vec<_>, Vec<_>) = failed.into_iter().partition(|failed| failed.fate().is_ours());
        if full {
            for failed in ours {
                let hosts = names(&failed.hosts);
                self.term.note(&format!("{}: {}", who(&hosts), failed.fate().text(&hosts)));
            }
        }
        failures::tell(failed, &self.term, &format!("cronium-run show {}", self.run));
        if full {
            let run = &self.run;
            self.note_command(&format!("run {run}: "), &format!("cronium-run show {run}"));
            if self.artifacts > 0 {
                let files = units::files(self.artifacts);
                self.note_command(&format!("{files} kept: "), &format!("cronium-run artifacts {run} -o DIR"));
            }
            if let Some(host) = with_logs {
                self.hint(&format!("cronium-run logs {run} {}", visible_line(&host)));
            }
            if !self.left.is_empty() {
                self.hint(&format!("cronium-run attach {run}  follows those that were left"));
                self.hint(&format!("cronium-run collect {run}  fetches what is over"));
            }
        }
    }

    fn note_command(&self, before: &str, command: &str) {
        self.term.note(&format!("{before}{}", self.term.to_type(command)));
    }

    fn hint(&self, command: &str) {
        self.note_command(&format!("{} ", self.term.paint_err(Tone::Good, "hint:")), command);
    }

    fn stopping(&mut self, reason: StopReason) {
        self.ledger_failed |= reason == StopReason::Ledger;
        let before = self.stopping.replace(reason);
        if self.extent != Extent::Full {
            return;
        }
        let why = stop_word(reason);
        self.term.note(&match (reason, before) {
            (StopReason::Interrupted, Some(StopReason::Detached)) => {
                format!("{why}: scripts that run go on without us")
            }
            (StopReason::Interrupted, _) => "cancelling: scripts are killed (TERM, KILL after 10 s); \
                                             Ctrl-C again leaves them to it"
                .to_owned(),
            (StopReason::Detached, _) => {
                format!("{why}: no further host is started, scripts that run go on without us")
            }
            _ => format!("{why}: no further host is started, waiting for those at work"),
        });
    }

    /// `64 hosts: 61 ok, 2 failed, 1 unreachable in 1.9 s`
    fn summary(&self, summary: &Summary) -> String {
        let counts: Vec<String> = Outcome::ALL
            .into_iter()
            .filter(|outcome| summary.count(*outcome) > 0)
            .map(|outcome| {
                self.term.paint_err(
                    fate::tone(outcome),
                    &format!("{} {}", summary.count(outcome), fate::word(outcome)),
                )
            })
            .collect();
        let hosts = usize::try_from(summary.hosts).unwrap_or(usize::MAX);
        let mut line = units::hosts(hosts);
        if !counts.is_empty() {
            line += &format!(": {}", counts.join(", "));
        }
        line += &format!(" in {}", units::duration(summary.duration_ms));
        if let Some(reason) = summary.stopped {
            line += &format!(" ({})", stop_word(reason));
        }
        line
    }

    fn tell_warnings(&mut self) {
        for (host, message) in self.losses.take().into_iter().filter(|_| self.tells_losses) {
            self.warnings.say(&host, &message);
        }
        let warnings = self.warnings.take();
        for (hosts, message) in warnings.iter().take(TOLD) {
            self.warn(hosts, message);
        }
        if warnings.len() > TOLD {
            let more = warnings.len() - TOLD;
            let command = format!("cronium-run show {}", self.run);
            self.note_command(&format!("and {more} more warnings: "), &command);
        }
    }

    fn tell_conflicts(&mut self) {
        let conflicts = self.conflicts.take();
        for (hosts, message) in conflicts.iter().take(TOLD) {
            self.warn(hosts, message);
        }
        if conflicts.len() > TOLD {
            let more: usize = conflicts[TOLD..].iter().map(|(hosts, _)| hosts.len()).sum();
            let label = self.term.paint_err(Tone::Doubtful, "warning:");
            let (more, run) = (units::hosts(more), &self.run);
            self.note_command(
                &format!("{label} and writes of {more} more were refused: "),
                &format!("cronium-run show {run}"),
            );
        }
    }

    fn tell_cut(&self) {
        if self.cut.is_empty() {
            return;
        }
        let hosts: Vec<String> = self.cut.keys().cloned().collect();
        let bytes = units::size(self.cut.values().fold(0, |all, bytes| all.saturating_add(*bytes)));
        let their = if hosts.len() == 1 { "its" } else { "their" };
        self.warn(
            &hosts,
            &format!("{bytes} of {their} output were not kept: --max-output, or no room there"),
        );
    }

    fn tell_modes(&mut self) {
        let modes = self.modes.take();
        for (hosts, message) in modes.iter().take(TOLD) {
            self.term.note(&format!("{}: {message}", who(&names(hosts))));
        }
        if modes.len() > TOLD {
            let more: usize = modes[TOLD..].iter().map(|(hosts, _)| hosts.len()).sum();
            let (more, run) = (units::hosts(more), &self.run);
            self.note_command(&format!("and helpers of {more} more: "), &format!("cronium-run show {run}"));
        }
    }

    fn warn(&self, hosts: &[String], message: &str) {
        let label = self.term.paint_err(Tone::Doubtful, "warning:");
        self.term.note(&format!("{label} {}: {message}", who(&names(hosts))));
    }
}

impl Reporter for Closing {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { run, .. } | EventKind::RunResumed { run, .. } => {
                self.run = visible_line(run);
            }
            EventKind::HostOutputCut { host, bytes, .. } => {
                let cut = self.cut.entry(host.clone()).or_default();
                *cut = cut.saturating_add(*bytes);
            }
            EventKind::HostWarning { host, message } if self.ledger_failed => self.unkept.say(host, message),
            EventKind::HostWarning { host, message } if self.losses.hear(host, message) => {}
            EventKind::HostWarning { host, message } => self.warnings.say(host, message),
            EventKind::HostState { host, state } => drop(self.losses.enter(host, *state, event.at)),
            EventKind::HostArtifact { .. } => self.artifacts += 1,
            EventKind::HostFinished { host, result } => self.ended(host, result),
            EventKind::RunStopping { reason } => self.stopping(*reason),
            EventKind::RunFinished { summary } => self.tell(summary),
            _ => {}
        }
        Ok(())
    }
}

fn names(hosts: &[String]) -> Vec<&str> {
    hosts.iter().map(String::as_str).collect()
}

/// `2 writes were refused: 'k': it has version 5, the script wanted 3; 'j': …`
fn refused(conflicts: &[Conflict]) -> String {
    let told: Vec<String> = conflicts
        .iter()
        .take(REFUSED)
        .map(|conflict| format!("'{}': {}", visible_line(&conflict.key), visible_line(&conflict.reason)))
        .collect();
    let count = match conflicts.len() {
        1 => "1 write was refused".to_owned(),
        count => format!("{count} writes were refused"),
    };
    let more = match conflicts.len() - told.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{count}: {}{more}", told.join("; "))
}

fn stop_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Interrupted => "interrupted",
        StopReason::Limit => "stopped by --canary or --max-fail",
        StopReason::Gate => "stopped by --gate",
        StopReason::Ledger => "stopped: the ledger could not be written",
        StopReason::Detached => "detached",
    }
}
