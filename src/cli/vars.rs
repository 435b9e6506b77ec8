use std::borrow::Cow;

use serde_json::Value;

use super::Context;
use crate::error::{ExitCode, Result};
use crate::ledger::{Author, Ledger, Reader, Shown};
use crate::term::{is_steering, visible_line};

mod explain;
mod get;
mod history;
mod list;
mod remove;
mod scope;
mod set;

/// Read and write the variables that scripts share
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  cronium-run vars set release 41
  cronium-run vars set release 42 --scope group:web
  cronium-run vars get release
  cronium-run vars list 'db/*'
  cronium-run vars explain release --host web01 --group web

A script reads `cronium getVariable release` and finds the nearest of its scopes that has the key: \
its run, its host, its groups, its project, global. What it writes goes to the nearest that has the \
key, else to global. The commands here name one scope, global unless told."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Get(get::Args),
    Set(set::Args),
    List(list::Args),
    Rm(remove::Args),
    History(history::Args),
    Explain(explain::Args),
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        Command::Get(args) => get::run(args, context),
        Command::Set(args) => set::run(args, context),
        Command::List(args) => list::run(args, context),
        Command::Rm(args) => remove::run(args, context),
        Command::History(args) => history::run(args, context),
        Command::Explain(args) => explain::run(args, context),
    }
}

/// `None` where there is no ledger yet: then there are no variables either.
fn reader(context: &Context) -> Result<Option<Reader>> {
    let path = context.ledger_path()?;
    if path.exists() { Ledger::open_read(&path).map(Some) } else { Ok(None) }
}

/// The person at this machine, for the history.
fn author() -> Author {
    Author::Operator(super::launch::operator().unwrap_or_else(|| "unknown".to_owned()))
}

/// Compact JSON. Characters that steer a terminal are escaped: JSON asks for that below U+0020 only.
fn json(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        if is_steering(character) {
            text.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text
}

/// A value in a column: cut where it is long, a secret as `***`.
fn cell(value: &Shown) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Shown::Plain(value) => json(value),
        Shown::Secret => return Shown::HIDDEN.to_owned(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// `KEY` in a message.
fn named(key: &str, scope: &str) -> String {
    format!("`{}` in {}", visible_line(key), visible_line(scope))
}

/// `cronium-run vars COMMAND KEY`, with the scope where it is not the default, to be typed again.
fn typed(command: &str, key: &str, scope: &str) -> String {
    let quote = |text: &str| shlex::try_quote(text).map_or_else(|_| text.to_owned(), Cow::into_owned);
    // A key that looks like a flag must stand behind `--`.
    let (dashes, key) = (if key.starts_with('-') { "-- " } else { "" }, quote(key));
    let text = match scope {
        "global" => format!("cronium-run vars {command} {dashes}{key}"),
        scope => format!("cronium-run vars {command} --scope {} {dashes}{key}", quote(scope)),
    };
    visible_line(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_in_columns() {
        let table = [
            (Shown::Plain(json!("a\u{1b}[2J\u{9b}ž")), r#""a\u001b[2J\u009bž""#.to_owned()),
            (Shown::Plain(json!({"b": [1, null]})), r#"{"b":[1,null]}"#.to_owned()),
            (Shown::Plain(json!("ž".repeat(99))), format!("\"{}…", "ž".repeat(59))),
            (Shown::Secret, "***".to_owned()),
        ];
        for (value, wanted) in table {
            assert_eq!(cell(&value), wanted);
        }
    }

    #[test]
    fn commands_to_type() {
        let table = [
            ("k", "global", "cronium-run vars get k"),
            ("a b", "host:web1", "cronium-run vars get --scope host:web1 'a b'"),
            ("-k", "group:a b", "cronium-run vars get --scope 'group:a b' -- -k"),
            ("a'b", "global", "cronium-run vars get \"a'b\""),
        ];
        for (key, scope, wanted) in table {
            assert_eq!(typed("get", key, scope), wanted);
        }
    }
}
