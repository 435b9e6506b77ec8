//! Files beneath a folder, opened part by part: no symlink ever leads out.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, mkdirat, open, openat, statat};

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// An open folder. Paths are relative, with `/` between their parts and without `..`.
pub struct Inside(OwnedFd);

impl Inside {
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self(open(folder, FOLDER, Mode::empty())?))
    }

    /// A folder in this one, by its name.
    pub fn folder(&self, name: &str) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, FOLDER, Mode::empty())?))
    }

    /// The folder's entries, `.` and `..` among them.
    pub fn entries(&self) -> io::Result<Dir> {
        let flags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        Ok(Dir::new(openat(&self.0, ".", flags, Mode::empty())?)?)
    }

    /// What kind of entry it is, and its size in bytes.
    pub fn look(&self, name: &CStr) -> io::Result<(FileType, u64)> {
        let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Ok((FileType::from_raw_mode(stat.st_mode), size))
    }

    /// Opens a file for reading; a FIFO without a writer is not waited for.
    pub fn file(&self, path: &str) -> io::Result<File> {
        let flags = FILE.union(OFlags::RDONLY).union(OFlags::NONBLOCK);
        self.at(path, false, |folder, name| Ok(openat(folder, name, flags, Mode::empty())?.into()))
    }

    /// Makes a file that is not there yet, with the folders it lies in.
    pub fn create(&self, path: &str, mode: u32) -> io::Result<File> {
        let flags = FILE.union(OFlags::WRONLY).union(OFlags::CREATE).union(OFlags::EXCL);
        self.at(path, true, |folder, name| {
            let file = openat(folder, name, flags, Mode::RUSR.union(Mode::WUSR))?;
            // Set apart, because the umask of the stub takes all from others.
            fchmod(&file, Mode::from_raw_mode(mode))?;
            Ok(file.into())
        })
    }

    /// Goes to the last part's folder.
    fn at<T>(
        &self,
        path: &str,
        make: bool,
        act: impl FnOnce(&OwnedFd, &str) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut held;
        let mut folder = &self.0;
        let mut rest = path;
        while let Some((part, behind)) = rest.split_once('/') {
            if make {
                make_folder(folder, part)?;
            }
            held = openat(folder, part, FOLDER, Mode::empty())?;
            folder = &held;
            rest = behind;
        }
        act(folder, rest)
    }
}

fn make_folder(parent: &OwnedFd, name: &str) -> io::Result<()> {
    match mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => {
            let flags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(FILE);
            let made = openat(parent, name, flags, Mode::empty())?;
            Ok(fchmod(made, Mode::from_raw_mode(0o755))?)
        }
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
