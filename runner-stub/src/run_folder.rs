//! `~/.local/state/cronium-run/runs/<run-id>/`: everything a run leaves on the host, until its end.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::refusal::Refusal;

/// The names a script calls its helpers by.
const HELPERS: [&str; 5] =
    ["cronium", "cronium.input", "cronium.output", "cronium.getVariable", "cronium.setVariable"];
/// What the kernel takes as the path of a Unix socket, less room for a file name.
const SOCKET_DIR_MAX: usize = 90;

/// Folders that others can write to: names in them are never ones that could be guessed.
const SHARED: [&str; 2] = ["/var/tmp", "/tmp"];

/// Removed when dropped, with everything in it.
pub struct RunFolder {
    path: PathBuf,
    /// Where sockets lie: `path`, or a folder of our own where that is too long for a socket.
    sockets: PathBuf,
}

/// `$XDG_STATE_HOME`, `$XDG_CACHE_HOME` or `$XDG_CONFIG_HOME`, else its place under HOME.
pub fn xdg(variable: &str, under_home: &str) -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // Without HOME, a place that says so in the message of the failure to write there.
    let home = || absolute("HOME").unwrap_or_else(|| PathBuf::from("/")).join(under_home);
    absolute(variable).unwrap_or_else(home).join("cronium-run")
}

impl RunFolder {
    pub fn create(run: &str) -> Result<Self, Refusal> {
        let runs = xdg("XDG_STATE_HOME", ".local/state").join("runs");
        // A host whose home is read-only or missing runs jobs all the same.
        let elsewhere = || SHARED.iter().find_map(|dir| make_own(Path::new(dir), "cronium-run").ok());
        let path = match private_all(&runs).and_then(|()| make_own(&runs, run)) {
            Ok(path) => path,
            Err(error) => elsewhere().ok_or_else(|| Refusal::folder("make a folder in", &runs, &error))?,
        };
        // From here on the folder goes away with the value, whatever fails.
        let mut folder = Self { sockets: path.clone(), path };
        folder.fill().map_err(|error| Refusal::folder("fill", &folder.path, &error))?;
        Ok(folder)
    }

    fn fill(&mut self) -> io::Result<()> {
        for dir in [self.work(), self.tmp(), self.bin()] {
            private(&dir)?;
        }
        // Resolved by the kernel through our own process, so it works even after the program's
        // file is gone, and lives no longer than the run.
        let program = format!("/proc/{}/exe", std::process::id());
        for name in HELPERS {
            symlink(&program, self.bin().join(name))?;
        }
        if self.path.as_os_str().len() > SOCKET_DIR_MAX {
            self.sockets = make_own(Path::new("/tmp"), "cronium-run")?;
        }
        Ok(())
    }

    /// Where the payload is unpacked and the script runs.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub fn bin(&self) -> PathBuf {
        self.path.join("bin")
    }

    /// The socket the script's helpers speak to: found from `CRONIUM_WORK_DIR`.
    pub fn helper_socket(&self) -> PathBuf {
        self.path.join(crate::helper::SOCKET)
    }

    /// The socket that leads to the operator.
    pub fn tunnel_socket(&self) -> PathBuf {
        self.sockets.join("tunnel")
    }

    pub fn remove(&self) -> io::Result<()> {
        if self.sockets != self.path {
            remove_all(&self.sockets)?;
        }
        remove_all(&self.path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// Removes a tree even where the script took its folders' write permission away.
fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Through a descriptor, so that a link put in a folder's place meanwhile leads nowhere.
fn open_up(dir: &Path) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(held) = rustix::fs::open(dir, flags, Mode::empty()) else { return };
    let dir = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
    let _ = fs::set_permissions(&dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Makes a new folder that nobody else can enter.
pub fn private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a folder and those above it, where they are missing.
pub fn private_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// A new folder called `name`, or like it where two hosts share a home and the name is taken.
fn make_own(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let shared = SHARED.iter().any(|dir| parent == Path::new(dir));
    let plain = parent.join(name);
    if !shared {
        match private(&plain) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| plain),
        }
    }
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let path = parent.join(format!("{name}.{}", cronium_wire::digest::hex(&random)));
    private(&path).map(|()| path)
}
