//! Who we are: keys and certificates from files and from the agent, and a password.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use russh::client::{AuthResult, Handle};
use russh::keys::ssh_key::public::KeyData;
use russh::{MethodKind, MethodSet};
use tokio::sync::Mutex;

use super::client::Client;
use super::notice::Notice;
use crate::inventory::{Passphrases, Protocol, Secret, Ssh};
use crate::transport::{Fault, Phase};

mod agent;
mod candidate;
mod credential;
mod key_file;
mod memory;
mod password;

use agent::Agent;
use candidate::Candidate;
pub use credential::Credential;
use key_file::KeyFile;
use memory::Memory;
pub use password::unanswered;

/// OpenSSH's MaxAuthTries is 6: one more try and the server hangs up.
const TRIES: usize = 5;
/// Tries that are kept for a password.
const PASSWORD_TRIES: usize = 2;
/// Keys that let us in somewhere, remembered for other hosts.
const REMEMBERED: usize = 8;

/// Private keys and agents, each opened once for all hosts of a run.
#[derive(Default)]
pub struct Keys {
    files: std::sync::Mutex<HashMap<PathBuf, KeyFile>>,
    agents: Mutex<HashMap<PathBuf, Arc<Agent>>>,
    /// The one that worked last is first.
    worked: std::sync::Mutex<Vec<KeyId>>,
    /// Those that worked at each host, in earlier runs too.
    memory: std::sync::Mutex<Memory>,
}

/// A key, and whether it is shown with a certificate.
type KeyId = (KeyData, bool);

/// What there is to try, and why the rest is not.
#[derive(Default)]
struct Candidates {
    keys: Vec<Candidate>,
    /// How many of the first the operator named: their order is his.
    named: usize,
    unusable: Vec<(PathBuf, String)>,
}

impl Keys {
    /// With what earlier runs remembered in a file.
    pub fn remembering(file: PathBuf) -> Self {
        Self { memory: std::sync::Mutex::new(Memory::open(file)), ..Self::default() }
    }

    /// Tries keys until the host lets us in: those that the operator named, the one that the host took
    /// last time, those that worked elsewhere in this run, those of files, then the agent's others,
    /// unless only the named ones may be used. A password comes last, or first where ssh_config
    /// prefers it; `is_sent` says from when on.
    pub async fn authenticate(
        &self,
        handle: &mut Handle<Client>,
        address: &Ssh,
        notice: &Notice,
        is_sent: &mut bool,
    ) -> Result<Credential, Fault> {
        let Candidates { keys, unusable, .. } = self.candidates(address).await;
        let protocol = &address.protocol;
        let mut password = address.password.as_ref();
        let room = if password.is_some() { TRIES - PASSWORD_TRIES } else { TRIES };
        let (found, tried) = (keys.len(), keys.len().min(room));
        // What the server takes, once it has said so.
        let mut offered: Option<MethodSet> = None;
        // Why the password did not let us in, where keys come after it.
        let mut refused = None;
        if let Some(first) = password.filter(|_| protocol.prefers_password()) {
            let allowed = allowed(None, protocol);
            let sent = password::authenticate(handle, &address.user, first, allowed.as_ref(), is_sent).await;
            match sent {
                Ok(()) => return Ok(Credential::Password),
                Err(fault) if found > 0 && is_refusal(&fault) && !handle.is_closed() => {
                    refused = Some(fault.message);
                }
                Err(fault) if fault.kind == "closed" => return Err(notice.explain_hang_up(fault, 0)),
                Err(fault) => return Err(fault),
            }
            password = None;
        }
        for (index, candidate) in keys.into_iter().take(room).enumerate() {
            let attempt = candidate.attempt(handle, &address.user).await;
            match attempt.map_err(|fault| notice.explain_hang_up(fault, index + 1))? {
                AuthResult::Success => {
                    self.remember(address, candidate.id(), found);
                    return Ok(candidate.credential());
                }
                AuthResult::Failure { remaining_methods, partial_success: true } => {
                    self.remember(address, candidate.id(), found);
                    if !takes_password(&remaining_methods) || password.is_none() {
                        return Err(wants_more("the key", &remaining_methods));
                    }
                    offered = Some(remaining_methods);
                    break;
                }
                AuthResult::Failure { remaining_methods, .. } => {
                    if handle.is_closed() {
                        let fault = closed().cause(format!("after {tried} keys at most"));
                        return Err(notice.explain_hang_up(fault, index + 1));
                    }
                    // An agent that does not sign says nothing of the server.
                    if !remaining_methods.is_empty() {
                        let takes_keys = remaining_methods.contains(&MethodKind::PublicKey);
                        offered = Some(remaining_methods);
                        if !takes_keys {
                            break;
                        }
                    }
                }
            }
        }
        if let Some(password) = password {
            let offered = allowed(offered, protocol);
            let sent =
                password::authenticate(handle, &address.user, password, offered.as_ref(), is_sent).await;
            return match sent {
                Ok(()) => Ok(Credential::Password),
                Err(fault) if fault.kind == "closed" => Err(notice.explain_hang_up(fault, tried)),
                Err(fault) => Err(fault),
            };
        }
        let user = &address.user;
        let mut fault = match (tried, found) {
            (0, _) if !protocol.allows("publickey") => {
                Fault::new(Phase::Auth, "no-key", format!("ssh_config allows no key of '{user}'"))
                    .cause("PubkeyAuthentication or PreferredAuthentications says so")
            }
            (0, _) => Fault::new(Phase::Auth, "no-key", format!("there is no key to try for '{user}'")),
            (tried, found) if tried < found => {
                let message =
                    format!("the host let '{user}' in with none of the first {tried} of {found} keys");
                Fault::new(Phase::Auth, "refused", message)
                    .cause("servers hang up after six tries (MaxAuthTries), so no more were made")
            }
            (1, _) => {
                Fault::new(Phase::Auth, "refused", format!("the host did not let '{user}' in with 1 key"))
            }
            (tried, _) => {
                let message = format!("the host let '{user}' in with none of {tried} keys");
                Fault::new(Phase::Auth, "refused", message)
            }
        };
        if let Some(refused) = refused {
            fault = fault.cause(refused);
        }
        let locked = unusable.iter().find(|(path, _)| key_file::is_locked(path));
        let locked = locked.map(|(path, _)| format!("ssh-add {}", path.display()));
        for (path, reason) in unusable {
            fault = fault.cause(format!("{}: {reason}", path.display()));
        }
        // Of what nobody tried the host's log says nothing.
        if tried == 0 {
            let hint =
                locked.unwrap_or_else(|| "--private-key FILE, --user NAME, or ssh-add FILE".to_owned());
            return Err(fault.hint(hint));
        }
        let may_ask = address.password.is_none() && offered.is_some_and(|offered| takes_password(&offered));
        Err(fault.hint(match (found > tried, may_ask) {
            (true, _) => "--private-key FILE, with IdentitiesOnly yes in ssh_config",
            (false, true) => "--private-key FILE, --user NAME, ssh-add FILE, or --ask-pass; why: journalctl -u ssh  on the host",
            (false, false) => "--private-key FILE, --user NAME, or ssh-add FILE; why: journalctl -u ssh  on the host",
        }))
    }

    async fn candidates(&self, address: &Ssh) -> Candidates {
        if !address.protocol.allows("publickey") {
            return Candidates::default();
        }
        let agent = match &address.agent {
            Some(socket) => Some(self.agent(socket).await),
            None => None,
        };
        let (certificates, unusable) = key_file::certificates(&address.certificates, &address.identities);
        let mut found = Candidates { keys: Vec::new(), named: 0, unusable };
        let mut held = agent.as_ref().map(|agent| agent.keys.clone()).unwrap_or_default();
        for (index, path) in address.identities.iter().enumerate() {
            // An agent's key needs no passphrase: its public half beside the file names it.
            let public = key_file::public_half(path);
            let in_agent = held
                .iter()
                .position(|key| public.as_ref().is_some_and(|public| public.key_data() == key.key_data()));
            let file = || self.file(path, &address.passphrases);
            match (in_agent, &agent) {
                (Some(index), Some(agent)) => {
                    let key = held.remove(index);
                    let of_key = |certificate: &&_| is_for(certificate, key.key_data());
                    for certificate in certificates.iter().filter(of_key) {
                        let certificate = Box::new(certificate.clone());
                        found.keys.push(Candidate::AgentCertified(
                            Arc::clone(agent),
                            certificate,
                            Some(key.clone()),
                        ));
                    }
                    found.keys.push(Candidate::Agent(Arc::clone(agent), key));
                }
                _ => match file() {
                    Ok(key) => {
                        let of_key = |certificate: &&_| is_for(certificate, key.public_key().key_data());
                        for certificate in certificates.iter().filter(of_key) {
                            let certificate = Box::new(certificate.clone());
                            found.keys.push(Candidate::Certified(
                                path.clone(),
                                Arc::clone(&key),
                                certificate,
                            ));
                        }
                        found.keys.push(Candidate::File(path.clone(), key));
                    }
                    Err(reason) => found.unusable.push((path.clone(), reason)),
                },
            }
            if index < address.named {
                found.named = found.keys.len();
            }
        }
        if let Some(agent) = agent {
            // A certificate that is named may be for a key that only the agent has.
            for certificate in &certificates {
                let key = held.iter().find(|key| is_for(certificate, key.key_data()));
                if let Some(key) = key {
                    let certificate = Box::new(certificate.clone());
                    found.keys.push(Candidate::AgentCertified(
                        Arc::clone(&agent),
                        certificate,
                        Some(key.clone()),
                    ));
                }
            }
            if !address.identities_only {
                let own = agent.certificates.iter().filter(|own| !certificates.contains(own));
                let own =
                    own.map(|own| Candidate::AgentCertified(Arc::clone(&agent), Box::new(own.clone()), None));
                found.keys.extend(own);
                found.keys.extend(held.into_iter().map(|key| Candidate::Agent(Arc::clone(&agent), key)));
            }
        }
        let worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let last = memory.key_of(&host(address));
        let rank = |id: KeyId| match last {
            Some(last) if last == memory::name(&id) => 0,
            _ => worked.iter().position(|worked| *worked == id).map_or(usize::MAX, |index| index + 1),
        };
        found.keys[found.named..].sort_by_cached_key(|candidate| rank(candidate.id()));
        found
    }

    /// `among` so many: where there is one key, there is nothing to remember of the host.
    fn remember(&self, address: &Ssh, id: KeyId, among: usize) {
        if among > 1 {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.worked(host(address), memory::name(&id));
        }
        let mut worked = self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        if worked.first() != Some(&id) {
            worked.retain(|known| *known != id);
            worked.insert(0, id);
            worked.truncate(REMEMBERED);
        }
    }

    /// Writes down what later runs shall know.
    pub fn save(&self) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).save();
    }

    fn file(&self, path: &Path, passphrases: &Passphrases) -> KeyFile {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.entry(path.to_owned()).or_insert_with(|| key_file::load(path, passphrases)).clone()
    }

    async fn agent(&self, socket: &Path) -> Arc<Agent> {
        let mut agents = self.agents.lock().await;
        if let Some(agent) = agents.get(socket) {
            return Arc::clone(agent);
        }
        let agent = Arc::new(Agent::open(socket).await);
        agents.insert(socket.to_owned(), Arc::clone(&agent));
        agent
    }
}

/// The keys that would be tried at these hosts and that nobody can use without a passphrase. One
/// that nobody named counts only where there is nothing else to try.
pub async fn locked_keys<'a>(addresses: impl IntoIterator<Item = &'a Ssh>) -> Vec<PathBuf> {
    let (keys, mut locked, mut seen) = (Keys::default(), Vec::new(), HashSet::new());
    for address in addresses {
        let way = (&address.identities, &address.agent, address.identities_only, &address.password);
        if !seen.insert(way) {
            continue;
        }
        let candidates = keys.candidates(address).await;
        let is_alone = candidates.keys.is_empty() && address.password.is_none();
        for (path, _) in candidates.unusable {
            let is_wanted = is_alone || !is_default(&path);
            if is_wanted && !locked.contains(&path) && key_file::is_locked(&path) {
                locked.push(path);
            }
        }
    }
    locked
}

/// A host and its user as they are remembered: an alias stands for all that go by it.
fn host(address: &Ssh) -> String {
    match &address.host_key_alias {
        Some(alias) => format!("{}@{alias}", address.user),
        None => address.to_string(),
    }
}

/// Whether the passphrase is that of the private key in the file.
pub fn opens_key(path: &Path, passphrase: &Secret) -> bool {
    key_file::opens(path, passphrase.expose())
}

/// One of the files that are tried where nobody names any.
fn is_default(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("id_") && path.parent().is_some_and(|folder| folder.ends_with(".ssh"))
}

fn is_for(certificate: &russh::keys::Certificate, key: &KeyData) -> bool {
    certificate.public_key() == key
}

/// Whether a password did not let us in, and a key still may.
fn is_refusal(fault: &Fault) -> bool {
    matches!(fault.kind.as_ref(), "no-password" | "password")
}

fn takes_password(methods: &MethodSet) -> bool {
    methods.contains(&MethodKind::Password) || methods.contains(&MethodKind::KeyboardInteractive)
}

/// What the server takes, as far as it has said so, without what ssh_config forbids.
fn allowed(offered: Option<MethodSet>, protocol: &Protocol) -> Option<MethodSet> {
    const TYPED: [MethodKind; 2] = [MethodKind::Password, MethodKind::KeyboardInteractive];
    let forbidden = TYPED.iter().filter(|kind| !protocol.allows(<&str>::from(*kind))).collect::<Vec<_>>();
    if forbidden.is_empty() {
        return offered;
    }
    let mut offered = offered.unwrap_or_else(|| MethodSet::from(&TYPED[..]));
    for kind in forbidden {
        offered.remove(*kind);
    }
    Some(offered)
}

fn closed() -> Fault {
    Fault::new(Phase::Auth, "closed", "the host closed the connection while we authenticated")
}

fn broke(error: &dyn std::error::Error) -> Fault {
    closed().because(error)
}

fn wants_more(than: &str, methods: &MethodSet) -> Fault {
    let methods: Vec<String> = methods.iter().map(|method| <&str>::from(method).to_owned()).collect();
    let message = format!("the host took {than} and wants {} as well", methods.join(" or "));
    Fault::new(Phase::Auth, "partial", message)
        .hint("--ask-pass, or AuthenticationMethods in its sshd_config")
}
