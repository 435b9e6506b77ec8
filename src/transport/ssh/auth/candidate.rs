//! One key to try.

use std::path::PathBuf;
use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{AgentAuthError, MethodSet};

use super::agent::{Agent, Signing};
use super::credential::{Credential, Shown};
use crate::transport::Fault;
use crate::transport::ssh::client::Client;

pub enum Candidate {
    File(PathBuf, Arc<PrivateKey>),
    /// A certificate and the key that it is for.
    Certified(PathBuf, Arc<PrivateKey>, Box<Certificate>),
    Agent(Arc<Agent>, PublicKey),
    /// A certificate and, where it is not the agent's, the agent's key that it is for.
    AgentCertified(Arc<Agent>, Box<Certificate>, Option<PublicKey>),
}

impl Candidate {
    /// What tells one from another.
    pub fn id(&self) -> (KeyData, bool) {
        match self {
            Self::File(_, key) => (key.public_key().key_data().clone(), false),
            Self::Agent(_, key) => (key.key_data().clone(), false),
            Self::Certified(_, _, certificate) | Self::AgentCertified(_, certificate, _) => {
                (certificate.public_key().clone(), true)
            }
        }
    }

    pub fn credential(&self) -> Credential {
        let (key, is_certificate) = self.id();
        let file = match self {
            Self::File(path, _) | Self::Certified(path, ..) => Some(path.clone()),
            Self::Agent(..) | Self::AgentCertified(..) => None,
        };
        match is_certificate {
            true => Credential::Certificate(Shown::new(&key, file)),
            false => Credential::Key(Shown::new(&key, file)),
        }
    }

    pub async fn attempt(&self, handle: &mut Handle<Client>, user: &str) -> Result<AuthResult, Fault> {
        // Waits for the server's list, so it is asked for RSA alone.
        let hash = match self.id().0.algorithm().is_rsa() {
            true => handle.best_supported_rsa_hash().await.map_err(|error| super::broke(&error))?.flatten(),
            false => None,
        };
        match self {
            Self::File(_, key) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                handle.authenticate_publickey(user, key).await.map_err(|error| super::broke(&error))
            }
            Self::Certified(_, key, certificate) => handle
                .authenticate_openssh_cert(user, Arc::clone(key), (**certificate).clone())
                .await
                .map_err(|error| super::broke(&error)),
            Self::Agent(agent, key) => {
                let mut signing = Signing { agent, key: None };
                signed(handle.authenticate_publickey_with(user, key.clone(), hash, &mut signing).await)
            }
            Self::AgentCertified(agent, certificate, key) => {
                let mut signing = Signing { agent, key: key.as_ref() };
                let certificate = (**certificate).clone();
                signed(handle.authenticate_certificate_with(user, certificate, hash, &mut signing).await)
            }
        }
    }
}

/// The agent may refuse one key (a touch not given) and have another.
fn signed(result: Result<AuthResult, AgentAuthError>) -> Result<AuthResult, Fault> {
    Ok(result.unwrap_or_else(|error| {
        tracing::warn!(%error, "ssh-agent did not sign");
        AuthResult::Failure { remaining_methods: MethodSet::empty(), partial_success: false }
    }))
}
