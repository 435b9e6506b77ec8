//! What is to be run, and by whose signature: the arguments that become a signed payload.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::payload::{self, Packed, Signed, keys};

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
    /// A folder or a script is packed and signed now; an archive with a signature beside it must
    /// verify, and keeps it.
    pub fn signed(&self, payload: &Path) -> Result<Arc<Signed>> {
        let packed = payload::load_any(payload)?;
        if packed.signature.is_none() {
            if self.verify_key.is_some() {
                return Err(Error::rejected(format!(
                    "{} is not signed, and --verify-key asks for it",
                    payload.display()
                ))
                .hint(format!("cronium-run sign {} --key KEY", payload.display())));
            }
            return self.sign(packed);
        }
        let key = match &self.verify_key {
            Some(path) => keys::load_public(path)?,
            None => keys::load_or_operator(self.key.as_deref())?.public().clone(),
        };
        let verified = payload::verify(packed, &[key]);
        verified
            .map(Arc::new)
            .map_err(|error| error.hint("--verify-key PUB  names the key it was signed with"))
    }

    pub fn sign(&self, packed: Packed) -> Result<Arc<Signed>> {
        let key = keys::load_or_operator(self.key.as_deref())?;
        Ok(Arc::new(payload::sign(packed, &key)))
    }
}
