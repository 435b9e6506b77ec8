use std::path::PathBuf;

use super::Context;
use super::pack::bundle_path;
use crate::error::{ExitCode, OrFail as _, Result};
use crate::payload::{self, file, keys};

/// Sign a payload
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run sign disk-report.tar.gz
  COSIGN_PASSWORD=… cronium-run sign disk-report.tar.gz --key release.key

Writes PAYLOAD.sigstore.json and prints its name. Keys are cosign's; what it writes verifies with
  cosign verify-blob --key release.pub --bundle disk-report.tar.gz.sigstore.json \\
    --insecure-ignore-tlog disk-report.tar.gz")]
pub struct Args {
    /// The tar.gz to sign
    #[arg(value_name = "PAYLOAD")]
    payload: PathBuf,
    /// The private key to sign with [default: the operator's own]
    #[arg(long, value_name = "KEY", env = "CRONIUM_RUN_KEY")]
    key: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { payload, key } = args;
    let packed = payload::load_archive(&payload)?;
    let key = keys::load_or_operator(key.as_deref())?;
    let signed = payload::sign(packed, &key);
    let bundle_file = bundle_path(&payload);
    file::replace(&bundle_file, &signed.bundle().write())?;
    let line = format!("{}\n", bundle_file.display());
    context.term.data(line.as_bytes()).or_fail(|| "cannot write to stdout")?;
    context.term.note(&format!("signed {} with {}", signed.packed.name, key.public().fingerprint()));
    Ok(ExitCode::Success)
}
