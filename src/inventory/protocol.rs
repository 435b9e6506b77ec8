//! How the SSH protocol is spoken with a host.

use std::path::PathBuf;
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
    pub family: Option<Family>,
    /// The address of ours that connections come from.
    pub bind_address: Option<String>,
    /// `PreferredAuthentications`: ways to log in that may be used, the first one first.
    pub methods: Option<String>,
    pub public_key: Option<bool>,
    pub keyboard: Option<bool>,
    pub password: Option<bool>,
    /// `RevokedHostKeys`: a list of keys that no host may show.
    pub revoked: Option<PathBuf>,
    /// What `SetEnv` and `SendEnv` ask the server to set. It takes what its `AcceptEnv` lets it.
    pub environment: Vec<(String, String)>,
}

/// `AddressFamily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Family {
    Any,
    Inet,
    Inet6,
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
    Family(Family),
    BindAddress(String),
    Methods(String),
    PublicKey(bool),
    Keyboard(bool),
    Password(bool),
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
            Spoken::Family(family) => first(&mut self.family, family),
            Spoken::BindAddress(address) => first(&mut self.bind_address, address),
            Spoken::Methods(list) => first(&mut self.methods, list),
            Spoken::PublicKey(wanted) => first(&mut self.public_key, wanted),
            Spoken::Keyboard(wanted) => first(&mut self.keyboard, wanted),
            Spoken::Password(wanted) => first(&mut self.password, wanted),
        }
    }

    /// Whether a way to log in, by its name in SSH, may be used.
    pub fn allows(&self, method: &str) -> bool {
        let switch = match method {
            "publickey" => self.public_key,
            "keyboard-interactive" => self.keyboard,
            "password" => self.password,
            _ => None,
        };
        let is_listed = |list: &String| list.split(',').any(|name| name.trim() == method);
        switch.unwrap_or(true) && self.methods.as_ref().is_none_or(is_listed)
    }

    /// Whether a password is to be sent before any key is tried.
    pub fn prefers_password(&self) -> bool {
        let first = self.methods.as_deref().unwrap_or_default().split(',').map(str::trim);
        let mut known = first.filter(|name| ["publickey", "password", "keyboard-interactive"].contains(name));
        known.next().is_some_and(|name| name != "publickey")
    }
}
