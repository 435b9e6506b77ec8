//! One pass over an archive: every rule is checked here, whatever is done with the entries.

use std::io::{self, Read};

use tar::EntryType;

use super::header::{Extra, Named};
use super::limit::Unzipped;
use super::name::{clean_name, is_apple_double};
use super::tree::{Found, Tree};
use super::{ArchiveError, Contents, Entry, EntryKind, Fault, MAX_ENTRIES, MAX_UNPACKED};
use crate::manifest::{self, Manifest};

/// Is shown every entry, as soon as it is known to be allowed. Where symbolic links lead is known
/// only at the end.
pub trait Visit {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), ArchiveError>;
}

pub struct Nothing;

impl Visit for Nothing {
    fn entry(&mut self, _: &Entry, _: &mut dyn Read) -> Result<(), ArchiveError> {
        Ok(())
    }
}

/// Reads an archive of `size` bytes to its end.
pub fn walk(reader: &mut dyn Read, size: u64, visit: &mut dyn Visit) -> Result<Contents, ArchiveError> {
    let mut walk = Walk { visit, tree: Tree::default(), entries: Vec::new(), unpacked: 0, manifest: None };
    let mut stream = Unzipped::new(reader, size);
    walk.entries(&mut stream, false)?;
    // Zeros fill the last record; behind them the gzip's checksum waits to be compared.
    let mut rest = [0; 8192];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => break,
            Ok(read) if rest[..read].iter().all(|byte| *byte == 0) => {}
            Ok(_) => return Err(ArchiveError::Unreadable("data behind the end of the archive".into())),
            Err(error) => return Err(stream.explain(&error)),
        }
    }
    walk.finish()
}

/// Reads until the manifest is there.
pub fn read_manifest(reader: &mut dyn Read, size: u64) -> Result<Manifest, ArchiveError> {
    let visit = &mut Nothing;
    let mut walk = Walk { visit, tree: Tree::default(), entries: Vec::new(), unpacked: 0, manifest: None };
    walk.entries(&mut Unzipped::new(reader, size), true)?;
    walk.manifest.ok_or(ArchiveError::NoManifest)
}

struct Walk<'a> {
    visit: &'a mut dyn Visit,
    tree: Tree,
    entries: Vec<Entry>,
    unpacked: u64,
    manifest: Option<Manifest>,
}

impl Walk<'_> {
    fn entries(&mut self, stream: &mut Unzipped<'_>, until_manifest: bool) -> Result<(), ArchiveError> {
        let mut extra = Extra::default();
        let mut headers = 0;
        let mut archive = tar::Archive::new(&mut *stream);
        let result: Result<(), Stop> = (|| {
            for entry in archive.entries()?.raw(true) {
                let mut entry = entry?;
                // An entry has at most three headers of its own before it.
                headers += 1;
                if headers > 4 * MAX_ENTRIES {
                    return Err(ArchiveError::TooManyEntries.into());
                }
                let blame = |path: &[u8], fault| ArchiveError::Entry {
                    entry: String::from_utf8_lossy(path).into_owned(),
                    fault,
                };
                let raw = entry.path_bytes().into_owned();
                if extra.read(&mut entry).map_err(|fault| blame(&raw, fault))? {
                    continue;
                }
                let named = std::mem::take(&mut extra).apply(entry.header(), entry.size());
                let named = named.map_err(|fault| blame(&raw, fault))?;
                let found = read_entry(&named, entry.header(), entry.size());
                let Some(found) = found.map_err(|fault| blame(&named.path, fault))? else { continue };
                self.entry(found, &mut entry)?;
                if until_manifest && self.manifest.is_some() {
                    return Ok(());
                }
            }
            Ok(())
        })();
        result.map_err(|stop| match stop {
            Stop::Refused(error) => error,
            Stop::Unreadable(error) => stream.explain(&error),
        })
    }

    fn entry(&mut self, entry: Entry, content: &mut dyn Read) -> Result<(), Stop> {
        self.tree.add(&entry)?;
        self.unpacked = self.unpacked.saturating_add(entry.size);
        if self.unpacked > MAX_UNPACKED {
            return Err(ArchiveError::TooLarge.into());
        }
        if matches!(entry.path.as_str(), manifest::FILE_NAME | "manifest.yml") {
            let bytes = self.read_manifest(&entry, content)?;
            self.show(&entry, &mut &*bytes)?;
        } else {
            self.show(&entry, content)?;
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Tells a failure to read from the archive, which is the archive's fault, from one to write.
    fn show(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Stop> {
        let mut content = Watched { content, error: None };
        let result = self.visit.entry(entry, &mut content);
        match content.error {
            Some(error) => Err(Stop::Unreadable(error)),
            None => Ok(result?),
        }
    }

    fn read_manifest(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<Vec<u8>, Stop> {
        let refused = |fault| ArchiveError::Entry { entry: entry.path.clone(), fault };
        if entry.kind != EntryKind::File {
            return Err(refused(Fault::Special("manifest, which must be a file")).into());
        }
        if self.manifest.is_some() {
            return Err(refused(Fault::Special("second manifest")).into());
        }
        let mut bytes = Vec::new();
        content.take(manifest::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        let manifest = Manifest::parse(&bytes);
        self.manifest = Some(manifest.map_err(|error| ArchiveError::Manifest(error.in_file(&entry.path)))?);
        Ok(bytes)
    }

    fn finish(self) -> Result<Contents, ArchiveError> {
        self.tree.check_links()?;
        let manifest = self.manifest.ok_or(ArchiveError::NoManifest)?;
        let found = match self.tree.find(&manifest.entrypoint) {
            Ok(Found::File) => {
                return Ok(Contents { manifest, entries: self.entries, unpacked: self.unpacked });
            }
            Ok(Found::Folder) => "is a folder",
            Ok(Found::Nothing) | Err(_) => "is not in the payload",
        };
        Err(ArchiveError::Entrypoint { entrypoint: manifest.entrypoint, found })
    }
}

/// The entry that a header describes; `None` for what is read over.
fn read_entry(named: &Named, header: &tar::Header, size: u64) -> Result<Option<Entry>, Fault> {
    let path = clean_name(&named.path)?;
    let target = || {
        let target = named.link.as_deref().unwrap_or_default();
        String::from_utf8(target.to_vec()).map_err(|_| Fault::NotUtf8)
    };
    let kind = match header.entry_type() {
        // v7 knew no folders: their names end with a slash.
        EntryType::Regular | EntryType::Continuous if named.path.ends_with(b"/") => EntryKind::Folder,
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Directory => EntryKind::Folder,
        EntryType::Symlink => EntryKind::Symlink { target: target()? },
        EntryType::Link => EntryKind::Hardlink { target: hard_target(&target()?)? },
        EntryType::Char => return Err(Fault::Special("character device")),
        EntryType::Block => return Err(Fault::Special("block device")),
        EntryType::Fifo => return Err(Fault::Special("named pipe")),
        _ => return Err(Fault::Special("kind of entry we do not know")),
    };
    if kind != EntryKind::File && size != 0 {
        return Err(Fault::HasData);
    }
    let Some(path) = path else {
        return if kind == EntryKind::Folder { Ok(None) } else { Err(Fault::Empty) };
    };
    if is_apple_double(&path) {
        return Ok(None);
    }
    if let EntryKind::Symlink { target } = &kind {
        match target {
            _ if target.is_empty() => return Err(Fault::Empty),
            _ if target.chars().any(char::is_control) => return Err(Fault::ControlCharacter),
            _ if target.starts_with('/') => return Err(Fault::LinkLeaves { target: target.clone() }),
            _ => {}
        }
    }
    let executable = match kind {
        EntryKind::File => header.mode().map_err(|error| Fault::Header(error.to_string()))? & 0o111 != 0,
        _ => kind == EntryKind::Folder,
    };
    Ok(Some(Entry { path, kind, size, mode: if executable { 0o755 } else { 0o644 } }))
}

/// A hard link names another entry, from the root of the archive.
fn hard_target(target: &str) -> Result<String, Fault> {
    match clean_name(target.as_bytes()) {
        Ok(Some(path)) => Ok(path),
        Ok(None) => Err(Fault::LinkToNoFile { target: target.to_owned() }),
        Err(_) => Err(Fault::LinkLeaves { target: target.to_owned() }),
    }
}

/// Why a walk ends early.
enum Stop {
    Refused(ArchiveError),
    Unreadable(io::Error),
}

impl From<ArchiveError> for Stop {
    fn from(error: ArchiveError) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

struct Watched<'a> {
    content: &'a mut dyn Read,
    error: Option<io::Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            kind.into()
        })
    }
}
