//! Payload archives: the rules of design section 4, the same at both ends.
//!
//! Made elsewhere or by us, an archive is a gzip stream (one member or more) of one tar archive:
//! v7, ustar, pax or GNU headers, in any order, with or without `./` before the names. Refused:
//! absolute names, `..`, links that leave the tree or loop, names beneath a link or a file,
//! devices and other special files, sparse files, duplicate names, names that are not UTF-8 or
//! hold control characters, bytes behind either end, a missing manifest or entrypoint, and what is
//! over a limit. AppleDouble entries (`._*`) are read over.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;

use crate::manifest::Manifest;

mod error;
mod gzip;
mod header;
mod limit;
mod name;
mod tree;
mod unpack;
mod walk;

pub use error::{ArchiveError, Fault};
pub use name::clean_name;

/// Files, folders and links of one archive.
pub const MAX_ENTRIES: usize = 10_000;
/// All files of one archive together.
pub const MAX_UNPACKED: u64 = 1 << 30;
/// Unpacked bytes for each packed byte.
pub const MAX_RATIO: u64 = 200;
/// The ratio counts from here on: a small folder of zeros harms nobody.
pub const RATIO_FROM: u64 = 1 << 20;

/// What an archive that keeps the rules holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contents {
    pub manifest: Manifest,
    /// In the archive's order, without what is read over.
    pub entries: Vec<Entry>,
    /// All files together, in bytes.
    pub unpacked: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// With `/` between its parts, without `./` and a last `/`.
    pub path: String,
    #[serde(flatten)]
    pub kind: EntryKind,
    /// Bytes of a file, else 0.
    pub size: u64,
    /// As it is unpacked: 0755 for folders and what somebody may execute, else 0644. In JSON as
    /// text, in octal.
    #[serde(serialize_with = "octal")]
    pub mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum EntryKind {
    File,
    Folder,
    /// `target` as written: relative to the link's folder.
    Symlink {
        target: String,
    },
    /// `target` is the path of a file of the archive.
    Hardlink {
        target: String,
    },
}

fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{mode:04o}"))
}

/// Reads a whole archive and checks everything; nothing is written.
pub fn check(bytes: &[u8]) -> Result<Contents, ArchiveError> {
    check_reader(&mut &*bytes, bytes.len() as u64)
}

/// As [`check`], for an archive of `size` bytes that is not in memory.
pub fn check_reader(reader: &mut dyn Read, size: u64) -> Result<Contents, ArchiveError> {
    walk::walk(reader, size, &mut walk::Nothing)
}

/// Reads the manifest alone: for an archive of ours, its first blocks. Nothing else is checked.
pub fn read_manifest(bytes: &[u8]) -> Result<Manifest, ArchiveError> {
    walk::read_manifest(&mut &*bytes, bytes.len() as u64)
}

/// Unpacks into `dest`, a folder that is empty and that nobody else can write to.
///
/// The manifest is read and checked before anything is written, all else while it is written.
/// Links are made last, so that nothing is ever written through one. After an error `dest` may
/// hold a part of the archive: remove it.
pub fn unpack(bytes: &[u8], dest: &Path) -> Result<Manifest, ArchiveError> {
    unpack_reader(&mut Cursor::new(bytes), bytes.len() as u64, dest)
}

/// As [`unpack`], for an archive of `size` bytes that is not in memory.
pub fn unpack_reader<R: Read + Seek>(
    reader: &mut R,
    size: u64,
    dest: &Path,
) -> Result<Manifest, ArchiveError> {
    walk::read_manifest(reader, size)?;
    reader.seek(SeekFrom::Start(0)).map_err(|error| ArchiveError::Unreadable(error.to_string()))?;
    unpack::unpack(reader, size, dest)
}

#[cfg(test)]
mod tests;
