//! Where keepers listen.
//!
//! `$XDG_RUNTIME_DIR/cronium-run/keeper/BUILD.sock`, else under `$XDG_STATE_HOME`: 0600 in a
//! folder of 0700 that is ours.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tokio::net::UnixListener;

use crate::error::{Error, Result};
use crate::inventory::Account;

/// What the kernel takes as the path of a Unix socket.
const SOCKET_MAX: usize = 107;

/// The folder of this user's keepers.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
}

/// A socket that a keeper listens on, or did before it was killed.
#[derive(Debug, Clone)]
pub struct Found {
    pub socket: PathBuf,
    /// Whether its keeper speaks our language.
    pub is_ours: bool,
}

impl Place {
    /// Makes the folder where it is missing. An error where it is not ours alone.
    pub fn open() -> Result<Self> {
        let place = Self { folder: folder()? };
        let folder = &place.folder;
        let refused = |cause: &dyn std::fmt::Display| {
            Error::failure(format!("connections cannot be kept in {}", folder.display()))
                .cause(cause.to_string())
                .hint(format!("ls -ld {}", folder.display()))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| refused(&error))?;
        let metadata = fs::symlink_metadata(folder).map_err(|error| refused(&error))?;
        if !metadata.is_dir() || metadata.uid() != rustix::process::getuid().as_raw() {
            return Err(refused(&"it belongs to somebody else"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(refused(&format!("others may enter it (mode {:o})", metadata.mode() & 0o7777)));
        }
        match place.socket().as_os_str().len() > SOCKET_MAX {
            true => Err(refused(&format!("its path is too long for a socket ({SOCKET_MAX} bytes)"))),
            false => Ok(place),
        }
    }

    /// Every keeper of this user.
    pub fn keepers(&self) -> Vec<Found> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<Found> = entries
            .filter(|path| path.extension() == Some(OsStr::new("sock")))
            .map(|socket| Found { is_ours: socket == self.socket(), socket })
            .collect();
        found.sort_by(|one, other| one.socket.cmp(&other.socket));
        found
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!("{}.sock", build()))
    }

    /// Takes the place of the keeper; `None` where there is one.
    pub fn listen(&self) -> io::Result<Option<Seat>> {
        let path = self.folder.join(format!("{}.lock", build()));
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let socket = self.socket();
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        let inode = inode(&socket);
        Ok(Some(Seat { listener, socket, inode, _lock: lock }))
    }
}

/// Where the only keeper listens.
pub struct Seat {
    pub listener: UnixListener,
    socket: PathBuf,
    inode: Option<(u64, u64)>,
    _lock: File,
}

impl Seat {
    /// Whether commands find us here. The folder may have been removed and made anew, with another
    /// keeper in it.
    pub fn is_ours(&self) -> bool {
        self.inode.is_some() && inode(&self.socket) == self.inode
    }

    /// Nobody comes any more, and the next keeper may.
    pub fn leave(self) {
        if self.is_ours() {
            let _ = fs::remove_file(&self.socket);
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn folder() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // `su` and `sudo -E` leave that of another user.
    let is_ours = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|metadata| metadata.uid() == rustix::process::getuid().as_raw())
    };
    let runtime = absolute("XDG_RUNTIME_DIR").filter(is_ours);
    let base = match runtime.or_else(|| absolute("XDG_STATE_HOME")) {
        Some(base) => base,
        None => Account::current()?.home.join(".local/state"),
    };
    Ok(base.join("cronium-run/keeper"))
}

/// Names the running program: another build, or the same one installed anew, has another.
fn build() -> String {
    let metadata = fs::metadata("/proc/self/exe").or_else(|_| std::env::current_exe().and_then(fs::metadata));
    let Ok(metadata) = metadata else { return env!("CARGO_PKG_VERSION").to_owned() };
    let text = format!(
        "{} {} {} {} {}",
        env!("CARGO_PKG_VERSION"),
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime_nsec().wrapping_add(metadata.mtime()),
    );
    cronium_wire::digest::sha256_hex(text.as_bytes())[..16].to_owned()
}

/// The program that runs, also after it was replaced.
pub fn program() -> PathBuf {
    let own = Path::new("/proc/self/exe");
    if own.exists() { own.to_owned() } else { std::env::current_exe().unwrap_or_else(|_| own.to_owned()) }
}
