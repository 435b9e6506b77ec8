//! SSH, over russh. Nothing outside this module names it.

mod algorithms;
mod auth;
mod bastion;
mod client;
mod connector;
mod endpoint;
mod exec;
mod handshake;
mod heard;
pub mod known_hosts;
mod notice;
mod proxy_command;
mod relay;
mod revoked_keys;
pub mod server;
mod tcp;
mod unknown_key;
mod watched;

pub use auth::{Credential, locked_keys, opens_key};
pub use connector::{Connection, Connector};
pub use exec::Exec;
pub use heard::boot_time;
pub use unknown_key::UnknownKey;
