//! Writes files whole or not at all.

use std::fs::Permissions;
use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{OrFail as _, Result};

/// Replaces a file, readable by everybody: another process sees the old content or the new.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let fail = || format!("cannot write {}", path.display());
    prepare(path, content, 0o644)?.persist(path).map_err(|error| error.error).or_fail(fail)?;
    Ok(())
}

/// Makes a file that must not be there yet. `false`: it is there.
pub fn create(path: &Path, content: &[u8], mode: u32) -> Result<bool> {
    match prepare(path, content, mode)?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error).or_fail(|| format!("cannot write {}", path.display())),
    }
}

/// The content under a name of its own, beside where it is going to be.
fn prepare(path: &Path, content: &[u8], mode: u32) -> Result<NamedTempFile> {
    let fail = || format!("cannot write {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).or_fail(fail)?;
    file.write_all(content).or_fail(fail)?;
    set_mode(file.as_file(), mode).or_fail(fail)?;
    file.as_file().sync_all().or_fail(fail)?;
    Ok(file)
}

#[cfg(unix)]
fn set_mode(file: &std::fs::File, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &std::fs::File, _: u32) -> std::io::Result<()> {
    Ok(())
}
