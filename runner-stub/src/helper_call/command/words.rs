//! The arguments of one subcommand, taken apart.

use std::io::{self, IsTerminal, Read, Write};

use serde_json::Value;

use super::{Failure, Outcome, usage};
use crate::helper_call::protocol::Scope;

/// Arguments taken apart: words, flags and options of one subcommand.
pub struct Words {
    pub plain: Vec<String>,
    flags: Vec<String>,
    options: Vec<(String, String)>,
}

impl Words {
    /// `flags` stand alone, `options` take a value: `--default V` or `--default=V`.
    pub fn parse(args: Vec<String>, flags: &[&str], options: &[&str]) -> Outcome<Self> {
        let mut words = Self { plain: Vec::new(), flags: Vec::new(), options: Vec::new() };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                words.plain.extend(args.by_ref());
            } else if flags.contains(&arg.as_str()) {
                words.flags.push(arg);
            } else if let Some((name, value)) = arg.split_once('=').filter(|(name, _)| options.contains(name))
            {
                words.options.push((name.to_owned(), value.to_owned()));
            } else if options.contains(&arg.as_str()) {
                let value = args.next().ok_or_else(|| usage(format!("{arg} takes a value")))?;
                words.options.push((arg, value));
            } else if arg.starts_with("--") {
                return Err(usage(format!(
                    "unknown flag {arg}; a VALUE that starts with '--' goes behind '--'"
                )));
            } else {
                words.plain.push(arg);
            }
        }
        Ok(words)
    }

    /// At most `N` words.
    pub fn positional<const N: usize>(&self) -> Outcome<[Option<String>; N]> {
        if self.plain.len() > N {
            let word = &self.plain[N];
            return Err(usage(format!("one word too many: '{word}' (what has spaces goes in quotes)")));
        }
        Ok(std::array::from_fn(|index| self.plain.get(index).cloned()))
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// `--scope`, by the names that the protocol has for them.
    pub fn scope(&self) -> Outcome<Option<Scope>> {
        let parse = |name: &str| {
            Scope::from_name(name)
                .ok_or_else(|| usage(format!("--scope is one of run, host, project, global, not '{name}'")))
        };
        self.option("--scope").map(parse).transpose()
    }

    /// Prints what was found, else `--default`, else fails with 3.
    pub fn print(&self, found: Option<Value>, missing: &str) -> Outcome<()> {
        let value = match (found, self.option("--default")) {
            (Some(value), _) => value,
            (None, Some(default)) => json_or_text(default.to_owned()),
            (None, None) => return Err(Failure(3, format!("{missing}\nhint: --default V"))),
        };
        match value {
            Value::String(text) if self.has("--raw") => print_line(&text),
            value => print_line(&value.to_string()),
        }
    }
}

/// Writes a line to stdout. Unlike [`crate::print`], an error is one of the command: what it was
/// asked for did not arrive.
pub fn print_line(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    let written =
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    written.map_err(|error| Failure(1, format!("cannot write to stdout: {error}")))
}

pub fn json_or_text(text: String) -> Value {
    serde_json::from_slice(text.as_bytes()).unwrap_or(Value::String(text))
}

/// All of stdin, without its last line end, as `$(…)` in a shell does.
pub fn stdin() -> Outcome<String> {
    if io::stdin().is_terminal() {
        return Err(usage("no VALUE, and stdin is a terminal"));
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|error| Failure(1, format!("cannot read a value from stdin: {error}")))?;
    text.truncate(text.strip_suffix('\n').unwrap_or(&text).len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(args: &[&str]) -> Outcome<Words> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Words::parse(args, &["--raw"], &["--default", "--scope"])
    }

    #[test]
    fn taken_apart() {
        let given = words(&["k", "--raw", "--default=a=b", "-5", "--", "--raw"]).unwrap();
        assert_eq!(given.plain, ["k", "-5", "--raw"]);
        assert!(given.has("--raw"));
        assert_eq!(given.option("--default"), Some("a=b"));
        assert_eq!(words(&["--default", "1", "--default", "2"]).unwrap().option("--default"), Some("2"));
        assert_eq!(words(&["k"]).unwrap().positional::<2>().unwrap(), [Some("k".to_owned()), None]);
    }

    #[test]
    fn refused() {
        for (args, want) in [
            (&["--default"][..], "--default takes a value"),
            (&["--nope"], "unknown flag --nope; a VALUE that starts with '--' goes behind '--'"),
            (&["--raw=1"], "unknown flag --raw=1; a VALUE that starts with '--' goes behind '--'"),
        ] {
            assert_eq!(words(args).err(), Some(usage(want)), "{args:?}");
        }
        assert!(words(&["a", "b"]).unwrap().positional::<1>().is_err());
    }

    #[test]
    fn scopes() {
        for (name, want) in [
            ("run", Some(Scope::Run)),
            ("host", Some(Scope::Host)),
            ("project", Some(Scope::Project)),
            ("global", Some(Scope::Global)),
        ] {
            assert_eq!(words(&["--scope", name]).unwrap().scope(), Ok(want));
        }
        assert_eq!(words(&[]).unwrap().scope(), Ok(None));
        assert_eq!(words(&["--scope", "web"]).unwrap().scope().unwrap_err().0, 2);
    }
}
