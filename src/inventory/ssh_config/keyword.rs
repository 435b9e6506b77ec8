//! What each keyword of OpenSSH means to us.

use std::time::Duration;

use super::criteria::Criteria;
use super::time;
use crate::inventory::{Family, HostKeyPolicy, Jump, Spoken};

/// A keyword with its arguments, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    HostName(String),
    Port(u16),
    User(String),
    IdentityFile(String),
    CertificateFile(String),
    IdentitiesOnly(bool),
    IdentityAgent(String),
    /// Empty for `none`.
    UserKnownHostsFile(Vec<String>),
    GlobalKnownHostsFile(Vec<String>),
    HostKey(HostKeyPolicy),
    HashKnownHosts(bool),
    BatchMode(bool),
    HostKeyAlias(String),
    ConnectTimeout(Duration),
    ProxyJump(Jump),
    /// Empty for `none`.
    ProxyCommand(String),
    Protocol(Spoken),
    /// Empty for `none`.
    RevokedHostKeys(String),
    /// Names and values.
    SetEnv(Vec<(String, String)>),
    /// Patterns of names; one with `-` before it takes back those before.
    SendEnv(Vec<String>),
    Unsupported(Unsupported),
}

/// A setting that OpenSSH would follow and that we cannot, yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// As OpenSSH writes it.
    pub keyword: &'static str,
    pub weight: Weight,
}

/// What leaving a setting out would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Nothing: this value asks for what we do anyway.
    None,
    /// We connect to the right host, in another way than OpenSSH would.
    Warn,
    /// We would connect to the wrong place or trust what was distrusted.
    Refuse,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    Host(Vec<String>),
    Match(Criteria),
    Include(Vec<String>),
    IgnoreUnknown(String),
    /// `CanonicalizeHostname`, in effect.
    Canonicalize,
    Setting(Setting),
    /// Changes nothing about how we connect.
    Cosmetic,
    Unknown,
}

/// `keyword` is in lower case. The error says what is wrong with the arguments.
pub fn understand(keyword: &str, arguments: &[String]) -> Result<Meaning, String> {
    use Setting as S;
    // Before all else: what an unknown keyword takes is not ours to judge.
    if !is_known(keyword) {
        return Ok(Meaning::Unknown);
    }
    if arguments.is_empty() {
        return Err(format!("{keyword} needs an argument"));
    }
    let one = || match arguments {
        [argument] if argument.is_empty() => Err(format!("{keyword} has an empty argument")),
        [argument] => Ok(argument.as_str()),
        _ => Err(format!("{keyword} takes one argument, here are {}", arguments.len())),
    };
    let setting = match keyword {
        "host" if arguments.iter().any(String::is_empty) => return Err("host has an empty pattern".into()),
        "host" => return Ok(Meaning::Host(arguments.to_vec())),
        "match" => return Ok(Meaning::Match(Criteria::parse(one()?)?)),
        "include" => return Ok(Meaning::Include(arguments.to_vec())),
        "ignoreunknown" => return Ok(Meaning::IgnoreUnknown(one()?.to_owned())),
        "canonicalizehostname" => {
            return Ok(if is_off(one()?) { Meaning::Cosmetic } else { Meaning::Canonicalize });
        }
        "hostname" => S::HostName(one()?.to_owned()),
        "user" => S::User(one()?.to_owned()),
        "port" => S::Port(port(one()?)?),
        "identityfile" => S::IdentityFile(one()?.to_owned()),
        "certificatefile" => S::CertificateFile(one()?.to_owned()),
        "identitiesonly" => S::IdentitiesOnly(yes_no(keyword, one()?)?),
        "identityagent" => S::IdentityAgent(one()?.to_owned()),
        "userknownhostsfile" => S::UserKnownHostsFile(files(keyword, arguments)?),
        "globalknownhostsfile" => S::GlobalKnownHostsFile(files(keyword, arguments)?),
        "hashknownhosts" => S::HashKnownHosts(yes_no(keyword, one()?)?),
        "batchmode" => S::BatchMode(yes_no(keyword, one()?)?),
        "hostkeyalias" => S::HostKeyAlias(one()?.to_owned()),
        "stricthostkeychecking" => S::HostKey(match one()?.to_ascii_lowercase().as_str() {
            "ask" => HostKeyPolicy::Ask,
            "yes" | "true" => HostKeyPolicy::Strict,
            "accept-new" => HostKeyPolicy::AcceptNew,
            "no" | "false" | "off" => HostKeyPolicy::Off,
            other => return Err(format!("{keyword} is yes, ask, accept-new, no or off, not {other}")),
        }),
        "connecttimeout" => S::ConnectTimeout(match one()? {
            // As if nothing was said: a later value still counts.
            "none" => return Ok(Meaning::Cosmetic),
            text => time::parse(text).ok_or_else(|| format!("{text} is no length of time"))?,
        }),
        "proxyjump" => S::ProxyJump(one()?.parse()?),
        "proxycommand" => match arguments {
            [only] if only.eq_ignore_ascii_case("none") => S::ProxyCommand(String::new()),
            words => S::ProxyCommand(words.join(" ")),
        },
        "serveraliveinterval" => match time::parse(one()?) {
            // OpenSSH's default, and no reason to wait for ever for a host that is gone.
            Some(time) if time.is_zero() => return Ok(Meaning::Cosmetic),
            Some(time) => S::Protocol(Spoken::Keepalive(time)),
            None => return Err(format!("{} is no length of time", one()?)),
        },
        "serveralivecountmax" => match one()?.parse() {
            Ok(0) => return Ok(Meaning::Cosmetic),
            Ok(count) => S::Protocol(Spoken::KeepaliveMax(count)),
            Err(_) => return Err(format!("{keyword} is a number, not {}", one()?)),
        },
        "compression" => S::Protocol(Spoken::Compression(yes_no(keyword, one()?)?)),
        "ciphers" => S::Protocol(Spoken::Ciphers(one()?.to_owned())),
        "macs" => S::Protocol(Spoken::Macs(one()?.to_owned())),
        "kexalgorithms" => S::Protocol(Spoken::Kex(one()?.to_owned())),
        "hostkeyalgorithms" => S::Protocol(Spoken::HostKeys(one()?.to_owned())),
        "addressfamily" => S::Protocol(Spoken::Family(match one()?.to_ascii_lowercase().as_str() {
            "any" => Family::Any,
            "inet" => Family::Inet,
            "inet6" => Family::Inet6,
            other => return Err(format!("{keyword} is any, inet or inet6, not {other}")),
        })),
        "bindaddress" => S::Protocol(Spoken::BindAddress(one()?.to_owned())),
        "preferredauthentications" => S::Protocol(Spoken::Methods(one()?.to_owned())),
        // `unbound` and `host-bound` are about an extension of the agent's.
        "pubkeyauthentication" => S::Protocol(Spoken::PublicKey(match one()? {
            "unbound" | "host-bound" => true,
            text => yes_no(keyword, text)?,
        })),
        "kbdinteractiveauthentication" | "challengeresponseauthentication" => {
            S::Protocol(Spoken::Keyboard(yes_no(keyword, one()?)?))
        }
        "passwordauthentication" => S::Protocol(Spoken::Password(yes_no(keyword, one()?)?)),
        "revokedhostkeys" => match one()? {
            none if none.eq_ignore_ascii_case("none") => S::RevokedHostKeys(String::new()),
            file => S::RevokedHostKeys(file.to_owned()),
        },
        "setenv" => S::SetEnv(arguments.iter().map(|word| variable(word)).collect::<Result<_, _>>()?),
        "sendenv" => match arguments.iter().find(|name| name.is_empty() || name.contains('=')) {
            Some(name) => return Err(format!("{keyword} takes names of variables, not '{name}'")),
            None => S::SendEnv(arguments.to_vec()),
        },
        _ => match unsupported(keyword, arguments) {
            Some(unsupported) => S::Unsupported(unsupported),
            None => return Ok(Meaning::Cosmetic),
        },
    };
    Ok(Meaning::Setting(setting))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("setenv takes NAME=VALUE, not {text}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A number, or a service that this machine knows.
fn port(text: &str) -> Result<u16, String> {
    match text.parse().ok().or_else(|| service(text)) {
        Some(port) if port > 0 => Ok(port),
        _ => Err(format!("a port is a number from 1 to 65535, not {text}")),
    }
}

/// The TCP port of a name, or of an alias, in `/etc/services`.
fn service(name: &str) -> Option<u16> {
    let services = std::fs::read_to_string("/etc/services").ok()?;
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let (own, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        (own == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    })
}

fn yes_no(keyword: &str, text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(format!("{keyword} is yes or no, not {text}")),
    }
}

fn files(keyword: &str, arguments: &[String]) -> Result<Vec<String>, String> {
    let none = |argument: &String| argument.eq_ignore_ascii_case("none");
    if arguments.iter().any(String::is_empty) {
        return Err(format!("{keyword} has an empty argument"));
    }
    match arguments {
        [only] if none(only) => Ok(Vec::new()),
        many if many.iter().any(none) => Err(format!("{keyword} takes none only where it stands alone")),
        many => Ok(many.to_vec()),
    }
}

fn is_off(value: &str) -> bool {
    ["no", "none", "false"].iter().any(|off| value.eq_ignore_ascii_case(off))
}

/// Keywords that change how OpenSSH connects and that we do not follow.
fn unsupported(keyword: &str, arguments: &[String]) -> Option<Unsupported> {
    use Weight::{Refuse, Warn};
    let value = arguments[0].as_str();
    let off = is_off(value);
    let (keyword, heavy, neutral) = match keyword {
        "proxyusefdpass" => ("ProxyUseFdpass", Refuse, off),
        "refuseconnection" => ("RefuseConnection", Refuse, false),
        "bindinterface" => ("BindInterface", Warn, off),
        "knownhostscommand" => ("KnownHostsCommand", Warn, off),
        "verifyhostkeydns" => ("VerifyHostKeyDNS", Warn, off),
        "nohostauthenticationforlocalhost" => ("NoHostAuthenticationForLocalhost", Warn, off),
        "pkcs11provider" | "smartcarddevice" => ("PKCS11Provider", Warn, off),
        "securitykeyprovider" => ("SecurityKeyProvider", Warn, off || value == "internal"),
        "casignaturealgorithms" => ("CASignatureAlgorithms", Warn, false),
        "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => ("PubkeyAcceptedAlgorithms", Warn, false),
        "requiredrsasize" => ("RequiredRSASize", Warn, false),
        "hostbasedauthentication" => ("HostbasedAuthentication", Warn, off),
        "connectionattempts" => ("ConnectionAttempts", Warn, value == "1"),
        "updatehostkeys" => ("UpdateHostKeys", Warn, off),
        "channeltimeout" => ("ChannelTimeout", Warn, off),
        // As `ssh -G` prints it, and as it is written.
        "rekeylimit" => {
            ("RekeyLimit", Warn, ["default", "default none", "0 0"].contains(&arguments.join(" ").as_str()))
        }
        _ => return None,
    };
    Some(Unsupported { keyword, weight: if neutral { Weight::None } else { heavy } })
}

/// What `ssh -G` prints whether somebody configured it or not, and what is not neutral then.
pub fn is_always_printed(keyword: &str) -> bool {
    matches!(
        keyword,
        "ciphers"
            | "macs"
            | "kexalgorithms"
            | "hostkeyalgorithms"
            | "casignaturealgorithms"
            | "pubkeyacceptedalgorithms"
            | "requiredrsasize"
            | "updatehostkeys"
            | "channeltimeout"
    )
}

/// Every keyword that an OpenSSH up to 10.2 knows, and UseKeychain of macOS.
pub fn is_known(keyword: &str) -> bool {
    const KNOWN: &[&str] = &[
        "addkeystoagent",
        "addressfamily",
        "afstokenpassing",
        "batchmode",
        "bindaddress",
        "bindinterface",
        "canonicaldomains",
        "canonicalizefallbacklocal",
        "canonicalizehostname",
        "canonicalizemaxdots",
        "canonicalizepermittedcnames",
        "casignaturealgorithms",
        "certificatefile",
        "challengeresponseauthentication",
        "channeltimeout",
        "checkhostip",
        "cipher",
        "ciphers",
        "clearallforwardings",
        "compression",
        "compressionlevel",
        "connectionattempts",
        "connecttimeout",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "dsaauthentication",
        "dynamicforward",
        "enableescapecommandline",
        "enablesshkeysign",
        "escapechar",
        "exitonforwardfailure",
        "fallbacktorsh",
        "fingerprinthash",
        "forkafterauthentication",
        "forwardagent",
        "forwardx11",
        "forwardx11timeout",
        "forwardx11trusted",
        "gatewayports",
        "globalknownhostsfile",
        "globalknownhostsfile2",
        "gssapiauthentication",
        "gssapiclientidentity",
        "gssapidelegatecredentials",
        "gssapikexalgorithms",
        "gssapikeyexchange",
        "gssapirenewalforcesrekey",
        "gssapiserveridentity",
        "gssapitrustdns",
        "hashknownhosts",
        "host",
        "hostbasedacceptedalgorithms",
        "hostbasedauthentication",
        "hostbasedkeytypes",
        "hostkeyalgorithms",
        "hostkeyalias",
        "hostname",
        "identitiesonly",
        "identityagent",
        "identityfile",
        "ignoreunknown",
        "include",
        "ipqos",
        "kbdinteractiveauthentication",
        "kbdinteractivedevices",
        "keepalive",
        "kexalgorithms",
        "knownhostscommand",
        "localcommand",
        "localforward",
        "loglevel",
        "logverbose",
        "macs",
        "match",
        "nohostauthenticationforlocalhost",
        "numberofpasswordprompts",
        "obscurekeystroketiming",
        "passwordauthentication",
        "permitlocalcommand",
        "permitremoteopen",
        "pkcs11provider",
        "port",
        "preferredauthentications",
        "protocol",
        "protocolkeepalives",
        "proxycommand",
        "proxyjump",
        "proxyusefdpass",
        "pubkeyacceptedalgorithms",
        "pubkeyacceptedkeytypes",
        "pubkeyauthentication",
        "refuseconnection",
        "rekeylimit",
        "remotecommand",
        "remoteforward",
        "requesttty",
        "requiredrsasize",
        "revokedhostkeys",
        "rhostsauthentication",
        "rhostsrsaauthentication",
        "rsaauthentication",
        "securitykeyprovider",
        "sendenv",
        "serveralivecountmax",
        "serveraliveinterval",
        "sessiontype",
        "setenv",
        "setupttimeout",
        "skeyauthentication",
        "smartcarddevice",
        "stdinnull",
        "streamlocalbindmask",
        "streamlocalbindunlink",
        "stricthostkeychecking",
        "syslogfacility",
        "tag",
        "tcpkeepalive",
        "tisauthentication",
        "tunnel",
        "tunneldevice",
        "updatehostkeys",
        "usekeychain",
        "useprivilegedport",
        "user",
        "userknownhostsfile",
        "userknownhostsfile2",
        "useroaming",
        "usersh",
        "verifyhostkeydns",
        "versionaddendum",
        "visualhostkey",
        "warnweakcrypto",
        "xauthlocation",
    ];
    KNOWN.binary_search(&keyword).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(keyword: &str, argument: &str) -> Result<Meaning, String> {
        understand(keyword, &[argument.to_owned()])
    }

    #[test]
    fn what_is_configured_as_we_do_anyway_weighs_nothing() {
        for (keyword, value, weight) in [
            ("refuseconnection", "out of service", Weight::Refuse),
            ("proxyusefdpass", "yes", Weight::Refuse),
            ("verifyhostkeydns", "yes", Weight::Warn),
            ("verifyhostkeydns", "no", Weight::None),
            ("bindinterface", "eth1", Weight::Warn),
            ("hostbasedauthentication", "yes", Weight::Warn),
            ("hostbasedauthentication", "no", Weight::None),
            ("connectionattempts", "3", Weight::Warn),
            ("connectionattempts", "1", Weight::None),
            ("updatehostkeys", "yes", Weight::Warn),
            ("updatehostkeys", "ask", Weight::Warn),
            ("updatehostkeys", "no", Weight::None),
            ("channeltimeout", "session=5m", Weight::Warn),
            ("channeltimeout", "none", Weight::None),
            ("rekeylimit", "1G", Weight::Warn),
            ("rekeylimit", "default", Weight::None),
            ("rekeylimit", "0 0", Weight::None),
        ] {
            match meaning(keyword, value) {
                Ok(Meaning::Setting(Setting::Unsupported(unsupported))) => {
                    assert_eq!(unsupported.weight, weight, "{keyword} {value}");
                }
                other => panic!("{keyword} {value}: {other:?}"),
            }
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for (keyword, value) in [
            ("port", "0"),
            ("port", "no-such-service"),
            ("port", "65536"),
            ("identitiesonly", "perhaps"),
            ("stricthostkeychecking", "maybe"),
            ("connecttimeout", "soon"),
            ("user", ""),
            ("host", ""),
            ("proxyjump", "bastion:port"),
            ("proxyjump", "a,,b"),
            ("addressfamily", "inet7"),
            ("setenv", "A"),
            ("sendenv", "A=b"),
            ("pubkeyauthentication", "maybe"),
            ("hashknownhosts", "maybe"),
            ("batchmode", "maybe"),
        ] {
            assert!(meaning(keyword, value).is_err(), "{keyword} {value}");
        }
        assert!(understand("user", &[]).is_err());
        assert!(understand("user", &["a".into(), "b".into()]).is_err());
        assert!(understand("userknownhostsfile", &["a".into(), "none".into()]).is_err());
    }

    /// As Debian's netbase lists them; the second is an alias.
    #[test]
    fn a_port_may_be_named() {
        for (name, port) in [("ssh", 22), ("www", 80)] {
            assert_eq!(meaning("port", name), Ok(Meaning::Setting(Setting::Port(port))), "{name}");
        }
    }

    #[test]
    fn the_rest_is_cosmetic_or_unknown() {
        assert_eq!(meaning("controlmaster", "auto"), Ok(Meaning::Cosmetic));
        assert_eq!(meaning("xauthlocation", "/x"), Ok(Meaning::Cosmetic));
        assert_eq!(meaning("addkeystoagent", "yes"), Ok(Meaning::Cosmetic));
        assert_eq!(meaning("hostnam", "x"), Ok(Meaning::Unknown));
    }
}
