//! The key of secret variables: 32 random bytes as base64 in a file that only its owner can read.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use crypto_secretbox::aead::OsRng;
use crypto_secretbox::aead::rand_core::RngCore as _;
use zeroize::Zeroizing;

use crate::error::{Error, OrFail as _, Result};

pub(super) const BYTES: usize = 32;
/// More than any key file has.
const MAX_FILE_BYTES: u64 = 1024;

type Key = Zeroizing<[u8; BYTES]>;

/// `None` where there is no file. One that others can read is refused.
pub(super) fn read(path: &Path) -> Result<Option<Key>> {
    let shown = path.display();
    let fail = || format!("cannot read the key of secret variables {shown}");
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).or_fail(fail),
    };
    let mode = file.metadata().or_fail(fail)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::failure(format!("{shown} can be read by others (mode {mode:04o})"))
            .hint(format!("chmod 600 {shown}")));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).or_fail(fail)?;
    let mut key = Zeroizing::new([0; BYTES]);
    match Base64::decode(text.trim(), &mut *key) {
        Ok(bytes) if bytes.len() == BYTES => Ok(Some(key)),
        _ => Err(Error::failure(format!("{shown} is no key of secret variables"))
            .cause(format!("it does not hold {BYTES} bytes in base64"))
            .hint("put the file back from a copy: what it sealed opens with nothing else")),
    }
}

/// To be called only while nothing is sealed that another key would have to open. Of two processes
/// that make it at once, both use the one that was first.
pub(super) fn read_or_make(path: &Path) -> Result<Key> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    make(path).or_fail(|| format!("cannot make the key of secret variables {}", path.display()))?;
    read(path)?.ok_or_else(|| {
        Error::failure(format!("the key of secret variables {} has just been removed", path.display()))
    })
}

fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut key = Zeroizing::new([0; BYTES]);
    OsRng.fill_bytes(&mut *key);
    let text = Zeroizing::new(Base64::encode_string(&*key));
    // Made 0600 under a name of its own: nobody sees half a key.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all(),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config/cronium-run/variables.key");
        assert!(read(&path).unwrap().is_none());
        let keys: Vec<Key> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| read_or_make(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]) && *keys[0] != [0; BYTES]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("variables.key");
        read_or_make(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read_or_make(&path).unwrap_err();
            let wanted = format!("{} can be read by others (mode {mode:04o})", path.display());
            assert_eq!((error.message, error.hints), (wanted, vec![format!("chmod 600 {}", path.display())]));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["", "AAAA", &"A".repeat(64), "not base64"] {
            fs::write(&path, text).unwrap();
            let error = read_or_make(&path).unwrap_err();
            assert_eq!(error.message, format!("{} is no key of secret variables", path.display()));
        }
    }
}
