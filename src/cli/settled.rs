//! What `collect` and `cancel` say: a line for each host that was asked, or one JSON document.

use std::path::Path;

use serde_json::Value;

use super::leave::Leave;
use super::listing::{self, Format, Table, plain};
use super::resume::Asked;
use super::{Context, runs, show};
use crate::error::{Error, ExitCode, OrFail as _, Result};
use crate::event::{Outcome, Summary};
use crate::ledger::{HostRow, Ledger};
use crate::report::units::duration;
use crate::term::{Tone, visible_line};

pub struct Settled<'a> {
    format: Format,
    context: &'a Context,
    documents: Vec<Value>,
    /// How all hosts stand that were asked.
    asked: Summary,
    /// Whether a run was named: it is said of it, too, that nothing is open.
    is_named: bool,
    has_told: bool,
    failure: Option<ExitCode>,
    is_interrupted: bool,
}

impl<'a> Settled<'a> {
    pub fn new(format: Format, is_named: bool, context: &'a Context) -> Self {
        Self {
            format,
            context,
            documents: Vec::new(),
            asked: Summary::default(),
            is_named,
            has_told: false,
            failure: None,
            is_interrupted: false,
        }
    }

    /// One run could not be asked for; others may be.
    pub fn failed(&mut self, error: Error) {
        self.context.term.error(&error);
        self.failure.get_or_insert(error.code);
    }

    pub fn add(&mut self, run: &str, asked: &Asked, ledger: &Path) -> Result<()> {
        self.is_interrupted |= asked.is_interrupted;
        let reader = Ledger::open_read(ledger)?;
        let run = reader.run(run)?;
        let mut rows = reader.results(&run.id)?;
        rows.retain(|row| asked.hosts.contains(&row.host));
        for row in &rows {
            let outcome = row.outcome();
            self.asked.add(outcome);
        }
        match self.format {
            Format::Json => {
                let mut document = runs::document(&run)?;
                document["results"] = serde_json::to_value(&rows).or_fail(|| "cannot write JSON")?;
                self.documents.push(document);
                Ok(())
            }
            // All that was left to do is to take leave of it.
            Format::Text if rows.is_empty() && !self.is_named => Ok(()),
            Format::Text if rows.is_empty() => {
                self.has_told = true;
                let term = &self.context.term;
                let note = format!("nothing of run {} is open: cronium-run show {}", run.id, run.id);
                term.note(&term.to_type(&note));
                Ok(())
            }
            Format::Text => {
                self.has_told = true;
                let mut table = Table::new([]);
                rows.iter().for_each(|row| line(&mut table, &run.id, row));
                let text = table.text(&self.context.term);
                listing::printed(self.context.term.data(text.as_bytes()))?;
                if let Some(row) = rows.iter().find(|row| has_failed(row)) {
                    let term = &self.context.term;
                    let (label, host) = (term.paint_err(Tone::Good, "hint:"), visible_line(&row.host));
                    term.note(&term.to_type(&format!("{label} cronium-run logs {} {host}", run.id)));
                }
                Ok(())
            }
        }
    }

    /// Takes leave of hosts once all runs were asked for.
    pub fn leave(&mut self, leaves: Vec<Leave>, ledger: &Path) {
        for leave in leaves {
            if self.is_interrupted {
                return;
            }
            self.is_interrupted = leave.take(ledger, self.context);
        }
    }

    /// Whether no further run is to be asked for.
    pub fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    /// 0 where it is known of every host how it ended, whatever that is, or that its script goes on.
    pub fn finish(self) -> Result<ExitCode> {
        match self.format {
            Format::Json => {
                let text = listing::json(&self.documents)?;
                listing::printed(self.context.term.data(text.as_bytes()))?;
            }
            Format::Text if !self.has_told && self.failure.is_none() => {
                self.context.term.note("nothing is open");
            }
            Format::Text => {}
        }
        Ok(match self.failure {
            _ if self.is_interrupted => ExitCode::Interrupted,
            Some(code) => code,
            None if self.asked.count(Outcome::Unknown) > 0 => ExitCode::Unknown,
            None => ExitCode::Success,
        })
    }
}

/// Whether what its script printed says why.
fn has_failed(row: &HostRow) -> bool {
    let outcome = row.result.as_ref().map(|result| result.outcome);
    matches!(outcome, Some(Outcome::Failed | Outcome::TimedOut))
}

/// `01JD2  web1  failed  exit 3  3.2 s`, or what stands in the way.
fn line(table: &mut Table, run: &str, row: &HostRow) {
    let result = row.result.as_ref();
    let outcome = match result.map(|result| result.outcome) {
        Some(Outcome::Detached) => "still runs".to_owned(),
        _ => row.status.replace('_', " "),
    };
    let exit = result.and_then(show::exit).map(|exit| match exit.parse::<i32>() {
        Ok(_) => format!("exit {exit}"),
        Err(_) => exit,
    });
    let took = result.filter(|result| result.started_at.is_some() && !result.outcome.is_open());
    let why = result.and_then(|result| result.failure.as_ref()).map(|failure| failure.message.clone());
    table.row([
        plain(run),
        plain(&row.host),
        (outcome, Some(show::tone(row))),
        plain(exit.unwrap_or_default()),
        plain(took.map(|result| duration(result.duration_ms)).unwrap_or_default()),
        plain(why.unwrap_or_default()),
    ]);
}
