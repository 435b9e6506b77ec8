//! Who says how a host is reached.

use std::fmt::Display;

use super::Reach;
use super::stated::Stated;
use crate::inventory::entry::Rules;
use crate::inventory::selection::Host;
use crate::inventory::ssh_config::{HostConfig, Placed};

/// For each setting a flag, `target`, or a line: `hosts.yaml:3`. `None`: a default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    pub host: Option<String>,
    pub port: Option<String>,
    pub user: Option<String>,
    /// Of the jump hosts or the proxy command.
    pub proxy: Option<String>,
}

impl Origins {
    /// In the order in which they win.
    pub fn of(reach: &Reach, typed: &Host, stated: &Stated, config: &HostConfig) -> Self {
        let settings = &stated.settings;
        let word = |is_said: bool, word: &str| is_said.then(|| word.to_owned());
        let address = place(settings.address.as_ref().filter(|address| address.value != typed.name));
        let host_name = place(config.host_name.as_ref());
        let jump = config.proxy_jump.as_ref().filter(|jump| !jump.value.0.is_empty());
        let command = config.proxy_command.as_ref().filter(|command| !command.value.is_empty());
        Self {
            host: match stated.rules {
                Rules::Ours => address.or(host_name),
                // What ssh_config says, it says of the address.
                Rules::Ansible => host_name.or(address),
            },
            port: word(typed.port.is_some(), "target")
                .or_else(|| word(reach.port.is_some(), "--port"))
                .or_else(|| place(settings.port.as_ref()))
                .or_else(|| place(config.port.as_ref())),
            user: word(typed.user.is_some(), "target")
                .or_else(|| word(reach.user.is_some(), "--user"))
                .or_else(|| place(settings.user.as_ref()))
                .or_else(|| place(config.user.as_ref())),
            proxy: word(reach.jump.is_some(), "--jump")
                .or_else(|| place(settings.jump.as_ref()))
                .or_else(|| place(settings.proxy_command.as_ref()))
                .or_else(|| place(jump))
                .or_else(|| place(command)),
        }
    }
}

fn place<T>(placed: Option<&Placed<T>>) -> Option<String> {
    placed.map(|placed| &placed.place as &dyn Display).map(ToString::to_string)
}
