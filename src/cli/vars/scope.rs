use std::fmt;

use crate::error::{Error, Result};
use crate::ledger::Reader;

/// Bytes of a key; more than the helper API takes no script could read.
const MAX_KEY_BYTES: usize = 512;
const MAX_NAME_BYTES: usize = 512;

/// Where variables live, as it is typed: of a run it may be the beginning of its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Run(String),
    /// `host:NAME`, `group:NAME` or `project:NAME`.
    Named(String),
    Global,
}

impl Scope {
    /// The text in the ledger. Runs are looked up.
    pub(super) fn resolved(&self, reader: Option<&Reader>) -> Result<String> {
        match (self, reader) {
            (Self::Run(run), Some(reader)) => Ok(format!("run:{}", reader.resolve_run(run)?)),
            (Self::Run(_), None) => {
                Err(Error::usage("there is no run yet").hint("cronium-run exec HOSTS -- COMMAND"))
            }
            (scope, _) => Ok(scope.to_string()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "run:{run}"),
            Self::Named(text) => f.write_str(text),
            Self::Global => f.write_str("global"),
        }
    }
}

/// `--scope`.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let name = |kind: &str| text.strip_prefix(kind).map(name).transpose();
    if text == "global" {
        Ok(Scope::Global)
    } else if let Some(run) = name("run:")? {
        Ok(Scope::Run(run))
    } else if name("host:")?.or(name("group:")?).or(name("project:")?).is_some() {
        Ok(Scope::Named(text.to_owned()))
    } else {
        Err("global, host:NAME, group:NAME, project:NAME or run:ID is meant".into())
    }
}

/// The name of a host, a group, a project or a run.
pub(super) fn name(text: &str) -> Result<String, String> {
    bounded(text, "name", MAX_NAME_BYTES)
}

/// A variable's key, as the helper API takes it.
pub(super) fn key(text: &str) -> Result<String, String> {
    bounded(text, "key", MAX_KEY_BYTES)
}

fn bounded(text: &str, what: &str, longest: usize) -> Result<String, String> {
    match text.len() {
        0 => Err(format!("the {what} is empty")),
        length if length > longest => Err(format!("the {what} is longer than {longest} bytes")),
        _ if text.contains(char::is_control) => Err(format!("the {what} holds a control character")),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        let meant = "global, host:NAME, group:NAME, project:NAME or run:ID is meant";
        for (text, wanted) in [
            ("global", Ok(Scope::Global)),
            ("host:ann@web1:2222", Ok(Scope::Named("host:ann@web1:2222".into()))),
            ("group:web servers", Ok(Scope::Named("group:web servers".into()))),
            ("project:a/b", Ok(Scope::Named("project:a/b".into()))),
            ("run:last", Ok(Scope::Run("last".into()))),
            ("", Err(meant)),
            ("web1", Err(meant)),
            ("Global", Err(meant)),
            ("hosts:web1", Err(meant)),
            ("host:", Err("the name is empty")),
            ("run:", Err("the name is empty")),
            ("group:a\nb", Err("the name holds a control character")),
            (&format!("host:{}", "x".repeat(513)), Err("the name is longer than 512 bytes")),
        ] {
            assert_eq!(scope(text), wanted.map_err(str::to_owned), "{text}");
        }
        assert_eq!(scope("run:01J").unwrap().to_string(), "run:01J");
    }

    #[test]
    fn keys() {
        for (text, wanted) in [
            ("k", Ok(())),
            ("a b/ž?#%", Ok(())),
            (&"k".repeat(512), Ok(())),
            ("", Err("the key is empty")),
            (&"k".repeat(513), Err("the key is longer than 512 bytes")),
            ("a\0", Err("the key holds a control character")),
            ("a\u{9b}", Err("the key holds a control character")),
        ] {
            assert_eq!(key(text).map(drop), wanted.map_err(str::to_owned), "{text}");
        }
    }
}
