//! `artifacts:`: files that go to the host before the script, and files that come back.

use serde::Serialize;

use super::field::{self, Fields};
use super::node::Node;
use super::{ManifestError, glob, size};

const KEYS: [&str; 4] = ["outputs", "inputs", "max_files", "max_bytes"];
const INPUT_KEYS: [&str; 2] = ["path", "from"];
/// `max_files` may be no larger.
pub const MOST_FILES: usize = 10_000;
/// `max_bytes` may be no larger.
pub const MOST_BYTES: u64 = 4 << 30;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifacts {
    /// Files below the work folder to fetch when the script has ended: see [`glob`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// How many files are fetched at most, and how many are sent.
    pub max_files: usize,
    /// Bytes of the largest file that is fetched or sent.
    pub max_bytes: u64,
}

impl Default for Artifacts {
    fn default() -> Self {
        Self { outputs: Vec::new(), inputs: Vec::new(), max_files: 255, max_bytes: 25 << 20 }
    }
}

/// A file of the operator for the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Where it is put, inside the work folder.
    pub path: String,
    /// A file on the operator's side: a path below the current folder.
    pub from: String,
}

impl Artifacts {
    pub(super) fn from_node(key: &str, node: Node) -> Result<Self, ManifestError> {
        let mut fields = Fields::inner(key, node, &KEYS)?;
        let mut read = Self::default();
        if let Some(node) = fields.present("outputs") {
            read.outputs = outputs("artifacts.outputs", node)?;
        }
        if let Some(node) = fields.present("inputs") {
            read.inputs = inputs("artifacts.inputs", node)?;
        }
        if let Some(node) = fields.present("max_files") {
            read.max_files = max_files("artifacts.max_files", node)?;
        }
        if let Some(node) = fields.present("max_bytes") {
            read.max_bytes = max_bytes("artifacts.max_bytes", node)?;
        }
        Ok(read)
    }

    /// Whether nothing is said, or nothing but the defaults.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn outputs(what: &str, node: Node) -> Result<Vec<String>, ManifestError> {
    let item_of = format!("an item of {what}");
    let mut patterns = Vec::new();
    for item in filled_list(what, node)? {
        let (text, place) = field::short_text(&item_of, item)?;
        let pattern = field::path(&item_of, text, place, "inside the work folder")?;
        glob::check(&pattern)
            .map_err(|reason| ManifestError::new(place, format!("{item_of} '{pattern}' {reason}")))?;
        patterns.push(pattern);
    }
    Ok(patterns)
}

fn inputs(what: &str, node: Node) -> Result<Vec<Input>, ManifestError> {
    let item_of = format!("an item of {what}");
    let mut inputs: Vec<Input> = Vec::new();
    for item in filled_list(what, node)? {
        let place = item.place;
        let mut fields = Fields::inner(&item_of, item, &INPUT_KEYS)?;
        let mut file = |name: &str, whereabouts: &str| {
            let what = format!("{what}.{name}");
            let missing = || ManifestError::new(place, format!("{item_of} has no '{name}'"));
            let node = fields.present(name).ok_or_else(missing)?;
            let (text, place) = field::short_text(&what, node)?;
            if text.chars().any(char::is_control) {
                return Err(ManifestError::new(place, format!("{what} holds a control character")));
            }
            Ok((field::path(&what, text, place, whereabouts)?, place))
        };
        let (path, place) = file("path", "inside the work folder")?;
        let (from, _) = file("from", "below the current folder")?;
        if let Some(other) = inputs.iter().find(|other| collide(&other.path, &path)) {
            let message = format!("{what}.path '{path}' is in the way of '{}'", other.path);
            return Err(ManifestError::new(place, message));
        }
        inputs.push(Input { path, from });
    }
    Ok(inputs)
}

/// Whether two files cannot both be there: one is the other, or would lie beneath it.
pub fn collide(one: &str, other: &str) -> bool {
    let beneath =
        |folder: &str, path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    one == other || beneath(one, other) || beneath(other, one)
}

fn filled_list(what: &str, node: Node) -> Result<Vec<Node>, ManifestError> {
    let empty = node.fault(format!("{what} is an empty list"));
    let items = field::short_list(what, node)?;
    if items.is_empty() { Err(empty) } else { Ok(items) }
}

fn max_files(what: &str, node: Node) -> Result<usize, ManifestError> {
    let wrong = node.fault(format!("{what} must be from 1 to {MOST_FILES}"));
    let files = usize::try_from(field::whole_number(what, node)?).ok();
    files.filter(|files| (1..=MOST_FILES).contains(files)).ok_or(wrong)
}

fn max_bytes(what: &str, node: Node) -> Result<u64, ManifestError> {
    let place = node.place;
    let written = field::text(what, node)?;
    let fault = |reason: &str| ManifestError::new(place, format!("{what} '{written}' {reason}"));
    match size::parse(&written).map_err(fault)? {
        0 => Err(fault("leaves room for nothing")),
        bytes if bytes > MOST_BYTES => Err(fault("is more than 4 GiB")),
        bytes => Ok(bytes),
    }
}
