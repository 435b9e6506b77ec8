//! Hosts, groups, ranges, selection → [`Target`]s.

use std::path::PathBuf;
use std::time::Duration;

mod account;
mod reach;

pub mod selection;
pub mod ssh_config;
mod wildcard;

pub use account::Account;
pub use reach::{Reach, Resolved};

/// One host to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As the operator named it; unique in a selection, and the host's name in ledger and reports.
    pub name: String,
    pub address: Address,
    /// The groups it is in, nearest first: those it stands in itself before those that hold these.
    pub groups: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// This machine, without SSH.
    Local,
    Ssh(Box<Ssh>),
}

/// Everything needed to connect: ssh_config and flags already merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// Name or IP address to connect to.
    pub host: String,
    pub port: u16,
    pub user: String,
    /// The name known_hosts is searched for: `HostKeyAlias`, else `host`.
    pub host_key_alias: Option<String>,
    /// Private keys to try, in order.
    pub identities: Vec<PathBuf>,
    /// The agent's socket, if an agent is to be asked.
    pub agent: Option<PathBuf>,
    /// Try only keys of `identities` (in files or, where they match, in the agent).
    pub identities_only: bool,
    /// Files read to check host keys; new keys are appended to the first.
    pub known_hosts: Vec<PathBuf>,
    pub host_key: HostKeyPolicy,
    /// For TCP, banner, key exchange and authentication each.
    pub connect_timeout: Duration,
}

/// `--host-key`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum HostKeyPolicy {
    /// An unknown or changed key is refused
    #[default]
    Strict,
    /// An unknown key is recorded, a changed one refused
    AcceptNew,
    /// No check at all
    Off,
}
