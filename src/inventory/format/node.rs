//! YAML as a tree that knows the place of every node.
//!
//! Inventories of Ansible use aliases, merge keys (`<<`) and tags (`!vault`), so these are read,
//! within bounds: an alias is a copy, and copies are counted.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Number, Value};
use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use crate::error::{Error, Result};
use crate::inventory::spot::Spot;

/// Deeper than any inventory, shallower than any stack.
const MAX_DEPTH: usize = 64;
/// Of nodes that come from aliases.
const MAX_COPIED: usize = 1_000_000;

#[derive(Debug, Clone)]
pub struct Node {
    pub line: usize,
    pub column: usize,
    /// Such as `!vault`: the text is not what it seems.
    pub tagged: bool,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub enum Content {
    /// `plain`: written without quotes, so that it may be a number, a boolean or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub struct Key {
    pub line: usize,
    pub column: usize,
    pub text: String,
    pub plain: bool,
}

impl Node {
    pub fn spot(&self, file: &Arc<str>) -> Spot {
        Spot::new(file, self.line, self.column)
    }

    /// Nothing at all, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true } if is_null(text))
    }

    pub fn mapping(&self) -> Option<&[(Key, Node)]> {
        match &self.content {
            Content::Mapping(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// What a person would call it, for messages.
    pub fn describe(&self) -> &'static str {
        match &self.content {
            _ if self.is_null() => "nothing",
            Content::Scalar { text, plain } => match scalar(text, *plain) {
                Value::Bool(_) => "a boolean",
                Value::Number(_) => "a number",
                _ => "text",
            },
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// The node as JSON, by YAML's core schema.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar { text, plain } => scalar(text, *plain && !self.tagged),
            Content::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Content::Mapping(pairs) => {
                pairs.iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect()
            }
        }
    }

    fn size(&self) -> usize {
        1 + match &self.content {
            Content::Scalar { .. } => 0,
            Content::Sequence(items) => items.iter().map(Self::size).sum(),
            Content::Mapping(pairs) => pairs.iter().map(|(_, node)| 1 + node.size()).sum(),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.content {
            Content::Scalar { .. } => 0,
            Content::Sequence(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Content::Mapping(pairs) => pairs.iter().map(|(_, node)| node.depth()).max().unwrap_or(0),
        }
    }
}

impl Key {
    pub fn spot(&self, file: &Arc<str>) -> Spot {
        Spot::new(file, self.line, self.column)
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn scalar(text: &str, plain: bool) -> Value {
    match text {
        _ if !plain => Value::from(text),
        _ if is_null(text) => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::from(text), Value::Number),
    }
}

/// A number as JSON has it. `0755` and `1e400` stay text: nobody means what they would become.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_octal = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let fine = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if is_octal || !digits.starts_with(|c: char| c.is_ascii_digit()) || !digits.chars().all(fine) {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    // Digits alone that fit no integer would lose some.
    text.contains(['.', 'e', 'E']).then(|| text.parse().ok().and_then(Number::from_f64)).flatten()
}

/// Reads one document; `None` for a file with nothing in it.
pub fn parse(file: &Arc<str>, text: &str) -> Result<Option<Node>> {
    let parser = Parser::new_from_str(text.trim_start_matches('\u{feff}'));
    Composer { file, parser, anchors: HashMap::new(), copied: 0 }.document()
}

struct Composer<'f, 'a> {
    file: &'f Arc<str>,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    copied: usize,
}

/// Line and column, both counted from 1.
type At = (usize, usize);

fn at(mark: &Marker) -> At {
    (mark.line().max(1), mark.col() + 1)
}

impl<'a> Composer<'_, 'a> {
    fn fault(&self, (line, column): At, message: impl std::fmt::Display) -> Error {
        Spot::new(self.file, line, column).fault(message)
    }

    fn next(&mut self) -> Result<(Event<'a>, At)> {
        match self.parser.next_event() {
            // The parser tells a value that is not there as `~`.
            Some(Ok((Event::Scalar(_, ScalarStyle::Plain, anchor, tag), span)))
                if span.start.index() == span.end.index() =>
            {
                Ok((Event::Scalar(Cow::Borrowed(""), ScalarStyle::Plain, anchor, tag), at(&span.start)))
            }
            Some(Ok((event, span))) => Ok((event, at(&span.start))),
            Some(Err(error)) => Err(self
                .fault(at(error.marker()), error.info())
                .hint("indent with spaces, and quote a range inside a list: hosts: [\"web[01-20]\", db1]")),
            None => Err(self.fault((1, 1), "the file ends too early").hint("look at its end")),
        }
    }

    fn document(&mut self) -> Result<Option<Node>> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => return Ok(None),
                (event, at) => break self.node(event, at, 0)?,
            }
        };
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(Some(root).filter(|root| !root.is_null())),
                (_, at) => {
                    return Err(self
                        .fault(at, "a second document, an inventory is only one")
                        .hint("put it into a file of its own, and name both: -i ONE -i TWO"));
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, (line, column): At, depth: usize) -> Result<Node> {
        if depth > MAX_DEPTH {
            return Err(self
                .fault((line, column), "nested too deep")
                .hint(format!("at most {MAX_DEPTH} levels are read")));
        }
        let (content, anchor, tagged) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain);
                (Content::Scalar { text: text.into_owned(), plain }, anchor, tag.is_some())
            }
            Event::SequenceStart(_, anchor, tag) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, at) => items.push(self.node(event, at, depth + 1)?),
                    }
                }
                (Content::Sequence(items), anchor, tag.is_some())
            }
            Event::MappingStart(_, anchor, tag) => {
                (Content::Mapping(self.pairs(depth)?), anchor, tag.is_some())
            }
            Event::Alias(anchor) => return self.copy(anchor, (line, column), depth),
            _ => {
                return Err(self
                    .fault((line, column), "not a value")
                    .hint("write text, a list or a mapping"));
            }
        };
        let node = Node { line, column, tagged, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn copy(&mut self, anchor: usize, at: At, depth: usize) -> Result<Node> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self
                .fault(at, "this alias stands for something that holds it")
                .hint("write the value out"));
        };
        self.copied += node.size();
        if self.copied > MAX_COPIED || depth + node.depth() > MAX_DEPTH {
            return Err(self.fault(at, "aliases make this file too large").hint("write the values out"));
        }
        Ok(node.clone())
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(Key, Node)>> {
        let mut pairs: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, (line, column)) = self.next()?;
            let (text, plain) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, ..) => (text.into_owned(), matches!(style, ScalarStyle::Plain)),
                _ => {
                    return Err(self
                        .fault((line, column), "a key must be plain text")
                        .hint("a key that begins with [ or { needs quotes: \"[a-c]-db\": {}"));
                }
            };
            if plain && text == "<<" {
                let (event, at) = self.next()?;
                merged.extend(match self.node(event, at, depth + 1)?.content {
                    Content::Mapping(pairs) => pairs,
                    Content::Sequence(items) => items
                        .into_iter()
                        .filter_map(|item| match item.content {
                            Content::Mapping(pairs) => Some(pairs),
                            _ => None,
                        })
                        .flatten()
                        .collect(),
                    Content::Scalar { .. } => {
                        return Err(self
                            .fault(at, "<< merges a mapping, and this is none")
                            .hint("write it as <<: *name"));
                    }
                });
                continue;
            }
            if let Some(line_before) = seen.insert(text.clone(), line) {
                return Err(self
                    .fault((line, column), format_args!("key '{text}' is already in line {line_before}"))
                    .hint("put both into one"));
            }
            let (event, at) = self.next()?;
            pairs.push((Key { line, column, text, plain }, self.node(event, at, depth + 1)?));
        }
        for (key, node) in merged {
            if seen.insert(key.text.clone(), key.line).is_none() {
                pairs.push((key, node));
            }
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        parse(&"x.yaml".into(), text).unwrap().map_or(Value::Null, |node| node.to_json())
    }

    #[test]
    fn plain_scalars_follow_the_core_schema_where_json_can() {
        for (text, expected) in [
            ("5", r#"5"#),
            ("-1.5", r#"-1.5"#),
            ("'5'", r#""5""#),
            ("0755", r#""0755""#),
            ("1.2.3", r#""1.2.3""#),
            ("99999999999999999999", r#""99999999999999999999""#),
            ("True", "true"),
            ("yes", r#""yes""#),
            ("!vault 5", r#""5""#),
            ("a: {b: [1, ~]}", r#"{"a":{"b":[1,null]}}"#),
            (
                "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: *x",
                r#"{"a":{"b":1,"c":2},"d":{"b":1,"c":3},"e":{"b":1,"c":2}}"#,
            ),
        ] {
            assert_eq!(json(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn faults_have_places() {
        for (text, expected) in [
            ("a: 1\nb: 2\na: 3", "x.yaml:3:1: key 'a' is already in line 1"),
            ("a: 1\n--- \nb: 2", "x.yaml:2:1: a second document, an inventory is only one"),
            ("a:\n  <<: 5\n", "x.yaml:2:7: << merges a mapping, and this is none"),
            ("a: &x [*x]", "x.yaml:1:8: this alias stands for something that holds it"),
        ] {
            let error = parse(&"x.yaml".into(), text).unwrap_err();
            assert_eq!(error.message, expected);
            assert!(!error.hints.is_empty());
        }
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(parse(&"x.yaml".into(), &deep).unwrap_err().message.contains("nested too deep"));
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            bomb += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
        }
        assert!(
            parse(&"x.yaml".into(), &bomb).unwrap_err().message.contains("aliases make this file too large")
        );
    }
}
