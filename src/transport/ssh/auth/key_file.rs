//! Private keys and certificates in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use russh::keys::{Certificate, PrivateKey, PublicKey, load_openssh_certificate, load_secret_key};

use crate::inventory::Passphrases;

/// A private key, or why there is none.
pub type KeyFile = Result<Arc<PrivateKey>, String>;

pub fn load(path: &Path, passphrases: &Passphrases) -> KeyFile {
    match load_secret_key(path, None) {
        Ok(key) => Ok(Arc::new(key)),
        Err(russh::keys::Error::KeyIsEncrypted) => match passphrases.get(path) {
            Some(passphrase) => load_secret_key(path, Some(passphrase.expose()))
                .map(Arc::new)
                .map_err(|error| format!("its passphrase does not open it: {error}")),
            None => Err("it has a passphrase that nobody was asked for; ssh-add it".to_owned()),
        },
        Err(error) => Err(error.to_string()),
    }
}

/// Whether nobody can use the file without its passphrase.
pub fn is_locked(path: &Path) -> bool {
    matches!(load_secret_key(path, None), Err(russh::keys::Error::KeyIsEncrypted))
}

pub fn opens(path: &Path, passphrase: &str) -> bool {
    load_secret_key(path, Some(passphrase)).is_ok()
}

/// The public half beside a private key.
pub fn public_half(path: &Path) -> Option<PublicKey> {
    PublicKey::read_openssh_file(beside(path, ".pub")).ok()
}

/// The certificates of `files` and those beside private keys, now valid; and what is wrong with
/// the others. One that is beside a key need not be there.
pub fn certificates(files: &[PathBuf], identities: &[PathBuf]) -> (Vec<Certificate>, Vec<(PathBuf, String)>) {
    let (mut found, mut unusable) = (Vec::<Certificate>::new(), Vec::new());
    let named = files.iter().map(|path| (path.clone(), true));
    let besides = identities.iter().map(|path| (beside(path, "-cert.pub"), false));
    for (path, is_named) in named.chain(besides) {
        if !is_named && !path.exists() {
            continue;
        }
        match load_openssh_certificate(&path).map_err(|error| error.to_string()).and_then(valid) {
            Ok(certificate) if found.contains(&certificate) => {}
            Ok(certificate) => found.push(certificate),
            Err(reason) => unusable.push((path, reason)),
        }
    }
    (found, unusable)
}

fn valid(certificate: Certificate) -> Result<Certificate, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if !certificate.cert_type().is_user() {
        return Err("it is the certificate of a host".to_owned());
    }
    match (certificate.valid_after(), certificate.valid_before()) {
        (after, _) if now < after => Err("the certificate is not valid yet".to_owned()),
        (_, before) if now >= before => Err("the certificate has expired".to_owned()),
        _ => Ok(certificate),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
