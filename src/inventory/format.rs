//! Reads inventories of all formats into one [`Inventory`].
//!
//! | file | format |
//! | --- | --- |
//! | `.yaml`, `.yml` with `groups` or `hosts` at the top | our own, see [`hosts_yaml`] |
//! | other `.yaml`, `.yml` | Ansible's YAML, see [`ansible_yaml`] |
//! | `.json` | what a program prints, if it has `_meta` or lists of hosts, else Ansible's YAML |
//! | `.ini`, and text with `[sections]` or `host key=value` | Ansible's INI, see [`ansible_ini`] |
//! | text with `Host` lines | ssh_config: its hosts, see [`ssh_hosts`] |
//! | without a known ending, with the execute bit | a program, see [`dynamic`] and [`program`] |
//! | everything else | a list, one host or range a line, see [`selection`](super::selection) |
//!
//! `[a-c]` with hosts below it could be a section as well as a range: there the ending has to say.

pub mod ansible_ini;
mod ansible_vars;
pub mod ansible_yaml;
pub mod dynamic;
pub mod hosts_yaml;
mod list;
mod node;
mod pattern;
mod program;
mod ssh_args;
mod ssh_hosts;

use std::path::Path;
use std::sync::Arc;

use super::draft::Draft;
use super::entry::Rules;
use super::selection::Sources;
use super::spot::Spot;
use super::{Account, Inventory};
use crate::error::{Error, Result};

/// Endings that say what a file is: such a file is never run.
const KNOWN: &[&str] = &["yaml", "yml", "ini", "cfg", "json", "txt", "list", "hosts", "toml"];

/// The inventory of an operator who names none: `$XDG_CONFIG_HOME/cronium-run/hosts.yaml`.
pub fn standard(account: &Account) -> std::path::PathBuf {
    let xdg = account.environment.get("XDG_CONFIG_HOME").map(Path::new).filter(|path| path.is_absolute());
    xdg.map_or_else(|| account.home.join(".config"), Path::to_owned).join("cronium-run/hosts.yaml")
}

/// Reads files in order; what a later one says of the same host or group wins.
pub fn load<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
    sources: &mut impl Sources,
    account: &Account,
) -> Result<Inventory> {
    let mut draft = Draft::default();
    for path in paths {
        let path = expanded(path, account);
        let name: Arc<str> = path.display().to_string().into();
        if path.is_dir() {
            return Err(Error::usage(format!("{name} is a folder, an inventory is a file"))
                .hint(format!("name each file: -i {name}/hosts.yaml")));
        }
        if is_program(&path) {
            let printed = program::list(&path)?;
            dynamic::read(&mut draft, &format!("{name} --list").into(), &name, &printed)?;
            warn_of_folders(&mut draft, &path);
            continue;
        }
        let text = sources.list(&path)?;
        if ending(&path).is_none_or(|ending| !KNOWN.contains(&ending)) && ssh_hosts::is_ssh_config(&text) {
            ssh_hosts::read(&mut draft, &path, account)?;
            continue;
        }
        let ansible = read(&mut draft, &path, &name, &text)? == Rules::Ansible;
        if ansible {
            warn_of_folders(&mut draft, &path);
        }
    }
    draft.finish()
}

/// Reads one file from its text alone; `path` gives the ending and the folder of relative paths.
pub fn read_text(path: &Path, text: &str) -> Result<Inventory> {
    let mut draft = Draft::default();
    read(&mut draft, path, &path.display().to_string().into(), text)?;
    draft.finish()
}

fn read(draft: &mut Draft, path: &Path, name: &Arc<str>, text: &str) -> Result<Rules> {
    let ending = ending(path);
    match ending {
        Some("yaml" | "yml" | "json") => {
            if ending == Some("json") && dynamic::is_dynamic(text) {
                dynamic::read(draft, name, name, text)?;
                return Ok(Rules::Ansible);
            }
            let Some(root) = node::parse(name, text)? else { return Ok(Rules::Ours) };
            if ansible_yaml::is_ansible(&root) {
                ansible_yaml::read(draft, name, &root)?;
                return Ok(Rules::Ansible);
            }
            hosts_yaml::read(draft, path, name, &root)?;
            Ok(Rules::Ours)
        }
        Some("ini") => ansible_ini::read(draft, name, text).map(|()| Rules::Ansible),
        Some("toml") => Err(Error::usage(format!("{name}: inventories are not written in TOML"))
            .hint("write hosts.yaml, or name the file without this ending")),
        _ if ansible_ini::is_ini(text) => ansible_ini::read(draft, name, text).map(|()| Rules::Ansible),
        // These endings say that it is a list.
        Some("txt" | "list") => list::read(draft, name, text).map(|()| Rules::Ours),
        _ if let Some((line, section)) = ansible_ini::ambiguous_line(text) => Err(Spot::new(name, line, 1)
            .fault(format_args!("{section} is a section of Ansible's INI or a range of hosts"))
            .hint("name the file with .ini at its end where it is Ansible's")
            .hint("name it with .txt at its end where it is a list of hosts")),
        _ => list::read(draft, name, text).map(|()| Rules::Ours),
    }
}

/// Whether [`load`] would run the file of `-i`.
pub fn is_run(path: &Path, account: &Account) -> bool {
    is_program(&expanded(path, account))
}

fn is_program(path: &Path) -> bool {
    ending(path).is_none_or(|ending| !KNOWN.contains(&ending)) && program::is_program(path)
}

fn expanded(path: &Path, account: &Account) -> std::path::PathBuf {
    path.to_str().and_then(|path| account.expand_home(path)).unwrap_or_else(|| path.into())
}

fn ending(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

/// Variables in these folders may change how a host is reached, so nobody should miss them.
fn warn_of_folders(draft: &mut Draft, path: &Path) {
    for name in ["group_vars", "host_vars"] {
        let folder = path.parent().unwrap_or(Path::new("")).join(name);
        if folder.is_dir() {
            let folder = folder.display();
            draft.warn(format!(
                "{folder} is not read: put what reaching hosts needs into the inventory itself"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
