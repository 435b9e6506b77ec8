use std::path::PathBuf;

use super::Context;
use crate::error::{Error, ExitCode, OrFail as _, Result};
use crate::payload::{self, keys};

/// Verify a payload's signature and contents
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run verify disk-report.tar.gz
  cronium-run verify disk-report.tar.gz --key release.pub
  cronium-run verify disk-report.tar.gz --key release.pub --bundle elsewhere.sigstore.json

Reads the signature beside the payload: PAYLOAD.sigstore.json or PAYLOAD.sig, made by cronium-run
or cosign. Prints the digest and the file as sha256sum does. A refusal exits with 6.")]
pub struct Args {
    /// The tar.gz to verify
    #[arg(value_name = "PAYLOAD")]
    payload: PathBuf,
    /// The public key it must be signed with [default: the operator's own]
    #[arg(long, value_name = "PUB", env = "CRONIUM_RUN_VERIFY_KEY")]
    key: Option<PathBuf>,
    /// The signature's file [default: the one beside the payload]
    #[arg(long, value_name = "FILE", env = "CRONIUM_RUN_BUNDLE")]
    bundle: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { payload, key, bundle } = args;
    let (key, key_file) = match key {
        Some(path) => (keys::load_public(&path)?, path),
        None => keys::operator_public_key()?.ok_or_else(|| {
            Error::usage("no public key to verify with: there is no operator key yet")
                .hint(format!("cronium-run verify {} --key PUB", payload.display()))
        })?,
    };
    let signed = payload::verify_file(&payload, bundle.as_deref(), &[key])?;
    let line = format!("{}  {}\n", signed.packed.digest_hex(), payload.display());
    context.term.data(line.as_bytes()).or_fail(|| "cannot write to stdout")?;
    let (name, fingerprint) = (&signed.packed.name, signed.public_key.fingerprint());
    context.term.note(&format!("{name} verifies with {} ({fingerprint})", key_file.display()));
    Ok(ExitCode::Success)
}
