//! The last bytes of a stream, in a file of their size: what is older is written over.
//!
//! The file: how many bytes came, how many it holds, and how many of the stream came before those (u64
//! LE each), and behind that the bytes; that of number N of all stands at N modulo the size.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::plain_file::open_plain;

const HEADER: u64 = 24;
/// What is read at once.
const PIECE: u64 = 64 << 10;

pub struct Ring {
    file: File,
    size: u64,
    total: u64,
    before: u64,
}

impl Ring {
    /// For `size` bytes, which is not 0, behind the first `before` of the stream.
    pub fn create(path: &Path, size: u64, before: u64) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        let ring = Self { file, size, total: 0, before };
        ring.write_header()?;
        Ok(ring)
    }

    /// One that a dead supervisor left.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open_plain(path, OFlags::RDONLY)?;
        let mut header = [[0; 8]; 3];
        file.read_exact_at(header.as_flattened_mut(), 0)?;
        let [total, size, before] = header.map(u64::from_le_bytes);
        if size == 0 || total.checked_add(before).is_none() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self { file, size, total, before })
    }

    /// How many of the bytes were taken: fewer than all only where the disk takes no more.
    pub fn push(&mut self, bytes: &[u8]) -> u64 {
        let mut taken = 0;
        while taken < bytes.len() {
            let at = self.total % self.size;
            let rest = &bytes[taken..];
            let piece = &rest[..rest.len().min((self.size - at) as usize)];
            if self.file.write_all_at(piece, HEADER + at).is_err() {
                break;
            }
            taken += piece.len();
            self.total += piece.len() as u64;
        }
        let _ = self.write_header();
        taken as u64
    }

    fn write_header(&self) -> io::Result<()> {
        let header = [self.total, self.size, self.before].map(u64::to_le_bytes);
        self.file.write_all_at(header.as_flattened(), 0)
    }

    /// How many bytes of the stream came before those that are left.
    pub fn begins(&self) -> u64 {
        self.before + self.total.saturating_sub(self.size)
    }

    /// How many of the stream there were in all.
    pub fn ends(&self) -> u64 {
        self.before + self.total
    }

    /// Calls with what is left from byte `from` of the stream on, in order, a piece at a time.
    pub fn read(&self, from: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; PIECE.min(self.size) as usize];
        let mut next = from.max(self.begins()) - self.before;
        while next < self.total {
            let at = next % self.size;
            let count = (self.total - next).min(self.size - at).min(PIECE);
            let piece = &mut buffer[..count as usize];
            self.file.read_exact_at(piece, HEADER + at)?;
            take(piece);
            next += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::run_folder::random_word;

    proptest! {
        /// However the bytes come, the last ones are left, also for whoever opens the file later.
        #[test]
        fn the_last_bytes_are_left(pieces in prop::collection::vec(0usize..50, 0..20), size in 1u64..60, from in 0u64..300) {
            let path = std::env::temp_dir().join(random_word().unwrap());
            let mut ring = Ring::create(&path, size, 7).unwrap();
            let all: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|number| number as u8).collect();
            let mut rest = &all[..];
            for piece in pieces {
                let (piece, behind) = rest.split_at(piece);
                prop_assert_eq!(ring.push(piece), piece.len() as u64);
                rest = behind;
            }
            for ring in [&ring, &Ring::open(&path).unwrap()] {
                let mut left = Vec::new();
                ring.read(from, |piece| left.extend_from_slice(piece)).unwrap();
                prop_assert_eq!(ring.ends(), 7 + all.len() as u64);
                prop_assert_eq!(ring.begins(), 7 + (all.len() as u64).saturating_sub(size));
                let begin = (from.max(ring.begins()) - 7).min(all.len() as u64);
                prop_assert_eq!(&left[..], &all[begin as usize..]);
            }
            std::fs::remove_file(&path).unwrap();
        }
    }
}
