//! Kept connections (`--persist`): a process of its own, the keeper, makes the connections to
//! hosts, lends each to one command at a time and keeps it for the next.
//!
//! The keeper is no more than SSH behind a Unix socket: commands do over it what they do over a
//! connection of their own. Beside each connection that nobody uses stands a runner that has said
//! hello already (the spare), so that the next job needs one round trip.
//!
//! Every build has a keeper of its own, so the two never speak different languages.

mod client;
mod frames;
mod lease;
mod place;
mod pool;
mod process;
mod protocol;
mod spare;
mod standing;

pub use client::{GONE, Keeper, Kept, KeptExec, standing};
pub use place::{Found, Place};
pub use process::serve;
pub use standing::{KeptStatus, Standing};
