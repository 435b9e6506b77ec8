//! Hosts, groups, ranges, selection → [`Target`]s.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod account;
mod draft;
mod entry;
pub mod format;
mod jump;
mod privilege;
mod protocol;
mod reach;
mod secret;
pub mod selection;
mod spot;
pub mod ssh_config;
mod wildcard;

pub use account::Account;
pub use entry::{Entry, Group, Rules, Settings, Vars};
pub use jump::Jump;
pub use privilege::{Becoming, Method, Privilege, plain_user};
pub use protocol::{Family, Protocol, Spoken};
pub use reach::{Origins, Reach, Resolved};
pub use secret::{Passphrases, Secret};

use selection::{Host, Selected};

/// The group that every host is in. It need not be declared.
pub const ALL: &str = "all";
/// The group of those that are in no other; Ansible's word.
const UNGROUPED: &str = "ungrouped";

/// One host to run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// As the operator named it; unique in a selection, and the host's name in ledger and reports.
    pub name: String,
    pub address: Address,
    /// The groups it is in, nearest first: those it stands in itself before those that hold these.
    pub groups: Vec<String>,
    /// `None`: scripts run as the user who logs in.
    pub privilege: Option<Privilege>,
}

impl Target {
    /// As it may be written down.
    pub fn without_secrets(&self) -> Self {
        let address = match &self.address {
            Address::Local => Address::Local,
            Address::Ssh(ssh) => Address::Ssh(Box::new(ssh.without_secrets())),
        };
        Self { address, ..self.clone() }
    }

    /// One set of passphrases for all hosts of a run and all jump hosts on the way.
    pub fn share(&mut self, passphrases: &Passphrases) {
        if let Address::Ssh(ssh) = &mut self.address {
            **ssh = ssh.sharing(passphrases);
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// This machine, without SSH.
    Local,
    Ssh(Box<Ssh>),
}

/// Everything needed to connect: ssh_config and flags already merged. Two that are equal may share a
/// connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ssh {
    /// Name or IP address to connect to.
    pub host: String,
    pub port: u16,
    pub user: String,
    /// The name known_hosts is searched for: `HostKeyAlias`, else `host`.
    pub host_key_alias: Option<String>,
    /// Private keys to try, in order.
    pub identities: Vec<PathBuf>,
    /// How many of the first `identities` a flag or the inventory names: no key is tried before them.
    pub named: usize,
    /// Certificates to try with the keys they are for, beside those that stand beside `identities`.
    pub certificates: Vec<PathBuf>,
    /// The passphrases of `identities`, those that were asked for.
    #[serde(with = "secret::passphrases")]
    pub passphrases: Passphrases,
    /// Tried once, after the keys unless ssh_config prefers it.
    #[serde(with = "secret::password")]
    pub password: Option<Secret>,
    /// The agent's socket, if an agent is to be asked.
    pub agent: Option<PathBuf>,
    /// Try only keys of `identities` (in files or, where they match, in the agent).
    pub identities_only: bool,
    /// Files read to check host keys; new keys are appended to the first.
    pub known_hosts: Vec<PathBuf>,
    pub host_key: HostKeyPolicy,
    /// Whether new keys are recorded without showing whose they are.
    pub hash_known_hosts: bool,
    /// Whether nobody is to be asked for passphrases.
    pub batch_mode: bool,
    /// For TCP, banner, key exchange and authentication each.
    pub connect_timeout: Duration,
    pub protocol: Protocol,
    /// What stands between us and the host; nothing where a TCP connection does.
    pub proxy: Option<Proxy>,
}

impl Ssh {
    /// Whether a `ProxyCommand` is run on the way there.
    pub fn needs_program(&self) -> bool {
        match &self.proxy {
            None => false,
            Some(Proxy::Command(_)) => true,
            Some(Proxy::Jump(jump)) => jump.needs_program(),
        }
    }

    fn sharing(&self, passphrases: &Passphrases) -> Self {
        let proxy = match &self.proxy {
            Some(Proxy::Jump(jump)) => Some(Proxy::Jump(Arc::new(jump.sharing(passphrases)))),
            proxy => proxy.clone(),
        };
        Self { passphrases: passphrases.clone(), proxy, ..self.clone() }
    }

    /// For whoever lives longer than connecting takes.
    pub fn without_secrets(&self) -> Self {
        let proxy = match &self.proxy {
            Some(Proxy::Jump(jump)) => Some(Proxy::Jump(Arc::new(jump.without_secrets()))),
            proxy => proxy.clone(),
        };
        Self { password: None, passphrases: Passphrases::default(), proxy, ..self.clone() }
    }
}

/// `user@host:port`, with brackets around an IPv6 address.
impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}@[{}]:{}", self.user, self.host, self.port),
            false => write!(f, "{}@{}:{}", self.user, self.host, self.port),
        }
    }
}

impl Ssh {
    /// What a person types to try the same way: `ssh -p 2222 -J ann@gate ann@web1`.
    pub fn to_type(&self) -> String {
        let port = |port| if port == 22 { String::new() } else { format!(" -p {port}") };
        let jump = match &self.proxy {
            Some(Proxy::Jump(jump)) => format!(" -J {jump}"),
            Some(Proxy::Command(_)) | None => String::new(),
        };
        format!("ssh{}{jump} {}@{}", port(self.port), self.user, self.host)
    }
}

/// How the stream to a host is had, where that is not a TCP connection of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Proxy {
    /// A channel through a jump host, which may stand behind another. All targets of a run behind
    /// the same jump host share one `Ssh`.
    Jump(Arc<Ssh>),
    /// The stdin and stdout of a command: a line for the user's shell, its tokens expanded.
    Command(String),
}

/// `--host-key`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
pub enum HostKeyPolicy {
    /// You are asked about unknown keys, once for all; where nobody can be, as strict
    #[default]
    Ask,
    /// An unknown or changed key is refused
    Strict,
    /// An unknown key is recorded, a changed one refused
    AcceptNew,
    /// No check at all
    Off,
}

/// What all files of `-i` say together: hosts in the order of the files, and groups. Made by
/// [`format::load`].
#[derive(Debug, Default)]
pub struct Inventory {
    entries: Vec<Entry>,
    groups: Vec<Group>,
    /// A name without user and port: there may be several of it.
    by_name: HashMap<String, Vec<usize>>,
    by_group: HashMap<String, usize>,
    /// For each group the length of the longest way down to it.
    depths: Vec<usize>,
    /// Files of ssh_config among those of `-i`: only their names of hosts are taken over.
    pub ssh_configs: Vec<PathBuf>,
    /// What a person should know of the files.
    pub warnings: Vec<String>,
}

impl Inventory {
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The entries with this name, whatever their user and port.
    fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        self.by_name.get(name).into_iter().flatten().copied()
    }

    /// Which entry says how a selected host is reached: the one that was written the same way,
    /// else one that leaves user or port open, else the only one of that name.
    pub fn entry_of(&self, host: &Selected) -> Option<usize> {
        let name = match host {
            Selected::Local => "local",
            Selected::Ssh(host) => &host.name,
        };
        let exact = self.named(name).find(|&index| self.entries[index].host == *host);
        let Selected::Ssh(host) = host else { return exact };
        let open = |index: &usize| match &self.entries[*index].host {
            Selected::Local => false,
            Selected::Ssh(entry) => entry.leaves_open(host),
        };
        exact.or_else(|| self.named(name).find(open)).or_else(|| {
            let mut all = self.named(name);
            all.next().filter(|_| all.next().is_none())
        })
    }

    /// The hosts that a name with or without user and port adds to a selection.
    fn meant(&self, typed: Host) -> Vec<Selected> {
        let entries = || self.named(&typed.name).filter_map(|index| self.entries[index].host.ssh());
        if entries().any(|entry| entry.leaves_open(&typed)) {
            return vec![Selected::Ssh(typed)];
        }
        let narrower: Vec<Selected> = entries()
            .filter(|entry| typed.leaves_open(entry))
            .map(|entry| Selected::Ssh(entry.clone()))
            .collect();
        if narrower.is_empty() { vec![Selected::Ssh(typed)] } else { narrower }
    }

    /// All groups of a host, nearest first: those it stands in itself in the order of the files,
    /// then those that hold these. Without `all`.
    pub fn groups_of(&self, entry: usize) -> Vec<usize> {
        let is_all = |group: usize| self.groups[group].name == ALL;
        let mut found: Vec<usize> =
            self.entries[entry].groups.iter().copied().filter(|group| !is_all(*group)).collect();
        let mut next = 0;
        while let Some(&group) = found.get(next) {
            next += 1;
            for &parent in &self.groups[group].parents {
                if !found.contains(&parent) && !is_all(parent) {
                    found.push(parent);
                }
            }
        }
        found
    }

    /// The hosts of a group and of all groups in it, in the order of the inventory.
    pub fn hosts_of(&self, group: usize) -> Vec<usize> {
        if self.groups[group].name == ALL {
            return (0..self.entries.len()).collect();
        }
        let mut seen = vec![false; self.groups.len()];
        let mut hosts = Vec::new();
        let mut open = vec![group];
        while let Some(group) = open.pop() {
            if !std::mem::replace(&mut seen[group], true) {
                hosts.extend(&self.groups[group].hosts);
                open.extend(self.groups[group].children.iter().map(|(child, _)| *child));
            }
        }
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// The hosts of every group that `pattern` describes; `None` where it describes none.
    fn hosts_in(&self, pattern: &str) -> Option<Vec<usize>> {
        if pattern == ALL {
            return Some((0..self.entries.len()).collect());
        }
        if let Some(&group) = self.by_group.get(pattern) {
            return Some(self.hosts_of(group));
        }
        if pattern == UNGROUPED {
            let entries = self.entries.iter().enumerate();
            return Some(
                entries.filter(|(_, entry)| entry.groups.is_empty()).map(|(index, _)| index).collect(),
            );
        }
        let groups = self.groups.iter().enumerate();
        let mut found = groups
            .filter(|(_, group)| wildcard::is_pattern(pattern) && wildcard::matches(pattern, &group.name))
            .peekable();
        found.peek()?;
        let mut hosts: Vec<usize> = found.flat_map(|(group, _)| self.hosts_of(group)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        Some(hosts)
    }

    /// How a host is reached by the inventory: its own settings over those of its groups.
    pub fn settings(&self, entry: usize) -> Settings {
        let mut settings = self.entries[entry].settings.clone();
        for group in self.precedence(entry) {
            settings.or(&self.groups[group].settings);
        }
        settings
    }

    /// The host's own variables over those of its groups.
    pub fn vars(&self, entry: usize) -> Vars {
        let mut vars = self.entries[entry].vars.clone();
        for group in self.precedence(entry) {
            for (name, value) in &self.groups[group].vars {
                vars.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        vars
    }

    /// The groups of a host, strongest first, `all` at the end.
    fn precedence(&self, entry: usize) -> Vec<usize> {
        let mut groups = self.groups_of(entry);
        if self.entries[entry].rules == Rules::Ansible {
            let key = |&group: &usize| {
                let Group { name, vars, .. } = &self.groups[group];
                let priority = vars.get("ansible_group_priority").and_then(serde_json::Value::as_i64);
                (self.depths[group], priority.unwrap_or(1), name)
            };
            groups.sort_unstable_by(|one, other| key(other).cmp(&key(one)));
        }
        groups.extend(self.by_group.get(ALL));
        groups
    }

    /// No group holds itself any more, so that every way ends.
    fn measure_depths(&mut self) {
        self.depths = vec![0; self.groups.len()];
        let mut waiting: Vec<usize> = self.groups.iter().map(|group| group.parents.len()).collect();
        let mut open: Vec<usize> = (0..self.groups.len()).filter(|&group| waiting[group] == 0).collect();
        while let Some(group) = open.pop() {
            for (child, _) in &self.groups[group].children {
                self.depths[*child] = self.depths[*child].max(self.depths[group] + 1);
                waiting[*child] -= 1;
                if waiting[*child] == 0 {
                    open.push(*child);
                }
            }
        }
    }
}

/// The known name that `name` was probably meant to be.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, known)| {
            *distance <= 1 + name.len() / 4 && *distance < name.len().min(known.len())
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
