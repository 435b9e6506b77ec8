//! A way through jump hosts, as `ProxyJump` and `-J` write it.

use std::str::FromStr;

use super::selection::Host;

/// Jump hosts in the order they are passed; empty for `none`.
///
/// Written as in ssh_config(5): `[user@]host[:port]` or `ssh://[user@]host[:port]`, with commas.
/// An IPv6 address stands in brackets where a port follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Jump(pub Vec<Host>);

impl FromStr for Jump {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("a jump host has a name".to_owned()),
            none if none.eq_ignore_ascii_case("none") => Ok(Self::default()),
            hosts => hosts.split(',').map(hop).collect::<Result<_, _>>().map(Self),
        }
    }
}

fn hop(text: &str) -> Result<Host, String> {
    let text = text.trim();
    let wrong = || format!("'{}' is no jump host: write user@host:port", text.escape_debug());
    let rest = text.strip_prefix("ssh://").map_or(text, |rest| rest.strip_suffix('/').unwrap_or(rest));
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let (name, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (name, rest) = bracketed.split_once(']').ok_or_else(wrong)?;
            match rest {
                "" => (name, None),
                rest => (name, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
            }
        }
        None => match place.split_once(':') {
            Some((_, more)) if more.contains(':') => (place, None),
            Some((name, port)) => (name, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
    };
    let is_word = |word: &str| {
        let breaks = |c: char| c.is_whitespace() || c.is_control() || "[]/'\"`$\\;&<>|(){}".contains(c);
        !word.is_empty() && !word.starts_with('-') && !word.contains(breaks)
    };
    match is_word(name) && user.is_none_or(is_word) {
        true => Ok(Host { user: user.map(str::to_owned), name: name.to_owned(), port }),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_as_openssh_reads_them() {
        for (text, expected) in [
            ("bastion", "bastion"),
            ("ann@bastion:2222", "ann@bastion:2222"),
            ("a, b@c:1,d", "a b@c:1 d"),
            ("ssh://ann@bastion:22/", "ann@bastion:22"),
            ("ssh://bastion", "bastion"),
            ("[::1]:2222", "[::1]:2222"),
            ("[10.0.0.1]", "10.0.0.1"),
            ("ann@::1", "ann@::1"),
            ("ann@corp@bastion", "ann@corp@bastion"),
            ("none", ""),
            ("NONE", ""),
        ] {
            let jump: Jump = text.parse().unwrap();
            let shown: Vec<String> = jump.0.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(" "), expected, "{text}");
        }
        for text in [
            "", " ", "a,,b", "a,", "@a", "a:0", "a:x", "a:70000", "-x", "a@-x", "[::1", "[a]b", "a b", "$(x)",
        ] {
            assert!(text.parse::<Jump>().is_err(), "{text}");
        }
    }
}
