//! Files in a run's folder, which its script may have replaced by anything.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// Opens a file that is one and is ours: through no link, and without waiting for whoever has the
/// other end of a pipe. `access`: [`OFlags::RDONLY`] or [`OFlags::RDWR`].
pub fn open_plain(path: &Path, access: OFlags) -> io::Result<File> {
    let file = open(path, access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&file)?;
    let is_plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    match is_plain && stat.st_uid == rustix::process::geteuid().as_raw() {
        true => Ok(file.into()),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::run_folder::{private, random_word};

    #[test]
    fn nothing_else_is_opened() {
        let folder = std::env::temp_dir().join(random_word().unwrap());
        private(&folder).unwrap();
        let path = |name: &str| folder.join(name);
        fs::write(path("file"), "").unwrap();
        symlink("file", path("link")).unwrap();
        private(&path("folder")).unwrap();
        let fifo = std::ffi::CString::new(path("pipe").to_str().unwrap()).unwrap();
        // SAFETY: a string that ends with 0.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        symlink("/dev/zero", path("device")).unwrap();
        for access in [OFlags::RDONLY, OFlags::RDWR] {
            for name in ["file", "link", "folder", "pipe", "device", "none"] {
                assert_eq!(open_plain(&path(name), access).is_ok(), name == "file", "{name}");
            }
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
