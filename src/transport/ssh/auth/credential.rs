//! What let us in.

use std::fmt;
use std::path::PathBuf;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PublicKey};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Key(Shown),
    Certificate(Shown),
    Password,
}

/// A key that the host was shown, or the key of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `ssh-ed25519`
    pub algorithm: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// The file of the private half; `None` where the agent has it.
    pub file: Option<PathBuf>,
}

impl Shown {
    pub fn new(key: &KeyData, file: Option<PathBuf>) -> Self {
        let fingerprint = PublicKey::new(key.clone(), "").fingerprint(HashAlg::Sha256).to_string();
        Self { algorithm: key.algorithm().to_string(), fingerprint, file }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, Shown { algorithm, fingerprint, file }) = match self {
            Self::Password => return f.write_str("the password"),
            Self::Key(shown) => ("the key", shown),
            Self::Certificate(shown) => ("the certificate of the key", shown),
        };
        write!(f, "{what} {algorithm} {fingerprint} of ")?;
        match file {
            Some(file) => write!(f, "{}", file.display()),
            None => f.write_str("the agent"),
        }
    }
}
