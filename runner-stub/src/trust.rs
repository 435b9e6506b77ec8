//! Which key lets a payload run here.

use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use cronium_wire::digest::{Sha256Hasher, hex};
use cronium_wire::key::PublicKey;
use cronium_wire::message::Job;

use crate::payload::Payload;
use crate::refusal::Refusal;
use crate::run_folder::{private_all, random_word, xdg};

const SYSTEM: &str = "/etc/cronium-run/trust";

fn user() -> PathBuf {
    xdg("XDG_CONFIG_HOME", ".config").join("trust")
}

/// Checks digest and signature. Where keys are pinned only they count, whatever the operator
/// says; `true` then, `false` where the operator's own key was used.
pub fn verify(job: &Job, payload: &mut Payload) -> Result<bool, Refusal> {
    let digest = digest(payload)
        .map_err(|error| Refusal::new("verify", "read", "cannot read the payload").because(error))?;
    if hex(&digest) != job.digest {
        return Err(Refusal::new("verify", "digest", "the payload arrived changed")
            .because(format!("its SHA-256 is {}, the job says {}", hex(&digest), job.digest))
            .hint("cronium-run verify PAYLOAD"));
    }
    let signature = Base64::decode_vec(&job.signature)
        .map_err(|error| Refusal::new("verify", "signature", "the signature is not base64").because(error))?;
    let pinned = pinned()?;
    if pinned.is_empty() {
        let key = PublicKey::from_pem(&job.session_key).map_err(|error| {
            Refusal::new("verify", "key", "the operator's public key cannot be read").because(error)
        })?;
        return match key.verify(&digest, &signature) {
            true => Ok(false),
            false => Err(Refusal::new(
                "verify",
                "signature",
                "the payload's signature is not by the operator's key",
            )
            .hint("--key KEY  names the key to sign with")),
        };
    }
    if pinned.iter().any(|key| key.verify(&digest, &signature)) {
        return Ok(true);
    }
    let keys: Vec<String> = pinned.iter().map(PublicKey::fingerprint).collect();
    Err(Refusal::new("verify", "untrusted", "no key pinned on the host made the payload's signature")
        .because(format!("pinned: {}", keys.join(", ")))
        .hint("--key KEY  signs with the key that is pinned; cronium-run sign PAYLOAD --key KEY  signs an archive"))
}

/// Whether the bytes have this digest, in hex.
pub fn digest_matches(wanted: &str, payload: &mut Payload) -> Result<bool, Refusal> {
    let digest = digest(payload)
        .map_err(|error| Refusal::new("verify", "read", "cannot read the payload").because(error))?;
    Ok(hex(&digest) == wanted)
}

/// Pins keys for this user; their fingerprints.
pub fn pin(keys: &[String]) -> Result<Vec<String>, Refusal> {
    let dir = user();
    let mut pinned = Vec::new();
    for pem in keys {
        let key = PublicKey::from_pem(pem)
            .map_err(|error| Refusal::new("verify", "key", "a key to pin cannot be read").because(error))?;
        private_all(&dir).map_err(|error| Refusal::folder("make", &dir, &error))?;
        let name = hex(&cronium_wire::digest::sha256(pem.as_bytes()));
        let path = dir.join(format!("{name}.pub"));
        // Under its name only once it is whole: half a key would stop every run.
        random_word()
            .map(|word| dir.join(format!(".{name}.{word}")))
            .and_then(|part| {
                let written = fs::write(&part, pem).and_then(|()| fs::rename(&part, &path));
                written.inspect_err(|_| drop(fs::remove_file(&part)))
            })
            .map_err(|error| Refusal::folder("write", &path, &error))?;
        pinned.push(key.fingerprint());
    }
    Ok(pinned)
}

/// Every pinned key. A key file that cannot be read stops everything: trust fails closed.
fn pinned() -> Result<Vec<PublicKey>, Refusal> {
    let mut keys = Vec::new();
    for dir in [PathBuf::from(SYSTEM), user()] {
        for path in key_files(&dir).map_err(|error| unreadable(&dir, error))? {
            let pem = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            keys.push(PublicKey::from_pem(&pem).map_err(|error| unreadable(&path, error))?);
        }
    }
    Ok(keys)
}

fn key_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // Something above it is no folder, as where there is no home.
        Err(_) if dir.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    // In order, so that each run tries them alike.
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pub") {
            files.insert(files.partition_point(|other| *other < path), path);
        }
    }
    Ok(files)
}

fn unreadable(path: &Path, error: impl ToString) -> Refusal {
    Refusal::new("verify", "trust", format!("the host's trusted key {} cannot be used", path.display()))
        .because(error)
        .hint(format!("rm {}", path.display()))
}

fn digest(payload: &mut Payload) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256Hasher::default();
    payload.rewind()?;
    let mut buffer = [0; 16 << 10];
    loop {
        match payload.read(&mut buffer)? {
            0 => {
                // Whoever reads it next begins at its start.
                payload.rewind()?;
                return Ok(hasher.finish());
            }
            count => hasher.update(&buffer[..count]),
        }
    }
}
