//! Why a job was not started.

use std::io;

use cronium_wire::message::End;

/// One sentence, its cause, and what to do; sent as [`End::Refused`].
#[derive(Debug)]
pub struct Refusal {
    phase: &'static str,
    kind: &'static str,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Refusal {
    /// `phase` is one of `tempdir`, `upload`, `verify`, `policy`, `exec`.
    pub fn new(phase: &'static str, kind: &'static str, message: impl Into<String>) -> Self {
        Self { phase, kind, message: message.into(), causes: Vec::new(), hint: None }
    }

    pub fn because(mut self, cause: impl ToString) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A folder or file of ours on the host could not be had.
    pub fn folder(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let (kind, hint) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ("full", "df -h ~; df -i ~; quota  on the host")
            }
            _ => ("folder", "ls -ld ~/.cache ~/.local/state  on the host"),
        };
        Self::new("tempdir", kind, format!("cannot {what} {}", path.display())).because(error).hint(hint)
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            phase: refusal.phase.into(),
            kind: refusal.kind.into(),
            message: refusal.message,
            causes: refusal.causes,
            hint: refusal.hint,
        }
    }
}
