//! Ansible's YAML.
//!
//! ```yaml
//! all:
//!   vars: {ansible_user: deploy}
//!   hosts:
//!     mail: {ansible_host: 10.0.0.9}
//!   children:
//!     web:
//!       hosts:
//!         web[01:20]:
//! ```
//!
//! Groups at the top are groups like `all`. Keys of a group that are none of `hosts`, `children`
//! and `vars` are left out with a warning, as Ansible does. Source: the `yaml` inventory plugin of
//! ansible-core 2.19.

use std::sync::Arc;

use super::ansible_vars::Sorted;
use super::node::{Key, Node};
use super::pattern::{self, Dialect};
use crate::error::{Error, Result};
use crate::inventory::draft::Draft;
use crate::inventory::entry::Rules;

const GROUP: &[&str] = &["hosts", "children", "vars"];

/// Whether a document is Ansible's and not ours: at the top there are groups.
pub fn is_ansible(root: &Node) -> bool {
    let Some(pairs) = root.mapping() else { return false };
    let is_ours = |(key, _): &(Key, Node)| ["groups", "hosts"].contains(&key.text.as_str());
    let is_group = |(key, node): &(Key, Node)| {
        let inside = |pairs: &[(Key, Node)]| pairs.iter().any(|(key, _)| GROUP.contains(&key.text.as_str()));
        key.text == crate::inventory::ALL || node.is_null() || node.mapping().is_some_and(inside)
    };
    !pairs.iter().any(is_ours) && pairs.iter().all(is_group)
}

/// Adds the hosts and groups of a document.
pub fn read(draft: &mut Draft, name: &Arc<str>, root: &Node) -> Result<()> {
    for (key, node) in mapping(name, root, "an inventory")? {
        group(draft, name, key, node)?;
    }
    Ok(())
}

fn group(draft: &mut Draft, file: &Arc<str>, key: &Key, node: &Node) -> Result<usize> {
    let index = draft.declare(&key.text, &key.spot(file));
    if node.is_null() {
        return Ok(index);
    }
    for (word, node) in mapping(file, node, &format!("group {}", key.text))? {
        match word.text.as_str() {
            _ if node.is_null() => {}
            "hosts" => {
                for (host_key, node) in mapping(file, node, "hosts")? {
                    for host in host(draft, file, host_key, node)? {
                        draft.put_host(host, index);
                    }
                }
            }
            "children" => {
                for (child_key, node) in mapping(file, node, "children")? {
                    let child = group(draft, file, child_key, node)?;
                    draft.put_group(child, index, &child_key.spot(file));
                }
            }
            "vars" => {
                let Sorted { settings, vars } = sorted(file, node, "vars")?;
                draft.describe_group(index, settings, vars);
            }
            other => draft.warn(format!(
                "{}: '{other}' of group {} is not read: a group has {}",
                word.spot(file),
                key.text,
                GROUP.join(", ")
            )),
        }
    }
    Ok(index)
}

fn host(draft: &mut Draft, file: &Arc<str>, key: &Key, node: &Node) -> Result<Vec<usize>> {
    let spot = key.spot(file);
    let first = if key.plain { spot.clone() } else { spot.right(1) };
    let (set, port) = pattern::parse(&key.text, &first, Dialect::Ansible)?.split_port();
    let hosts = pattern::add(draft, &set, &spot, Rules::Ansible)?;
    if port.is_some() || !node.is_null() {
        let Sorted { mut settings, vars } = match node.is_null() {
            true => Sorted::default(),
            false => sorted(file, node, &format!("host {}", key.text))?,
        };
        settings.port = settings.port.or(port.map(|port| spot.placed(port)));
        for &host in &hosts {
            draft.describe(host, settings.clone(), &vars, &spot)?;
        }
    }
    Ok(hosts)
}

fn sorted(file: &Arc<str>, node: &Node, what: &str) -> Result<Sorted> {
    let mut sorted = Sorted::default();
    for (key, value) in mapping(file, node, what)? {
        sorted.add(&key.text, value.to_json(), &value.spot(file))?;
    }
    Ok(sorted)
}

fn mapping<'n>(file: &Arc<str>, node: &'n Node, what: &str) -> Result<&'n [(Key, Node)]> {
    let wrong = || -> Error {
        node.spot(file)
            .fault(format_args!("{what} is a mapping, not {}", node.describe()))
            .hint("in Ansible's YAML hosts and children are mappings: put a colon behind each name")
    };
    node.mapping().ok_or_else(wrong)
}
