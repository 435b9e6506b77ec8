//! The settings that hold for one host.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Place;
use super::keyword::{Setting, Unsupported};
use crate::inventory::{HostKeyPolicy, Jump, Protocol, wildcard};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// As written: neither `~` nor tokens are expanded yet. `None` or empty: nobody said anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    pub host_name: Option<Placed<String>>,
    pub port: Option<Placed<u16>>,
    pub user: Option<Placed<String>>,
    pub identity_files: Vec<Placed<String>>,
    pub certificate_files: Vec<Placed<String>>,
    pub identities_only: Option<bool>,
    pub identity_agent: Option<Placed<String>>,
    pub user_known_hosts: Option<Placed<Vec<String>>>,
    pub global_known_hosts: Option<Placed<Vec<String>>>,
    pub host_key: Option<HostKeyPolicy>,
    pub hash_known_hosts: Option<bool>,
    /// Nobody is to be asked anything.
    pub batch_mode: Option<bool>,
    pub host_key_alias: Option<String>,
    pub connect_timeout: Option<Duration>,
    /// Never there together with a `proxy_command` that is one.
    pub proxy_jump: Option<Placed<Jump>>,
    /// Empty for `none`.
    pub proxy_command: Option<Placed<String>>,
    pub protocol: Protocol,
    /// Empty for `none`.
    pub revoked_host_keys: Option<Placed<String>>,
    pub set_env: Option<Vec<(String, String)>>,
    pub send_env: Vec<String>,
    pub unsupported: Vec<Placed<Unsupported>>,
}

impl HostConfig {
    /// How host keys are checked where no flag says it.
    pub fn host_key(&self) -> HostKeyPolicy {
        match self.host_key.unwrap_or_default() {
            HostKeyPolicy::Ask if self.batch_mode == Some(true) => HostKeyPolicy::Strict,
            policy => policy,
        }
    }

    /// What the server is asked to set: `SetEnv` wins over what `SendEnv` picks of our environment.
    pub fn environment(&self, ours: &HashMap<String, String>) -> Vec<(String, String)> {
        let mut variables: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in ours {
            if wildcard::any_matches(&self.send_env, name) {
                variables.insert(name, value);
            }
        }
        // Of two with one name the first counts.
        for (name, value) in self.set_env.iter().flatten().rev() {
            variables.insert(name, value);
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Adds a setting that comes after all that were added before.
    pub(super) fn add(&mut self, setting: &Setting, place: &Place) {
        fn first<T>(slot: &mut Option<T>, value: impl FnOnce() -> T) {
            if slot.is_none() {
                *slot = Some(value());
            }
        }
        fn placed<T: Clone>(value: &T, place: &Place) -> Placed<T> {
            Placed { value: value.clone(), place: place.clone() }
        }
        match setting {
            Setting::HostName(name) => first(&mut self.host_name, || placed(name, place)),
            Setting::Port(port) => first(&mut self.port, || placed(port, place)),
            Setting::User(user) => first(&mut self.user, || placed(user, place)),
            Setting::IdentityFile(file) => {
                if !self.identity_files.iter().any(|known| known.value == *file) {
                    self.identity_files.push(placed(file, place));
                }
            }
            Setting::CertificateFile(file) => {
                if !self.certificate_files.iter().any(|known| known.value == *file) {
                    self.certificate_files.push(placed(file, place));
                }
            }
            Setting::IdentitiesOnly(only) => first(&mut self.identities_only, || *only),
            Setting::IdentityAgent(agent) => first(&mut self.identity_agent, || placed(agent, place)),
            Setting::UserKnownHostsFile(files) => first(&mut self.user_known_hosts, || placed(files, place)),
            Setting::GlobalKnownHostsFile(files) => {
                first(&mut self.global_known_hosts, || placed(files, place));
            }
            Setting::HostKey(policy) => first(&mut self.host_key, || *policy),
            Setting::HashKnownHosts(hash) => first(&mut self.hash_known_hosts, || *hash),
            Setting::BatchMode(batch) => first(&mut self.batch_mode, || *batch),
            Setting::HostKeyAlias(alias) => first(&mut self.host_key_alias, || alias.clone()),
            Setting::ConnectTimeout(timeout) => first(&mut self.connect_timeout, || *timeout),
            // Of these two the first counts, but a jump through nothing is no jump.
            Setting::ProxyJump(jump) => {
                if self.proxy_command.is_none() {
                    first(&mut self.proxy_jump, || placed(jump, place));
                }
            }
            Setting::ProxyCommand(command) => {
                if self.proxy_jump.as_ref().is_none_or(|jump| jump.value.0.is_empty()) {
                    first(&mut self.proxy_command, || placed(command, place));
                }
            }
            Setting::Protocol(setting) => self.protocol.add(setting),
            Setting::RevokedHostKeys(file) => first(&mut self.revoked_host_keys, || placed(file, place)),
            Setting::SetEnv(variables) => first(&mut self.set_env, || variables.clone()),
            Setting::SendEnv(patterns) => {
                for pattern in patterns {
                    match pattern.strip_prefix('-') {
                        Some(gone) => self.send_env.retain(|known| !wildcard::matches(gone, known)),
                        None => self.send_env.push(pattern.clone()),
                    }
                }
            }
            Setting::Unsupported(setting) => {
                if !self.unsupported.iter().any(|known| known.value.keyword == setting.keyword) {
                    self.unsupported.push(placed(setting, place));
                }
            }
        }
    }
}
