//! `manifest.yaml`: what a payload runs and how (design, section 4).
//!
//! Read from YAML events rather than through serde, so that every fault of every value has its
//! line and column, and so that the stub carries no more of a YAML library than its scanner.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub mod artifacts;
pub mod duration;
mod error;
mod field;
pub mod glob;
mod helper_access;
mod interpreter;
mod key_patterns;
mod name;
mod node;
pub mod size;
mod write;

pub use artifacts::Artifacts;
pub use error::{ManifestError, Place};
pub use helper_access::HelperAccess;
pub use interpreter::Interpreter;
pub use key_patterns::KeyPatterns;
pub use name::{is_name, sanitise_name};

use field::Fields;

/// The name of the file in a payload; `manifest.yml` is read too.
pub const FILE_NAME: &str = "manifest.yaml";
/// A manifest is no place for data: a larger one is refused.
pub const MAX_BYTES: usize = 1 << 20;

/// Every key of a manifest, in the order they are best written in.
pub const KEYS: [&str; 11] = [
    "version",
    "name",
    "release",
    "interpreter",
    "entrypoint",
    "args",
    "environment",
    "timeout",
    "metadata",
    "helpers",
    "artifacts",
];

/// A manifest whose every value has been checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// Always `v1`.
    pub version: String,
    /// `[a-z0-9][a-z0-9._-]{0,63}`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Grows with each release of the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
    pub interpreter: Interpreter,
    /// A path inside the payload, with `/` between its parts, without `.` and `..`.
    pub entrypoint: String,
    pub args: Vec<String>,
    pub environment: BTreeMap<String, String>,
    /// Wall time of the script. In JSON and YAML as text, such as `1h30m`.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    pub metadata: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "HelperAccess::is_default")]
    pub helpers: HelperAccess,
    #[serde(skip_serializing_if = "Artifacts::is_default")]
    pub artifacts: Artifacts,
}

impl Manifest {
    /// A manifest with the two things that none can do without.
    pub fn new(interpreter: Interpreter, entrypoint: impl Into<String>) -> Self {
        Self {
            version: "v1".into(),
            name: None,
            release: None,
            interpreter,
            entrypoint: entrypoint.into(),
            args: Vec::new(),
            environment: BTreeMap::new(),
            timeout: None,
            metadata: BTreeMap::new(),
            helpers: HelperAccess::default(),
            artifacts: Artifacts::default(),
        }
    }

    /// Reads YAML, or JSON, which is YAML. One fault is told: an unknown key before a bad value.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut fields = Fields::new(node::parse(bytes)?)?;
        fields.required("version", field::version)?;
        let name = fields.optional("name", field::name)?;
        let release = fields.optional("release", field::whole_number)?;
        let interpreter = fields.required("interpreter", field::interpreter)?;
        let entrypoint = fields.required("entrypoint", field::entrypoint)?;
        Ok(Self {
            name,
            release,
            args: fields.optional("args", field::arguments)?.unwrap_or_default(),
            environment: fields.optional("environment", field::environment)?.unwrap_or_default(),
            timeout: fields.optional("timeout", field::timeout)?,
            metadata: fields.optional("metadata", field::metadata)?.unwrap_or_default(),
            helpers: fields.optional("helpers", HelperAccess::from_node)?.unwrap_or_default(),
            artifacts: fields.optional("artifacts", Artifacts::from_node)?.unwrap_or_default(),
            ..Self::new(interpreter, entrypoint)
        })
    }

    /// What the payload is called: its name, else `metadata.eventName`, else `fallback` (the
    /// folder's or file's name), brought into the form of a name.
    pub fn effective_name(&self, fallback: &str) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let event = self.metadata.get("eventName").and_then(Value::as_str).map(sanitise_name);
        let found = event.filter(|name| !name.is_empty()).unwrap_or_else(|| sanitise_name(fallback));
        if found.is_empty() { "payload".into() } else { found }
    }
}

#[cfg(test)]
mod tests;
