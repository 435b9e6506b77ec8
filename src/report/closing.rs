use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;

use super::fate::{self, Fate, Pattern};
use super::{Reporter, fold, units};
use crate::error::Error;
use crate::event::{Event, EventKind, Failure, HostResult, Outcome, StopReason, Summary};
use crate::term::{Term, Tone, visible_line};

/// How much is said at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Warnings, errors, the summary and what to type next.
    Full,
    /// Errors alone.
    Errors,
}

/// Different failures, and different warnings, that are told one by one. All of it fits a screen.
const TOLD: usize = 10;

/// Longest text of a set of hosts.
const SET: usize = 60;

/// The end of a run on stderr, and that it is being stopped: how many hosts ended how, each different failure once for all its
/// hosts, and the commands to type next.
pub struct Closing {
    term: Term,
    extent: Extent,
    run: String,
    fates: HashMap<Fate, Fated>,
    warnings: HashMap<Pattern, Vec<String>>,
}

/// Hosts with the same fate, and the causes and hint of the first.
struct Fated {
    hosts: Vec<String>,
    causes: Vec<Pattern>,
    hint: Option<String>,
}

impl Closing {
    pub fn new(term: &Term, extent: Extent) -> Self {
        Self {
            term: term.clone(),
            extent,
            run: String::new(),
            fates: HashMap::new(),
            warnings: HashMap::new(),
        }
    }

    fn ended(&mut self, host: &str, result: &HostResult) {
        let fate = Fate::of(host, result);
        if fate.is_ok() {
            return;
        }
        let fated = self.fates.entry(fate).or_insert_with(|| Fated::new(host, result.failure.as_ref()));
        fated.hosts.push(host.to_owned());
    }

    fn tell(&mut self, summary: &Summary) {
        let full = self.extent == Extent::Full;
        let mut fates: Vec<(Fate, Fated)> = std::mem::take(&mut self.fates).into_iter().collect();
        for (_, fated) in &mut fates {
            fated.hosts.sort_unstable_by(|one, other| fold::natural(one, other));
        }
        fates.sort_by(|(one, ones), (two, twos)| {
            let by_size = || twos.hosts.len().cmp(&ones.hosts.len());
            let by_host = || fold::natural(&ones.hosts[0], &twos.hosts[0]);
            one.compare(two).then_with(by_size).then_with(by_host)
        });
        let ran = |outcome| matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Unknown);
        let with_logs =
            fates.iter().find(|(fate, _)| ran(fate.outcome)).map(|(_, fated)| fated.hosts[0].clone());
        if full {
            self.tell_warnings();
            self.term.note(&self.summary(summary));
        }
        let (ours, failed): (Vec<_>, Vec<_>) = fates.into_iter().partition(|(fate, _)| fate.is_ours());
        if full {
            for (fate, fated) in ours {
                self.term.note(&format!(
                    "{}: {}",
                    who(&names(&fated.hosts)),
                    fate.text(&names(&fated.hosts))
                ));
            }
        }
        self.tell_failures(failed);
        if full {
            let run = &self.run;
            self.term.note(&format!("run {run}: cronium-run show {run}"));
            if let Some(host) = with_logs {
                let command = format!("cronium-run logs {run} {}", visible_line(&host));
                self.term.note(&format!("{} {command}", self.term.paint_err(Tone::Good, "hint:")));
            }
        }
    }

    /// `64 hosts: 61 ok, 2 failed, 1 unreachable in 1.9 s`
    fn summary(&self, summary: &Summary) -> String {
        let counts: Vec<String> = Outcome::ALL
            .into_iter()
            .filter(|outcome| summary.count(*outcome) > 0)
            .map(|outcome| {
                self.term.paint_err(
                    outcome_tone(outcome),
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
        let mut warnings: Vec<(Pattern, Vec<String>)> =
            std::mem::take(&mut self.warnings).into_iter().collect();
        for (_, hosts) in &mut warnings {
            hosts.sort_unstable_by(|one, other| fold::natural(one, other));
        }
        warnings.sort_by(|(one, ones), (two, twos)| {
            let by_text = || one.fill(&[&ones[0]]).cmp(&two.fill(&[&twos[0]]));
            fold::natural(&ones[0], &twos[0]).then_with(by_text)
        });
        for (message, hosts) in warnings.iter().take(TOLD) {
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let label = self.term.paint_err(Tone::Doubtful, "warning:");
            self.term.note(&format!("{label} {}: {}", who(&hosts), message.fill(&hosts)));
        }
        if warnings.len() > TOLD {
            let more = warnings.len() - TOLD;
            self.term.note(&format!("and {more} more warnings: cronium-run show {}", self.run));
        }
    }

    fn tell_failures(&self, failures: Vec<(Fate, Fated)>) {
        let told: Vec<Told> = if failures.len() > TOLD {
            by_kind(failures)
        } else {
            failures.into_iter().map(|(fate, fated)| Told::alike(&fate, fated)).collect()
        };
        let mut roomy = false;
        for Told { hosts, text, causes, hint } in told.iter().take(TOLD) {
            let mut error = Error::failure(format!("{}: {text}", who(&names(hosts))));
            error.causes.clone_from(causes);
            error.hints.extend(hint.clone());
            // Errors of one line stand together, longer ones apart.
            let long = !causes.is_empty() || hint.is_some();
            if roomy || long {
                self.term.note("");
            }
            roomy = long;
            self.term.error(&error);
        }
        if roomy {
            self.term.note("");
        }
        if told.len() > TOLD {
            let more: usize = told[TOLD..].iter().map(|told| told.hosts.len()).sum();
            self.term.note(&format!("and {} more: cronium-run show {}", units::hosts(more), self.run));
        }
    }
}

impl Reporter for Closing {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { run, .. } => self.run = visible_line(run),
            EventKind::HostWarning { host, message } => {
                let hosts = self.warnings.entry(Pattern::new(message, host)).or_default();
                if !hosts.contains(host) {
                    hosts.push(host.clone());
                }
            }
            EventKind::HostFinished { host, result } => self.ended(host, result),
            EventKind::RunStopping { reason } if self.extent == Extent::Full => {
                let why = stop_word(*reason);
                self.term.note(&format!("{why}: no further host is started, waiting for those at work"));
            }
            EventKind::RunFinished { summary } => self.tell(summary),
            _ => {}
        }
        Ok(())
    }
}

impl Fated {
    fn new(host: &str, failure: Option<&Failure>) -> Self {
        let causes = failure.map_or(&[][..], |failure| &failure.causes);
        Self {
            hosts: Vec::new(),
            causes: causes.iter().map(|cause| Pattern::new(cause, host)).collect(),
            hint: failure.and_then(|failure| failure.hint.as_deref()).map(visible_line),
        }
    }
}

/// One error as it is told.
struct Told {
    hosts: Vec<String>,
    text: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Told {
    fn alike(fate: &Fate, Fated { hosts, causes, hint }: Fated) -> Self {
        let text = fate.text(&names(&hosts));
        let causes = causes.iter().map(|cause| cause.fill(&names(&hosts))).collect();
        Self { hosts, text, causes, hint }
    }
}

/// Where nearly every host failed in its own way: one error for each kind, with the words of one
/// of its hosts. The largest come first.
fn by_kind(failures: Vec<(Fate, Fated)>) -> Vec<Told> {
    let mut kinds: Vec<(Fate, Told)> = Vec::new();
    for (fate, fated) in failures {
        let mut told = Told::alike(&fate, fated);
        match kinds.iter_mut().find(|(other, _)| other.same_kind(&fate)) {
            Some((kind, all)) => {
                let mixed = kind.kind_text();
                if all.text != mixed {
                    let example = format!("{}: {} (others differ)", who(&names(&all.hosts)), all.text);
                    all.causes.insert(0, example);
                    all.text = mixed;
                }
                all.hosts.append(&mut told.hosts);
            }
            None => kinds.push((fate, told)),
        }
    }
    kinds.sort_by_key(|(_, told)| Reverse(told.hosts.len()));
    kinds.into_iter().map(|(_, told)| told).collect()
}

fn names(hosts: &[String]) -> Vec<&str> {
    hosts.iter().map(String::as_str).collect()
}

/// `web07`, `db[1-3] (3 hosts)`
fn who(hosts: &[&str]) -> String {
    let set = fold::fold_within(hosts.iter().copied(), SET);
    if hosts.len() == 1 {
        visible_line(&set)
    } else {
        visible_line(&format!("{set} ({})", units::hosts(hosts.len())))
    }
}

fn stop_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Interrupted => "interrupted",
        StopReason::Limit => "stopped by --canary or --max-fail",
        StopReason::Ledger => "stopped: the ledger could not be written",
    }
}

fn outcome_tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Succeeded => Tone::Good,
        Outcome::Failed | Outcome::TimedOut | Outcome::Unreachable | Outcome::Rejected => Tone::Bad,
        Outcome::Cancelled | Outcome::Skipped | Outcome::Unknown => Tone::Doubtful,
    }
}
