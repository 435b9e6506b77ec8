//! The agent: what it holds, and what it signs.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::AgentAuthError;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, HashAlg, PublicKey};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// An agent that does not answer is no agent.
const AGENT_WITHIN: Duration = Duration::from_secs(5);
/// Between two tries to get into its line.
const IN_LINE: Duration = Duration::from_millis(10);
/// Signatures asked of an agent at once: it makes them one by one anyway.
const SIGNING: usize = 8;

/// An agent and what it holds: nothing where nobody answers.
pub struct Agent {
    socket: PathBuf,
    pub keys: Vec<PublicKey>,
    pub certificates: Vec<Certificate>,
    turns: Semaphore,
}

impl Agent {
    pub async fn open(socket: &Path) -> Self {
        let identities = match timeout(AGENT_WITHIN, identities(socket)).await {
            Ok(Ok(identities)) => identities,
            Ok(Err(error)) => {
                tracing::warn!(socket = %socket.display(), %error, "ssh-agent not used");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(socket = %socket.display(), "ssh-agent does not answer");
                Vec::new()
            }
        };
        let (mut keys, mut certificates) = (Vec::new(), Vec::new());
        for identity in identities {
            match identity {
                AgentIdentity::PublicKey { key, .. } => keys.push(key),
                AgentIdentity::Certificate { certificate, .. } => certificates.push(certificate),
            }
        }
        Self { socket: socket.to_owned(), keys, certificates, turns: Semaphore::new(SIGNING) }
    }
}

async fn identities(socket: &Path) -> Result<Vec<AgentIdentity>, russh::keys::Error> {
    AgentClient::connect(connect(socket).await?).request_identities().await
}

/// Waits in line where too many others do: Linux does not queue us then.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let until = Instant::now() + AGENT_WITHIN;
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                sleep(IN_LINE).await;
            }
            connected => return connected,
        }
    }
}

/// Signs over a connection of its own: one that is shared would be held through round trips to
/// hosts, and a request that is given up would leave its answer to the next.
pub struct Signing<'a> {
    pub agent: &'a Agent,
    /// The key to sign with, where it is not the certificate that is shown: the agent may hold the
    /// one without the other.
    pub key: Option<&'a PublicKey>,
}

impl russh::Signer for Signing<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        shown: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        // Closed by nobody.
        let _turn = self.agent.turns.acquire().await;
        let stream = connect(&self.agent.socket).await.map_err(russh::keys::Error::from)?;
        let mut client = AgentClient::connect(stream);
        match self.key {
            Some(key) => client.auth_sign(&key.clone().into(), hash, data).await,
            None => client.auth_sign(shown, hash, data).await,
        }
    }
}

#[cfg(test)]
mod tests;
