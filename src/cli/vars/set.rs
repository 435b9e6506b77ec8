use std::io::{self, IsTerminal as _, Read as _};

use serde_json::Value;

use super::scope::{self, Scope};
use crate::cli::{Context, variables};
use crate::error::{Error, ExitCode, OrFail as _, Result};
use crate::helper_api::Limits;
use crate::ledger::{Act, Ledger, Write, Written};

/// Write a variable
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run vars set release 41
  cronium-run vars set motd 'back at 5' --scope group:web
  cronium-run vars set hosts '[\"a\", \"b\"]' --json --if-version 3
  cronium-run vars set db/password --secret          asks for it
  pass show db | cronium-run vars set db/password --secret

VALUE is JSON if it parses, else a string; without it, the same of stdin, less its last line end. \
What is typed at the prompt is a string. A secret is sealed with \
$XDG_CONFIG_HOME/cronium-run/variables.key and stays secret until it is removed.")]
pub struct Args {
    /// The variable
    #[arg(value_name = "KEY", value_parser = scope::key)]
    key: String,
    /// Its value [default: stdin]
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: Option<String>,
    /// Where it lives: global, host:NAME, group:NAME, project:NAME or run:ID
    #[arg(long, value_name = "SCOPE", default_value = "global", value_parser = scope::scope)]
    scope: Scope,
    /// The value must be JSON
    #[arg(long, conflicts_with = "string")]
    json: bool,
    /// The value is a string, whatever it looks like
    #[arg(long)]
    string: bool,
    /// Only where the variable has this version now; 0: only where it is not there
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
    /// Seal the value; scripts can read it, no command shows it
    #[arg(long)]
    secret: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { key, value, scope, json, string, if_version, secret } = args;
    if secret && value.is_some() {
        return Err(Error::usage("a secret on the command line can be read by everybody on this machine")
            .hint(format!(
                "{} --secret   asks for it, or reads stdin",
                super::typed("set", &key, &scope.to_string())
            )));
    }
    // Before anything waits for a value.
    let path = context.ledger_path()?;
    let scope = scope.resolved(super::reader(context)?.as_ref())?;
    let value = match (value, secret && io::stdin().is_terminal()) {
        (Some(text), _) => parsed(text, json, string)?,
        (None, true) => parsed(prompt(&key)?, json, !json)?,
        (None, false) => parsed(stdin()?, json, string)?,
    };
    check_size(&value)?;
    let ledger = Ledger::open(&path)?;
    let variables = variables::open(&ledger)?;
    let write =
        Write { key: key.clone(), scope: None, act: Act::Set { value, if_version, after: None }, secret };
    match variables.write(std::slice::from_ref(&scope), write, super::author())? {
        Written::Done(variable) => {
            // It may have been plain before.
            if secret && !ledger.forget_overwritten()? {
                context.term.note(&format!(
                    "what it was before may stand in {}-wal until nobody reads the ledger any more",
                    path.display()
                ));
            }
            context.term.note(&format!("{} has version {}", super::named(&key, &scope), variable.version));
            Ok(ExitCode::Success)
        }
        Written::Conflict { current } => Err(conflict(&key, &scope, current, if_version)),
        Written::NotAfter { .. } | Written::Missing | Written::NoNumber { .. } => {
            Err(Error::failure(format!("{} was not written", super::named(&key, &scope))))
        }
    }
}

fn conflict(key: &str, scope: &str, current: u64, wanted: Option<u64>) -> Error {
    let name = super::named(key, scope);
    match (current, wanted.unwrap_or_default()) {
        (0, _) => Error::failure(format!("{name} is not there: nothing was written"))
            .hint("--if-version 0 writes where there is nothing"),
        (current, 0) => {
            Error::failure(format!("{name} is there with version {current}: nothing was written"))
                .hint(super::typed("history", key, scope))
        }
        (current, wanted) => {
            Error::failure(format!("{name} has version {current}, not {wanted}: nothing was written"))
                .hint(super::typed("history", key, scope))
        }
    }
}

/// What scripts could not write or be sent back: the limit of the helper API.
fn check_size(value: &Value) -> Result<()> {
    let limit = Limits::default().body_bytes;
    match value.to_string().len() {
        length if length > limit => Err(Error::usage(format!(
            "the value takes {length} bytes as JSON, and {limit} at most can be kept"
        ))
        .hint("keep it in a file of the payload: cronium-run pack FOLDER")),
        _ => Ok(()),
    }
}

fn parsed(text: String, json: bool, string: bool) -> Result<Value> {
    if string {
        return Ok(Value::String(text));
    }
    match serde_json::from_str(&text) {
        Ok(value) => Ok(value),
        Err(_) if !json => Ok(Value::String(text)),
        // The cause has a place in the text and none of its words: it may be a secret.
        Err(error) => {
            Err(Error::usage("the value is not JSON").because(error).hint("--string takes it as it is"))
        }
    }
}

/// All of stdin, without its last line end, as `$(…)` in a shell does.
fn stdin() -> Result<String> {
    let mut text = String::new();
    if io::stdin().is_terminal() {
        return Err(Error::usage("no VALUE, and stdin is a terminal").hint("cronium-run vars set KEY VALUE"));
    }
    io::stdin().lock().read_to_string(&mut text).or_fail(|| "cannot read the value from stdin")?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

fn prompt(key: &str) -> Result<String> {
    let text = format!("Value of {}: ", crate::term::visible_line(key));
    rpassword::prompt_password(text).or_fail(|| "cannot read the value")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn as_large_as_scripts_may_write() {
        let limit = 1 << 20;
        // With its quotes.
        assert!(check_size(&json!("x".repeat(limit - 2))).is_ok());
        let error = check_size(&json!("x".repeat(limit - 1))).unwrap_err();
        assert_eq!(error.code, ExitCode::Usage);
        assert_eq!(error.message, "the value takes 1048577 bytes as JSON, and 1048576 at most can be kept");
        assert!(check_size(&json!("\n".repeat(limit / 2))).is_err(), "as JSON it is longer");
    }

    #[test]
    fn values() {
        // text, --json, --string, value
        let table = [
            ("41", false, false, Ok(json!(41))),
            ("41", false, true, Ok(json!("41"))),
            ("back at 5", false, false, Ok(json!("back at 5"))),
            ("back at 5", true, false, Err("the value is not JSON")),
            ("\"x\"", true, false, Ok(json!("x"))),
            ("null", false, false, Ok(json!(null))),
            ("", false, false, Ok(json!(""))),
            ("", true, false, Err("the value is not JSON")),
            ("{\"a\": [1, 2.5]}", false, false, Ok(json!({"a": [1, 2.5]}))),
        ];
        for (text, json, string, wanted) in table {
            let value = parsed(text.to_owned(), json, string).map_err(|error| error.message);
            assert_eq!(value, wanted.map_err(str::to_owned), "{text}");
        }
        let error = parsed("hunter2".into(), true, false).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
