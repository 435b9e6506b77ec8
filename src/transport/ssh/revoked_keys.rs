//! `RevokedHostKeys`: keys that no host may show, whoever vouches for them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{PublicKey, PublicKeyOrCertificate};

use crate::transport::{Fault, Phase};

/// The beginning of a list as `ssh-keygen -k` makes it.
const KRL: &[u8] = b"SSHKRL\n\0";

/// A list of public keys, one a line as in a `.pub` file.
pub struct RevokedKeys(HashSet<KeyData>);

impl RevokedKeys {
    /// A list that cannot be read refuses every host, as OpenSSH does.
    pub fn load(file: &Path) -> Result<Self, Fault> {
        let refused = |why: String| {
            Fault::new(Phase::Hostkey, "revoked-list", "the list of revoked host keys cannot be read")
                .cause(format!("RevokedHostKeys {}: {why}", file.display()))
        };
        let bytes = fs::read(file).map_err(|error| {
            refused(error.to_string()).hint("--ssh-option RevokedHostKeys=none  goes without it")
        })?;
        if bytes.starts_with(KRL) {
            return Err(refused("it is a binary KRL".into())
                .hint("write the keys into a plain list, a line of each .pub file"));
        }
        let key = |line: &str| PublicKey::from_openssh(line.trim()).ok().map(|key| key.key_data().clone());
        Ok(Self(String::from_utf8_lossy(&bytes).lines().filter_map(key).collect()))
    }

    /// Whether the key, that of a certificate or its authority's is on the list.
    pub fn holds(&self, shown: &PublicKeyOrCertificate) -> bool {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.0.contains(key.key_data()),
            PublicKeyOrCertificate::Certificate(certificate) => {
                self.0.contains(certificate.public_key()) || self.0.contains(certificate.signature_key())
            }
        }
    }
}
