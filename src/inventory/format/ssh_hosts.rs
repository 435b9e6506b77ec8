//! The hosts that a file of ssh_config names: those of its `Host` lines that are no patterns.
//!
//! How they are reached is not read here: that is ssh_config's own part, of the files that `-F` or
//! the defaults name.

use std::path::Path;

use super::pattern;
use crate::error::Result;
use crate::inventory::draft::Draft;
use crate::inventory::entry::Rules;
use crate::inventory::selection::Selected;
use crate::inventory::spot::Spot;
use crate::inventory::ssh_config::{self, Config, Source};
use crate::inventory::{Account, wildcard};

/// Whether the text has a `Host` or `Match` line and before it nothing but what ssh_config knows: in
/// another format a host or a variable may be called `host` too.
pub fn is_ssh_config(text: &str) -> bool {
    if text.lines().any(|line| line.trim_start().starts_with('[')) {
        return false;
    }
    for line in text.lines() {
        match ssh_config::known_setting(line) {
            Ok(Some((keyword, arguments))) if matches!(keyword.as_str(), "host" | "match") => {
                return !arguments.iter().any(|argument| argument.contains('='));
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Adds the hosts of the file and of those that it includes.
pub fn read(draft: &mut Draft, path: &Path, account: &Account) -> Result<()> {
    draft.ssh_config(path);
    let config = Config::load(&Source::File(path.to_owned()), &[], account)?;
    for (name, place) in config.hosts() {
        if name.starts_with('!') || wildcard::is_pattern(name) {
            continue;
        }
        let spot = Spot::new(&place.file, place.line, 1);
        match pattern::single(name).filter(|host| host.user.is_none() && host.port.is_none()) {
            Some(host) if host.name != "local" && host.name != crate::inventory::ALL => {
                draft.host(Selected::Ssh(host), &spot, Rules::Ours)?;
            }
            _ => draft.warn(format!("{place}: the host {name} cannot be named here, left out")),
        }
    }
    config.warnings.into_iter().for_each(|warning| draft.warn(warning));
    Ok(())
}
