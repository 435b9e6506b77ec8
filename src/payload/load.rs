use std::fs;
use std::path::{Path, PathBuf};

use cronium_wire::archive::MAX_UNPACKED;
use cronium_wire::bundle::Bundle;

use super::{Packed, Sidecar, pack_dir, pack_script, refuse};
use crate::error::{Error, OrFail as _, Result};

const GZIP: &[u8] = &[0x1f, 0x8b];

/// Loads what a person names: a tar.gz, with the signature beside it, or a folder or a script,
/// packed in memory.
pub fn load_any(path: &Path) -> Result<Packed> {
    let metadata = fs::metadata(path).map_err(|error| {
        let there = Error::usage(format!("cannot read {}", path.display())).because(error);
        there.hint("a payload is a .tar.gz, a folder with a manifest.yaml, or one script")
    })?;
    if metadata.is_dir() {
        return pack_dir(path);
    }
    if is_archive(path)? { load_archive(path) } else { pack_script(path) }
}

/// Loads a tar.gz, with the signature beside it.
pub fn load_archive(path: &Path) -> Result<Packed> {
    if path.is_dir() {
        let message = format!("{} is a folder, not a packed payload", path.display());
        return Err(Error::usage(message).hint(format!("cronium-run pack {}", path.display())));
    }
    let bytes = read_archive(path)?;
    let mut packed = Packed::new(bytes, &archive_stem(path))
        .map_err(|error| refuse(&path.display().to_string(), error))?;
    packed.signature = sidecar(path)?;
    Ok(packed)
}

/// Whether a file is an archive: by what it holds, or because its name says so.
pub fn is_archive(path: &Path) -> Result<bool> {
    use std::io::Read as _;
    let mut start = Vec::new();
    let file = fs::File::open(path).or_fail(|| format!("cannot read {}", path.display()))?;
    file.take(2).read_to_end(&mut start).or_fail(|| format!("cannot read {}", path.display()))?;
    let name = path.to_string_lossy();
    Ok(start == GZIP || name.ends_with(".tar.gz") || name.ends_with(".tgz"))
}

/// The bytes of an archive, if it is not larger than any that is allowed.
pub(super) fn read_archive(path: &Path) -> Result<Vec<u8>> {
    let fail = || format!("cannot read {}", path.display());
    let metadata = fs::metadata(path).map_err(|error| Error::usage(fail()).because(error))?;
    if metadata.len() > MAX_UNPACKED {
        let message = format!("{} has more than {} MiB", path.display(), MAX_UNPACKED >> 20);
        return Err(Error::rejected(message).hint("fetch large files in the script instead"));
    }
    fs::read(path).or_fail(fail)
}

/// A file's name without `.tar.gz`.
pub(super) fn archive_stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = [".tar.gz", ".tgz", ".gz"].iter().find_map(|ending| name.strip_suffix(ending));
    stem.map(str::to_owned).unwrap_or(name)
}

/// The signature beside a payload: `FILE.sigstore.json`, else `FILE.sig`.
pub fn sidecar(payload: &Path) -> Result<Option<Sidecar>> {
    for ending in [".sigstore.json", ".sig"] {
        let mut name = payload.as_os_str().to_owned();
        name.push(ending);
        let path = PathBuf::from(name);
        if path.exists() {
            return read_sidecar(path).map(Some);
        }
    }
    Ok(None)
}

pub(super) fn read_sidecar(path: PathBuf) -> Result<Sidecar> {
    let bytes = fs::read(&path).or_fail(|| format!("cannot read {}", path.display()))?;
    let bundle = Bundle::parse(&bytes).map_err(|error| {
        Error::rejected(format!("{} is not a signature", path.display()))
            .because(error)
            .hint("cronium-run sign PAYLOAD writes a new one")
    })?;
    Ok(Sidecar { path, bundle })
}
