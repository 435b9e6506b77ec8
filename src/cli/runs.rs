use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::Value;

use super::listing::{self, Format, Table, plain};
use super::{Context, left_open};
use crate::error::{ExitCode, OrFail as _, Result};
use crate::event::Outcome;
use crate::ledger::{Ledger, Run, RunFilter, RunStatus};
use crate::report::units::duration;
use crate::term::{Term, Tone};

/// List past runs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run runs
  cronium-run runs --status failed --host web01
  cronium-run runs -n 1 -o json | jq -r '.[0].id'")]
pub struct Args {
    /// How many to list; 0 lists all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Only runs with this status; `interrupted` are those whose process died, too
    #[arg(long, value_name = "STATUS", value_parser = status_parser())]
    status: Option<RunStatus>,
    /// Only runs on this host, named as it was in the run
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

fn status_parser() -> impl clap::builder::TypedValueParser<Value = RunStatus> {
    PossibleValuesParser::new(RunStatus::ALL.map(RunStatus::as_str))
        .map(|name| RunStatus::parse(&name).expect("only names of statuses are let through"))
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let reader = Ledger::open_read(&context.ledger_path()?)?;
    let limit = (args.limit > 0).then_some(args.limit);
    let runs = reader.runs(&RunFilter { limit, status: args.status, host: args.host })?;
    if args.output == Format::Text {
        left_open::tell(&reader, None, &context.term);
    }
    let text = match args.output {
        Format::Json => listing::json(&runs.iter().map(summary).collect::<Result<Vec<_>>>()?)?,
        Format::Text if runs.is_empty() => {
            context.term.note("no such run");
            return Ok(ExitCode::Success);
        }
        Format::Text => table(&runs, &context.term),
    };
    listing::printed(context.term.data(text.as_bytes()))
}

fn table(runs: &[Run], term: &Term) -> String {
    let mut table = Table::new(["RUN", "STARTED", "STATUS", "HOSTS", "TOOK", "PAYLOAD", "COMMAND"]);
    for run in runs {
        table.row([
            (run.id.clone(), Some(Tone::Strong)),
            plain(format!("{:.0}", run.started_at)),
            (run.status.as_str().to_owned(), Some(tone(run.status))),
            plain(hosts(run)),
            plain(run.duration_ms().map_or_else(|| "-".to_owned(), duration)),
            plain(payload(run).unwrap_or_else(|| "-".to_owned())),
            plain(&run.command),
        ]);
    }
    table.text(term)
}

/// The run as JSON, without its plan.
fn summary(run: &Run) -> Result<Value> {
    let mut value = document(run)?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("plan");
    }
    Ok(value)
}

pub(super) fn document(run: &Run) -> Result<Value> {
    let mut value = serde_json::to_value(run).or_fail(|| "cannot write JSON")?;
    value["duration_ms"] = run.duration_ms().into();
    Ok(value)
}

pub(super) fn tone(status: RunStatus) -> Tone {
    match status {
        RunStatus::Succeeded => Tone::Good,
        RunStatus::Failed => Tone::Bad,
        RunStatus::Running => Tone::Strong,
        RunStatus::Stopped | RunStatus::Unknown | RunStatus::Detached | RunStatus::Interrupted => {
            Tone::Doubtful
        }
    }
}

/// `62 ok, 1 failed, 3 open`; open hosts may have more to tell.
fn hosts(run: &Run) -> String {
    let (mut ok, mut failed, mut open) = (0, 0, 0);
    for (status, count) in &run.hosts {
        match Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == status) {
            Some(Outcome::Succeeded) => ok += count,
            Some(outcome) if outcome.is_open() => open += count,
            Some(_) => failed += count,
            None => open += count,
        }
    }
    // Nobody will ever know more of those.
    let parts = [(ok, "ok"), (failed, "failed"), (run.gone, "unknown"), (open - run.gone, "open")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// `disk-report@7`.
fn payload(run: &Run) -> Option<String> {
    let name = run.payload_name.as_ref()?;
    Some(match run.release {
        Some(release) => format!("{name}@{release}"),
        None => name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::tests::Recorded;

    #[test]
    fn newest_first_with_what_matters() {
        let recorded = Recorded::new();
        let runs = recorded.reader().runs(&RunFilter::default()).unwrap();
        insta::assert_snapshot!(table(&runs, &Term::captured().0), @r"
        RUN   STARTED               STATUS       HOSTS           TOOK   PAYLOAD        COMMAND
        01JB  2026-11-18T11:06:40Z  interrupted  1 ok, 2 open    4.0 s  disk-report@7  cronium-run exec web[1-3] disk-report
        01JA  2026-11-18T11:06:40Z  failed       1 ok, 2 failed  4.0 s  disk-report@7  cronium-run exec web[1-3] disk-report
        ");
        let shown = summary(&runs[0]).unwrap();
        assert_eq!(shown["duration_ms"], 4000);
        assert_eq!(shown.get("plan"), None);
    }
}
