//! The project's file, if it can be believed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::PROJECT_FILE;
use crate::error::{Error, OrFail as _, Result};
use crate::ownership;

/// The file in `start` or in the nearest folder above. Whoever can write it decides what we run
/// and whom we trust, so one that belongs to another user, or that anybody could put there, is
/// refused rather than passed over: that too would change what happens. It is found, not named, so
/// that a sticky folder that everybody can write, such as `/tmp`, is no place for it either.
pub(super) fn find(start: &Path, uid: u32) -> Result<Option<PathBuf>> {
    for folder in start.ancestors() {
        let path = folder.join(PROJECT_FILE);
        match fs::metadata(&path) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            // A folder that we may not look into is not ours to take files from.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
            Err(error) => {
                return Err(Error::failure(format!("cannot look at {}", path.display()))
                    .because(error)
                    .hint(format!("ls -l {}", path.display())));
            }
        }
        let refuse = |why: String| {
            Error::failure(format!("the project file {} is not trusted: {why}", path.display()))
        };
        let doubt = ownership::doubt(&path, uid).or_fail(|| format!("cannot look at {}", path.display()))?;
        if let Some(doubt) = doubt {
            return Err(refuse(doubt.why)
                .hint(format!("look at it, then: {}", doubt.remedy))
                .hint("or run from a folder that has no such file above it"));
        }
        let around = fs::metadata(folder).or_fail(|| format!("cannot look at {}", folder.display()))?;
        if ownership::is_open(&around) {
            return Err(refuse(format!("every user can put files into {}", folder.display()))
                .hint(format!("chmod o-w {}", folder.display()))
                .hint("or move the file to a folder that is yours"));
        }
        return Ok(Some(path));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_others_could_have_written_is_refused() {
        let root = tempfile::TempDir::new().unwrap();
        let folder = root.path().join("project");
        fs::create_dir(&folder).unwrap();
        let file = folder.join(PROJECT_FILE);
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let uid = rustix::process::getuid().as_raw();
        let why = |uid| find(&folder, uid).unwrap_err().message.rsplit(": ").next().unwrap().to_owned();

        assert_eq!(find(&folder, uid).unwrap(), None);
        fs::write(&file, "").unwrap();
        set(&file, 0o664);
        assert_eq!(find(&folder, uid).unwrap(), Some(file.clone()));
        set(&file, 0o666);
        assert_eq!(why(uid), "every user can write it");
        set(&file, 0o644);
        // A sticky folder too: anybody could have put the file there.
        for mode in [0o777, 0o1777] {
            set(&folder, mode);
            assert!(why(uid).starts_with("every user can put files into"), "{mode:o}");
        }
        set(&folder, 0o755);
        // Root's files are everybody's; those of this user are not a stranger's.
        match uid {
            0 => {
                std::os::unix::fs::chown(&file, Some(4242), None).unwrap();
                assert_eq!(why(0), "it belongs to another user (uid 4242)");
            }
            _ => assert!(why(uid + 1).contains("belongs to another user")),
        }
    }
}
