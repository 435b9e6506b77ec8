use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{MAX_ENTRIES, MAX_RATIO, MAX_UNPACKED};
use crate::manifest::ManifestError;

/// Why an archive is refused.
#[derive(Debug)]
pub enum ArchiveError {
    /// Not gzip, not tar, cut short, a wrong checksum, bytes behind the end.
    Unreadable(String),
    /// One entry breaks a rule.
    Entry {
        /// The entry's name as the archive writes it.
        entry: String,
        fault: Fault,
    },
    TooManyEntries,
    TooLarge,
    TooDense,
    NoManifest,
    Manifest(ManifestError),
    /// The manifest's entrypoint is not a file of the archive.
    Entrypoint {
        entrypoint: String,
        found: &'static str,
    },
    /// The other end is to blame: the file system of the host.
    Write {
        path: PathBuf,
        error: io::Error,
    },
}

/// What is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    Absolute,
    ParentFolder,
    Empty,
    NotUtf8,
    ControlCharacter,
    TooLong,
    TooDeep,
    Duplicate,
    BeneathFile,
    BeneathLink,
    LinkLeaves { target: String },
    LinkLoops,
    LinkToNoFile { target: String },
    Special(&'static str),
    HasData,
    Header(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute => write!(f, "is an absolute path"),
            Self::ParentFolder => write!(f, "holds '..'"),
            Self::Empty => write!(f, "has no name"),
            Self::NotUtf8 => write!(f, "has a name that is not UTF-8"),
            Self::ControlCharacter => write!(f, "has a control character in its name"),
            Self::TooLong => write!(f, "has a name that is too long"),
            Self::TooDeep => write!(f, "lies too many folders deep"),
            Self::Duplicate => write!(f, "is there twice"),
            Self::BeneathFile => write!(f, "lies beneath a file"),
            Self::BeneathLink => write!(f, "lies beneath a link"),
            Self::LinkLeaves { target } => write!(f, "links to '{target}', outside of the payload"),
            Self::LinkLoops => write!(f, "is a link that leads back to itself"),
            Self::LinkToNoFile { target } => {
                write!(f, "is a hard link to '{target}', which is no file before it")
            }
            Self::Special(kind) => write!(f, "is a {kind}"),
            Self::HasData => write!(f, "has data, though it is no file"),
            Self::Header(reason) => write!(f, "has a bad header: {reason}"),
        }
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(reason) => write!(f, "not a readable tar.gz: {reason}"),
            Self::Entry { entry, fault } => write!(f, "entry '{}' {fault}", entry.escape_debug()),
            Self::TooManyEntries => write!(f, "more than {MAX_ENTRIES} entries"),
            Self::TooLarge => write!(f, "more than {} MiB unpacked", MAX_UNPACKED >> 20),
            Self::TooDense => write!(f, "unpacks to more than {MAX_RATIO} times its size"),
            Self::NoManifest => write!(f, "no manifest.yaml in it"),
            Self::Manifest(error) => error.fmt(f),
            Self::Entrypoint { entrypoint, found } => {
                write!(f, "entrypoint '{}' {found}", entrypoint.escape_debug())
            }
            Self::Write { path, .. } => write!(f, "cannot write {}", path.display()),
        }
    }
}

impl std::error::Error for ArchiveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Write { error, .. } => Some(error),
            _ => None,
        }
    }
}
