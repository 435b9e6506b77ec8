//! Adds a line to a file that other ssh programs read and write at the same time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use russh::keys::PublicKey;

use super::table::with_port;
use crate::error::{Error, OrFail, Result};

/// How often a file may be replaced under our hands before we give up.
const ATTEMPTS: usize = 8;

/// Writes `[name]:port KEY` (without brackets and port for port 22) behind the last line of `path`.
///
/// A new file gets mode 0600 and new folders 0700. The line goes out in one write at the end of
/// the file, under a lock that our own processes respect, so that lines never mix; a last line
/// without its line end is ended first.
pub fn append(path: &Path, name: &str, port: u16, key: &PublicKey) -> Result<()> {
    let failed = || format!("cannot record the host key of {name} in {}", path.display());
    if !is_plain(name) {
        return Err(Error::failure(failed())
            .cause("the name holds a character that has a meaning in known_hosts files")
            .hint("give the host a plain name with HostKeyAlias in ~/.ssh/config"));
    }
    // The comment of a key is the server's to choose and has no business here.
    let key = PublicKey::from(key.key_data().clone()).to_openssh().or_fail(failed)?;
    append_line(path, &format!("{} {key}\n", with_port(name, port))).map_err(|error| {
        Error::failure(failed())
            .because(error)
            .hint(format!("ls -ld {}, or name another file with --known-hosts FILE", path.display()))
    })
}

/// Whether known_hosts takes the name for a name and nothing else.
fn is_plain(name: &str) -> bool {
    let meaning = |c: char| c.is_whitespace() || c.is_control() || ",*?!|#@[]".contains(c);
    !name.is_empty() && !name.contains(meaning)
}

fn append_line(path: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = lock(path)?;
    let line = if ends_with_line_end(&mut file)? { line.to_owned() } else { format!("\n{line}") };
    // One write call: with O_APPEND it lands in one piece, whoever else is writing.
    let written = file.write(line.as_bytes())?;
    if written != line.len() {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "only a part of the line was written"));
    }
    file.sync_data()
}

/// Opens `path` for appending and locks it. `ssh-keygen -R` puts a new file in its place by
/// renaming: then the lock is on a file that nobody reads any more, and we open again.
fn lock(path: &Path) -> io::Result<File> {
    for _ in 0..ATTEMPTS {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        match file.lock() {
            // Some network file systems have no locks; the single write has to do there.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
            _ => {}
        }
        let (ours, current) = (file.metadata()?, path.metadata());
        if current.is_ok_and(|current| (current.dev(), current.ino()) == (ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "another program keeps replacing the file"))
}

/// Whether the file is empty or its last byte ends a line.
fn ends_with_line_end(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::thread;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn key() -> PublicKey {
        format!("{KEY} comment").parse().unwrap()
    }

    #[test]
    fn writes_what_ssh_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/.ssh/known_hosts");
        append(&path, "Web1.Example.com", 22, &key()).unwrap();
        append(&path, "web1.example.com", 2222, &key()).unwrap();
        append(&path, "::1", 2222, &key()).unwrap();
        let expected = format!("web1.example.com {KEY}\n[web1.example.com]:2222 {KEY}\n[::1]:2222 {KEY}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn ends_a_last_line_that_has_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, "# by hand").unwrap();
        append(&path, "web1", 22, &key()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("# by hand\nweb1 {KEY}\n"));
    }

    #[test]
    fn a_name_cannot_write_another_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        for name in ["", "a b", "a\nb", "*", "web?", "!web", "a,b", "|1|x", "#a", "@revoked", "[a]:1", "a\tb"]
        {
            let error = append(&path, name, 22, &key()).unwrap_err();
            assert!(!error.hints.is_empty(), "{name:?}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn many_writers_never_mix_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        // No line end, so that every writer may believe that it has to end the line.
        std::fs::write(&path, "# by hand").unwrap();
        thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for n in 0..25 {
                        append(path, &format!("web{writer}-{n}"), 22, &key()).unwrap();
                    }
                });
            }
        });
        let content = std::fs::read_to_string(&path).unwrap();
        assert_eq!(content.lines().count(), 201);
        assert!(content.lines().skip(1).all(|line| line.starts_with("web") && line.ends_with(KEY)));
    }

    #[test]
    fn an_unwritable_file_is_an_error_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let error = append(folder.path(), "web1", 22, &key()).unwrap_err();
        assert!(error.message.starts_with("cannot record the host key of web1 in "), "{error}");
        assert!(!error.causes.is_empty() && !error.hints.is_empty());
    }
}
