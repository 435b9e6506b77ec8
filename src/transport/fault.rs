//! What kept us from a host.

use std::borrow::Cow;
use std::error::Error;

use serde::{Deserialize, Serialize};

use super::ssh::UnknownKey;

/// Where it happened (design: `Failure`'s phases, those that are ours to find).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Dns,
    Tcp,
    Banner,
    Hostkey,
    Auth,
    Tempdir,
    Upload,
    /// The host does not make us the user who shall run the script.
    Become,
    /// The link broke after the job was on its way: nobody knows what became of it.
    Lost,
}

/// One sentence, its causes, and what to do. The host is named by whoever tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub phase: Phase,
    /// A short stable name for machines.
    pub kind: Cow<'static, str>,
    pub message: String,
    pub causes: Vec<String>,
    pub hint: Option<String>,
    /// The key that kept us out, where the operator may vouch for it.
    pub unknown: Option<Box<UnknownKey>>,
}

impl Fault {
    pub fn new(phase: Phase, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            phase,
            kind: kind.into(),
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            unknown: None,
        }
    }

    pub fn because(self, cause: &dyn Error) -> Self {
        let mut fault = self.cause(cause.to_string());
        if let Some(source) = cause.source() {
            fault = fault.cause(source.to_string());
        }
        fault
    }

    /// Adds a cause, unless the one before it says the same.
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        if !cause.is_empty() && self.causes.last() != Some(&cause) {
            self.causes.push(cause);
        }
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The link broke or fell silent: another one may go on where it ended.
    pub fn lost(message: impl Into<String>) -> Self {
        Self::new(Phase::Lost, "lost", message)
    }

    /// The other end says what no runner of ours would say. Another link would hear no better.
    pub fn foreign(message: impl Into<String>) -> Self {
        Self::new(Phase::Lost, "protocol", message)
    }

    /// Whether it is the link alone that failed, after the job was on its way.
    pub fn is_broken_link(&self) -> bool {
        self.phase == Phase::Lost && matches!(self.kind.as_ref(), "lost" | "timeout")
    }
}
