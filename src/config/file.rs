//! One file: TOML → settings.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Layer, Setting, Source};
use crate::error::{Error, Result};

/// Every key with its values, in the words of the command line.
pub(super) fn parse(
    path: &Path,
    layer: Layer,
    text: &str,
    known: &[&str],
) -> Result<BTreeMap<String, Setting>> {
    let file = File { path, text, known };
    let table = DeTable::parse(text).map_err(|error| {
        file.wrong(error.span(), error.message().lines().collect::<Vec<_>>().join("; "))
            .hint("one key and one value on each line: forks = 50")
    })?;
    let mut settings = BTreeMap::new();
    for (key, value) in table.into_inner() {
        let name = key.get_ref().to_string();
        if !known.contains(&name.as_str()) {
            return Err(file.unknown(&name, key.span()));
        }
        let source = Source::File { layer, path: path.to_owned(), line: file.line(key.span()) };
        settings.insert(name.clone(), Setting { values: file.values(&name, &value)?, source });
    }
    Ok(settings)
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    known: &'a [&'a str],
}

impl File<'_> {
    fn values(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>> {
        match value.get_ref() {
            DeValue::Array(values) => values.iter().map(|value| self.value(key, value)).collect(),
            _ => Ok(vec![self.value(key, value)?]),
        }
    }

    fn value(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<String> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Boolean(switch) => Ok(switch.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(|number| number.to_string())
                .map_err(|error| self.wrong(Some(value.span()), error.to_string())),
            DeValue::Float(number) => Ok(number.as_str().to_owned()),
            other => Err(self
                .wrong(Some(value.span()), format!("{key} cannot be a {}", other.type_str()))
                .hint(format!("write the value as --{key} takes it: {key} = \"…\""))),
        }
    }

    fn unknown(&self, key: &str, span: Range<usize>) -> Error {
        let error = self.wrong(Some(span), format!("unknown key {}", key.escape_debug()));
        let typed = key.replace('_', "-").to_lowercase();
        let nearest = self
            .known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(&typed, known), known))
            .min()
            .filter(|(distance, known)| *distance <= known.len() / 3 + 1);
        match nearest {
            Some((_, known)) => error.hint(format!("did you mean {known}?")),
            None => error.hint("a key is the long name of a flag: cronium-run exec --help"),
        }
    }

    fn wrong(&self, span: Option<Range<usize>>, message: String) -> Error {
        let line = span.map_or(1, |span| self.line(span));
        Error::usage(format!("{}:{line}: {message}", self.path.display()))
    }

    fn line(&self, span: Range<usize>) -> usize {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        before.iter().filter(|&&byte| byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: &[&str] = &["forks", "known-hosts", "private-key", "become", "timeout"];

    fn read(text: &str) -> Result<Vec<(String, Vec<String>)>> {
        let settings = parse(Path::new("cronium.toml"), Layer::Project, text, KNOWN)?;
        Ok(settings.into_iter().map(|(key, setting)| (key, setting.values)).collect())
    }

    #[test]
    fn values_become_words_of_the_command_line() {
        for (text, expected) in [
            ("forks = 50", &["50"][..]),
            ("forks = 1_000", &["1000"]),
            ("forks = 0x10", &["16"]),
            ("timeout = 1.5", &["1.5"]),
            ("become = true", &["true"]),
            ("known-hosts = \"a b\"", &["a b"]),
            ("private-key = ['a', 'b']", &["a", "b"]),
            ("private-key = []", &[]),
        ] {
            assert_eq!(read(text).unwrap()[0].1, expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_place_and_a_hint() {
        for (text, message, hint) in [
            ("fork = 5", "cronium.toml:1: unknown key fork", "did you mean forks?"),
            ("\n\nknown_hosts = 'x'", "cronium.toml:3: unknown key known_hosts", "did you mean known-hosts?"),
            ("colour = 'x'", "cronium.toml:1: unknown key colour", "a key is the long name of a flag"),
            ("[exec]\nforks = 5", "cronium.toml:1: unknown key exec", "a key is the long name of a flag"),
            ("forks = {}", "cronium.toml:1: forks cannot be a table", "write the value as --forks takes it"),
            ("timeout = 2026-01-01", "cronium.toml:1: timeout cannot be a datetime", "write the value as"),
            ("forks = 1\nforks = 2", "cronium.toml:2: duplicate key", "one key and one value on each line"),
            ("forks = ", "cronium.toml:1: ", "one key and one value on each line"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.starts_with(message), "{text}: {error}");
            assert!(error.hints[0].starts_with(hint), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(forks|timeout|x|\\[|\\]|=|'|\"|\n|\\PC| ){0,20}") {
            let _ = read(&text);
        }
    }
}
