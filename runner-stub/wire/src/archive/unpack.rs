//! Writes an archive's entries into a folder.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::walk::{Visit, walk};
use super::{ArchiveError, Entry, EntryKind};
use crate::manifest::Manifest;

/// Unpacks into the empty folder `dest`, see [`super::unpack`].
pub fn unpack(reader: &mut dyn Read, size: u64, dest: &Path) -> Result<Manifest, ArchiveError> {
    let contents = walk(reader, size, &mut Writer { dest })?;
    // Only now: until here `dest` holds folders and files alone, so that no write follows a link.
    for entry in &contents.entries {
        if let EntryKind::Symlink { target } = &entry.kind {
            let path = dest.join(&entry.path);
            make_folder(parent(&path)).and_then(|()| symlink(target, &path)).map_err(blame(&path))?;
        }
    }
    Ok(contents.manifest)
}

struct Writer<'a> {
    dest: &'a Path,
}

impl Visit for Writer<'_> {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let path = self.dest.join(&entry.path);
        match &entry.kind {
            EntryKind::Folder => make_folder(&path),
            EntryKind::File => write_file(&path, entry, content),
            EntryKind::Hardlink { target } => {
                make_folder(parent(&path)).and_then(|()| fs::hard_link(self.dest.join(target), &path))
            }
            EntryKind::Symlink { .. } => Ok(()),
        }
        .map_err(blame(&path))
    }
}

fn write_file(path: &Path, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
    make_folder(parent(path))?;
    // Modes are set apart, because the umask of the stub takes all from others.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(content, &mut file)?;
    file.set_permissions(Permissions::from_mode(entry.mode))
}

/// Makes a folder and those it lies in. The archive's rules allow no link on the way.
fn make_folder(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o755)),
        // Asked of the place itself: a file system that folds case may have put a link there.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path)?.is_dir() { Ok(()) } else { Err(error) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some() => {
            make_folder(parent(path))?;
            make_folder(path)
        }
        Err(error) => Err(error),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn blame(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = PathBuf::from(path);
    |error| ArchiveError::Write { path, error }
}
