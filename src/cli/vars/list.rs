use cronium_wire::manifest::KeyPatterns;

use super::scope::{self, Scope};
use crate::cli::Context;
use crate::cli::listing::{self, Format, Table, plain};
use crate::error::{ExitCode, Result};
use crate::ledger::Stored;
use crate::term::{Term, Tone};

/// List variables, by key
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run vars list
  cronium-run vars list 'db/*' --scope host:web01
  cronium-run vars list -o json | jq -r '.[].key'

The value of a secret variable is shown as ***.")]
pub struct Args {
    /// Only these keys; `*` stands for any characters
    #[arg(value_name = "PATTERN")]
    pattern: Option<String>,
    /// Only those that live here: global, host:NAME, group:NAME, project:NAME or run:ID
    #[arg(long, value_name = "SCOPE", value_parser = scope::scope)]
    scope: Option<Scope>,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let reader = super::reader(context)?;
    let scope = args.scope.map(|scope| scope.resolved(reader.as_ref())).transpose()?;
    let mut stored = match &reader {
        Some(reader) => reader.variables(scope.as_deref(), None)?,
        None => Vec::new(),
    };
    if let Some(pattern) = args.pattern {
        let patterns = KeyPatterns(vec![pattern]);
        stored.retain(|stored| patterns.match_key(&stored.key));
    }
    let text = match args.output {
        Format::Json => listing::json(&stored)?,
        Format::Text if stored.is_empty() => {
            context.term.note("no such variable");
            return Ok(ExitCode::Success);
        }
        Format::Text => table(&stored, &context.term),
    };
    listing::printed(context.term.data(text.as_bytes()))
}

fn table(stored: &[Stored], term: &Term) -> String {
    let mut table = Table::new(["KEY", "SCOPE", "VERSION", "UPDATED", "BY", "VALUE"]);
    for stored in stored {
        table.row([
            (stored.key.clone(), Some(Tone::Strong)),
            plain(&stored.scope),
            plain(stored.version.to_string()),
            plain(format!("{:.0}", stored.updated_at)),
            plain(&stored.updated_by),
            plain(super::cell(&stored.value)),
        ]);
    }
    table.text(term)
}
