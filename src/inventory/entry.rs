//! What an inventory says of one host and of one group.

use std::collections::BTreeMap;

use serde_json::Value;

use super::selection::Selected;
use super::spot::Spot;
use super::ssh_config::{Place, Placed};

/// Variables of a host or a group by name. Nothing is sent to a host because of them.
pub type Vars = BTreeMap<String, Value>;

/// How a host is reached, as one host or one group says it. `None`: it says nothing.
///
/// Texts are as written: `~` is not expanded, and a relative path of `hosts.yaml` has its folder
/// before it already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub address: Option<Placed<String>>,
    pub port: Option<Placed<u16>>,
    pub user: Option<Placed<String>>,
    pub private_key: Option<Placed<String>>,
    /// `none` is a jump through nothing: it hides that of a wider group.
    pub jump: Option<Placed<String>>,
    /// Arguments of `ssh` that lead elsewhere, such as `ansible_ssh_common_args with -p`.
    pub elsewhere: Option<Placed<String>>,
    /// `ProxyCommand` of Ansible's arguments for ssh.
    pub proxy_command: Option<Placed<String>>,
    /// A variable of Ansible that means a proxy in a way that we do not read.
    pub unclear_proxy: Option<Placed<String>>,
    /// Whether scripts run as another user there; `None` in it for a template, which only Ansible can
    /// fill in.
    pub becomes: Option<Placed<Option<bool>>>,
    /// As written: Ansible's may be a template, or a name that is none here.
    pub become_user: Option<Placed<String>>,
    /// As written: Ansible has more methods than we have.
    pub become_method: Option<Placed<String>>,
    /// `ansible_connection`.
    pub connection: Option<Placed<String>>,
    /// Words of Ansible that would change how a host is reached and that we leave out.
    pub left_out: Vec<Placed<String>>,
}

impl Settings {
    /// What is set here stays, what is not comes from `wider`.
    pub fn or(&mut self, wider: &Self) {
        fn fill<T: Clone>(slot: &mut Option<T>, wider: &Option<T>) {
            if slot.is_none() {
                slot.clone_from(wider);
            }
        }
        fill(&mut self.address, &wider.address);
        fill(&mut self.port, &wider.port);
        fill(&mut self.user, &wider.user);
        fill(&mut self.private_key, &wider.private_key);
        fill(&mut self.elsewhere, &wider.elsewhere);
        // A jump and a command exclude each other: the nearer one counts.
        if self.jump.is_none() && self.proxy_command.is_none() {
            self.jump.clone_from(&wider.jump);
            self.proxy_command.clone_from(&wider.proxy_command);
        }
        fill(&mut self.unclear_proxy, &wider.unclear_proxy);
        fill(&mut self.becomes, &wider.becomes);
        fill(&mut self.become_user, &wider.become_user);
        fill(&mut self.become_method, &wider.become_method);
        fill(&mut self.connection, &wider.connection);
        for word in &wider.left_out {
            if !self.left_out.iter().any(|known| known.value == word.value) {
                self.left_out.push(word.clone());
            }
        }
    }

    /// Whether it says anything of a way to a host.
    pub(super) fn says_how(&self) -> bool {
        let Self {
            address,
            port,
            user,
            private_key,
            jump,
            elsewhere,
            proxy_command,
            unclear_proxy,
            // Who a script runs as is no part of the way.
            becomes: _,
            become_user: _,
            become_method: _,
            connection,
            left_out,
        } = self;
        let texts = [address, user, private_key, jump, elsewhere, proxy_command, unclear_proxy, connection];
        port.is_some() || texts.iter().any(|text| text.is_some()) || !left_out.is_empty()
    }

    /// What is said later of the same host or group wins.
    pub(super) fn replace_with(&mut self, later: Self) {
        let earlier = std::mem::replace(self, later);
        self.or(&earlier);
    }
}

/// Whose rules a file follows where two groups say different things of one host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rules {
    /// The nearest group wins, and of two equally near the one that is written first.
    #[default]
    Ours,
    /// Ansible's: the deepest group wins, then `ansible_group_priority`, then the later name. And
    /// ssh_config is asked for the address of a host, as `ssh` is by Ansible.
    Ansible,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub host: Selected,
    /// Its own, without those of its groups.
    pub settings: Settings,
    /// Its own, without those of its groups.
    pub vars: Vars,
    /// Groups that it stands in itself, as indices, in the order of the files.
    pub groups: Vec<usize>,
    pub place: Place,
    pub rules: Rules,
}

/// One group. Its place in the inventory is the order in which groups were first declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// Hosts that stand in it themselves, as indices.
    pub hosts: Vec<usize>,
    /// Groups in it, as indices, and where that is written.
    pub children: Vec<(usize, Spot)>,
    /// Groups that hold it, as indices, in the order of the files.
    pub parents: Vec<usize>,
    pub settings: Settings,
    pub vars: Vars,
    /// Where it is declared; `None` where it was only named as a child.
    pub place: Option<Place>,
}

impl Entry {
    /// Without user and port.
    pub fn name(&self) -> &str {
        match &self.host {
            Selected::Local => "local",
            Selected::Ssh(host) => &host.name,
        }
    }
}
