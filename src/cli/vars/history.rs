use super::get;
use super::scope::{self, Scope};
use crate::cli::Context;
use crate::cli::listing::{self, Format, Table, plain};
use crate::error::{ExitCode, Result};
use crate::ledger::PastWrite;
use crate::term::{Term, Tone};

/// Show every write of a variable: when, by whom, which value
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run vars history release
  cronium-run vars history load --scope host:web01
  cronium-run vars history release -o json | jq '.[] | select(.host == \"web01\")'

Values of a secret variable are shown as ***, also those from before it became one.")]
pub struct Args {
    /// The variable, also one that was removed
    #[arg(value_name = "KEY", value_parser = scope::key)]
    key: String,
    /// Where it lives: global, host:NAME, group:NAME, project:NAME or run:ID
    #[arg(long, value_name = "SCOPE", default_value = "global", value_parser = scope::scope)]
    scope: Scope,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { key, scope, output } = args;
    let reader = super::reader(context)?;
    let scope = scope.resolved(reader.as_ref())?;
    let writes = match &reader {
        Some(reader) => reader.variable_history(&scope, &key)?,
        None => Vec::new(),
    };
    if writes.is_empty() {
        return Err(get::missing("history", reader.as_ref(), &key, &scope)?);
    }
    let text = match output {
        Format::Json => listing::json(&writes)?,
        Format::Text => table(&writes, &context.term),
    };
    listing::printed(context.term.data(text.as_bytes()))
}

fn table(writes: &[PastWrite], term: &Term) -> String {
    let mut table = Table::new(["VERSION", "WHEN", "WHO", "VALUE"]);
    for write in writes {
        table.row([
            plain(write.version.to_string()),
            plain(format!("{:.3}", write.at)),
            plain(&write.by),
            match &write.value {
                Some(value) => plain(super::cell(value)),
                None => ("removed".to_owned(), Some(Tone::Doubtful)),
            },
        ]);
    }
    table.text(term)
}
