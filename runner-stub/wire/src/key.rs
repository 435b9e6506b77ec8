//! Public keys: ECDSA on P-256, as cosign makes them.

use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use sha2::{Digest as _, Sha256};

/// SHA-256 of what is signed.
pub type Digest = [u8; 32];

/// A key that payloads are verified with.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    /// SHA-256 of the key's SubjectPublicKeyInfo in DER.
    id: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// The text holds another kind of PEM, or none.
    NotPublicKey { label: Option<String> },
    /// A public key that is not ECDSA on P-256, or a broken one.
    NotP256,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPublicKey { label: Some(label) } => {
                write!(f, "expected a PEM 'PUBLIC KEY', not '{label}'")
            }
            Self::NotPublicKey { label: None } => write!(f, "expected a PEM 'PUBLIC KEY', found no PEM"),
            Self::NotP256 => write!(f, "not a public key for ECDSA on P-256"),
        }
    }
}

impl std::error::Error for KeyError {}

impl PublicKey {
    pub fn new(key: VerifyingKey) -> Self {
        let der = key.to_public_key_der().expect("a point of the curve has its DER form");
        Self { key, id: Sha256::digest(der.as_bytes()).into() }
    }

    /// Reads `-----BEGIN PUBLIC KEY-----`, as in cosign's `.pub` files.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let pem = pem.trim();
        let label = pem.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
        match label {
            Some(("PUBLIC KEY", _)) => {}
            other => return Err(KeyError::NotPublicKey { label: other.map(|(label, _)| label.to_owned()) }),
        }
        let key = VerifyingKey::from_public_key_pem(pem).map_err(|_| KeyError::NotP256)?;
        Ok(Self::new(key))
    }

    pub fn to_pem(&self) -> String {
        self.key.to_public_key_pem(LineEnding::LF).expect("a point of the curve has its PEM form")
    }

    /// `SHA256:` and base64 without padding of the key's DER form, as ssh writes fingerprints.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&self.id))
    }

    /// How a Sigstore bundle names the key: base64 of the SHA-256 of its DER form.
    pub fn hint(&self) -> String {
        Base64::encode_string(&self.id)
    }

    /// Whether `signature` (DER) is this key's over what has this digest.
    pub fn verify(&self, digest: &Digest, signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature)
            .is_ok_and(|signature| self.key.verify_prehash(digest, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `key-2.5.0-password.pub` of the vectors.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgazBVN5WYsm/opa3a7IblPUbhBFW
rudN5ZUUi+h0jBqLHjLtpSDfZ2JvZPn12t7LKk7c9fdld+9CzL3LqXtJFw==
-----END PUBLIC KEY-----
";

    #[test]
    fn there_and_back() {
        let key = PublicKey::from_pem(PEM).unwrap();
        assert_eq!(key.to_pem(), PEM);
        assert_eq!(key.fingerprint(), "SHA256:kUdu0pw2+xpHc+u0ENrzL0TOPtMJEMxAmis+NO/eDZM");
        assert_eq!(PublicKey::from_pem(&PEM.replace('\n', "\r\n")).unwrap(), key);
        assert_eq!(PublicKey::from_pem(&format!("\n{PEM}\n\n")).unwrap(), key);
    }

    #[test]
    fn what_is_no_public_key() {
        let ed25519 = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";
        let private = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
        let label = Some("ENCRYPTED SIGSTORE PRIVATE KEY".to_owned());
        let table = [
            ("", KeyError::NotPublicKey { label: None }),
            ("ssh-ed25519 AAAA", KeyError::NotPublicKey { label: None }),
            (private, KeyError::NotPublicKey { label }),
            (ed25519, KeyError::NotP256),
            (&PEM.replace("gazB", "gazC"), KeyError::NotP256),
        ];
        for (pem, want) in table {
            assert_eq!(PublicKey::from_pem(pem), Err(want), "{pem}");
        }
    }
}
