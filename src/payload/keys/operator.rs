//! The operator's own key, made on first use: it lets a person run commands without having heard
//! of keys, and still nothing unsigned reaches a host.
//!
//! It has no password, so that `exec` never stops to ask. Sealing it with an empty one, as cosign
//! would, protects nothing and costs the CPU time of scrypt at each run (200 ms and 64 MiB), so it
//! is plain PKCS#8, as openssl writes it. Its file is private to the user, as an SSH
//! key is, and a sealed key may be put in its place.

use std::fs;
use std::path::{Path, PathBuf};

use cronium_wire::key::PublicKey;
use etcetera::BaseStrategy as _;

use super::{Password, SigningKey, load_public};
use crate::error::{Error, OrFail as _, Result};
use crate::payload::file;

/// `$XDG_CONFIG_HOME/cronium-run`.
fn config_dir() -> Result<PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().map_err(|error| {
        Error::failure("cannot find your home folder").because(error).hint("export HOME=/home/you")
    })?;
    Ok(base.config_dir().join("cronium-run"))
}

/// The operator's key; made where there is none. Of two processes that make it at once, both use
/// the one that was first.
pub fn operator_key() -> Result<SigningKey> {
    operator_key_in(&config_dir()?)
}

/// The operator's public key and its file; `None` where no key has been made yet.
pub fn operator_public_key() -> Result<Option<(PublicKey, PathBuf)>> {
    let path = config_dir()?.join("operator.pub");
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some((load_public(&path)?, path)))
}

pub(super) fn operator_key_in(folder: &Path) -> Result<SigningKey> {
    let path = folder.join("operator.key");
    if !path.exists() {
        make_private(folder)?;
        // What another process made meanwhile stays: it is read below.
        file::create(&path, SigningKey::generate().to_plain_pem().as_bytes(), 0o600)?;
    }
    check_private(&path)?;
    let key = SigningKey::load(&path, &Password::from_environment())?;
    let public = folder.join("operator.pub");
    let pem = key.public().to_pem();
    if fs::read_to_string(&public).ok().as_deref() != Some(pem.as_str()) {
        file::replace(&public, pem.as_bytes())?;
    }
    Ok(key)
}

#[cfg(unix)]
fn make_private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let fail = || format!("cannot make {}", folder.display());
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).or_fail(fail)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        result => result.or_fail(fail),
    }
}

/// As ssh has it: a private key that others can read is none.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let mode = fs::metadata(path).or_fail(|| format!("cannot read {shown}"))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::failure(format!("{shown} can be read by others (mode {mode:04o})"))
            .hint(format!("chmod 600 {shown}")));
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).or_fail(|| format!("cannot make {}", folder.display()))
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<()> {
    Ok(())
}
