//! What is to be run, and by whose signature: the arguments that become a signed payload.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::payload::keys::{self, SigningKey};
use crate::payload::{self, Packed, Signed};

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Trust")]
pub struct TrustArgs {
    /// The private key to sign with what is not signed yet [default: the operator's own]
    #[arg(long, value_name = "KEY", env = "CRONIUM_RUN_KEY")]
    key: Option<PathBuf>,
    /// The public key that a signed payload must verify with [default: that of --key]
    #[arg(long, value_name = "PUB", env = "CRONIUM_RUN_VERIFY_KEY")]
    verify_key: Option<PathBuf>,
}

impl TrustArgs {
    /// A folder or a script is packed and signed now; an archive must have a signature beside it
    /// that verifies, and keeps it. An archive without one is refused, as it may have been taken
    /// away with what it signed.
    ///
    /// `check`: nothing is to be touched, so a first key is not made but made up.
    pub fn signed(&self, payload: &Path, check: bool) -> Result<Arc<Signed>> {
        let packed = payload::load_any(payload)?;
        if packed.signature.is_none() {
            if payload.is_file() && payload::is_archive(payload)? {
                let shown = payload.display();
                return Err(Error::rejected(format!("{shown} has no signature beside it"))
                    .hint(format!("cronium-run inspect {shown}; cronium-run sign {shown}")));
            }
            return self.sign(packed, check);
        }
        let key = match &self.verify_key {
            Some(path) => keys::load_public(path)?,
            None => self.signing_key(check)?.public().clone(),
        };
        let verified = payload::verify(packed, &[key]);
        verified
            .map(Arc::new)
            .map_err(|error| error.hint("--verify-key PUB  names the key it was signed with"))
    }

    pub fn sign(&self, packed: Packed, check: bool) -> Result<Arc<Signed>> {
        Ok(Arc::new(payload::sign(packed, &self.signing_key(check)?)))
    }

    fn signing_key(&self, check: bool) -> Result<SigningKey> {
        match check && self.key.is_none() && keys::operator_public_key()?.is_none() {
            true => Ok(SigningKey::generate()),
            false => keys::load_or_operator(self.key.as_deref()),
        }
    }
}
