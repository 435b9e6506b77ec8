//! Adds lines to a file that other ssh programs read and write at the same time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use russh::keys::PublicKey;

use super::names;
use super::table::with_port;
use crate::error::{Error, OrFail, Result};

/// How often a file may be replaced under our hands before we give up.
const ATTEMPTS: usize = 8;

/// A key of a host, to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a str,
    pub port: u16,
    pub key: &'a PublicKey,
    /// `HashKnownHosts`: the file does not show whose key it is.
    pub hashed: bool,
}

/// Writes `[name]:port KEY` (without brackets and port for port 22), or `|1|SALT|HASH KEY`, for each
/// entry behind the last line of `path`, and says what became of each: a bad name keeps out none but
/// its own.
///
/// A new file gets mode 0600 and new folders 0700. The lines go out in one write at the end of
/// the file, under a lock that our own processes respect, so that lines never mix; a last line
/// without its line end is ended first.
pub fn append(path: &Path, entries: &[Entry<'_>]) -> Vec<Result<()>> {
    let failed = |name: &str| format!("cannot record the host key of {name} in {}", path.display());
    let line = |entry: &Entry<'_>| {
        if !is_plain(entry.name) {
            return Err(Error::failure(failed(entry.name))
                .cause("the name holds a character that has a meaning in known_hosts files")
                .hint("give the host a plain name with HostKeyAlias in ~/.ssh/config"));
        }
        // The comment of a key is the server's to choose and has no business here.
        let key = PublicKey::from(entry.key.key_data().clone());
        let key = key.to_openssh().or_fail(|| failed(entry.name))?;
        let name = with_port(entry.name, entry.port);
        let name = if entry.hashed { names::hashed(&name)?.to_string() } else { name };
        Ok(format!("{name} {key}\n"))
    };
    let lines: Vec<Result<String>> = entries.iter().map(line).collect();
    let good: String = lines.iter().flatten().map(String::as_str).collect();
    let written = if good.is_empty() { Ok(()) } else { append_lines(path, &good) };
    let told = |(entry, line): (&Entry<'_>, Result<String>)| match (line, &written) {
        (Err(error), _) => Err(error),
        (Ok(_), Ok(())) => Ok(()),
        (Ok(_), Err(error)) => Err(Error::failure(failed(entry.name))
            .because(error)
            .hint(format!("ls -ld {}, or name another file with --known-hosts FILE", path.display()))),
    };
    entries.iter().zip(lines).map(told).collect()
}

/// Whether known_hosts takes the name for a name and nothing else. An alias may be `[name]:port`, as
/// `ssh` writes it too.
fn is_plain(name: &str) -> bool {
    let meaning = |c: char| c.is_whitespace() || c.is_control() || ",*?!|#@[]".contains(c);
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let inner = match name.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((inner, port)) if is_port(port) => inner,
        _ => name,
    };
    !inner.is_empty() && !inner.contains(meaning)
}

fn append_lines(path: &Path, lines: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = lock(path)?;
    if !file.metadata()?.is_file() {
        // `UserKnownHostsFile none`: nothing is kept beyond this run.
        return file.write_all(lines.as_bytes());
    }
    let lines = if ends_with_line_end(&mut file)? { lines.to_owned() } else { format!("\n{lines}") };
    // One write call: with O_APPEND it lands in one piece, whoever else is writing.
    let written = file.write(lines.as_bytes())?;
    if written != lines.len() {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "only a part of it was written"));
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

    fn append_one(path: &Path, name: &str, port: u16) -> Result<()> {
        append(path, &[Entry { name, port, key: &key(), hashed: false }]).remove(0)
    }

    #[test]
    fn writes_what_ssh_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/.ssh/known_hosts");
        append_one(&path, "Web1.Example.com", 22).unwrap();
        append_one(&path, "web1.example.com", 2222).unwrap();
        append_one(&path, "::1", 2222).unwrap();
        // An alias that has its port already.
        append_one(&path, "[alias]:2222", 22).unwrap();
        let names = ["web1.example.com", "[web1.example.com]:2222", "[::1]:2222", "[alias]:2222"];
        let expected: String = names.iter().map(|name| format!("{name} {KEY}\n")).collect();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_hashed_name_is_found_by_ssh_keygen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        for _ in 0..2 {
            append(&path, &[Entry { name: "Web1", port: 2222, key: &key(), hashed: true }])
                .remove(0)
                .unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.starts_with("|1|") && line.ends_with(KEY)), "{text}");
        assert_ne!(lines[0], lines[1], "each line has a salt of its own");
        let found = |name: &str| {
            let mut keygen = std::process::Command::new("ssh-keygen");
            let output = keygen.arg("-f").arg(&path).args(["-F", name]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().matches(KEY).count()
        };
        assert_eq!((found("[web1]:2222"), found("web1"), found("[web2]:2222")), (2, 0, 0));
    }

    #[test]
    fn ends_a_last_line_that_has_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, "# by hand").unwrap();
        append_one(&path, "web1", 22).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("# by hand\nweb1 {KEY}\n"));
    }

    #[test]
    fn a_file_that_keeps_nothing_is_no_error() {
        append_one(Path::new("/dev/null"), "web1", 22).unwrap();
    }

    #[test]
    fn a_name_cannot_write_another_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        for name in [
            "", "a b", "a\nb", "*", "web?", "!web", "a,b", "|1|x", "#a", "@revoked", "[a]", "[a]:", "[a]:x",
            "[a b]:1", "[a]:1 b", "[]:1", "a\tb",
        ] {
            let error = append_one(&path, name, 22).unwrap_err();
            assert!(!error.hints.is_empty(), "{name:?}");
        }
        assert!(!path.exists());
    }

    #[test]
    fn a_bad_name_keeps_out_none_but_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let key = key();
        let entries = ["web1", "a,b", "web2"].map(|name| Entry { name, port: 22, key: &key, hashed: false });
        let kept: Vec<bool> = append(&path, &entries).iter().map(Result::is_ok).collect();
        assert_eq!(kept, [true, false, true]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("web1 {KEY}\nweb2 {KEY}\n"));
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
                        append_one(path, &format!("web{writer}-{n}"), 22).unwrap();
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
        let error = append_one(folder.path(), "web1", 22).unwrap_err();
        assert!(error.message.starts_with("cannot record the host key of web1 in "), "{error}");
        assert!(!error.causes.is_empty() && !error.hints.is_empty());
    }
}
