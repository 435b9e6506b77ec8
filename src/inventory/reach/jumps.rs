//! Ways to hosts that are not a TCP connection from here.

use std::collections::HashMap;
use std::sync::Arc;

use super::stated::Stated;
use super::{Defaults, Reach};
use crate::error::{Error, Result};
use crate::inventory::selection::{Host, Selected};
use crate::inventory::ssh_config::{Config, HostConfig, Names, Place, Placed, Question};
use crate::inventory::{Inventory, Jump, Proxy, Ssh};

/// More jump hosts in a row than anybody has.
const MAX_HOPS: usize = 16;

/// Finds ways through jump hosts, each resolved once for all that stand behind it.
pub struct Jumps<'a> {
    reach: &'a Reach,
    inventory: Option<&'a Inventory>,
    config: &'a Config,
    defaults: &'a Defaults<'a>,
    found: HashMap<Vec<Host>, Arc<Ssh>>,
    /// Ways that are being resolved, each because of the one before it.
    open: Vec<Vec<Host>>,
    /// Every jump host and what ssh_config says of it.
    pub met: Vec<(Host, HostConfig)>,
}

/// What is said of the way to one host, strongest first.
struct Said<'s> {
    flag: Option<&'s Jump>,
    stated: &'s Stated,
    config: &'s HostConfig,
}

impl<'a> Jumps<'a> {
    pub fn new(
        reach: &'a Reach,
        inventory: Option<&'a Inventory>,
        config: &'a Config,
        defaults: &'a Defaults<'a>,
    ) -> Self {
        let (found, open, met) = (HashMap::new(), Vec::new(), Vec::new());
        Self { reach, inventory, config, defaults, found, open, met }
    }

    /// The way to a target whose other settings are known already.
    pub fn way_to(
        &mut self,
        ssh: &Ssh,
        typed: &str,
        stated: &Stated,
        config: &HostConfig,
    ) -> Result<Option<Proxy>> {
        self.proxy(ssh, typed, &Said { flag: self.reach.jump.as_ref(), stated, config })
    }

    fn proxy(&mut self, ssh: &Ssh, typed: &str, said: &Said<'_>) -> Result<Option<Proxy>> {
        let names = Names {
            account: self.defaults.account,
            typed,
            host: &ssh.host,
            port: ssh.port,
            user: &ssh.user,
            host_key_alias: ssh.host_key_alias.as_deref(),
        };
        let wrong = |place: &Place, message: String| {
            Error::usage(format!("cannot work out how to reach {typed}"))
                .cause(format!("{place}: {message}"))
                .hint("--jump HOST or --jump none  says it for all targets")
        };
        let command = |command: &Placed<String>| match command.value.as_str() {
            "" => Ok(None),
            text => {
                let text = names.proxy(text).map_err(|message| wrong(&command.place, message))?;
                Ok(Some(Proxy::Command(text)))
            }
        };
        let settings = &said.stated.settings;
        let jump = match (said.flag, &settings.jump, &settings.proxy_command, &said.config.proxy_jump) {
            (Some(jump), ..) => jump.clone(),
            (None, Some(jump), ..) => jump.value.parse().map_err(|message| wrong(&jump.place, message))?,
            (None, None, Some(line), _) => return command(line),
            (None, None, None, Some(jump)) if !jump.value.0.is_empty() => {
                let hops = jump.value.0.iter().map(|hop| {
                    let expand =
                        |text: &str| names.proxy(text).map_err(|message| wrong(&jump.place, message));
                    let user = hop.user.as_deref().map(expand).transpose()?;
                    Ok(Host { user, name: expand(&hop.name)?, port: hop.port })
                });
                Jump(hops.collect::<Result<_>>()?)
            }
            (None, None, None, _) => {
                return said.config.proxy_command.as_ref().map_or(Ok(None), command);
            }
        };
        // A jump host is not reached through itself.
        if jump.0.is_empty() || self.open.last() == Some(&jump.0) {
            return Ok(None);
        }
        let through = self.through(&jump.0)?;
        let is_same = |one: &Ssh| (&one.host, one.port, &one.user) == (&ssh.host, ssh.port, &ssh.user);
        Ok((!is_same(&through)).then_some(Proxy::Jump(through)))
    }

    /// The last of `hops`, with the way to it.
    fn through(&mut self, hops: &[Host]) -> Result<Arc<Ssh>> {
        if let Some(found) = self.found.get(hops) {
            return Ok(Arc::clone(found));
        }
        let (last, before) = hops.split_last().expect("an empty way is none");
        if self.open.iter().any(|open| open == hops) || self.open.len() + hops.len() > MAX_HOPS {
            return Err(Error::usage(format!("the way to the jump host {last} leads through itself"))
                .cause(format!("on the way to {}", shown(&self.open[0])))
                .hint("give the first jump host ProxyJump none in ssh_config"));
        }
        let stated = Stated::of(&Selected::Ssh(last.clone()), self.inventory);
        let settings = &stated.settings;
        let question = Question {
            host: stated.asked(&last.name),
            user: last.user.as_deref().or(settings.user.as_ref().map(|user| user.value.as_str())),
            port: last.port.or(settings.port.as_ref().map(|port| port.value)),
        };
        let config = self.config.for_jump(question)?;
        let mut ssh = self.reach.ssh(&question, &stated, &config, self.defaults)?;
        ssh.proxy = match before {
            [] => {
                self.open.push(hops.to_vec());
                let own =
                    self.proxy(&ssh, &last.name, &Said { flag: None, stated: &stated, config: &config })?;
                self.open.pop();
                own
            }
            before => Some(Proxy::Jump(self.through(before)?)),
        };
        self.met.push((last.clone(), config));
        let ssh = Arc::new(ssh);
        self.found.insert(hops.to_vec(), Arc::clone(&ssh));
        Ok(ssh)
    }
}

fn shown(hops: &[Host]) -> String {
    hops.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
