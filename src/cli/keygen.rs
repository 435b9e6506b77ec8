use std::path::PathBuf;

use super::Context;
use crate::error::{ExitCode, OrFail as _, Result};
use crate::payload::keys::{self, Password};

/// Make a signing key pair
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run keygen
  COSIGN_PASSWORD=… cronium-run keygen release

Writes PREFIX.key and PREFIX.pub as `cosign generate-key-pair` does, and prints their names. The
password comes from COSIGN_PASSWORD, else it is asked for. Nothing is ever replaced.")]
pub struct Args {
    /// Where to write the pair: PREFIX.key and PREFIX.pub
    #[arg(value_name = "PREFIX", default_value = "cronium")]
    prefix: PathBuf,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { prefix } = args;
    let pair = keys::keygen(&prefix, &Password::from_environment())?;
    let list = format!("{}\n{}\n", pair.key.display(), pair.public.display());
    context.term.data(list.as_bytes()).or_fail(|| "cannot write to stdout")?;
    context.term.note(&format!("its fingerprint is {}", pair.fingerprint));
    Ok(ExitCode::Success)
}
