//! The content of artifacts: files named by their digest, in a folder beside the ledger.
//!
//! `ledger.db` has `ledger.artifacts/` (0700); what has the SHA-256 `abcdef…` is the file
//! `ab/abcdef…` (0600) in it. The same content is there once, whoever left it. A file gets its name
//! only when all of it is on disk.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::hex::{hex, is_sha256};
use crate::error::{Error, Result};

/// How a file begins whose content is still coming.
const UNFINISHED: &str = "new-";
/// When one that is still unfinished was left by a process that died.
const ABANDONED: Duration = Duration::from_hours(24);

/// The contents beside one ledger. Cheap to clone; several processes may share the folder.
#[derive(Debug, Clone)]
pub struct Artifacts {
    folder: PathBuf,
}

impl Artifacts {
    pub(super) fn beside(ledger: &Path) -> Self {
        let mut folder = ledger.with_extension("artifacts");
        if folder == ledger {
            folder.as_mut_os_string().push(".artifacts");
        }
        Self { folder }
    }

    /// A file about to be filled. Makes the folder.
    pub fn begin(&self) -> Result<NewArtifact> {
        self.make_folder(&self.folder).map_err(|error| self.failed(error))?;
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder);
        let file = file.map_err(|error| self.failed(error))?;
        Ok(NewArtifact { store: self.clone(), file, hash: Sha256::new() })
    }

    /// What was kept under a digest; `NotFound` where nothing is, or where it is no digest.
    pub fn open(&self, digest: &str) -> io::Result<Content> {
        if !is_sha256(digest) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("`{digest}` is no SHA-256")));
        }
        Ok(Content { file: File::open(self.path(digest))?, digest: digest.to_owned(), hash: Sha256::new() })
    }

    /// Where the contents are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes what processes that died were about to write.
    pub(super) fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let unfinished = entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
            let modified = || entry.metadata()?.modified();
            let since = |at| SystemTime::now().duration_since(at).unwrap_or_default();
            if unfinished && modified().is_ok_and(|at| since(at) > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(&digest[..2]).join(digest)
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(folder) {
            // Its name must survive a power cut, as what is put into it does.
            Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        let shown = self.folder.display();
        let folder = self.folder.parent().unwrap_or(Path::new(".")).display();
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!("df -h {folder}"),
            _ => format!("ls -ld {folder} {shown}"),
        };
        Error::failure(format!("cannot keep an artifact in {shown}")).because(error).hint(hint)
    }
}

/// One content, checked while it is read: its end is an error (`InvalidData`) where the whole has
/// another digest than its name.
#[derive(Debug)]
pub struct Content {
    file: File,
    digest: String,
    hash: Sha256,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() {
            let now = hex(&self.hash.clone().finalize());
            if now != self.digest {
                let message = format!("its SHA-256 is {now}, not {}", self.digest);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(read)
    }
}

/// A file whose content is coming. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct NewArtifact {
    store: Artifacts,
    file: NamedTempFile,
    hash: Sha256,
}

impl NewArtifact {
    pub fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.hash.update(piece);
        self.file.write_all(piece).map_err(|error| self.store.failed(error))
    }

    /// Keeps it. Returns its SHA-256, lower-case hex. It is on disk then.
    pub fn finish(self) -> Result<String> {
        let digest = hex(&self.hash.finalize());
        let path = self.store.path(&digest);
        // Also over what is there: only its name says what it should hold.
        let keep = || {
            let folder = path.parent().unwrap_or(&self.store.folder);
            self.store.make_folder(folder)?;
            self.file.as_file().sync_all()?;
            self.file.persist(&path)?;
            sync_folder(folder)
        };
        let store = self.store.clone();
        keep().map_err(|error: io::Error| store.failed(error))?;
        Ok(digest)
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Every file of the store, by its path in it.
    fn files(store: &Artifacts) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&store.folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => found.extend(fs::read_dir(entry.path()).unwrap().map(|it| it.unwrap().path())),
                false => found.push(entry.path()),
            }
        }
        let mut found: Vec<String> = found
            .into_iter()
            .map(|path| path.strip_prefix(&store.folder).unwrap().to_str().unwrap().to_owned())
            .collect();
        found.sort();
        found
    }

    fn keep(store: &Artifacts, pieces: &[&[u8]]) -> String {
        let mut new = store.begin().unwrap();
        pieces.iter().for_each(|piece| new.write(piece).unwrap());
        new.finish().unwrap()
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_same_content_is_kept_once_and_read_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Artifacts::beside(&folder.path().join("ledger.db"));
        assert_eq!(keep(&store, &[b"a", b"", b"bc"]), ABC);
        let path = store.folder.join("ba").join(ABC);
        assert_eq!(keep(&store, &[b"abc"]), ABC);
        let empty = keep(&store, &[]);
        assert_eq!(files(&store), [format!("ba/{ABC}"), format!("e3/{empty}")]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.folder), 0o700);
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        let mut text = String::new();
        store.open(ABC).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");

        // One that was cut or changed is put right by the next who brings it.
        for broken in ["a", "abd"] {
            fs::write(&path, broken).unwrap();
            assert_eq!(keep(&store, &[b"abc"]), ABC);
            assert_eq!(fs::read(&path).unwrap(), b"abc");
        }

        for no_digest in [&"0".repeat(64), "", "ba", "../ledger.db", &ABC.to_uppercase(), "žž"] {
            assert_eq!(store.open(no_digest).unwrap_err().kind(), io::ErrorKind::NotFound, "{no_digest}");
        }
        fs::write(&path, "abd").unwrap();
        let error = store.open(ABC).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().ends_with(&format!(", not {ABC}")), "{error}");
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Artifacts::beside(&folder.path().join("ledger.db"));
        let mut new = store.begin().unwrap();
        new.write(b"half").unwrap();
        drop(new);
        assert_eq!(files(&store), [""; 0]);
        // What a SIGKILL leaves goes a day later.
        let long_ago = SystemTime::now() - ABANDONED - Duration::from_secs(1);
        for (name, at) in [("new-old", long_ago), ("new-young", SystemTime::now()), ("other", long_ago)] {
            File::create(store.folder.join(name)).unwrap().set_modified(at).unwrap();
        }
        store.sweep();
        assert_eq!(files(&store), ["new-young", "other"]);
    }

    #[test]
    fn many_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Artifacts::beside(&folder.path().join("ledger.db"));
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let store = &store;
                scope.spawn(move || {
                    assert_eq!(keep(store, &[b"abc"]), ABC);
                    keep(store, &[&[thread]]);
                });
            }
        });
        assert_eq!(files(&store).len(), 9);
    }

    #[test]
    fn names() {
        for (ledger, folder) in [
            ("/a/ledger.db", "/a/ledger.artifacts"),
            ("/a/ledger", "/a/ledger.artifacts"),
            ("/a.b/ledger", "/a.b/ledger.artifacts"),
            ("/a/x.artifacts", "/a/x.artifacts.artifacts"),
        ] {
            assert_eq!(Artifacts::beside(Path::new(ledger)).folder, Path::new(folder));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = Artifacts::beside(&folder.path().join("gone/ledger.db"));
        let error = store.begin().unwrap_err();
        assert_eq!(error.message, format!("cannot keep an artifact in {}", store.folder.display()));
    }
}
