//! What a script calls: the `cronium` command, and the socket it speaks to.

pub mod command;
pub mod expression;
mod protocol;
pub mod socket;

pub use protocol::{Reply, Request, Scope};

/// The socket's name in the run folder; the command finds it beside `CRONIUM_WORK_DIR`.
pub const SOCKET: &str = "helper.sock";
