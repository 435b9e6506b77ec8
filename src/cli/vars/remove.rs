use super::get;
use super::scope::{self, Scope};
use crate::cli::{Context, variables};
use crate::error::{ExitCode, Result};
use crate::ledger::{Act, Ledger, Write, Written};

/// Remove a variable; its history stays
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run vars rm release
  cronium-run vars rm load --scope host:web01")]
pub struct Args {
    /// The variable
    #[arg(value_name = "KEY", value_parser = scope::key)]
    key: String,
    /// Where it lives: global, host:NAME, group:NAME, project:NAME or run:ID
    #[arg(long, value_name = "SCOPE", default_value = "global", value_parser = scope::scope)]
    scope: Scope,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { key, scope } = args;
    let reader = super::reader(context)?;
    let scope = scope.resolved(reader.as_ref())?;
    if reader.is_some() {
        let variables = variables::open(&Ledger::open(&context.ledger_path()?)?)?;
        let write = Write { key: key.clone(), scope: None, act: Act::Remove, secret: false };
        let written = variables.write(std::slice::from_ref(&scope), write, super::author())?;
        if matches!(written, Written::Done(_)) {
            context.term.note(&format!("{} is removed", super::named(&key, &scope)));
            return Ok(ExitCode::Success);
        }
    }
    Err(get::missing("rm", reader.as_ref(), &key, &scope)?)
}
