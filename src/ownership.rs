//! Who could have written a file that we are about to obey: a program to run, settings to follow.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

const WORLD_WRITABLE: u32 = 0o002;
const STICKY: u32 = 0o1000;
/// As Linux has it.
const MAX_LINKS: usize = 40;

/// Why a file is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Such as `every user can write it`; a folder or a link on the way is named.
    pub why: String,
    /// The command that puts it right.
    pub remedy: String,
}

/// The first thing that lets somebody else than `uid` and root write or replace the file at `path`.
///
/// The file, each folder above it and each symlink on the way must belong to `uid` or to root, and
/// not every user may write them. A folder such as `/tmp` may be written by every user where it is
/// sticky: nobody replaces the files of others there. What a group may write is its own business.
pub fn doubt(path: &Path, uid: u32) -> io::Result<Option<Doubt>> {
    let mut at = PathBuf::from("/");
    let mut ahead = Vec::new();
    push(&mut ahead, &std::path::absolute(path)?);
    let mut links = 0;
    loop {
        let metadata = fs::symlink_metadata(&at)?;
        if let Some(doubt) = judge(&at, &metadata, uid) {
            return Ok(Some(doubt));
        }
        if metadata.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("too many symlinks"));
            }
            let target = fs::read_link(&at)?;
            at.pop();
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            push(&mut ahead, &target);
        }
        match ahead.pop() {
            None => return Ok(None),
            Some(name) if name == ".." => drop(at.pop()),
            Some(name) => at.push(name),
        }
    }
}

/// Whether every user may write it, or put files into it, sticky or not.
pub fn is_open(metadata: &Metadata) -> bool {
    metadata.mode() & WORLD_WRITABLE != 0
}

/// Puts the names of a path on a stack, the first one on top.
fn push(ahead: &mut Vec<OsString>, path: &Path) {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    ahead.extend(names);
}

fn judge(at: &Path, metadata: &Metadata, uid: u32) -> Option<Doubt> {
    let shown = at.display();
    let owner = metadata.uid();
    if owner != uid && owner != 0 {
        let what = if metadata.is_file() { "it".to_owned() } else { shown.to_string() };
        return Some(Doubt {
            why: format!("{what} belongs to another user (uid {owner})"),
            remedy: format!("sudo chown -h {uid} {shown}"),
        });
    }
    let is_safe = metadata.is_dir() && metadata.mode() & STICKY != 0;
    if metadata.is_symlink() || !is_open(metadata) || is_safe {
        return None;
    }
    let why = match metadata.is_dir() {
        true => format!("every user can put files into {shown}"),
        false => "every user can write it".to_owned(),
    };
    Some(Doubt { why, remedy: format!("chmod o-w {shown}") })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};

    use super::*;

    #[test]
    fn all_on_the_way_must_be_ours_or_roots_and_not_everybodys() {
        let root = tempfile::TempDir::new().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        fs::create_dir(path("safe")).unwrap();
        fs::write(path("a/b/file"), "").unwrap();
        symlink("../a/b", path("safe/folder")).unwrap();
        symlink("folder/../b/file", path("safe/link")).unwrap();
        let set =
            |name: &str, mode| fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        let us = rustix::process::getuid().as_raw();
        let why = |name: &str, uid| {
            let doubt = doubt(&path(name), uid).unwrap()?;
            Some(doubt.why.replace(root.path().to_str().unwrap(), "ROOT"))
        };
        for name in ["a/b/file", "safe/link", "safe/folder/file", "safe/../a/./b/file"] {
            assert_eq!(why(name, us), None, "{name}");
            for (changed, mode, back, expected) in [
                ("a/b/file", 0o775, 0o755, None),
                ("a/b/file", 0o757, 0o755, Some("every user can write it")),
                ("a/b", 0o777, 0o755, Some("every user can put files into ROOT/a/b")),
                ("a/b", 0o1777, 0o755, None),
                ("a", 0o757, 0o755, Some("every user can put files into ROOT/a")),
            ] {
                set(changed, mode);
                assert_eq!(why(name, us).as_deref(), expected, "{name}, {changed} {mode:o}");
                set(changed, back);
            }
        }
        set("safe", 0o777);
        assert_eq!(why("a/b/file", us), None);
        assert!(why("safe/link", us).is_some_and(|why| why.ends_with("ROOT/safe")));
        set("safe", 0o755);
        if us != 0 {
            assert!(why("a/b/file", us + 1).is_some_and(|why| why.contains("belongs to another user")));
            return;
        }
        // Only root gives things away. A sticky folder's owner can replace what others have in it.
        set("a", 0o1777);
        for (given, name, expected) in [
            ("a/b/file", "a/b/file", "it belongs to another user (uid 4242)"),
            ("a", "a/b/file", "ROOT/a belongs to another user (uid 4242)"),
            ("safe/folder", "safe/link", "ROOT/safe/folder belongs to another user (uid 4242)"),
        ] {
            lchown(path(given), Some(4242), None).unwrap();
            assert_eq!(why(name, us).as_deref(), Some(expected));
            assert_eq!(why(name, 4242), None, "his own");
            lchown(path(given), Some(0), None).unwrap();
        }
    }

    #[test]
    fn a_loop_ends_and_nothing_is_an_error() {
        let root = tempfile::TempDir::new().unwrap();
        let us = rustix::process::getuid().as_raw();
        symlink("loop", root.path().join("loop")).unwrap();
        for name in ["loop", "none"] {
            assert!(doubt(&root.path().join(name), us).is_err(), "{name}");
        }
    }
}
