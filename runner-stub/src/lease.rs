//! Who looks after a run's folder: who holds the lock of its file `lease`.
//!
//! The script can remove that file, or put another in its place, and some network disks have no
//! locks. So nobody takes a run over whose control socket is answered: a supervisor listens there from
//! before its folder has its name until it ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::helper_call::socket::short;
use crate::plain_file::open_plain;
use crate::run_folder::{CONTROL, LEASE, remove_all};

pub enum Lease {
    /// Nobody's, and now ours for as long as this is kept.
    Ours(File),
    /// Its supervisor's, or that of one who stands in for it.
    Theirs,
    /// The folder is on its way out, or its lease was replaced meanwhile.
    Moved,
}

impl Lease {
    pub fn take(folder: &Path) -> Self {
        let path = folder.join(LEASE);
        let lease = match open_plain(&path, OFlags::RDWR) {
            Ok(lease) => lease,
            Err(_) if is_answered(folder) => return Self::Theirs,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    let _ = fs::remove_file(&path).or_else(|_| remove_all(&path));
                }
                match File::create_new(&path) {
                    Ok(lease) => lease,
                    Err(_) => return Self::Moved,
                }
            }
        };
        match flock(&lease, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Self::Theirs,
            // Where there are no locks, the socket alone says it.
            _ if is_answered(folder) => Self::Theirs,
            _ if is_at(&lease, &path) => Self::Ours(lease),
            _ => Self::Moved,
        }
    }
}

/// Whether the file still has this name: who held it before may have removed it, with its folder.
fn is_at(file: &File, path: &Path) -> bool {
    let there = path.symlink_metadata();
    file.metadata()
        .is_ok_and(|ours| there.is_ok_and(|there| (ours.dev(), ours.ino()) == (there.dev(), there.ino())))
}

/// Whether somebody listens on the folder's control socket, however busy.
fn is_answered(folder: &Path) -> bool {
    let Ok((_dir, path)) = short(&folder.join(CONTROL)) else { return false };
    let connect = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
    };
    matches!(connect(), Ok(()) | Err(Errno::AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_folder::{listen, private, random_word};

    #[test]
    fn whose_it_is() {
        let table: [(&str, &str); 8] = [
            ("free", "ours"),
            ("held", "theirs"),
            ("held, replaced and answered", "theirs"),
            ("removed and answered", "theirs"),
            ("removed", "ours"),
            ("answered by nobody", "ours"),
            ("a link", "ours"),
            ("gone", "moved"),
        ];
        for (what, want) in table {
            let folder = std::env::temp_dir().join(random_word().unwrap());
            private(&folder).unwrap();
            let path = folder.join(LEASE);
            let held = File::create(&path).unwrap();
            if what.starts_with("held") {
                flock(&held, FlockOperation::LockExclusive).unwrap();
            }
            let listener = what.contains("answered").then(|| listen(&folder).unwrap());
            let listener = listener.filter(|_| !what.contains("nobody"));
            if what.contains("removed") || what.contains("replaced") || what == "a link" {
                fs::remove_file(&path).unwrap();
            }
            match what {
                "a link" => std::os::unix::fs::symlink("/dev/null", &path).unwrap(),
                "gone" => fs::remove_dir_all(&folder).unwrap(),
                _ if what.contains("replaced") => drop(File::create(&path).unwrap()),
                _ => {}
            }
            let taken = Lease::take(&folder);
            let got = match &taken {
                Lease::Ours(_) => "ours",
                Lease::Theirs => "theirs",
                Lease::Moved => "moved",
            };
            assert_eq!(got, want, "{what}");
            // Of two that stand in at once, one does.
            if got == "ours" {
                assert!(matches!(Lease::take(&folder), Lease::Theirs), "{what}");
            }
            drop((taken, listener));
            let _ = fs::remove_dir_all(&folder);
        }
    }
}
