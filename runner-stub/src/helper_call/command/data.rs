//! What comes with a run and what goes back: `input`, `event`, `output`.

use serde_json::{Map, Value};

use super::line::{call, done, expect};
use super::words::{Words, json_or_text, stdin};
use super::{Outcome, usage};
use crate::helper_call::expression::pick;
use crate::helper_call::protocol::Request;

pub fn input(args: Vec<String>) -> Outcome<()> {
    print_part(args, &Request::Input, "the input has no such value")
}

pub fn event(args: Vec<String>) -> Outcome<()> {
    print_part(args, &Request::Event, "the run's context has no such field")
}

fn print_part(args: Vec<String>, request: &Request, missing: &str) -> Outcome<()> {
    let words = Words::parse(args, &["--raw"], &["--default"])?;
    let [path] = words.positional::<1>()?;
    let path = path.as_deref().unwrap_or("");
    // What is wrong with the path is said without asking anybody.
    pick(&Value::Null, path).map_err(usage)?;
    let whole = expect(call(request)?)?;
    let found = pick(&whole, path).map_err(usage)?;
    words.print(found.cloned(), missing)
}

pub fn output(args: Vec<String>) -> Outcome<()> {
    let words = Words::parse(args, &["--append"], &[])?;
    let value = match &words.plain[..] {
        [] => json_or_text(stdin()?),
        given => value_of(given)?,
    };
    done(&Request::Output { value, append: words.has("--append") })
}

/// One VALUE, or `k=v …` as an object.
fn value_of(words: &[String]) -> Outcome<Value> {
    match words {
        // As bytes, here and elsewhere: reading JSON from text as well is 7 kB of the program.
        [one] if serde_json::from_slice::<Value>(one.as_bytes()).is_ok() => Ok(json_or_text(one.clone())),
        fields if fields.iter().all(|field| is_field(field)) => Ok(object(fields)),
        [one] => Ok(Value::String(one.clone())),
        _ => Err(usage("several words are either all k=v, or one VALUE in quotes")),
    }
}

/// `name=value` with a name like a shell variable's, dots and dashes allowed behind its first letter.
fn is_field(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    })
}

fn object(fields: &[String]) -> Value {
    let mut object = Map::new();
    for (name, value) in fields.iter().filter_map(|field| field.split_once('=')) {
        object.insert(name.to_owned(), json_or_text(value.to_owned()));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn output_of_every_form() {
        for (words, want) in [
            (&["5"][..], Some(json!(5))),
            (&["null"], Some(json!(null))),
            (&["two words"], Some(json!("two words"))),
            (&[""], Some(json!(""))),
            (&["a=1"], Some(json!({"a": 1}))),
            (&["a=1", "b.c-d=x y", "_e="], Some(json!({"a": 1, "b.c-d": "x y", "_e": ""}))),
            (&["1=2"], Some(json!("1=2"))),
            (&["a b=2"], Some(json!("a b=2"))),
            (&["a=1", "b"], None),
            (&["a", "b"], None),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(value_of(&words).ok(), want, "{words:?}");
        }
    }
}
