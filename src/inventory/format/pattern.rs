//! Names of hosts in inventories.

use crate::error::{Error, Result};
use crate::inventory::draft::Draft;
use crate::inventory::entry::Rules;
use crate::inventory::selection::{self, Host, HostSet, Selected};
use crate::inventory::spot::Spot;

/// How ranges are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `web[01-20,30]`, as in TARGETS.
    Ours,
    /// `web[01:20:2]` and `web[a:f]`.
    Ansible,
}

/// A host, or a range of hosts; `spot` is its first character.
pub fn parse(text: &str, spot: &Spot, dialect: Dialect) -> Result<HostSet> {
    let ours = match dialect {
        Dialect::Ours => text.to_owned(),
        Dialect::Ansible => from_ansible(text),
    };
    let set = selection::host_set(&ours).map_err(|error| {
        let before = ours.get(..error.at).map_or(0, |before| before.chars().count());
        let hint = match dialect {
            Dialect::Ours => error.hint,
            Dialect::Ansible => {
                "write a host as web1 or host:22, and a range as web[01:20] or [a:f]".to_owned()
            }
        };
        spot.right(before).fault(error.message).hint(hint)
    })?;
    if set.is_pattern() {
        return Err(spot
            .fault(format_args!("{text} is a pattern, an inventory names hosts"))
            .hint("write a range such as web[01-20]"));
    }
    check_size(&set, spot)?;
    Ok(set)
}

/// Before it is expanded.
pub fn check_size(set: &HostSet, spot: &Spot) -> Result<()> {
    if set.count() > selection::MAX_HOSTS {
        return Err(spot
            .fault(format_args!("{set} names more than {} hosts", selection::MAX_HOSTS))
            .hint("check the range for a digit too many"));
    }
    Ok(())
}

/// Adds the hosts of a set and gives their indices.
pub fn add(draft: &mut Draft, set: &HostSet, spot: &Spot, rules: Rules) -> Result<Vec<usize>> {
    set.expand().into_iter().map(|host| add_host(draft, host, spot, rules)).collect()
}

fn add_host(draft: &mut Draft, host: Host, spot: &Spot, rules: Rules) -> Result<usize> {
    if host.user.is_none() && host.port.is_none() && host.name == crate::inventory::ALL {
        return Err(spot
            .fault("a host cannot be called all: that is every host")
            .hint("give the host another name, and its own as address"));
    }
    draft.host(Selected::of(host), spot, rules)
}

/// A host that is exactly this text, if it could be typed.
pub fn single(text: &str) -> Option<Host> {
    let set = selection::host_set(text).ok().filter(|set| !set.is_pattern() && set.count() == 1)?;
    set.expand().pop()
}

/// The same length, so that places stay right.
fn from_ansible(text: &str) -> String {
    // An IPv6 address in brackets has colons too.
    if text.starts_with('[') && selection::host_set(text).is_ok() {
        return text.to_owned();
    }
    let mut inside = false;
    let mut colons = 0;
    text.chars()
        .map(|character| match character {
            '[' => {
                (inside, colons) = (true, 0);
                '['
            }
            ']' => {
                inside = false;
                ']'
            }
            ':' if inside => {
                colons += 1;
                if colons == 1 { '-' } else { '/' }
            }
            other => other,
        })
        .collect()
}

/// The name of a group that can be typed: `@name`.
pub fn group_name<'a>(name: &'a str, spot: &Spot) -> Result<&'a str> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if let Some(wrong) = name.chars().position(|c| !fine(c)) {
        return Err(group_fault(spot.right(wrong), "this character cannot be part of a group's name"));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err(group_fault(spot.clone(), "a group's name begins with a letter or a digit"));
    }
    Ok(name)
}

fn group_fault(spot: Spot, message: &str) -> Error {
    spot.fault(message).hint("a group's name has letters, digits, dots, dashes and underscores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ansible_become_ours() {
        for (theirs, ours) in [
            ("web[01:20].example.com", "web[01-20].example.com"),
            ("rack[a:f]n[1:9:2]", "rack[a-f]n[1-9/2]"),
            ("web1:2222", "web1:2222"),
            ("web[1:3]:2222", "web[1-3]:2222"),
            ("[::1]:22", "[::1]:22"),
            ("fe80::1", "fe80::1"),
        ] {
            assert_eq!(from_ansible(theirs), ours);
        }
    }
}
