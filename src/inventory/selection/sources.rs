//! Where the lists of a selection come from.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// A list is at most this long, in bytes.
const MAX_LIST: u64 = 32 << 20;

/// Gives the text of lists.
pub trait Sources {
    fn list(&mut self, path: &Path) -> Result<String>;
    /// The same text each time.
    fn stdin(&mut self) -> Result<String>;
}

/// Real files, and a stdin that is read once at most.
pub struct Files<R> {
    stdin: R,
    read: Option<String>,
}

impl<R: Read> Files<R> {
    pub fn new(stdin: R) -> Self {
        Self { stdin, read: None }
    }
}

impl<R: Read> Sources for Files<R> {
    fn list(&mut self, path: &Path) -> Result<String> {
        let failed = |error: std::io::Error| {
            Error::usage(format!("cannot read the list of hosts {}", path.display()))
                .because(error)
                .hint("the path is relative to the folder you are in")
        };
        read(File::open(path).map_err(failed)?, &path.display().to_string())?.map_err(failed)
    }

    fn stdin(&mut self) -> Result<String> {
        if self.read.is_none() {
            let text = read(&mut self.stdin, "stdin")?
                .map_err(|error| Error::usage("cannot read the list of hosts on stdin").because(error))?;
            self.read = Some(text);
        }
        Ok(self.read.clone().unwrap_or_default())
    }
}

/// The outer error is about the size.
fn read(from: impl Read, name: &str) -> Result<std::io::Result<String>> {
    let mut text = String::new();
    match from.take(MAX_LIST + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > MAX_LIST => {
            Err(Error::usage(format!("the list of hosts {name} is longer than {} MiB", MAX_LIST >> 20))
                .hint("a list has one host, or one range such as web[01-20], on each line"))
        }
        Ok(_) => Ok(Ok(text)),
        Err(error) => Ok(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdin_is_read_once_and_remembered() {
        let mut files = Files::new(&b"web1\n"[..]);
        assert_eq!(files.stdin().unwrap(), "web1\n");
        assert_eq!(files.stdin().unwrap(), "web1\n");
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let error = Files::new(std::io::repeat(b'\n')).stdin().unwrap_err();
        assert_eq!(error.message, "the list of hosts stdin is longer than 32 MiB");
    }

    #[test]
    fn a_missing_list_is_named() {
        let error = Files::new(std::io::empty()).list(Path::new("no/such")).unwrap_err();
        assert_eq!(error.message, "cannot read the list of hosts no/such");
    }
}
