//! Our own format, `hosts.yaml`.
//!
//! ```yaml
//! groups:
//!   web:
//!     hosts: ["web[01-20]", ann@special:2222]   # or one text: web[01-20],ann@special:2222
//!     children: [canary]                        # groups whose hosts belong to this one too
//!     vars: {level: info}                       # variables of the inventory
//!     connect: {user: deploy, port: 2222, private_key: ~/.ssh/deploy, jump: bastion}
//!     # or, with become: true, who scripts run as: become_user: root, become_method: sudo
//!   canary:
//!     hosts: web01
//! hosts:
//!   db1: {address: 10.0.0.5, port: 22, user: root, groups: [db], vars: {level: debug}}
//!   db[2-4]: {groups: db}
//! ```
//!
//! A name with a range stands for many hosts and, inside a list in brackets, in quotes: YAML has
//! brackets of its own. A group that stands in `children` is declared somewhere, in this file or
//! another; one that stands in a host's `groups` need not be. `all` is every host. A relative
//! `private_key` is looked for in the folder of the file.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::node::{Content, Key, Node};
use super::pattern::{self, Dialect};
use crate::error::{Error, Result};
use crate::inventory::draft::Draft;
use crate::inventory::entry::{Rules, Settings, Vars};
use crate::inventory::selection::{self, HostSet};
use crate::inventory::spot::Spot;
use crate::inventory::{ALL, Method, nearest, plain_user};

const TOP: &[&str] = &["groups", "hosts"];
const GROUP: &[&str] = &["hosts", "children", "vars", "connect"];
const CONNECT: &[&str] = &["user", "port", "private_key", "jump", "become", "become_user", "become_method"];
const HOST: &[&str] = &[
    "address",
    "port",
    "user",
    "private_key",
    "jump",
    "become",
    "become_user",
    "become_method",
    "groups",
    "vars",
];

/// Adds the hosts and groups of a document.
pub fn read(draft: &mut Draft, path: &Path, name: &Arc<str>, root: &Node) -> Result<()> {
    let reader = Reader { file: name, folder: path.parent().unwrap_or(Path::new("")) };
    let top = reader.mapping(root, "an inventory")?;
    reader.check_keys(top, TOP, "an inventory")?;
    // Groups come first, so that their order is that of `groups`.
    for section in TOP {
        for (_, node) in top.iter().filter(|(key, node)| key.text == *section && !node.is_null()) {
            match *section {
                "groups" => reader.groups(draft, node)?,
                _ => reader.hosts(draft, node)?,
            }
        }
    }
    Ok(())
}

struct Reader<'a> {
    file: &'a Arc<str>,
    folder: &'a Path,
}

impl Reader<'_> {
    fn groups(&self, draft: &mut Draft, node: &Node) -> Result<()> {
        let groups = self.mapping(node, "groups")?;
        for (key, _) in groups {
            let spot = key.spot(self.file);
            draft.declare(pattern::group_name(&key.text, &spot)?, &spot);
        }
        for (key, node) in groups {
            self.group(draft, key, node)?;
        }
        Ok(())
    }

    fn group(&self, draft: &mut Draft, key: &Key, node: &Node) -> Result<()> {
        let group = draft.mention(&key.text);
        if node.is_null() {
            return Ok(());
        }
        let what = format!("group {}", key.text);
        let pairs = self.mapping(node, &what)?;
        self.check_keys(pairs, GROUP, &what)?;
        for (word, node) in pairs.iter().filter(|(_, node)| !node.is_null()) {
            match word.text.as_str() {
                "hosts" => {
                    for (set, spot) in self.sets(node)? {
                        for host in pattern::add(draft, &set, &spot, Rules::Ours)? {
                            draft.put_host(host, group);
                        }
                    }
                }
                "children" => {
                    for (name, spot) in self.names(node, "children")? {
                        if name == ALL {
                            return Err(spot
                                .fault("all holds every group, it is in none")
                                .hint(format!("take all out of {}", key.text)));
                        }
                        let child = draft.mention(pattern::group_name(name, &spot)?);
                        draft.put_group(child, group, &spot);
                    }
                }
                "vars" => draft.describe_group(group, Settings::default(), self.vars(node)?),
                _ => {
                    let pairs = self.mapping(node, "connect")?;
                    self.check_keys(pairs, CONNECT, "connect")?;
                    draft.describe_group(group, self.settings(pairs)?, Vars::new());
                }
            }
        }
        Ok(())
    }

    fn hosts(&self, draft: &mut Draft, node: &Node) -> Result<()> {
        for (key, node) in self.mapping(node, "hosts")? {
            let spot = key.spot(self.file);
            let first = if key.plain { spot.clone() } else { spot.right(1) };
            let set = pattern::parse(&key.text, &first, Dialect::Ours)?;
            let hosts = pattern::add(draft, &set, &spot, Rules::Ours)?;
            let what = format!("host {}", key.text);
            let pairs = if node.is_null() { &[] } else { self.mapping(node, &what)? };
            self.check_keys(pairs, HOST, &what)?;
            let settings = self.settings(pairs)?;
            if let (Some(_), 2..) = (&settings.address, hosts.len()) {
                let (_, node) = pairs.iter().find(|(key, _)| key.text == "address").expect("it was read");
                return Err(node
                    .spot(self.file)
                    .fault(format_args!("one address for the {} hosts of {}", hosts.len(), key.text))
                    .hint("write each of them by itself"));
            }
            let mut vars = Vars::new();
            let mut groups = Vec::new();
            for (word, node) in pairs.iter().filter(|(_, node)| !node.is_null()) {
                match word.text.as_str() {
                    "vars" => vars = self.vars(node)?,
                    "groups" => {
                        for (name, spot) in self.names(node, "groups")? {
                            groups.push(draft.declare(pattern::group_name(name, &spot)?, &spot));
                        }
                    }
                    _ => {}
                }
            }
            for host in hosts {
                draft.describe(host, settings.clone(), &vars, &spot)?;
                for &group in &groups {
                    draft.put_host(host, group);
                }
            }
        }
        Ok(())
    }

    fn settings(&self, pairs: &[(Key, Node)]) -> Result<Settings> {
        let mut settings = Settings::default();
        for (key, node) in pairs.iter().filter(|(_, node)| !node.is_null()) {
            let spot = node.spot(self.file);
            match key.text.as_str() {
                "address" => {
                    settings.address = Some(spot.placed(address(self.text(node, "address")?, &spot)?))
                }
                "user" => settings.user = Some(spot.placed(user(self.text(node, "user")?, &spot)?)),
                "port" => settings.port = Some(spot.placed(port(self.text(node, "port")?, &spot)?)),
                "become" => settings.becomes = Some(spot.placed(Some(self.switch(node, "become")?))),
                "become_user" => {
                    let user = become_user(self.text(node, "become_user")?, &spot)?;
                    settings.become_user = Some(spot.placed(user));
                }
                "become_method" => {
                    let method = become_method(self.text(node, "become_method")?, &spot)?;
                    settings.become_method = Some(spot.placed(method));
                }
                "jump" => settings.jump = Some(spot.placed(self.text(node, "jump")?.to_owned())),
                "private_key" => {
                    let path = self.text(node, "private_key")?;
                    let path = match path.starts_with('~') {
                        true => path.to_owned(),
                        false => self.folder.join(path).display().to_string(),
                    };
                    settings.private_key = Some(spot.placed(path));
                }
                _ => {}
            }
        }
        Ok(settings)
    }

    fn vars(&self, node: &Node) -> Result<Vars> {
        let pairs = self.mapping(node, "vars")?;
        Ok(pairs.iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect())
    }

    /// `[web1, "web[2-4]"]`, or one text with commas.
    fn sets(&self, node: &Node) -> Result<Vec<(HostSet, Spot)>> {
        let mut sets = Vec::new();
        for (text, spot) in self.texts(node, "hosts")? {
            let mut at = 0;
            for part in selection::parts(text) {
                let trimmed = part.trim_start();
                let start = text[..at + part.len() - trimmed.len()].chars().count();
                let spot = spot.right(start);
                sets.push((pattern::parse(trimmed.trim_end(), &spot, Dialect::Ours)?, spot));
                at += part.len() + 1;
            }
        }
        Ok(sets)
    }

    /// `[one, two]`, or one text.
    fn names<'n>(&self, node: &'n Node, what: &str) -> Result<Vec<(&'n str, Spot)>> {
        self.texts(node, what)
    }

    /// A list of texts or one text, each with the place of its first character.
    fn texts<'n>(&self, node: &'n Node, what: &str) -> Result<Vec<(&'n str, Spot)>> {
        let items = match &node.content {
            Content::Sequence(items) => items.as_slice(),
            Content::Scalar { .. } => std::slice::from_ref(node),
            Content::Mapping(_) => return Err(self.wrong(node, what, "a list")),
        };
        items
            .iter()
            .map(|item| match &item.content {
                Content::Scalar { text, plain } if !item.is_null() && !item.tagged => {
                    Ok((text.as_str(), item.spot(self.file).right(usize::from(!plain))))
                }
                // `[web[1-3]]` is a list in a list to YAML, or a mapping where it has a colon.
                _ => Err(self.wrong(item, &format!("an item of {what}"), "text")),
            })
            .collect()
    }

    fn text<'n>(&self, node: &'n Node, what: &str) -> Result<&'n str> {
        match &node.content {
            Content::Scalar { text, .. } if !node.tagged => Ok(text),
            _ => Err(self.wrong(node, what, "text")),
        }
    }

    fn switch(&self, node: &Node, what: &str) -> Result<bool> {
        match node.to_json() {
            Value::Bool(switch) => Ok(switch),
            _ => Err(self.wrong(node, what, "true or false")),
        }
    }

    fn mapping<'n>(&self, node: &'n Node, what: &str) -> Result<&'n [(Key, Node)]> {
        node.mapping().ok_or_else(|| self.wrong(node, what, "a mapping"))
    }

    fn wrong(&self, node: &Node, what: &str, wanted: &str) -> Error {
        let message = format!("{what} is {wanted}, not {}", node.describe());
        node.spot(self.file).fault(message).hint(match wanted {
            "a list" => "write it as [one, two]; a range in it needs quotes: [\"web[01-20]\"]",
            "true or false" => "become: true",
            "text" => "write one word; a range in a list needs quotes: [\"web[01-20]\"]",
            _ => "write it as key: value, one a line, or {key: value}",
        })
    }

    fn check_keys(&self, pairs: &[(Key, Node)], known: &[&str], what: &str) -> Result<()> {
        let Some((key, _)) = pairs.iter().find(|(key, _)| !known.contains(&key.text.as_str())) else {
            return Ok(());
        };
        let error = key.spot(self.file).fault(format_args!("{what} has no key '{}'", key.text));
        Err(match nearest(&key.text, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint(format!("it has {}", known.join(", "))),
        })
    }
}

/// A name or an IP address, with or without brackets.
pub fn address(text: &str, spot: &Spot) -> Result<String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match pattern::single(bare) {
        Some(host) if host.user.is_none() && host.port.is_none() && host.name == bare => Ok(host.name),
        _ => Err(spot
            .fault(format_args!("'{text}' is no address"))
            .hint("write a name or an IP address; user and port have keys of their own")),
    }
}

pub fn user(text: &str, spot: &Spot) -> Result<String> {
    match text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
        true => Err(spot.fault(format_args!("'{text}' is no name of a user")).hint("user: deploy")),
        false => Ok(text.to_owned()),
    }
}

fn become_user(text: &str, spot: &Spot) -> Result<String> {
    plain_user(text).map_err(|reason| spot.fault(reason).hint("become_user: root"))
}

fn become_method(text: &str, spot: &Spot) -> Result<String> {
    match Method::parse(text) {
        Some(method) => Ok(method.as_str().to_owned()),
        None => Err(spot
            .fault(format_args!("there is no method '{text}' to become another user"))
            .hint("become_method: sudo, doas or su")),
    }
}

pub fn port(text: &str, spot: &Spot) -> Result<u16> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(spot.fault(format_args!("'{text}' is no port")).hint("a port is a number from 1 to 65535")),
    }
}
