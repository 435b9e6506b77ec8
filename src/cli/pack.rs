use std::path::{Path, PathBuf};

use super::Context;
use crate::error::{Error, ExitCode, OrFail as _, Result};
use crate::payload::{self, Packed, file, keys};

/// Pack a folder into a signed payload
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run pack disk-report
  cronium-run pack disk-report -o build/disk-report.tar.gz --key release.key
  cronium-run pack disk-report | sha256sum --check

Writes NAME.tar.gz and its signature NAME.tar.gz.sigstore.json, and prints the digest and the file
as sha256sum does. The same folder gives the same bytes. What .croniumignore names is left out.")]
pub struct Args {
    /// The folder with manifest.yaml and the files it needs
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Where to write the payload [default: NAME.tar.gz in this folder]
    #[arg(short = 'o', long, value_name = "FILE", env = "CRONIUM_RUN_OUTPUT_FILE")]
    output_file: Option<PathBuf>,
    /// The private key to sign with [default: the operator's own]
    #[arg(long, value_name = "KEY", env = "CRONIUM_RUN_KEY")]
    key: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { dir, output_file, key } = args;
    if !dir.is_dir() {
        return Err(Error::usage(format!("{} is not a folder", dir.display()))
            .hint(format!("cronium-run init {}", dir.display())));
    }
    let packed = payload::pack_dir(&dir)?;
    let file = output_file.unwrap_or_else(|| PathBuf::from(format!("{}.tar.gz", packed.name)));
    refuse_packed_output(&dir, &file, &packed)?;
    let key = keys::load_or_operator(key.as_deref())?;
    let signed = payload::sign(packed, &key);
    let bundle_file = bundle_path(&file);
    file::replace(&file, &signed.packed.bytes)?;
    file::replace(&bundle_file, &signed.bundle().write())?;
    let line = format!("{}  {}\n", signed.packed.digest_hex(), file.display());
    context.term.data(line.as_bytes()).or_fail(|| "cannot write to stdout")?;
    let (entries, bytes) = (signed.packed.entries.len(), signed.packed.bytes.len());
    context.term.note(&format!("packed {entries} entries into {bytes} bytes"));
    context.term.note(&format!("signed with {}, see {}", key.public().fingerprint(), bundle_file.display()));
    Ok(ExitCode::Success)
}

/// `FILE.sigstore.json`.
pub fn bundle_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sigstore.json");
    PathBuf::from(name)
}

/// An output that is itself packed would grow with every run.
fn refuse_packed_output(dir: &Path, file: &Path, packed: &Packed) -> Result<()> {
    let Ok(dir_real) = dir.canonicalize() else { return Ok(()) };
    let inside = |path: &Path| {
        let real = path.canonicalize().ok()?;
        let relative = real.strip_prefix(&dir_real).ok()?;
        packed.entries.iter().find(|entry| Path::new(&entry.path) == relative)
    };
    match inside(file).or_else(|| inside(&bundle_path(file))) {
        Some(entry) => Err(Error::usage(format!("{} would be packed into itself", file.display()))
            .hint(format!("echo '/{}' >> {}", entry.path, dir.join(".croniumignore").display()))),
        None => Ok(()),
    }
}
