//! What one host, or all of them, may use up.

use std::time::Duration;

/// Each limit is for one host of the run unless it says otherwise.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once that have shown a good token; more are refused.
    pub connections: usize,
    /// Connections at once that have not: one more pushes out the oldest.
    pub strangers: usize,
    /// Request bodies read or worked on at once; more wait.
    pub bodies: usize,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Calls at once without waiting.
    pub burst: u32,
    /// Calls a second in the long run.
    pub calls_per_second: u32,
    /// For a connection to show a good token.
    pub first_timeout: Duration,
    /// For a request's head, from the end of the call before: an idle connection ends then too.
    pub head_timeout: Duration,
    /// For a request's body, from its head on.
    pub body_timeout: Duration,
    /// For the host to take a piece of an answer.
    pub write_timeout: Duration,
    /// Bytes that a value may take when it is parsed: up to a hundred times those of its text.
    pub value_memory: usize,
    /// Bytes that parsed values of all hosts together take at a time.
    pub json_memory: usize,
    /// Variables read at once; more wait.
    pub reads: usize,
    /// Bytes of bodies over 64 KiB that all hosts together have on their way in.
    pub body_memory: usize,
    /// Bytes of answers over 64 KiB that all hosts together have on their way out.
    pub answer_memory: usize,
    /// For a large body to find room, while others are read.
    pub room_timeout: Duration,
    /// Bodies that did not end and answers that were not taken, until the host is answered no more.
    /// Each may have held up its whole SSH connection until then.
    pub stalls: u32,
    /// Lines over 64 KiB that all hosts together have on their way in their journals.
    pub journal_lines: usize,
    /// For the next bytes of such a line.
    pub journal_timeout: Duration,
    /// For all of it, however it drips.
    pub journal_line_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            strangers: 32,
            bodies: 8,
            body_bytes: 1 << 20,
            burst: 1_000,
            calls_per_second: 1_000,
            first_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(300),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            value_memory: 32 << 20,
            json_memory: 64 << 20,
            reads: 2,
            body_memory: 256 << 20,
            answer_memory: 256 << 20,
            room_timeout: Duration::from_secs(5),
            stalls: 4,
            journal_lines: 32,
            journal_timeout: Duration::from_secs(30),
            journal_line_timeout: Duration::from_secs(300),
        }
    }
}

/// Bytes of a request's head. hyper answers 431 to more.
pub const HEAD_BYTES: usize = 16 << 10;

/// What hyper may buffer for a connection beside bodies.
pub const BUFFER_BYTES: usize = 64 << 10;
