use std::path::Path;

use cronium_wire::bundle::{self, Bundle};
use cronium_wire::key::PublicKey;

use super::keys::SigningKey;
use super::load::{archive_stem, read_archive, read_sidecar};
use super::{Packed, digest_of, refuse, sidecar};
use crate::error::{Error, Result};

/// A payload and a signature that has been made or verified.
#[derive(Debug, Clone)]
pub struct Signed {
    pub packed: Packed,
    /// ECDSA on P-256 with SHA-256, DER.
    pub signature_der: Vec<u8>,
    /// Whose signature it is.
    pub public_key: PublicKey,
}

impl Signed {
    /// What to write to `NAME.tar.gz.sigstore.json`.
    pub fn bundle(&self) -> Bundle {
        Bundle::new(self.signature_der.clone(), self.packed.digest, &self.public_key)
    }
}

/// Signs a payload. The same payload and key give the same signature (RFC 6979).
pub fn sign(packed: Packed, key: &SigningKey) -> Signed {
    Signed { signature_der: key.sign(&packed.digest), public_key: key.public().clone(), packed }
}

/// Verifies the signature that was found beside a payload.
pub fn verify(packed: Packed, keys: &[PublicKey]) -> Result<Signed> {
    let Some(found) = &packed.signature else {
        return Err(Error::rejected(format!("{} is not signed", packed.name))
            .hint("cronium-run pack DIR writes a payload with its signature"));
    };
    let public_key = bundle::verify(&packed.digest, &found.bundle, keys)
        .map_err(|error| Error::rejected(format!("{} does not verify", packed.name)).because(error))?
        .clone();
    Ok(Signed { signature_der: found.bundle.signature.clone(), public_key, packed })
}

/// Verifies a payload's file: first the signature (in `signature`, else beside the payload), then
/// that the archive keeps the rules.
pub fn verify_file(payload: &Path, signature: Option<&Path>, keys: &[PublicKey]) -> Result<Signed> {
    let what = payload.display();
    if payload.is_dir() {
        return Err(Error::usage(format!("{what} is a folder, only packed payloads are signed"))
            .hint(format!("cronium-run pack {what}")));
    }
    let bytes = read_archive(payload)?;
    let found = match signature {
        Some(path) => Some(read_sidecar(path.to_owned())?),
        None => sidecar(payload)?,
    };
    let Some(found) = found else {
        return Err(Error::rejected(format!("{what} has no signature beside it"))
            .cause(format!("neither {what}.sigstore.json nor {what}.sig is there"))
            .hint(format!("cronium-run sign {what}")));
    };
    let public_key = bundle::verify(&digest_of(&bytes), &found.bundle, keys).map_err(|error| {
        Error::rejected(format!("{what} does not verify with {}", found.path.display()))
            .because(error)
            .hint(format!("cronium-run verify {what} --key PUB   with the public key of whoever signed it"))
    })?;
    let packed = Packed::new(bytes, &archive_stem(payload)).map_err(|error| {
        // Signed by somebody trusted, and still no host will run it.
        let mut error = refuse(&what.to_string(), error);
        error.code = crate::error::ExitCode::Rejected;
        error
    })?;
    Ok(Signed { packed, signature_der: found.bundle.signature, public_key: public_key.clone() })
}
