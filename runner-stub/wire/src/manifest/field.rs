//! One function for each kind of value: a node in, a checked value out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::node::{Content, Key, Node};
use super::{Interpreter, KEYS, ManifestError, Place, duration, is_name};

/// The pairs of a mapping that have not been read yet.
pub struct Fields(Vec<(String, Node)>);

impl Fields {
    /// Those of the manifest itself.
    pub fn new(root: Node) -> Result<Self, ManifestError> {
        let place = root.place;
        let pairs = match root.content {
            Content::Mapping(pairs) => pairs,
            _ => {
                return Err(ManifestError::new(
                    place,
                    format!("expected a mapping, not {}", root.describe()),
                ));
            }
        };
        Self::of(pairs, &KEYS, "")
    }

    /// Those of the mapping that is the value of the key `owner`.
    pub fn inner(owner: &str, node: Node, keys: &[&str]) -> Result<Self, ManifestError> {
        Self::of(mapping(owner, node)?, keys, &format!(" of {owner}"))
    }

    fn of(pairs: Vec<(Key, Node)>, keys: &[&str], of_owner: &str) -> Result<Self, ManifestError> {
        let mut fields = Vec::new();
        for (Key { place, text }, node) in pairs {
            if !keys.contains(&text.as_str()) {
                let fault = ManifestError::new(place, format!("unknown key '{text}'{of_owner}"));
                return Err(fault.nearest(&text, keys));
            }
            fields.push((text, node));
        }
        Ok(Self(fields))
    }

    /// What was written, if only `~`; `None` where the key is not there.
    pub fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A key without a value counts as absent.
    pub fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str, Node) -> Result<T, ManifestError>,
    ) -> Result<Option<T>, ManifestError> {
        self.present(key).map(|node| read(key, node)).transpose()
    }

    /// What stands behind the key, if anything does.
    pub fn present(&mut self, key: &str) -> Option<Node> {
        self.take(key).filter(|node| !node.is_null())
    }

    pub fn required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str, Node) -> Result<T, ManifestError>,
    ) -> Result<T, ManifestError> {
        match self.take(key) {
            Some(node) if node.is_null() => Err(node.fault(format!("key '{key}' has no value"))),
            Some(node) => read(key, node),
            None => Err(ManifestError::new(Place::START, format!("missing key '{key}'"))),
        }
    }
}

/// A scalar as it was written: `7`, `yes` and `1.10` are text where text is wanted.
pub fn text(what: &str, node: Node) -> Result<String, ManifestError> {
    if node.is_null() {
        return Err(node.fault(format!("{what} must be text, put it in quotes")));
    }
    let wrong = node.fault(format!("{what} must be text, not {}", node.describe()));
    let nul = node.fault(format!("{what} holds a NUL character"));
    match node.content {
        Content::Scalar { text, .. } if text.contains('\0') => Err(nul),
        Content::Scalar { text, .. } => Ok(text),
        _ => Err(wrong),
    }
}

fn list(what: &str, node: Node) -> Result<Vec<String>, ManifestError> {
    let item_of = format!("an item of {what}");
    items(what, node)?.into_iter().map(|item| text(&item_of, item)).collect()
}

pub fn items(what: &str, node: Node) -> Result<Vec<Node>, ManifestError> {
    let wrong = node.fault(format!("{what} must be a list, not {}", node.describe()));
    match node.content {
        Content::Sequence(items) => Ok(items),
        _ => Err(wrong),
    }
}

/// The longest pattern or path of a list, in bytes.
const MAX_TEXT: usize = 512;
/// The longest list of patterns or paths.
const MAX_ITEMS: usize = 256;

/// A list that a person wrote by hand.
pub fn short_list(what: &str, node: Node) -> Result<Vec<Node>, ManifestError> {
    let too_long = node.fault(format!("{what} has more than {MAX_ITEMS} items"));
    let items = items(what, node)?;
    if items.len() > MAX_ITEMS { Err(too_long) } else { Ok(items) }
}

/// A pattern or a path, with its place.
pub fn short_text(what: &str, node: Node) -> Result<(String, Place), ManifestError> {
    let place = node.place;
    let text = text(what, node)?;
    let fault = |message: String| Err(ManifestError::new(place, message));
    match text.len() {
        0 => fault(format!("{what} is empty")),
        1..=MAX_TEXT => Ok((text, place)),
        bytes => fault(format!("{what} has {bytes} bytes, at most {MAX_TEXT}")),
    }
}

fn mapping(what: &str, node: Node) -> Result<Vec<(Key, Node)>, ManifestError> {
    let wrong = node.fault(format!("{what} must be a mapping, not {}", node.describe()));
    match node.content {
        Content::Mapping(pairs) => Ok(pairs),
        _ => Err(wrong),
    }
}

pub fn version(key: &str, node: Node) -> Result<(), ManifestError> {
    let place = node.place;
    match text(key, node)?.as_str() {
        "v1" => Ok(()),
        other => Err(ManifestError::new(place, format!("version '{other}' is not supported, only 'v1'"))),
    }
}

pub fn name(key: &str, node: Node) -> Result<String, ManifestError> {
    let place = node.place;
    let name = text(key, node)?;
    if is_name(&name) {
        return Ok(name);
    }
    let message = format!(
        "name '{name}' must be 1 to 64 of 'a-z', '0-9', '.', '_' and '-', with a letter or digit first"
    );
    Err(ManifestError::new(place, message))
}

pub fn boolean(key: &str, node: Node) -> Result<bool, ManifestError> {
    match node.to_json() {
        Ok(Value::Bool(value)) => Ok(value),
        _ => Err(node.fault(format!("{key} must be true or false, not {}", node.describe()))),
    }
}

/// From 0.
pub fn whole_number(key: &str, node: Node) -> Result<u64, ManifestError> {
    match node.to_json() {
        Ok(Value::Number(number)) if number.is_u64() => Ok(number.as_u64().expect("it is one")),
        Ok(Value::Number(_)) | Err(_) => Err(node.fault(format!("{key} must be a whole number from 0"))),
        Ok(_) => Err(node.fault(format!("{key} must be a whole number, not {}", node.describe()))),
    }
}

pub fn interpreter(key: &str, node: Node) -> Result<Interpreter, ManifestError> {
    let place = node.place;
    if let Content::Sequence(items) = &node.content {
        if items.is_empty() {
            return Err(node.fault("interpreter is an empty list"));
        }
        let argv = list(key, node)?;
        if argv[0].is_empty() {
            return Err(ManifestError::new(place, "the first word of interpreter is empty"));
        }
        return Ok(Interpreter::Exact(argv));
    }
    if matches!(node.content, Content::Mapping(_)) {
        return Err(node.fault("interpreter must be text or a list, not a mapping"));
    }
    let word = text(key, node)?;
    Interpreter::from_name(&word).ok_or_else(|| {
        let names = Interpreter::NAMES;
        let message = format!("unknown interpreter '{word}', known are {}", names.join(", "));
        ManifestError::new(place, message).nearest(&word, &names)
    })
}

pub fn entrypoint(key: &str, node: Node) -> Result<String, ManifestError> {
    let place = node.place;
    path(key, text(key, node)?, place, "inside the payload")
}

/// Brings the path into one form: no `./`, no doubled `/`. `whereabouts` says where it must lead.
pub fn path(what: &str, path: String, place: Place, whereabouts: &str) -> Result<String, ManifestError> {
    let fault = |message: &str| Err(ManifestError::new(place, format!("{what} '{path}' {message}")));
    if path.starts_with('/') {
        return fault(&format!("is absolute, it must be a path {whereabouts}"));
    }
    if path.split('/').any(|part| part == "..") {
        return fault(&format!("holds '..', it must be a path {whereabouts}"));
    }
    if path.ends_with('/') {
        return fault("is a folder");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() {
        return fault("names no file");
    }
    Ok(parts.join("/"))
}

pub fn arguments(key: &str, node: Node) -> Result<Vec<String>, ManifestError> {
    list(key, node)
}

pub fn environment(key: &str, node: Node) -> Result<BTreeMap<String, String>, ManifestError> {
    let mut environment = BTreeMap::new();
    for (Key { place, text: name }, node) in mapping(key, node)? {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!(
                "'{name}' is no name of an environment variable: letters, digits and '_', no digit first"
            );
            return Err(ManifestError::new(place, message));
        }
        // Nothing behind the colon is the empty string: that is what a shell would make of it.
        let value = if node.is_null() && is_empty(&node) {
            String::new()
        } else {
            text(&format!("environment.{name}"), node)?
        };
        environment.insert(name, value);
    }
    Ok(environment)
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar { text, .. } if text.is_empty())
}

pub fn timeout(key: &str, node: Node) -> Result<Duration, ManifestError> {
    let place = node.place;
    let written = text(key, node)?;
    duration::parse(&written)
        .map_err(|reason| ManifestError::new(place, format!("timeout '{written}' {reason}")))
}

pub fn metadata(key: &str, node: Node) -> Result<BTreeMap<String, Value>, ManifestError> {
    // One by one: collecting them would bring a sort of its own.
    let mut metadata = BTreeMap::new();
    for (key, value) in mapping(key, node)? {
        metadata.insert(key.text, value.to_json()?);
    }
    Ok(metadata)
}
