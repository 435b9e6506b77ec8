//! SSH, over russh. Nothing outside this module names it.

mod auth;
mod client;
mod connector;
mod exec;
pub mod known_hosts;
pub mod server;
mod watched;

pub use connector::{Connection, Connector};
pub use exec::Exec;
