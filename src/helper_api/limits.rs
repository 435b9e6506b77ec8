//! What one host, or all of them, may use up.

use std::time::Duration;

/// Each limit is for one host of the run unless it says otherwise.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; more are closed.
    pub connections: usize,
    /// Request bodies read or worked on at once; more wait.
    pub bodies: usize,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Calls at once without waiting.
    pub burst: u32,
    /// Calls a second in the long run.
    pub calls_per_second: u32,
    /// For a request's head, from the end of the call before: an idle connection ends then too.
    pub head_timeout: Duration,
    /// For a request's body, from its head on.
    pub body_timeout: Duration,
    /// For the host to take a piece of an answer.
    pub write_timeout: Duration,
    /// Bytes of JSON that all hosts together have parsed at a time. A parsed value takes up to 40
    /// times the memory of its text.
    pub json_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            bodies: 8,
            body_bytes: 1 << 20,
            burst: 1_000,
            calls_per_second: 200,
            head_timeout: Duration::from_secs(300),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            json_bytes: 8 << 20,
        }
    }
}

/// Bytes of a request's head. hyper answers 431 to more.
pub const HEAD_BYTES: usize = 16 << 10;

/// What hyper may buffer for a connection beside bodies.
pub const BUFFER_BYTES: usize = 64 << 10;
