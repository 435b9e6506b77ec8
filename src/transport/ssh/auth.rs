//! Who we are: keys from files and from the agent.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use russh::AgentAuthError;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, load_secret_key};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::client::Client;
use crate::inventory::Ssh;
use crate::transport::{Fault, Phase};

/// OpenSSH's MaxAuthTries is 6: one more try and the server hangs up.
const TRIES: usize = 5;

/// An agent that does not answer is no agent.
const AGENT_WITHIN: Duration = Duration::from_secs(5);
/// Signatures asked of an agent at once: it makes them one by one anyway.
const SIGNING: usize = 8;

/// Private keys and agents, each opened once for all hosts of a run.
#[derive(Default)]
pub struct Keys {
    files: std::sync::Mutex<HashMap<PathBuf, File>>,
    agents: Mutex<HashMap<PathBuf, Arc<Opened>>>,
}

/// A private key, or why there is none.
type File = Result<Arc<PrivateKey>, String>;

/// An agent and what it holds: nothing where nobody answers.
struct Opened {
    socket: PathBuf,
    keys: Vec<PublicKey>,
    turns: Semaphore,
}

enum Candidate {
    File(Arc<PrivateKey>),
    Agent(Arc<Opened>, PublicKey),
}

impl Candidate {
    fn is_rsa(&self) -> bool {
        match self {
            Self::File(key) => key.algorithm().is_rsa(),
            Self::Agent(_, key) => key.algorithm().is_rsa(),
        }
    }
}

impl Keys {
    /// Tries keys until the host lets us in: those of files that the agent holds or that are not
    /// encrypted, then the agent's others, unless only the named ones may be used.
    pub async fn authenticate(&self, handle: &mut Handle<Client>, address: &Ssh) -> Result<(), Fault> {
        let (candidates, unusable) = self.candidates(address).await;
        let tried = candidates.len().min(TRIES);
        for candidate in candidates.into_iter().take(TRIES) {
            let result = try_one(handle, &address.user, &candidate).await?;
            if result.success() {
                return Ok(());
            }
            if handle.is_closed() {
                return Err(Fault::new(
                    Phase::Auth,
                    "closed",
                    "the host closed the connection while we authenticated",
                )
                .hint("ssh -v HOST true"));
            }
        }
        let mut fault = Fault::new(
            Phase::Auth,
            "refused",
            format!("the host let '{}' in with none of {tried} keys", address.user),
        );
        if tried == 0 {
            fault =
                Fault::new(Phase::Auth, "no-key", format!("there is no key to try for '{}'", address.user));
        }
        for (path, reason) in unusable {
            fault = fault.cause(format!("{}: {reason}", path.display()));
        }
        Err(fault.hint("--private-key FILE, --user NAME, or ssh-add FILE"))
    }

    async fn candidates(&self, address: &Ssh) -> (Vec<Candidate>, Vec<(PathBuf, String)>) {
        let agent = match &address.agent {
            Some(socket) => Some(self.agent(socket).await),
            None => None,
        };
        let mut held: Vec<PublicKey> = agent.iter().flat_map(|agent| agent.keys.clone()).collect();
        let (mut candidates, mut unusable) = (Vec::new(), Vec::new());
        for path in &address.identities {
            // An agent's key needs no passphrase: its public half beside the file names it.
            let public = public_half(path);
            let in_agent = held
                .iter()
                .position(|key| public.as_ref().is_some_and(|public| public.key_data() == key.key_data()));
            match (in_agent, &agent, self.file(path)) {
                (Some(index), Some(agent), _) => {
                    candidates.push(Candidate::Agent(Arc::clone(agent), held.remove(index)))
                }
                (_, _, Ok(key)) => candidates.push(Candidate::File(key)),
                (_, _, Err(reason)) => unusable.push((path.clone(), reason)),
            }
        }
        if let Some(agent) = agent.filter(|_| !address.identities_only) {
            candidates.extend(held.into_iter().map(|key| Candidate::Agent(Arc::clone(&agent), key)));
        }
        (candidates, unusable)
    }

    fn file(&self, path: &Path) -> File {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let load = || match load_secret_key(path, None) {
            Ok(key) => Ok(Arc::new(key)),
            Err(russh::keys::Error::KeyIsEncrypted) => Err("it has a passphrase; ssh-add it".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        files.entry(path.to_owned()).or_insert_with(load).clone()
    }

    async fn agent(&self, socket: &Path) -> Arc<Opened> {
        let mut agents = self.agents.lock().await;
        if let Some(agent) = agents.get(socket) {
            return Arc::clone(agent);
        }
        let keys = timeout(AGENT_WITHIN, identities(socket)).await;
        let keys = match keys {
            Ok(Ok(keys)) => keys,
            Ok(Err(error)) => {
                tracing::warn!(socket = %socket.display(), %error, "ssh-agent not used");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(socket = %socket.display(), "ssh-agent does not answer");
                Vec::new()
            }
        };
        let opened = Arc::new(Opened { socket: socket.to_owned(), keys, turns: Semaphore::new(SIGNING) });
        agents.insert(socket.to_owned(), Arc::clone(&opened));
        opened
    }
}

async fn identities(socket: &Path) -> Result<Vec<PublicKey>, russh::keys::Error> {
    let mut client = AgentClient::connect(UnixStream::connect(socket).await?);
    let identities = client.request_identities().await?;
    let keys = identities.into_iter().filter_map(|identity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    });
    Ok(keys.collect())
}

/// Signs over a connection of its own: one that is shared would be held through round trips to
/// hosts, and a request that is given up would leave its answer to the next.
struct Signing<'a>(&'a Opened);

impl russh::Signer for Signing<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        // Closed by nobody.
        let _turn = self.0.turns.acquire().await;
        let stream = UnixStream::connect(&self.0.socket).await.map_err(russh::keys::Error::from)?;
        AgentClient::connect(stream).auth_sign(key, hash, data).await
    }
}

fn public_half(path: &Path) -> Option<PublicKey> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PublicKey::read_openssh_file(Path::new(&name)).ok()
}

async fn try_one(
    handle: &mut Handle<Client>,
    user: &str,
    candidate: &Candidate,
) -> Result<AuthResult, Fault> {
    let broke = |error: &dyn std::error::Error| {
        Fault::new(Phase::Auth, "closed", "the host closed the connection while we authenticated")
            .because(error)
            .hint("ssh -v HOST true")
    };
    // Waits for the server's list, so it is asked for RSA alone.
    let hash = match candidate.is_rsa() {
        true => handle.best_supported_rsa_hash().await.map_err(|error| broke(&error))?.flatten(),
        false => None,
    };
    match candidate {
        Candidate::File(key) => {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
            handle.authenticate_publickey(user, key).await.map_err(|error| broke(&error))
        }
        Candidate::Agent(agent, key) => {
            match handle.authenticate_publickey_with(user, key.clone(), hash, &mut Signing(agent)).await {
                Ok(result) => Ok(result),
                // The agent may refuse one key (a touch not given) and have another.
                Err(error) => {
                    tracing::warn!(%error, "ssh-agent did not sign");
                    Ok(refused())
                }
            }
        }
    }
}

fn refused() -> AuthResult {
    AuthResult::Failure { remaining_methods: russh::MethodSet::empty(), partial_success: false }
}
