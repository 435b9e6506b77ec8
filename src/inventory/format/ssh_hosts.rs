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
use crate::inventory::ssh_config::{Config, Source};
use crate::inventory::{Account, wildcard};

/// Whether some line of the text is a `Host` line: no other format has such a one.
pub fn is_ssh_config(text: &str) -> bool {
    let is_host = |line: &str| {
        let (word, rest) = line.trim().split_once([' ', '\t', '='])?;
        let rest = rest.trim_start_matches([' ', '\t', '=']);
        Some(word.eq_ignore_ascii_case("host") && !rest.is_empty() && !rest.contains('='))
    };
    text.lines().any(|line| is_host(line) == Some(true))
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
    Ok(())
}
