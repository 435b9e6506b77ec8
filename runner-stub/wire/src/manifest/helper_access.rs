//! `helpers:`: which variables the script may touch, and whether it gets an HTTP door.

use serde::Serialize;

use super::field::{self, Fields};
use super::node::Node;
use super::{KeyPatterns, ManifestError};

const KEYS: [&str; 3] = ["read", "write", "http"];

/// Absent lists limit nothing, empty ones let nothing through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HelperAccess {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<KeyPatterns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<KeyPatterns>,
    /// A loopback HTTP door for scripts that speak the helper API themselves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub http: bool,
}

impl HelperAccess {
    pub(super) fn from_node(key: &str, node: Node) -> Result<Self, ManifestError> {
        let mut fields = Fields::inner(key, node, &KEYS)?;
        let read =
            fields.take("read").map(|node| KeyPatterns::from_node("helpers.read", node)).transpose()?;
        let write =
            fields.take("write").map(|node| KeyPatterns::from_node("helpers.write", node)).transpose()?;
        let http = fields.present("http").map(|node| field::boolean("helpers.http", node)).transpose()?;
        Ok(Self { read, write, http: http.unwrap_or_default() })
    }

    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub fn may_read(&self, key: &str) -> bool {
        self.read.as_ref().is_none_or(|patterns| patterns.match_key(key))
    }

    pub fn may_write(&self, key: &str) -> bool {
        self.write.as_ref().is_none_or(|patterns| patterns.match_key(key))
    }
}
