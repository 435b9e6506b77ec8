//! How things stand with a keeper, for `cronium-run keeper status`.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub pid: u32,
    pub uptime_ms: u64,
    /// Those that are lent first, then the one that is kept longest.
    pub connections: Vec<KeptStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptStatus {
    /// `user@host:port`.
    pub to: String,
    /// How long it is kept unless somebody needs it; `None` while it is lent.
    pub left_ms: Option<u64>,
    /// Whether a runner waits there for the next job.
    pub is_ready: bool,
}
