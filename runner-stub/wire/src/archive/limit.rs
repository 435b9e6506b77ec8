//! The tar stream behind the gzip, cut off where a limit is passed.

use std::fmt;
use std::io::{self, BufReader, Read};

use super::gzip::Gunzip;
use super::{ArchiveError, MAX_RATIO, MAX_UNPACKED, RATIO_FROM};

/// Headers, padding and long names of the largest archive: 10,000 entries with some KiB each.
const MAX_OVERHEAD: u64 = 64 << 20;

/// Reads the tar stream of a tar.gz.
pub struct Unzipped<'a> {
    gz: Gunzip<BufReader<&'a mut dyn Read>>,
    packed: u64,
    unpacked: u64,
    /// Kept: the tar reader passes errors on as text only.
    pub passed: Option<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Size,
    Ratio,
}

impl<'a> Unzipped<'a> {
    /// `packed`: the size of the whole tar.gz, in bytes.
    pub fn new(reader: &'a mut dyn Read, packed: u64) -> Self {
        Self { gz: Gunzip::new(BufReader::new(reader)), packed, unpacked: 0, passed: None }
    }

    /// What an error that came through the tar reader really was.
    pub fn explain(&self, error: &io::Error) -> ArchiveError {
        match self.passed {
            Some(Limit::Size) => ArchiveError::TooLarge,
            Some(Limit::Ratio) => ArchiveError::TooDense,
            None => ArchiveError::Unreadable(error.to_string()),
        }
    }
}

impl Read for Unzipped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.gz.read(buffer)?;
        self.unpacked += read as u64;
        let passed = if self.unpacked > MAX_UNPACKED + MAX_OVERHEAD {
            Limit::Size
        } else if self.unpacked > RATIO_FROM && self.unpacked / MAX_RATIO > self.packed {
            Limit::Ratio
        } else {
            return Ok(read);
        };
        self.passed = Some(passed);
        Err(io::Error::other(passed))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a limit was passed")
    }
}

impl std::error::Error for Limit {}
