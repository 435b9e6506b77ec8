//! Between the `cronium` command and the stub: one JSON document a line, a reply for each request.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// Longer lines are refused; the API's own limit of a body is 1 MiB.
pub const MAX_LINE: u64 = 4 << 20;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    Input,
    /// The run's context; `data` is an object.
    Event,
    Output {
        value: Value,
        /// Put behind what stands there already, as a list.
        #[serde(default)]
        append: bool,
    },
    /// `data` is `{key, value, version, scope}`, here and below.
    GetVariable {
        key: String,
        #[serde(default)]
        scope: Option<Scope>,
    },
    SetVariable {
        key: String,
        value: Value,
        #[serde(default)]
        if_version: Option<u64>,
        #[serde(default)]
        scope: Option<Scope>,
    },
    /// Adds to a number; a key that is not there counts as 0.
    Increment {
        key: String,
        by: Number,
        #[serde(default)]
        scope: Option<Scope>,
    },
    Unset {
        key: String,
        #[serde(default)]
        scope: Option<Scope>,
    },
    /// `data` is a list of `{key, version, scope}`, by key.
    Variables {
        #[serde(default)]
        scope: Option<Scope>,
    },
    Condition {
        condition: bool,
    },
    Log {
        level: String,
        message: String,
        #[serde(default)]
        context: Value,
    },
    Progress {
        /// 0 to 100.
        percent: f64,
        #[serde(default)]
        step: Option<String>,
    },
    Notify {
        audience: String,
        message: String,
    },
}

/// How far a variable is shared. Without one, the nearest that has the key is meant, else the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    Run,
    Host,
    Project,
    Global,
}

impl Scope {
    const ALL: [(Self, &str); 4] =
        [(Self::Run, "run"), (Self::Host, "host"), (Self::Project, "project"), (Self::Global, "global")];

    /// As the helper API names it.
    pub fn name(self) -> String {
        let (_, name) = Self::ALL[self as usize];
        name.to_owned()
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(scope, _)| *scope)
    }
}

/// `status` is the helper API's, or 503 where the operator cannot be asked.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub status: u16,
    #[serde(default)]
    pub data: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// For 409: the version that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

impl Reply {
    pub fn ok(data: Value) -> Self {
        Self { status: 200, data, error: None, version: None }
    }

    pub fn error(status: u16, error: impl Into<String>) -> Self {
        Self { status, data: Value::Null, error: Some(error.into()), version: None }
    }

    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
