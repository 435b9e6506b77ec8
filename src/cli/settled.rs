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

pub struct Settled<'a> {
    format: Format,
    context: &'a Context,
    documents: Vec<Value>,
    /// How all hosts stand that were asked.
    asked: Summary,
    runs: usize,
    failure: Option<ExitCode>,
    is_interrupted: bool,
}

impl<'a> Settled<'a> {
    pub fn new(format: Format, context: &'a Context) -> Self {
        let asked = Summary::default();
        Self { format, context, documents: Vec::new(), asked, runs: 0, failure: None, is_interrupted: false }
    }

    /// One run could not be asked for; others may be.
    pub fn failed(&mut self, error: Error) {
        self.context.term.error(&error);
        self.failure.get_or_insert(error.code);
    }

    pub fn add(&mut self, run: &str, asked: &Asked, ledger: &Path) -> Result<()> {
        self.runs += 1;
        self.is_interrupted |= asked.is_interrupted;
        let reader = Ledger::open_read(ledger)?;
        let run = reader.run(run)?;
        let mut rows = reader.results(&run.id)?;
        rows.retain(|row| asked.hosts.contains(&row.host));
        for row in &rows {
            let outcome = row.result.as_ref().map_or(Outcome::Unknown, |result| result.outcome);
            self.asked.add(outcome);
        }
        match self.format {
            Format::Json => {
                let mut document = runs::document(&run)?;
                document["results"] = serde_json::to_value(&rows).or_fail(|| "cannot write JSON")?;
                self.documents.push(document);
                Ok(())
            }
            Format::Text if rows.is_empty() => {
                self.context
                    .term
                    .note(&format!("nothing of run {} is open: cronium-run show {}", run.id, run.id));
                Ok(())
            }
            Format::Text => {
                let mut table = Table::new([]);
                rows.iter().for_each(|row| line(&mut table, &run.id, row));
                let text = table.text(&self.context.term);
                listing::printed(self.context.term.data(text.as_bytes())).map(drop)
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

    /// 0 where nothing is open any more, however it ended.
    pub fn finish(self) -> Result<ExitCode> {
        match self.format {
            Format::Json => {
                let text = listing::json(&self.documents)?;
                listing::printed(self.context.term.data(text.as_bytes()))?;
            }
            Format::Text if self.runs == 0 && self.failure.is_none() => {
                self.context.term.note("nothing is open");
            }
            Format::Text => {}
        }
        let open = |outcome| self.asked.count(outcome) > 0;
        Ok(match self.failure {
            _ if self.is_interrupted => ExitCode::Interrupted,
            Some(code) => code,
            None if open(Outcome::Unknown) => ExitCode::Unknown,
            None if open(Outcome::Detached) => self.asked.exit_code(),
            None => ExitCode::Success,
        })
    }
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
