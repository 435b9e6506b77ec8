//! What the inventory says of the hosts of a selection.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::inventory::entry::{Rules, Settings};
use crate::inventory::selection::Selected;
use crate::inventory::ssh_config::{Place, Placed};
use crate::inventory::{Account, Becoming, Inventory, plain_user};

/// One host's part of the inventory; the default for a host that is in none.
#[derive(Debug, Default)]
pub struct Stated {
    pub entry: Option<usize>,
    pub groups: Vec<String>,
    pub rules: Rules,
    pub settings: Settings,
}

/// What is asked of every host that would be reached wrongly without it.
const SSH: &[&str] = &["ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"];

impl Stated {
    pub fn of(host: &Selected, inventory: Option<&Inventory>) -> Self {
        let Some((inventory, index)) =
            inventory.and_then(|inventory| Some((inventory, inventory.entry_of(host)?)))
        else {
            return Self::default();
        };
        let entry = &inventory.entries()[index];
        let mut settings = inventory.settings(index);
        // `ann@web1:2222` in the inventory, and here only `web1:2222` or `bob@web1`.
        if let Some(written) = entry.host.ssh() {
            let placed = |user: &String| Placed { value: user.clone(), place: entry.place.clone() };
            settings.user = written.user.as_ref().map(placed).or(settings.user);
            let placed = |port| Placed { value: port, place: entry.place.clone() };
            settings.port = written.port.map(placed).or(settings.port);
        }
        let groups = inventory.groups_of(index);
        let groups = groups.into_iter().map(|group| inventory.groups()[group].name.clone()).collect();
        Self { entry: Some(index), groups, rules: entry.rules, settings }
    }

    pub fn is_local(&self) -> bool {
        self.settings
            .connection
            .as_ref()
            .is_some_and(|connection| matches!(connection.value.as_str(), "local" | "ansible.builtin.local"))
    }

    /// The name that ssh_config is asked for.
    pub fn asked<'a>(&'a self, name: &'a str) -> &'a str {
        match (&self.settings.address, self.rules) {
            (Some(address), Rules::Ansible) => &address.value,
            _ => name,
        }
    }

    pub fn private_key(&self, account: &Account) -> Option<PathBuf> {
        let key = self.settings.private_key.as_ref()?;
        Some(account.expand_home(&key.value).unwrap_or_else(|| PathBuf::from(&key.value)))
    }

    /// Whether scripts become another user. On this machine nobody but the operator himself has a say.
    pub fn becomes(&self, host: &Selected, becoming: &Becoming) -> bool {
        let is_local = *host == Selected::Local || self.is_local();
        let stated = self.settings.becomes.as_ref().and_then(|becomes| becomes.value);
        becoming.wanted.unwrap_or(stated == Some(true) && !is_local)
    }

    /// What Ansible says of that and we cannot read, where nothing hangs on it.
    fn unread_become(&self, host: &Selected, becoming: &Becoming) -> Option<(&Place, &'static str)> {
        let Settings { becomes, become_user, .. } = &self.settings;
        if let Some(becomes) = becomes.as_ref().filter(|becomes| becomes.value.is_none())
            && becoming.wanted.is_none()
        {
            return Some((&becomes.place, "ansible_become"));
        }
        let user = become_user.as_ref().filter(|user| plain_user(&user.value).is_err())?;
        (!self.becomes(host, becoming)).then_some((&user.place, "ansible_become_user"))
    }

    fn connection(&self) -> Option<&Placed<String>> {
        let is_other =
            |connection: &&Placed<String>| !SSH.contains(&connection.value.as_str()) && !self.is_local();
        self.settings.connection.as_ref().filter(is_other)
    }
}

/// Warns of what is left out, once for each line that says it. Refuses hosts that would be reached
/// in a wrong way, and keys that are not there.
pub fn check(
    hosts: &[Selected],
    stated: &[Stated],
    becoming: &Becoming,
    account: &Account,
) -> Result<Vec<String>> {
    let mut refused: BTreeMap<(&Place, String), Vec<&Selected>> = BTreeMap::new();
    let mut left_out: BTreeMap<(&Place, &str), Vec<&Selected>> = BTreeMap::new();
    let mut keys = HashSet::new();
    for (host, stated) in hosts.iter().zip(stated) {
        if let Some(word) = stated.settings.unclear_proxy.as_ref().filter(|_| !stated.is_local()) {
            refused.entry((&word.place, format!("a proxy ({})", word.value))).or_default().push(host);
        }
        if let Some(arguments) = stated.settings.elsewhere.as_ref().filter(|_| !stated.is_local()) {
            refused.entry((&arguments.place, arguments.value.clone())).or_default().push(host);
        }
        if let Some(connection) = stated.connection() {
            let word = format!("ansible_connection={}", connection.value);
            refused.entry((&connection.place, word)).or_default().push(host);
        }
        if let Some(word) = stated.unread_become(host, becoming) {
            left_out.entry(word).or_default().push(host);
        }
        for word in &stated.settings.left_out {
            left_out.entry((&word.place, &word.value)).or_default().push(host);
        }
        if let (Some(written), Some(path)) = (&stated.settings.private_key, stated.private_key(account))
            && keys.insert(path.clone())
            && !path.is_file()
        {
            return Err(Error::usage(format!("there is no private key {}", path.display()))
                .cause(format!("{}: it is the key of {host}", written.place))
                .hint("ls ~/.ssh")
                .hint(format!("--exclude {host}  leaves the host out")));
        }
    }
    if let Some((_, word)) = refused.keys().next() {
        let mut all: Vec<&Selected> = refused.values().flatten().copied().collect();
        let mut seen = HashSet::new();
        all.retain(|host| seen.insert(*host));
        let what = word.split_once(" (").map_or(word.as_str(), |(what, _)| what);
        let mut error = Error::usage(format!(
            "cannot reach {} as configured: {what} is not supported yet",
            super::some(&all)
        ));
        for ((place, word), hosts) in &refused {
            error = error.cause(format!("{place}: {word} applies to {}", super::some(hosts)));
        }
        return Err(error.hint(super::without(&all)));
    }
    Ok(left_out
        .iter()
        .map(|((place, word), hosts)| {
            format!("{place}: {word} is not supported yet, left out for {}", super::some(hosts))
        })
        .collect())
}
