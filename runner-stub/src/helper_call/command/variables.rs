//! Variables: `getVariable`, `setVariable`, `incr`, `vars`, `unset`.

use cronium_wire::manifest::KeyPatterns;
use serde_json::{Number, Value};

use super::line::{call, done, expect};
use super::words::{Words, json_or_text, print_line, stdin};
use super::{Outcome, usage};
use crate::helper_call::protocol::Request;

pub fn get(args: Vec<String>) -> Outcome<()> {
    let words = Words::parse(args, &["--raw", "--version"], &["--default", "--scope"])?;
    let [key] = words.positional::<1>()?;
    let key = needed(key)?;
    let missing = format!("there is no variable '{key}'");
    let reply = call(&Request::GetVariable { key, scope: words.scope()? })?;
    let part = if words.has("--version") { "version" } else { "value" };
    // A default is for what is not there, not for what may not be read.
    let found = if reply.status == 404 { None } else { Some(expect(reply)?[part].take()) };
    words.print(found, &missing)
}

pub fn set(args: Vec<String>) -> Outcome<()> {
    let words = Words::parse(args, &["--json", "--string"], &["--if-version", "--scope"])?;
    let [key, value] = words.positional::<2>()?;
    let key = needed(key)?;
    let (scope, if_version) = (words.scope()?, if_version(&words)?);
    if words.has("--json") && words.has("--string") {
        return Err(usage("--json and --string exclude each other"));
    }
    let text = value.map_or_else(stdin, Ok)?;
    let value = if words.has("--json") {
        serde_json::from_slice(text.as_bytes()).map_err(|error| usage(format!("not JSON: {error}")))?
    } else if words.has("--string") {
        Value::String(text)
    } else {
        json_or_text(text)
    };
    done(&Request::SetVariable { key, value, if_version, scope })
}

pub fn incr(args: Vec<String>) -> Outcome<()> {
    let words = Words::parse(args, &[], &["--scope"])?;
    let [key, by] = words.positional::<2>()?;
    let key = needed(key)?;
    let by = by.as_deref().unwrap_or("1");
    let by: Number =
        serde_json::from_slice(by.as_bytes()).map_err(|_| usage(format!("N is a number, not '{by}'")))?;
    let variable = expect(call(&Request::Increment { key, by, scope: words.scope()? })?)?;
    print_line(&variable["value"].to_string())
}

pub fn list(args: Vec<String>) -> Outcome<()> {
    let words = Words::parse(args, &["--raw"], &[])?;
    let [pattern] = words.positional::<1>()?;
    let pattern = KeyPatterns(vec![pattern.unwrap_or_else(|| "*".into())]);
    let variables = expect(call(&Request::Variables { scope: None })?)?;
    let listed = variables.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut keys: Vec<&str> = listed.iter().filter_map(|variable| variable["key"].as_str()).collect();
    // A key may stand in several scopes.
    keys.dedup();
    keys.retain(|key| pattern.match_key(key));
    if !words.has("--raw") {
        return print_line(&Value::from(keys).to_string());
    }
    if keys.is_empty() { Ok(()) } else { print_line(&keys.join("\n")) }
}

pub fn unset(args: Vec<String>) -> Outcome<()> {
    let words = Words::parse(args, &[], &["--scope"])?;
    let [key] = words.positional::<1>()?;
    done(&Request::Unset { key: needed(key)?, scope: words.scope()? })
}

fn needed(key: Option<String>) -> Outcome<String> {
    key.ok_or_else(|| usage("which KEY?"))
}

fn if_version(words: &Words) -> Outcome<Option<u64>> {
    let parse = |text: &str| {
        text.parse().map_err(|_| usage(format!("--if-version takes a version's number, not '{text}'")))
    };
    words.option("--if-version").map(parse).transpose()
}
