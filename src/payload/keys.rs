//! Signing keys, in cosign's files and in ours.

use std::fs;
use std::path::{Path, PathBuf};

use cronium_wire::key::{Digest, PublicKey};
use crypto_secretbox::aead::OsRng;
use crypto_secretbox::aead::rand_core::RngCore as _;
use p256::SecretKey;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{self, DerSignature};
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use zeroize::Zeroizing;

use super::file;
use crate::error::{Error, Result};

mod operator;
mod password;
mod sealed;

pub use operator::{operator_key, operator_public_key};
pub use password::Password;

/// A private key: ECDSA on P-256. Its memory is wiped when it is dropped.
pub struct SigningKey {
    key: ecdsa::SigningKey,
    public: PublicKey,
}

/// PEM labels that cosign has used for its sealed keys, the newer first.
const SEALED: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];
/// PKCS#8 without a password, as `openssl genpkey` writes it.
const PLAIN: &str = "PRIVATE KEY";

impl SigningKey {
    fn new(secret: &SecretKey) -> Self {
        let key = ecdsa::SigningKey::from(secret);
        let public = PublicKey::new(*key.verifying_key());
        Self { key, public }
    }

    /// Makes a key from the system's randomness.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            OsRng.fill_bytes(&mut *bytes);
            // Only zero and what is past the group's order is no key: 2^-32 of all.
            if let Ok(secret) = SecretKey::from_slice(&*bytes) {
                return Self::new(&secret);
            }
        }
    }

    /// Reads a private key: cosign's, opened with `password`, or PKCS#8 without one.
    pub fn load(path: &Path, password: &Password) -> Result<Self> {
        let shown = path.display();
        let pem = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            Error::usage(format!("cannot read the key {shown}")).because(error).hint("cronium-run keygen")
        })?;
        Self::from_pem(&pem, password, &shown.to_string())
    }

    /// As [`SigningKey::load`]; `what` names the key in messages.
    fn from_pem(pem: &str, password: &Password, what: &str) -> Result<Self> {
        let wrong = |reason: String| {
            Error::usage(format!("{what} is not a signing key")).cause(reason).hint("cronium-run keygen")
        };
        let (label, der) = pem_rfc7468::decode_vec(pem.trim().as_bytes())
            .map_err(|error| wrong(format!("no PEM that can be read: {error}")))?;
        let der = Zeroizing::new(der);
        let secret = if SEALED.contains(&label) {
            let opened = sealed::open(&der, password, what)?;
            SecretKey::from_pkcs8_der(&opened)
        } else if label == PLAIN {
            SecretKey::from_pkcs8_der(&der)
        } else {
            return Err(wrong(format!("its PEM says '{label}', not '{}' or '{PLAIN}'", SEALED[0])));
        };
        let secret = secret.map_err(|_| wrong("not an ECDSA key on P-256".into()))?;
        Ok(Self::new(&secret))
    }

    /// The key in DER, as PKCS#8.
    fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let secret = SecretKey::from(&self.key);
        secret.to_pkcs8_der().expect("a key of the curve has its DER form").to_bytes()
    }

    /// The key as PEM, sealed with a password as `cosign generate-key-pair` does it.
    fn to_sealed_pem(&self, password: &str) -> Zeroizing<String> {
        let sealed = sealed::seal(&self.to_pkcs8(), password);
        let pem = pem_rfc7468::encode_string(SEALED[0], pem_rfc7468::LineEnding::LF, &sealed);
        Zeroizing::new(pem.expect("a PEM of a few hundred bytes"))
    }

    /// The key as PEM, not sealed.
    fn to_plain_pem(&self) -> Zeroizing<String> {
        let secret = SecretKey::from(&self.key);
        secret.to_pkcs8_pem(LineEnding::LF).expect("a key of the curve has its PEM form")
    }

    /// A signature (DER) over what has this digest. No randomness in it (RFC 6979).
    pub fn sign(&self, digest: &Digest) -> Vec<u8> {
        let signature: DerSignature = self.key.sign_prehash(digest).expect("a digest of 32 bytes");
        signature.as_bytes().to_vec()
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

/// Reads a public key.
pub fn load_public(path: &Path) -> Result<PublicKey> {
    let shown = path.display();
    let pem = fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("cannot read the key {shown}")).because(error))?;
    PublicKey::from_pem(&pem).map_err(|error| {
        Error::usage(format!("{shown} is not a public key"))
            .because(error)
            .hint("public keys are the .pub files that cronium-run keygen and cosign write")
    })
}

/// The files of a new key pair.
#[derive(Debug)]
pub struct Pair {
    pub key: PathBuf,
    pub public: PathBuf,
    pub fingerprint: String,
}

/// Makes `PREFIX.key` (0600) and `PREFIX.pub`, as `cosign generate-key-pair` does. Neither may be
/// there.
pub fn keygen(prefix: &Path, password: &Password) -> Result<Pair> {
    let with = |ending: &str| {
        let mut name = prefix.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (key_path, public_path) = (with(".key"), with(".pub"));
    let taken = |path: &Path| {
        Error::usage(format!("{} is already there", path.display()))
            .hint("cronium-run keygen OTHER-PREFIX")
            .hint("a lost private key cannot be made again: remove it by hand only if nothing trusts it")
    };
    if let Some(path) = [&key_path, &public_path].into_iter().find(|path| path.exists()) {
        return Err(taken(path));
    }
    let password = password.choose()?;
    let key = SigningKey::generate();
    if !file::create(&key_path, key.to_sealed_pem(&password).as_bytes(), 0o600)? {
        return Err(taken(&key_path));
    }
    if !file::create(&public_path, key.public().to_pem().as_bytes(), 0o644)? {
        return Err(taken(&public_path));
    }
    Ok(Pair { key: key_path, public: public_path, fingerprint: key.public().fingerprint() })
}

/// A key the operator names, else the operator's own.
pub fn load_or_operator(path: Option<&Path>) -> Result<SigningKey> {
    match path {
        Some(path) => SigningKey::load(path, &Password::from_environment()),
        None => operator_key(),
    }
}

#[cfg(test)]
mod tests;
