//! YAML as a tree that knows the place of every node.
//!
//! Aliases, tags and second documents are refused: no manifest needs them, and without aliases a
//! small file stays a small tree.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use super::{MAX_BYTES, ManifestError, Place};
use crate::number;

/// Collections may be nested this deep: enough for any metadata, too little for any stack.
const MAX_DEPTH: usize = 32;

#[derive(Debug)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    /// `plain`: written without quotes, so that it may be a number, a boolean or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub struct Key {
    pub place: Place,
    pub text: String,
}

impl Node {
    pub fn fault(&self, message: impl Into<String>) -> ManifestError {
        ManifestError::new(self.place, message)
    }

    /// Nothing at all, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What a person would call it, for messages.
    pub fn describe(&self) -> &'static str {
        match &self.content {
            _ if self.is_null() => "nothing",
            Content::Scalar { .. } => match self.scalar_value() {
                Some(Value::Bool(_)) => "a boolean",
                Some(Value::Number(_)) => "a number",
                _ => "text",
            },
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// The scalar's value by YAML's core schema; `None` for collections and for numbers that
    /// JSON does not have.
    fn scalar_value(&self) -> Option<Value> {
        match &self.content {
            Content::Scalar { text, plain: false } => Some(Value::String(text.clone())),
            Content::Scalar { text, plain: true } => resolve(text),
            _ => None,
        }
    }

    /// The node as JSON.
    pub fn to_json(&self) -> Result<Value, ManifestError> {
        match &self.content {
            Content::Scalar { text, .. } => self
                .scalar_value()
                .ok_or_else(|| self.fault(format!("JSON has no number '{text}', put it in quotes"))),
            Content::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Content::Mapping(pairs) => {
                let mut object = Map::new();
                for (key, value) in pairs {
                    object.insert(key.text.clone(), value.to_json()?);
                }
                Ok(Value::Object(object))
            }
        }
    }
}

/// Reads a plain scalar by YAML 1.2's core schema.
fn resolve(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => {
            let unsigned = text.trim_start_matches(['+', '-']);
            let is_special = matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan");
            if is_special && text.len() - unsigned.len() <= 1 {
                return None;
            }
            match number(text) {
                Some(number) => Value::Number(number?),
                None => Value::String(text.to_owned()),
            }
        }
    })
}

/// `None`: not written like a number. `Some(None)`: a number too large for JSON.
fn number(text: &str) -> Option<Option<Number>> {
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(Number::from);
    for (prefix, base) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let all = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
            return all.then(|| radix(digits, base));
        }
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let starts = digits.strip_prefix('.').unwrap_or(digits).starts_with(|c: char| c.is_ascii_digit());
    if !starts || !digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')) {
        return None;
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(whole) = unsigned.parse::<u64>() {
        return Some(Some(whole.into()));
    }
    if let Ok(whole) = unsigned.parse::<i64>() {
        return Some(Some(whole.into()));
    }
    number::is_decimal(unsigned).then(|| number::parse(unsigned))
}

/// Reads one document.
pub fn parse(bytes: &[u8]) -> Result<Node, ManifestError> {
    if bytes.len() > MAX_BYTES {
        return Err(ManifestError::new(
            Place::START,
            format!("{} bytes are too many, at most {MAX_BYTES}", bytes.len()),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line_start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let place = Place {
            line: good.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: String::from_utf8_lossy(&good[line_start..]).chars().count() + 1,
        };
        ManifestError::new(place, "not UTF-8")
    })?;
    let mut composer = Composer { parser: Parser::new_from_str(text.trim_start_matches('\u{feff}')) };
    composer.document()
}

struct Composer<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

fn place_of(mark: &Marker) -> Place {
    Place { line: mark.line().max(1), column: mark.col() + 1 }
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), ManifestError> {
        match self.parser.next_event() {
            // The parser tells a value that is not there as `~`.
            Some(Ok((Event::Scalar(_, ScalarStyle::Plain, anchor, tag), span)))
                if span.start.index() == span.end.index() =>
            {
                let nothing = Event::Scalar(Cow::Borrowed(""), ScalarStyle::Plain, anchor, tag);
                Ok((nothing, place_of(&span.start)))
            }
            Some(Ok((event, span))) => Ok((event, place_of(&span.start))),
            Some(Err(error)) => Err(ManifestError::new(place_of(error.marker()), error.info())),
            None => Err(ManifestError::new(Place::START, "the file ends too early")),
        }
    }

    fn document(&mut self) -> Result<Node, ManifestError> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => return Err(ManifestError::new(Place::START, "the file is empty")),
                (event, place) => break self.node(event, place, 0)?,
            }
        };
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(root),
                (_, place) => {
                    return Err(ManifestError::new(place, "a second document, a manifest is only one"));
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, ManifestError> {
        let fault = |message: &str| Err(ManifestError::new(place, message));
        if depth > MAX_DEPTH {
            return fault("nested too deep");
        }
        let content = match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => return fault("tags ('!…') are not supported"),
            Event::Alias(_) | Event::UnresolvedAlias(_) => return fault("aliases ('*…') are not supported"),
            Event::Scalar(text, style, _, None) => {
                Content::Scalar { text: Cow::into_owned(text), plain: matches!(style, ScalarStyle::Plain) }
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Content::Sequence(items),
                        (event, place) => items.push(self.node(event, place, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => Content::Mapping(self.pairs(depth)?),
            _ => return fault("not a value"),
        };
        Ok(Node { place, content })
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, ManifestError> {
        let mut pairs: Vec<(Key, Node)> = Vec::new();
        // Key and line, both as text: a map of this kind is in the stub already, any other would be
        // 4 kB more of it.
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let (event, place) = self.next()?;
            let text = match event {
                Event::MappingEnd => return Ok(pairs),
                Event::Scalar(text, _, _, None) => Cow::into_owned(text),
                _ => return Err(ManifestError::new(place, "a key must be plain text")),
            };
            if let Some(line) = seen.insert(text.clone(), place.line.to_string()) {
                return Err(ManifestError::new(place, format!("key '{text}' is already in line {line}")));
            }
            let (event, value_place) = self.next()?;
            pairs.push((Key { place, text }, self.node(event, value_place, depth + 1)?));
        }
    }
}
