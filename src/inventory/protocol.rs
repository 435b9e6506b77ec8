//! How the SSH protocol is spoken with a host.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What ssh_config says of it; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Protocol {
    /// `ServerAliveInterval`, above zero.
    pub keepalive: Option<Duration>,
    /// `ServerAliveCountMax`, above zero.
    pub keepalive_max: Option<usize>,
    pub compression: Option<bool>,
    /// Lists of names as they are written: `a,b` replaces what is offered, `+a` adds to it, `-a*`
    /// takes from it, `^a` puts at its head.
    pub ciphers: Option<String>,
    pub macs: Option<String>,
    pub kex: Option<String>,
    pub host_keys: Option<String>,
}

/// One of the settings of [`Protocol`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    Keepalive(Duration),
    KeepaliveMax(usize),
    Compression(bool),
    Ciphers(String),
    Macs(String),
    Kex(String),
    HostKeys(String),
}

impl Protocol {
    /// Adds a setting that comes after all that were added before: the first one counts.
    pub fn add(&mut self, setting: &Spoken) {
        fn first<T: Clone>(slot: &mut Option<T>, value: &T) {
            slot.get_or_insert_with(|| value.clone());
        }
        match setting {
            Spoken::Keepalive(interval) => first(&mut self.keepalive, interval),
            Spoken::KeepaliveMax(count) => first(&mut self.keepalive_max, count),
            Spoken::Compression(wanted) => first(&mut self.compression, wanted),
            Spoken::Ciphers(list) => first(&mut self.ciphers, list),
            Spoken::Macs(list) => first(&mut self.macs, list),
            Spoken::Kex(list) => first(&mut self.kex, list),
            Spoken::HostKeys(list) => first(&mut self.host_keys, list),
        }
    }
}
