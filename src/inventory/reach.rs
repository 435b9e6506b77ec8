//! Flags over the inventory over ssh_config over defaults: how each selected host is reached.

mod jumps;
mod origins;
mod stated;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::selection::{Host, Selected};
use super::ssh_config::{Config, HostConfig, Names, Place, Question, Weight};
use super::{
    Account, Address, Becoming, HostKeyPolicy, Inventory, Jump, Method, Passphrases, Privilege, Protocol,
    Ssh, Target, plain_user,
};
use crate::error::{Error, Result};

use jumps::Jumps;
pub use origins::Origins;
use stated::Stated;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom scripts become where nobody is named.
const ROOT: &str = "root";

/// Tried where nobody names a key, in this order, if they exist.
const IDENTITIES: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa"];

/// What the operator says for all hosts. It loses to what a target itself says and wins over
/// the inventory, which wins over ssh_config.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    pub user: Option<String>,
    pub port: Option<u16>,
    /// Tried before that of the inventory and those of ssh_config.
    pub private_keys: Vec<PathBuf>,
    /// In place of all files that ssh_config or the defaults name.
    pub known_hosts: Option<PathBuf>,
    pub host_key: Option<HostKeyPolicy>,
    pub connect_timeout: Option<Duration>,
    /// In place of every jump and proxy command that the inventory or ssh_config names; empty for
    /// none. User and port of these flags are not those of a jump host; all else is.
    pub jump: Option<Jump>,
    /// Not at jump hosts: nothing runs there.
    pub becoming: Becoming,
}

/// The hosts of a run, and what a person should know about them.
#[derive(Debug)]
pub struct Resolved {
    pub targets: Vec<Target>,
    pub warnings: Vec<String>,
    /// For each target its entry of `inventory`, if it has one.
    pub entries: Vec<Option<usize>>,
    /// For each target who says how it is reached.
    pub origins: Vec<Origins>,
    pub inventory: Option<Inventory>,
}

impl Reach {
    /// An error, for all hosts, where one of them cannot be reached as it is configured.
    pub fn resolve(
        &self,
        selected: &[Selected],
        inventory: Option<Inventory>,
        config: &Config,
        account: &Account,
    ) -> Result<Resolved> {
        let stated: Vec<Stated> = selected.iter().map(|host| Stated::of(host, inventory.as_ref())).collect();
        let mut warnings = inventory.as_ref().map(|inventory| inventory.warnings.clone()).unwrap_or_default();
        warnings.extend(stated::check(selected, &stated, &self.becoming, account)?);
        // A file that names the hosts may be the one that says how they are reached.
        let new = config.warnings.iter().filter(|warning| !warnings.contains(warning));
        let new: Vec<String> = new.cloned().collect();
        warnings.extend(new);

        let hosts: Vec<(&Host, &Stated)> = selected
            .iter()
            .zip(&stated)
            .filter(|(_, stated)| !stated.is_local())
            .filter_map(|(selected, stated)| Some((selected.ssh()?, stated)))
            .collect();
        let questions: Vec<Question<'_>> = hosts
            .iter()
            .map(|(host, stated)| {
                let settings = &stated.settings;
                let user = host.user.as_deref().or(self.user.as_deref());
                Question {
                    host: stated.asked(&host.name),
                    user: user.or(settings.user.as_ref().map(|user| user.value.as_str())),
                    port: host.port.or(self.port).or(settings.port.as_ref().map(|port| port.value)),
                }
            })
            .collect();
        let configs = if questions.is_empty() { Vec::new() } else { config.for_hosts(&questions)? };
        let defaults = Defaults::of(account);
        let mut jumps = Jumps::new(self, inventory.as_ref(), config, &defaults);
        let mut answers = questions.iter().zip(&configs);
        let mut origins = Vec::with_capacity(selected.len());
        let targets = selected
            .iter()
            .zip(&stated)
            .map(|(selected, stated)| {
                let address = match selected {
                    Selected::Ssh(host) if !stated.is_local() => {
                        let (question, config) = answers.next().expect("there is one for each SSH host");
                        let mut ssh = self.ssh(question, stated, config, &defaults)?;
                        ssh.proxy = jumps.way_to(&ssh, question.host, stated, config)?;
                        origins.push(Origins::of(self, host, stated, config));
                        Address::Ssh(Box::new(ssh))
                    }
                    _ => {
                        origins.push(Origins::default());
                        Address::Local
                    }
                };
                let login = match &address {
                    Address::Local => &account.user,
                    Address::Ssh(ssh) => &ssh.user,
                };
                let privilege = self.privilege(selected, stated, login)?;
                Ok(Target { name: selected.to_string(), address, groups: stated.groups.clone(), privilege })
            })
            .collect::<Result<Vec<_>>>()?;
        let met = std::mem::take(&mut jumps.met);
        let configs = hosts.iter().map(|(host, _)| *host).zip(&configs);
        warnings.extend(unsupported(configs.chain(met.iter().map(|(host, config)| (host, config))))?);
        let entries = stated.iter().map(|stated| stated.entry).collect();
        Ok(Resolved { targets, warnings, entries, origins, inventory })
    }

    /// Who scripts run as, where that is not `login`. Nobody but the operator himself makes us
    /// another user on this machine: the inventory may be that of a project.
    fn privilege(&self, host: &Selected, stated: &Stated, login: &str) -> Result<Option<Privilege>> {
        let settings = &stated.settings;
        if !stated.becomes(host, &self.becoming) {
            return Ok(None);
        }
        let Becoming { user, method, .. } = &self.becoming;
        let user = match (user, &settings.become_user) {
            (Some(user), _) => user,
            (None, None) => ROOT,
            (None, Some(written)) => {
                plain_user(&written.value).map_err(|reason| {
                    Error::usage(format!("cannot become another user on {host} as configured"))
                        .cause(format!("{}: {reason}", written.place))
                        .hint("--become-user NAME  is used in its place")
                        .hint(format!("--exclude {host}  leaves the host out"))
                })?;
                &written.value
            }
        };
        if user == login {
            return Ok(None);
        }
        let method = match (method, &settings.become_method) {
            (Some(method), _) => *method,
            (None, None) => Method::default(),
            (None, Some(written)) => Method::parse(&written.value).ok_or_else(|| {
                Error::usage(format!("cannot become '{user}' on {host} as configured"))
                    .cause(format!("{}: there is no method '{}' here", written.place, written.value))
                    .hint("--become-method sudo, doas or su  is used in its place")
                    .hint(format!("--exclude {host}  leaves the host out"))
            })?,
        };
        Ok(Some(Privilege { method, login: login.to_owned(), user: user.to_owned(), password: None }))
    }

    /// All but the way to the host.
    fn ssh(
        &self,
        question: &Question<'_>,
        stated: &Stated,
        config: &HostConfig,
        defaults: &Defaults<'_>,
    ) -> Result<Ssh> {
        let account = defaults.account;
        let typed = question.host;
        let wrong = |place: &Place, message: String| {
            Error::usage(format!("cannot work out how to reach {typed}"))
                .cause(format!("{place}: {message}"))
                .hint(format!("cronium-run hosts -F none {typed}  reads no SSH configuration"))
        };
        // Ansible's address is what ssh_config was asked for, and it may name another there.
        let address = stated.settings.address.as_ref().filter(|address| address.value != typed);
        let host = match (address, &config.host_name) {
            (Some(address), _) => address.value.clone(),
            (None, None) => typed.to_owned(),
            (None, Some(name)) => super::ssh_config::host_name(&name.value, typed)
                .and_then(|name| {
                    match name.contains(|character: char| character.is_control() || character == ' ') {
                        true => Err("the host name has characters that no host name has".to_owned()),
                        false => Ok(name),
                    }
                })
                .map_err(|message| wrong(&name.place, message))?,
        }
        .to_ascii_lowercase();
        let port = question.port.or(config.port.as_ref().map(|port| port.value)).unwrap_or(22);
        let user = question
            .user
            .map(str::to_owned)
            .or_else(|| config.user.as_ref().map(|user| user.value.clone()))
            .unwrap_or_else(|| account.user.clone());
        let names = Names {
            account,
            typed,
            host: &host,
            port,
            user: &user,
            host_key_alias: config.host_key_alias.as_deref(),
        };

        let mut identities = self.private_keys.clone();
        if let Some(key) = stated.private_key(account).filter(|key| !identities.contains(key)) {
            identities.push(key);
        }
        let named = identities.len();
        for file in config.identity_files.iter().filter(|file| !file.value.eq_ignore_ascii_case("none")) {
            let path = names.path(&file.value).map_err(|message| wrong(&file.place, message))?;
            if !identities.contains(&path) {
                identities.push(path);
            }
        }
        if named == 0 && config.identity_files.is_empty() {
            identities.clone_from(&defaults.identities);
        }

        let certificates = config.certificate_files.iter();
        let certificates = certificates
            .filter(|file| !file.value.eq_ignore_ascii_case("none"))
            .map(|file| names.path(&file.value).map_err(|message| wrong(&file.place, message)))
            .collect::<Result<Vec<_>>>()?;

        let agent = match &config.identity_agent {
            None => account.agent(),
            Some(agent) => match agent.value.as_str() {
                "none" => None,
                "SSH_AUTH_SOCK" => account.agent(),
                variable if variable.starts_with('$') && !variable.starts_with("${") => {
                    account.environment.get(&variable[1..]).map(PathBuf::from)
                }
                path => Some(names.path(path).map_err(|message| wrong(&agent.place, message))?),
            },
        };

        // `ConnectTimeout 0` leaves it to the system, which may wait for minutes.
        let patience = config.connect_timeout.filter(|time| !time.is_zero());
        let known_hosts = match &self.known_hosts {
            Some(file) => vec![file.clone()],
            None => {
                let mut files = match &config.user_known_hosts {
                    None => defaults.user_known_hosts.clone(),
                    // New keys go to the first file, and the system's is not meant.
                    Some(files) if files.value.is_empty() => vec![PathBuf::from("/dev/null")],
                    Some(files) => files
                        .value
                        .iter()
                        .map(|file| names.path(file).map_err(|message| wrong(&files.place, message)))
                        .collect::<Result<_>>()?,
                };
                match &config.global_known_hosts {
                    None => files.extend(GLOBAL_KNOWN_HOSTS.iter().map(PathBuf::from)),
                    Some(global) => {
                        for file in &global.value {
                            files.push(names.home(file).map_err(|message| wrong(&global.place, message))?);
                        }
                    }
                }
                files
            }
        };

        let revoked = config.revoked_host_keys.as_ref().filter(|file| !file.value.is_empty());
        let revoked = revoked
            .map(|file| names.path(&file.value).map_err(|message| wrong(&file.place, message)))
            .transpose()?;
        let environment = config.environment(&account.environment);

        Ok(Ssh {
            port,
            // As OpenSSH does, and names in known_hosts are compared in lower case.
            host_key_alias: config.host_key_alias.as_ref().map(|alias| alias.to_ascii_lowercase()),
            identities,
            named,
            agent,
            identities_only: config.identities_only.unwrap_or(false),
            known_hosts,
            host_key: self.host_key.unwrap_or_else(|| config.host_key()),
            hash_known_hosts: config.hash_known_hosts.unwrap_or(false),
            batch_mode: config.batch_mode.unwrap_or(false),
            connect_timeout: self.connect_timeout.or(patience).unwrap_or(CONNECT_TIMEOUT),
            proxy: None,
            certificates,
            protocol: Protocol { revoked, environment, ..config.protocol.clone() },
            passphrases: defaults.passphrases.clone(),
            password: None,
            host,
            user,
        })
    }
}

const GLOBAL_KNOWN_HOSTS: &[&str] = &["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// What holds where nobody says anything, looked up once for all hosts.
struct Defaults<'a> {
    account: &'a Account,
    identities: Vec<PathBuf>,
    user_known_hosts: Vec<PathBuf>,
    passphrases: Passphrases,
}

impl<'a> Defaults<'a> {
    fn of(account: &'a Account) -> Self {
        let in_ssh_dir = |name: &str| account.ssh_dir().join(name);
        Self {
            account,
            identities: IDENTITIES
                .iter()
                .map(|name| in_ssh_dir(name))
                .filter(|path| Path::exists(path))
                .collect(),
            user_known_hosts: vec![in_ssh_dir("known_hosts"), in_ssh_dir("known_hosts2")],
            passphrases: Passphrases::default(),
        }
    }
}

/// Warns of settings that we leave out, once for each line that holds one; refuses hosts that we
/// would reach in a wrong way without them.
fn unsupported<'a>(hosts: impl Iterator<Item = (&'a Host, &'a HostConfig)>) -> Result<Vec<String>> {
    let hosts: Vec<_> = hosts.collect();
    let mut found: BTreeMap<(&Place, &str), (Weight, Vec<&Host>)> = BTreeMap::new();
    for &(host, config) in &hosts {
        for setting in config.unsupported.iter().filter(|setting| setting.value.weight != Weight::None) {
            let key = (&setting.place, setting.value.keyword);
            found.entry(key).or_insert((setting.value.weight, Vec::new())).1.push(host);
        }
    }
    let refused: Vec<_> = found.iter().filter(|(_, (weight, _))| *weight == Weight::Refuse).collect();
    if let Some(&(&(_, keyword), _)) = refused.first() {
        let is_refused = |config: &HostConfig| {
            config.unsupported.iter().any(|setting| setting.value.weight == Weight::Refuse)
        };
        let all: Vec<&Host> =
            hosts.iter().filter(|(_, config)| is_refused(config)).map(|(host, _)| *host).collect();
        let mut error = Error::usage(format!(
            "cannot reach {} as configured: {keyword} is not supported yet",
            some(&all)
        ));
        for ((place, keyword), (_, hosts)) in &refused {
            error = error.cause(format!("{place}: {keyword} applies to {}", some(hosts)));
        }
        if keyword != "RefuseConnection" {
            error = error.hint(format!("--ssh-option {keyword}=no  goes without it"));
        }
        return Err(error.hint(without(&all)));
    }
    Ok(found
        .iter()
        .map(|((place, keyword), (_, hosts))| {
            format!("{place}: {keyword} is not supported yet, left out for {}", some(hosts))
        })
        .collect())
}

/// How to run without these hosts.
fn without(hosts: &[&impl ToString]) -> String {
    let names: Vec<String> = hosts.iter().map(|host| host.to_string()).collect();
    match names.len() {
        1..=8 => format!("--exclude {}  leaves them out", names.join(",")),
        _ => "--exclude EXPR  leaves hosts out".to_owned(),
    }
}

/// The first few by name, the others as a number.
fn some(hosts: &[&impl ToString]) -> String {
    const NAMED: usize = 3;
    let named: Vec<String> = hosts.iter().take(NAMED).map(|host| host.to_string()).collect();
    match hosts.len().checked_sub(NAMED) {
        None | Some(0) => named.join(", "),
        Some(more) => format!("{} and {more} more", named.join(", ")),
    }
}
