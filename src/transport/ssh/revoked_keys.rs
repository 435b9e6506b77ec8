//! `RevokedHostKeys`: keys that no host may show, whoever vouches for them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{PublicKey, PublicKeyOrCertificate};

use crate::transport::{Fault, Phase};

/// The beginning of a list as `ssh-keygen -k` makes it.
const KRL: &[u8] = b"SSHKRL\n\0";

/// A list of public keys, one a line as in a `.pub` file, with empty lines and comments (`#`).
pub struct RevokedKeys(HashSet<KeyData>);

impl RevokedKeys {
    /// A list that cannot be read to its last line refuses every host, as OpenSSH does: the line may be
    /// the key that it shows.
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
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(str::trim).zip(1..);
        let keys = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        let key = |(line, number): (&str, usize)| match PublicKey::from_openssh(line) {
            Ok(key) => Ok(key.key_data().clone()),
            Err(error) => Err(refused(format!("line {number} is no public key: {error}"))
                .hint(format!("ssh-keygen -lf {}  shows the lines that are", file.display()))),
        };
        Ok(Self(keys.map(key).collect::<Result<_, _>>()?))
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
