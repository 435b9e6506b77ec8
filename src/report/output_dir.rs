use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Reporter;
use crate::error::{OrFail, Result};
use crate::event::{Event, EventKind, Stream};

/// `--output-dir DIR`: what each host wrote, to the byte, in `DIR/HOST.stdout` and
/// `DIR/HOST.stderr`. A host that was started has both files, empty where it wrote nothing;
/// files of an earlier run are overwritten. Where output was not kept, `DIR/HOST.stdout.cut` has a
/// line such as `5261334937 bytes are missing behind byte 33554432`. Of a run that is attached to they
/// are written anew, as a whole.
pub struct OutputDir {
    folder: PathBuf,
    begun: HashSet<(String, Stream)>,
}

impl OutputDir {
    /// Creates the folder with its parents.
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .or_fail(|| format!("cannot create the folder {}", folder.display()))
            .map_err(|error| error.hint("name a folder you may write to: --output-dir ./out"))?;
        Ok(Self { folder: folder.to_owned(), begun: HashSet::new() })
    }

    // A thousand hosts have more files than a process may have open: each is opened to append.
    fn write(&mut self, host: &str, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(host, stream);
        let first = self.begun.insert((host.to_owned(), stream));
        let mut options = OpenOptions::new();
        if first {
            options.write(true).create(true).truncate(true);
            match fs::remove_file(path.with_added_extension("cut")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        } else if bytes.is_empty() {
            return Ok(());
        } else {
            options.append(true);
        }
        options.open(path)?.write_all(bytes)
    }

    fn cut(&mut self, host: &str, stream: Stream, bytes: u64) -> io::Result<()> {
        self.write(host, stream, b"")?;
        let path = self.path(host, stream);
        let behind = fs::metadata(&path)?.len();
        let mut note = OpenOptions::new().append(true).create(true).open(path.with_added_extension("cut"))?;
        writeln!(note, "{bytes} bytes are missing behind byte {behind}")
    }

    fn path(&self, host: &str, stream: Stream) -> PathBuf {
        self.folder.join(format!("{}.{}", file_name(host), stream.as_str()))
    }
}

impl Reporter for OutputDir {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::HostOutput { host, stream, data } => self.write(host, *stream, &data.0),
            EventKind::HostOutputCut { host, stream, bytes } => self.cut(host, *stream, *bytes),
            EventKind::HostFinished { host, result } if result.started_at.is_some() => {
                Stream::ALL.into_iter().try_for_each(|stream| self.write(host, stream, b""))
            }
            _ => Ok(()),
        }
    }
}

/// A file name for a host: what is not a letter, digit, `.`, `-`, `_` or `@` becomes `%` and two
/// hex digits, so that two hosts never share a file and no host leaves the folder.
fn file_name(host: &str) -> String {
    let mut name = String::new();
    for (index, byte) in host.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'@');
        if plain || (byte == b'.' && index > 0) {
            name.push(char::from(byte));
        } else {
            write!(name, "%{byte:02X}").expect("a String takes all");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_files() {
        const TABLE: &[(&str, &str)] = &[
            ("web01.example.com", "web01.example.com"),
            ("root@db1:2222", "root@db1%3A2222"),
            ("../../etc/passwd", "%2E./..%2Fetc%2Fpasswd"),
            ("::1", "%3A%3A1"),
            ("a%3Ab", "a%253Ab"),
            ("é", "%C3%A9"),
        ];
        for (host, file) in TABLE {
            assert_eq!(file_name(host), file.replace("./", ".%2F"));
        }
    }
}
