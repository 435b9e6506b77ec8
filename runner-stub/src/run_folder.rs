//! `~/.local/state/cronium-run/runs/<run-id>/`: everything a run leaves on the host, until its end.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::identity;
use crate::refusal::Refusal;

/// The names a script calls its helpers by.
const HELPERS: [&str; 6] = [
    "cronium",
    "cronium.input",
    "cronium.output",
    "cronium.getVariable",
    "cronium.setVariable",
    "cronium.event",
];
/// What the kernel takes as the path of a Unix socket, less room for a file name.
const SOCKET_DIR_MAX: usize = 90;

/// Folders that others can write to: names in them are never ones that could be guessed.
pub const SHARED: [&str; 2] = ["/var/tmp", "/tmp"];

/// Where the payload is unpacked, and what becomes artifacts: names in the run folder.
pub const WORK: &str = "work";
pub const OUT: &str = "out";

/// Locked for as long as the run lives; see [`crate::stale`].
pub const LEASE: &str = "lease";

/// Removed when dropped, with everything in it.
pub struct RunFolder {
    path: PathBuf,
    /// Where sockets lie: `path`, or a folder of our own where that is too long for a socket.
    sockets: PathBuf,
    lease: Option<File>,
}

/// Where run folders lie.
pub fn runs() -> PathBuf {
    xdg("XDG_STATE_HOME", ".local/state").join("runs")
}

/// `$XDG_STATE_HOME`, `$XDG_CACHE_HOME` or `$XDG_CONFIG_HOME`, else its place under HOME.
pub fn xdg(variable: &str, under_home: &str) -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // Without HOME, a place where nobody can make a folder, as the shell line that started us has it.
    let home = || absolute("HOME").unwrap_or_else(|| PathBuf::from("/dev/null")).join(under_home);
    absolute(variable).unwrap_or_else(home).join("cronium-run")
}

impl RunFolder {
    pub fn create(run: &str) -> Result<Self, Refusal> {
        let runs = runs();
        // A host whose home is read-only or missing runs jobs all the same.
        let elsewhere = || SHARED.iter().find_map(|dir| make_own(Path::new(dir), "cronium-run").ok());
        let path = match private_all(&runs).and_then(|()| make_own(&runs, run)) {
            Ok(path) => path,
            Err(error) => elsewhere().ok_or_else(|| Refusal::folder("make a folder in", &runs, &error))?,
        };
        // From here on the folder goes away with the value, whatever fails.
        let mut folder = Self { sockets: path.clone(), path, lease: None };
        folder.fill().map_err(|error| Refusal::folder("fill", &folder.path, &error))?;
        Ok(folder)
    }

    /// One that is there already, without the rest of a run.
    #[cfg(test)]
    pub fn at(path: PathBuf) -> Self {
        Self { sockets: path.clone(), path, lease: None }
    }

    fn fill(&mut self) -> io::Result<()> {
        let lease = File::create_new(self.path.join(LEASE))?;
        // Where locks are not to be had, nobody else can take it either.
        let _ = rustix::fs::flock(&lease, FlockOperation::NonBlockingLockExclusive);
        self.lease = Some(lease);
        for dir in [self.work(), self.out(), self.tmp(), self.bin()] {
            private(&dir)?;
        }
        // Not through `/proc/PID/exe`, which only root may follow into a process that is closed to
        // others' eyes.
        let program = identity::program();
        let [first, others @ ..] = HELPERS.map(|name| self.bin().join(name));
        if program.exists() {
            symlink(&program, &first)?;
        } else {
            // Removed while we waited for a job: what runs is still to be had.
            fs::copy("/proc/self/exe", &first)?;
            fs::set_permissions(&first, fs::Permissions::from_mode(0o700))?;
        }
        for other in others {
            // One link under all names is one inode to make and to remove, where that can be had.
            fs::hard_link(&first, &other).or_else(|_| symlink(&program, other))?;
        }
        if self.path.as_os_str().len() > SOCKET_DIR_MAX {
            self.sockets = make_own(Path::new("/tmp"), "cronium-run")?;
        }
        Ok(())
    }

    /// Where the payload is unpacked and the script runs.
    pub fn work(&self) -> PathBuf {
        self.path.join(WORK)
    }

    /// `$CRONIUM_OUT`: every file that the script puts here is fetched.
    pub fn out(&self) -> PathBuf {
        self.path.join(OUT)
    }

    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub fn bin(&self) -> PathBuf {
        self.path.join("bin")
    }

    /// The socket the script's helpers speak to: found from `CRONIUM_WORK_DIR`.
    pub fn helper_socket(&self) -> PathBuf {
        self.path.join(crate::helper_call::SOCKET)
    }

    /// The socket that leads to the operator.
    pub fn tunnel_socket(&self) -> PathBuf {
        self.sockets.join("tunnel")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn remove(&self) -> io::Result<()> {
        remove_both(&self.sockets, &self.path)
    }

    /// Removes it where the value itself is out of reach.
    pub fn removal(&self) -> impl FnOnce() + Send + 'static {
        let (sockets, path) = (self.sockets.clone(), self.path.clone());
        move || {
            let _ = remove_both(&sockets, &path);
        }
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

fn remove_both(sockets: &Path, path: &Path) -> io::Result<()> {
    if sockets != path {
        remove_all(sockets)?;
    }
    remove_all(path)
}

/// Removes a tree even where the script took its folders' write permission away.
pub fn remove_all(path: &Path) -> io::Result<()> {
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
    let path = parent.join(format!("{name}.{}", random_word()?));
    private(&path).map(|()| path)
}

/// For a name that nobody can guess, and that no other host which shares the folder takes too.
pub fn random_word() -> io::Result<String> {
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(cronium_wire::digest::hex(&random))
}
