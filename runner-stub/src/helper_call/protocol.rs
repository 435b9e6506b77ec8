//! Between the `cronium` command and the stub: one JSON document a line, a reply for each request.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longer lines are refused; the API's own limit of a body is 1 MiB.
pub const MAX_LINE: u64 = 4 << 20;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    Input,
    Output {
        value: Value,
        /// Put behind what stands there already, as a list.
        append: bool,
    },
    GetVariable {
        key: String,
    },
    SetVariable {
        key: String,
        value: Value,
        if_version: Option<u64>,
    },
}

/// `status` is the helper API's, or 503 where the operator cannot be asked.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub status: u16,
    #[serde(default)]
    pub data: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Reply {
    pub fn error(status: u16, error: impl Into<String>) -> Self {
        Self { status, data: Value::Null, error: Some(error.into()) }
    }

    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
