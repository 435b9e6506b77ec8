//! What is offered to a server, after what ssh_config says of it.

use std::borrow::Cow;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression, kex, mac};

use super::known_hosts::HostKeyAlgorithms;
use crate::inventory::Protocol;
use crate::transport::{Fault, Phase};

/// `recorded` is what known_hosts has a use for.
pub fn preferred(protocol: &Protocol, recorded: HostKeyAlgorithms) -> Result<Preferred, Fault> {
    let default = Preferred::default();
    let all = |names: &[&kex::Name]| names.iter().map(|name| **name).collect::<Vec<_>>();
    let ciphers: Vec<cipher::Name> = cipher::ALL_CIPHERS.iter().map(|name| **name).collect();
    let macs: Vec<mac::Name> = mac::ALL_MAC_ALGORITHMS.iter().map(|name| **name).collect();
    let mut kexes = chosen("KexAlgorithms", &protocol.kex, &default.kex, &all(kex::ALL_KEX_ALGORITHMS))?;
    // No algorithms but signs of what we understand; strict kex is among them.
    for sign in default.kex.iter().filter(|name| is_sign(name.as_ref())) {
        if !kexes.contains(sign) {
            kexes.push(*sign);
        }
    }
    let HostKeyAlgorithms { keys, certificates } = recorded;
    let names = |keys: Vec<Algorithm>| keys.into_iter().map(HostKey).collect::<Vec<_>>();
    let all_keys = names(keys);
    let keys = chosen("HostKeyAlgorithms", &protocol.host_keys, &all_keys, &all_keys)?;
    // A plain list without certificates wants none.
    let is_plain = |list: &String| !list.starts_with(['+', '-', '^']) && !list.contains("-cert-");
    let certificates =
        if protocol.host_keys.as_ref().is_some_and(is_plain) { Vec::new() } else { certificates };
    Ok(Preferred {
        kex: Cow::Owned(kexes),
        key: keys.into_iter().map(|key| key.0).collect(),
        host_key_certificates: certificates.into(),
        cipher: Cow::Owned(chosen("Ciphers", &protocol.ciphers, &default.cipher, &ciphers)?),
        mac: Cow::Owned(chosen("MACs", &protocol.macs, &default.mac, &macs)?),
        compression: match protocol.compression {
            Some(true) => Cow::Borrowed(&[compression::ZLIB_LEGACY, compression::ZLIB, compression::NONE]),
            _ => default.compression.clone(),
        },
    })
}

fn is_sign(name: &str) -> bool {
    name.starts_with("ext-info-") || name.starts_with("kex-strict-")
}

#[derive(Clone, PartialEq)]
struct HostKey(Algorithm);

impl AsRef<str> for HostKey {
    fn as_ref(&self) -> &str {
        self.0.as_str()
    }
}

/// Those of `all` that the list names, or that it leaves of `default`.
fn chosen<N: Clone + PartialEq + AsRef<str>>(
    keyword: &str,
    list: &Option<String>,
    default: &[N],
    all: &[N],
) -> Result<Vec<N>, Fault> {
    let Some(list) = list else { return Ok(default.to_vec()) };
    let (sign, names) = match list.chars().next() {
        Some(sign @ ('+' | '-' | '^')) => (Some(sign), &list[1..]),
        _ => (None, list.as_str()),
    };
    let mut named: Vec<N> = Vec::new();
    for pattern in names.split(',').map(str::trim) {
        let found = all.iter().filter(|name| name.as_ref() != "none" && matches(pattern, name.as_ref()));
        let before = named.len();
        named.extend(found.filter(|name| !named.contains(name)).cloned().collect::<Vec<_>>());
        if named.len() == before {
            tracing::debug!(keyword, pattern, "not among the algorithms we have");
        }
    }
    let others = default.iter().filter(|name| !named.contains(name)).cloned();
    let chosen: Vec<N> = match sign {
        None => named,
        Some('+') => {
            default.iter().cloned().chain(named.into_iter().filter(|name| !default.contains(name))).collect()
        }
        Some('-') => others.collect(),
        Some(_) => {
            let others: Vec<N> = others.collect();
            named.into_iter().chain(others).collect()
        }
    };
    if chosen.iter().all(|name| is_sign(name.as_ref())) {
        let ours: Vec<&str> = all.iter().map(AsRef::as_ref).filter(|name| *name != "none").collect();
        return Err(Fault::new(
            Phase::Banner,
            "algorithms",
            format!("{keyword} of ssh_config leaves nothing that we have"),
        )
        .cause(format!("it says {list}"))
        .cause(format!("we have {}", ours.join(", ")))
        .hint(format!("--ssh-option {keyword}={}", ours.first().copied().unwrap_or_default())));
    }
    Ok(chosen)
}

/// `*` alone is special.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name.strip_prefix(before).is_some_and(|name| {
            rest.is_empty()
                || (0..=name.len()).any(|at| name.is_char_boundary(at) && matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_choose_as_openssh_says() {
        let (all, default) = (["a1", "a2", "b1", "none"], ["a1", "b1"]);
        for (list, expected) in [
            ("b1,a2", "b1 a2"),
            ("x,b1", "b1"),
            ("+a2", "a1 b1 a2"),
            ("+b1", "a1 b1"),
            ("-a*", "b1"),
            ("^b*", "b1 a1"),
            ("a*", "a1 a2"),
        ] {
            let chosen = chosen("Ciphers", &Some(list.to_owned()), &default, &all).unwrap();
            assert_eq!(chosen.join(" "), expected, "{list}");
        }
        for list in ["x", "none", "-*"] {
            assert!(chosen("Ciphers", &Some(list.to_owned()), &default, &all).is_err(), "{list}");
        }
        assert_eq!(chosen("Ciphers", &None, &default, &all).unwrap(), default);
    }
}
