//! Puts files into a folder and nowhere else, whatever their names say.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, mkdirat, openat, renameat, unlinkat};

use crate::error::{OrFail as _, Result};

/// The names below the folder that a host's file goes by. An error says which rule it breaks.
pub(super) fn components<'a>(host: &'a str, path: &'a str) -> Result<Vec<&'a str>, String> {
    let mut names = vec![host];
    names.extend(path.split('/'));
    if host.contains('/') {
        return Err("the host's name holds '/': no folder can have it".into());
    }
    for name in &names {
        match *name {
            "" => return Err("a part of it is empty".into()),
            "." => return Err("a part of it is '.'".into()),
            ".." => return Err("a part of it is '..': it would leave the folder".into()),
            name if name.contains('\0') => return Err("it holds a NUL".into()),
            _ => {}
        }
    }
    Ok(names)
}

/// A folder, held open: what happens to its path from now on leads nowhere else.
pub(super) struct Folder {
    folder: OwnedFd,
    path: PathBuf,
}

/// What no symbolic link is opened with.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the folder the operator named, made with its parents where it is not there.
    pub(super) fn make(path: PathBuf) -> Result<Self> {
        let fail = || format!("cannot make the folder {}", path.display());
        std::fs::create_dir_all(&path)
            .and_then(|()| Ok(openat(CWD, &path, FOLDER, Mode::empty())?))
            .or_fail(fail)
            .map_err(|error| error.hint("name a folder you may write to: -o ./out"))
            .map(|folder| Self { folder, path: path.clone() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A file by its [`components`], its folders made. No symbolic link below the folder is followed.
    pub(super) fn create(&self, components: &[&str]) -> io::Result<NewFile> {
        let Some((name, folders)) = components.split_last() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a file without a name"));
        };
        let mut folder = self.folder.try_clone()?;
        for name in folders {
            match mkdirat(&folder, *name, Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = openat(&folder, *name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        }
        let unfinished = format!(".cronium-run-{}", ulid::Ulid::generate());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, &unfinished, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(NewFile { folder, file: file.into(), unfinished, name: (*name).to_owned(), finished: false })
    }
}

/// A file under a name of its own until it is whole. Dropped unfinished, it leaves nothing.
pub(super) struct NewFile {
    folder: OwnedFd,
    file: File,
    unfinished: String,
    name: String,
    finished: bool,
}

impl NewFile {
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)
    }

    /// Puts it in its place, where it replaces a file or a symbolic link that is there.
    pub(super) fn finish(mut self, executable: bool) -> io::Result<()> {
        fchmod(&self.file, if executable { Mode::RWXU } else { Mode::RUSR | Mode::WUSR })?;
        renameat(&self.folder, &self.unfinished, &self.folder, &self.name)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            let _ = unlinkat(&self.folder, &self.unfinished, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use proptest::prelude::*;

    use super::*;

    fn put(folder: &Folder, host: &str, path: &str, text: &str) -> Result<(), String> {
        let components = components(host, path)?;
        let put = || {
            let mut file = folder.create(&components)?;
            file.write(text.as_bytes())?;
            file.finish(path.ends_with(".sh"))
        };
        put().map_err(|error: io::Error| error.kind().to_string())
    }

    #[test]
    fn files_of_hosts() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::make(place.path().join("a/out")).unwrap();
        fs::create_dir_all(place.path().join("a/out/web1/is-folder")).unwrap();
        symlink(place.path(), place.path().join("a/out/web1/away")).unwrap();
        symlink(place.path().join("target"), place.path().join("a/out/web1/link")).unwrap();
        symlink(place.path(), place.path().join("a/out/linked-host")).unwrap();
        fs::write(place.path().join("target"), "untouched").unwrap();
        // host, path, what becomes of it
        let table = [
            ("web1", "a.txt", Ok(())),
            ("web1", "a.txt", Ok(())),
            ("web1", "deep/er/ž b.sh", Ok(())),
            ("ann@web2:2222", "...", Ok(())),
            ("web1", "link", Ok(())),
            ("web1", "away/x", Err("not a directory")),
            ("web1", "link/x", Err("not a directory")),
            ("web1", "a.txt/x", Err("not a directory")),
            ("web1", "is-folder", Err("is a directory")),
            ("linked-host", "x", Err("not a directory")),
            ("web1", "../x", Err("a part of it is '..': it would leave the folder")),
            ("web1", "a/../../x", Err("a part of it is '..': it would leave the folder")),
            ("web1", "./x", Err("a part of it is '.'")),
            ("web1", "/etc/x", Err("a part of it is empty")),
            ("web1", "a//x", Err("a part of it is empty")),
            ("web1", "a/", Err("a part of it is empty")),
            ("web1", "", Err("a part of it is empty")),
            ("web1", "a\0b", Err("it holds a NUL")),
            ("..", "x", Err("a part of it is '..': it would leave the folder")),
            (".", "x", Err("a part of it is '.'")),
            ("", "x", Err("a part of it is empty")),
            ("a/b", "x", Err("the host's name holds '/': no folder can have it")),
        ];
        for (host, path, wanted) in table {
            let put = put(&folder, host, path, "new");
            assert_eq!(
                put.as_ref().map_err(String::as_str),
                wanted.as_ref().map_err(|it| *it),
                "{host} {path}"
            );
        }
        assert_eq!(fs::read_to_string(place.path().join("target")).unwrap(), "untouched");
        let written = |path: &str| {
            let path = place.path().join("a/out").join(path);
            let metadata = fs::symlink_metadata(&path).unwrap();
            (metadata.is_file(), metadata.permissions().mode() & 0o777, fs::read_to_string(path).unwrap())
        };
        for (path, mode) in [
            ("web1/a.txt", 0o600),
            ("web1/link", 0o600),
            ("web1/deep/er/ž b.sh", 0o700),
            ("ann@web2:2222/...", 0o600),
        ] {
            assert_eq!(written(path), (true, mode, "new".to_owned()), "{path}");
        }
        let left = fs::read_dir(place.path().join("a/out/web1")).unwrap();
        assert!(
            left.map(|entry| entry.unwrap().file_name())
                .all(|name| !name.to_str().unwrap().starts_with(".c"))
        );
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_folder(host in ".{0,8}", path in "[a./\\PC]{0,12}") {
            if let Ok(names) = components(&host, &path) {
                prop_assert!(names.len() >= 2);
                let below = Path::new("out").join(names.join("/"));
                prop_assert!(below.components().all(|it| matches!(it, std::path::Component::Normal(_))));
                prop_assert_eq!(below.components().count(), names.len() + 1);
            }
        }
    }
}
