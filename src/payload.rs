//! Pack, sign, verify, inspect, keys.
//!
//! A payload is a tar.gz in memory ([`Packed`]), whatever it was made from: a folder, one script,
//! a command line, or a file packed before. Signed, it is a [`Signed`]; nothing else reaches a
//! host.

use std::path::PathBuf;

use cronium_wire::archive::{self, ArchiveError, Contents, Entry};
use cronium_wire::bundle::Bundle;
use cronium_wire::digest::{hex, sha256};
use cronium_wire::key::Digest;
use cronium_wire::manifest::Manifest;

use crate::error::{Error, Result};

pub mod file;
mod inputs;
pub mod keys;
mod load;
pub mod pack;
mod sign;
pub mod template;

pub use inputs::{Input, read_inputs};
pub use load::{is_archive, load_any, load_archive, sidecar};
pub use pack::{pack_command, pack_dir, pack_script};
pub use sign::{Signed, sign, verify, verify_file};

/// A payload that keeps every rule of design section 4.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The tar.gz.
    pub bytes: Vec<u8>,
    pub manifest: Manifest,
    /// SHA-256 of `bytes`.
    pub digest: Digest,
    /// The manifest's name, else one made from the folder's or file's.
    pub name: String,
    /// Files, folders and links, in the archive's order.
    pub entries: Vec<Entry>,
    /// All files together, in bytes.
    pub unpacked: u64,
    /// The signature found beside the file it was loaded from; not verified yet.
    pub signature: Option<Sidecar>,
}

impl Packed {
    /// Checks an archive. `fallback` names it where its manifest does not.
    pub fn new(bytes: Vec<u8>, fallback: &str) -> Result<Self, ArchiveError> {
        let Contents { manifest, entries, unpacked } = archive::check(&bytes)?;
        let name = manifest.effective_name(fallback);
        let digest = digest_of(&bytes);
        Ok(Self { bytes, manifest, digest, name, entries, unpacked, signature: None })
    }

    /// SHA-256 of the tar.gz, lower-case hex, as ledger and wire name it.
    pub fn digest_hex(&self) -> String {
        hex(&self.digest)
    }
}

/// A signature in a file beside the payload's.
#[derive(Debug, Clone)]
pub struct Sidecar {
    pub path: PathBuf,
    pub bundle: Bundle,
}

fn digest_of(bytes: &[u8]) -> Digest {
    sha256(bytes)
}

/// An archive that was found bad: a signed one is refused (exit code 6), a manifest's fault is a
/// mistake to correct (exit code 2).
fn refuse(what: &str, error: ArchiveError) -> Error {
    match error {
        ArchiveError::Manifest(error) => {
            let file = format!("{what}: {}", error.file);
            manifest_fault(error.in_file(file))
        }
        error => Error::rejected(format!("{what} is refused")).because(error),
    }
}

fn manifest_fault(error: cronium_wire::manifest::ManifestError) -> Error {
    Error::usage(error.to_string())
        .hint(format!("a manifest's keys are {}", cronium_wire::manifest::KEYS.join(", ")))
}
