use std::fmt;
use std::path::PathBuf;

use russh::keys::{HashAlg, PublicKey};
use serde::{Deserialize, Serialize};

/// A host key that no known_hosts file has, and what to do where the operator says it is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownKey {
    /// The known_hosts files of the host; the key is recorded in the first.
    pub files: Vec<PathBuf>,
    /// What known_hosts is searched for.
    pub(super) name: String,
    pub(super) port: u16,
    #[serde(with = "openssh")]
    pub(super) key: PublicKey,
    /// Whether the name is recorded as a hash.
    pub(super) hashed: bool,
    /// `user@host:port` of the jump host, where it is not the target that shows the key.
    pub jump: Option<String>,
}

impl UnknownKey {
    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }
}

/// `ssh-ed25519 SHA256:…`.
impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key.algorithm(), self.fingerprint())
    }
}

/// As it stands in a file.
mod openssh {
    use russh::keys::PublicKey;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de, ser};

    pub fn serialize<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
        key.to_openssh().map_err(ser::Error::custom)?.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
