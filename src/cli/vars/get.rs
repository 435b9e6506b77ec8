use serde_json::Value;

use super::scope::{self, Scope};
use crate::cli::Context;
use crate::cli::listing::{self, Format};
use crate::error::{Error, ExitCode, Result};
use crate::ledger::{Reader, Shown, Stored};
use crate::term::visible;

/// Print a variable's value as JSON
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run vars get release
  cronium-run vars get motd --raw > motd.txt
  cronium-run vars get load --scope host:web01 -o json | jq -r .updated_by

A variable that is not there is an error, exit code 1; so is a secret one: only scripts read it.")]
pub struct Args {
    /// The variable
    #[arg(value_name = "KEY", value_parser = scope::key)]
    key: String,
    /// Where it lives: global, host:NAME, group:NAME, project:NAME or run:ID
    #[arg(long, value_name = "SCOPE", default_value = "global", value_parser = scope::scope)]
    scope: Scope,
    /// Print a string without its quotes
    #[arg(long)]
    raw: bool,
    /// What to print: the value, or all that is known of it
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { key, scope, raw, output } = args;
    let reader = super::reader(context)?;
    let scope = scope.resolved(reader.as_ref())?;
    let found = match &reader {
        Some(reader) => reader.variable(&scope, &key)?,
        None => None,
    };
    let Some(stored) = found else { return Err(missing("get", reader.as_ref(), &key, &scope)?) };
    let Shown::Plain(value) = &stored.value else { return Err(secret(&stored)) };
    let text = match (output, value) {
        (Format::Json, _) => listing::json(&stored)?,
        // Bytes for a file or a pipe; a terminal is not to be steered by them.
        (Format::Text, Value::String(text)) if raw && context.term.out_is_tty() => {
            format!("{}\n", visible(text.as_bytes()))
        }
        (Format::Text, Value::String(text)) if raw => format!("{text}\n"),
        (Format::Text, value) => format!("{}\n", super::json(value)),
    };
    listing::printed(context.term.data(text.as_bytes()))
}

/// The error for a variable that is not there; `command` is to be typed with a scope that has it.
pub(super) fn missing(command: &str, reader: Option<&Reader>, key: &str, scope: &str) -> Result<Error> {
    let error = Error::failure(format!("there is no variable {}", super::named(key, scope)));
    let elsewhere = match reader {
        Some(reader) => reader.variables(None, Some(key))?,
        None => Vec::new(),
    };
    if elsewhere.is_empty() {
        return Ok(error.hint("cronium-run vars list"));
    }
    let hints = elsewhere.iter().take(5).map(|stored| super::typed(command, key, &stored.scope));
    Ok(hints.fold(error, Error::hint))
}

fn secret(stored: &Stored) -> Error {
    let Stored { key, scope, .. } = stored;
    Error::failure(format!("the variable {} is secret: no command shows it", super::named(key, scope)))
        .hint(format!("in a script: cronium getVariable '{}'", crate::term::visible_line(key)))
        .hint(super::typed("history", key, scope))
}
