//! Reporters: what people and machines see of events.

pub mod fate;
pub mod fold;
pub mod spool;
pub mod units;
mod utf8;
