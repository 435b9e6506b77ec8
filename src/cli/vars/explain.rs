use serde::Serialize;

use super::scope::{self, Scope};
use crate::cli::Context;
use crate::cli::listing::{self, Format, Table, plain};
use crate::error::{ExitCode, Result};
use crate::ledger::Stored;
use crate::term::{Term, Tone};

/// Show which value a script would see, and what hides what
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run vars explain release --host web01 --group web --group eu
  cronium-run vars explain release --run last --host web01 -o json | jq .wins

Scopes are shown nearest first; the first that has the variable wins.")]
pub struct Args {
    /// The variable
    #[arg(value_name = "KEY", value_parser = scope::key)]
    key: String,
    /// As on this host, named as it is in runs
    #[arg(long, value_name = "HOST", value_parser = scope::name)]
    host: Option<String>,
    /// As in this group (repeat, nearest first)
    #[arg(long, value_name = "GROUP", value_parser = scope::name)]
    group: Vec<String>,
    /// As in this project
    #[arg(long, value_name = "PROJECT", value_parser = scope::name)]
    project: Option<String>,
    /// As in this run: its id, an unambiguous beginning of it, or `last`
    #[arg(long, value_name = "RUN", value_parser = scope::name)]
    run: Option<String>,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Explanation {
    key: String,
    /// The scope whose value a script sees.
    wins: Option<String>,
    scopes: Vec<InSight>,
}

#[derive(Serialize)]
struct InSight {
    scope: String,
    /// Null where the scope has no such key.
    variable: Option<Stored>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { key, host, group, project, run, output } = args;
    let reader = super::reader(context)?;
    let named = |kind: &str, name: String| Scope::Named(format!("{kind}:{name}"));
    let scopes = run
        .map(Scope::Run)
        .into_iter()
        .chain(host.map(|name| named("host", name)))
        .chain(group.into_iter().map(|name| named("group", name)))
        .chain(project.map(|name| named("project", name)))
        .chain([Scope::Global]);
    let mut in_sight = Vec::new();
    for scope in scopes {
        let scope = scope.resolved(reader.as_ref())?;
        let variable = match &reader {
            Some(reader) => reader.variable(&scope, &key)?,
            None => None,
        };
        in_sight.push(InSight { scope, variable });
    }
    let wins = in_sight.iter().find(|it| it.variable.is_some()).map(|it| it.scope.clone());
    let explanation = Explanation { key, wins, scopes: in_sight };
    if explanation.wins.is_none() {
        let key = crate::term::visible_line(&explanation.key);
        context.term.note(&format!("no scope in sight has `{key}`"));
    }
    let text = match output {
        Format::Json => listing::json(&explanation)?,
        Format::Text => table(&explanation, &context.term),
    };
    listing::printed(context.term.data(text.as_bytes()))
}

fn table(explanation: &Explanation, term: &Term) -> String {
    let mut table = Table::new(["", "SCOPE", "VERSION", "BY", "VALUE"]);
    let mut state = ("wins", Tone::Good);
    for InSight { scope, variable } in &explanation.scopes {
        let Some(stored) = variable else {
            table.row([plain("-"), plain(scope), plain("-"), plain("-"), plain("-")]);
            continue;
        };
        table.row([
            (state.0.to_owned(), Some(state.1)),
            plain(scope),
            plain(stored.version.to_string()),
            plain(&stored.updated_by),
            plain(super::cell(&stored.value)),
        ]);
        state = ("hidden", Tone::Faint);
    }
    table.text(term)
}
