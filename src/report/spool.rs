//! Keeps what hosts wrote until the end of a run, in bounded memory: beyond a small size it goes
//! to one temporary file without a name, and what many hosts wrote alike is kept once.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::utf8::Utf8Pieces;

/// The file is given out in blocks of this many bytes; a stream still being written holds at
/// most one in memory.
const BLOCK: usize = 16 << 10;

/// What a finished stream may keep in memory.
const IN_MEMORY: usize = 2 << 10;

/// One stream of a host while it grows.
#[derive(Default)]
pub struct Recording {
    blocks: Vec<u32>,
    tail: Vec<u8>,
    bytes: u64,
    digest: Sha256,
    utf8: Utf8Pieces,
}

/// A finished stream. Streams of equal content have equal ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextId(usize);

struct Kept {
    /// All full but the last, where `tail` is empty.
    blocks: Vec<u32>,
    tail: Vec<u8>,
    bytes: u64,
    is_text: bool,
}

#[derive(Default)]
pub struct Spool {
    file: Option<File>,
    /// Blocks of the file that were given back.
    free: Vec<u32>,
    /// How many blocks the file has.
    blocks: u32,
    kept: Vec<Kept>,
    by_digest: HashMap<[u8; 32], TextId>,
}

impl Spool {
    /// An error is one of the temporary file.
    pub fn append(&mut self, recording: &mut Recording, mut bytes: &[u8]) -> io::Result<()> {
        recording.digest.update(bytes);
        recording.bytes += bytes.len() as u64;
        let Ok(()) = recording.utf8.push(bytes, |_| Ok::<_, Infallible>(()));
        while !bytes.is_empty() {
            let room = BLOCK - recording.tail.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            recording.tail.extend_from_slice(now);
            bytes = later;
            if recording.tail.len() == BLOCK {
                recording.blocks.push(self.write_block(&recording.tail)?);
                recording.tail.clear();
            }
        }
        Ok(())
    }

    /// Ends a stream. What was kept before is not kept twice.
    pub fn keep(&mut self, mut recording: Recording) -> io::Result<TextId> {
        let digest: [u8; 32] = recording.digest.finalize().into();
        if let Some(id) = self.by_digest.get(&digest) {
            self.free.append(&mut recording.blocks);
            return Ok(*id);
        }
        if recording.tail.len() > IN_MEMORY {
            recording.blocks.push(self.write_block(&recording.tail)?);
            recording.tail = Vec::new();
        }
        recording.tail.shrink_to_fit();
        let id = TextId(self.kept.len());
        self.by_digest.insert(digest, id);
        self.kept.push(Kept {
            blocks: recording.blocks,
            tail: recording.tail,
            bytes: recording.bytes,
            is_text: recording.utf8.is_text(),
        });
        Ok(id)
    }

    /// Whether it is UTF-8 as a whole.
    pub fn is_text(&self, id: TextId) -> bool {
        self.kept[id.0].is_text
    }

    /// Hands on the content in order, piece by piece.
    pub fn read(&self, id: TextId, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let kept = &self.kept[id.0];
        let mut left = kept.bytes;
        let mut buffer = vec![0; if kept.blocks.is_empty() { 0 } else { BLOCK }];
        for block in &kept.blocks {
            let length = left.min(BLOCK as u64);
            let mut file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
            file.seek(SeekFrom::Start(u64::from(*block) * BLOCK as u64))?;
            let piece = &mut buffer[..usize::try_from(length).expect("no more than a block")];
            file.read_exact(piece)?;
            each(piece)?;
            left -= length;
        }
        if kept.tail.is_empty() { Ok(()) } else { each(&kept.tail) }
    }

    fn write_block(&mut self, bytes: &[u8]) -> io::Result<u32> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(tempfile::tempfile()?),
        };
        let block = match self.free.pop() {
            Some(block) => block,
            None => {
                let block = self.blocks;
                self.blocks = block.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
                block
            }
        };
        file.seek(SeekFrom::Start(u64::from(block) * BLOCK as u64))?;
        file.write_all(bytes)?;
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(spool: &mut Spool, bytes: &[u8], piece: usize) -> TextId {
        let mut recording = Recording::default();
        for piece in bytes.chunks(piece) {
            spool.append(&mut recording, piece).unwrap();
        }
        spool.keep(recording).unwrap()
    }

    fn read(spool: &Spool, id: TextId) -> Vec<u8> {
        let mut all = Vec::new();
        spool
            .read(id, |piece| {
                all.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn every_size_comes_back() {
        let mut spool = Spool::default();
        let text: Vec<u8> = (0..100_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
        for size in [0, 1, IN_MEMORY, IN_MEMORY + 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, text.len()] {
            let id = record(&mut spool, &text[..size], 1000);
            assert!(read(&spool, id) == text[..size], "{size}");
            assert_eq!(record(&mut spool, &text[..size], 7), id, "{size}");
        }
    }

    #[test]
    fn what_hosts_wrote_alike_takes_no_room() {
        let mut spool = Spool::default();
        let text = vec![b'x'; 10 * BLOCK + 5];
        for _ in 0..50 {
            record(&mut spool, &text, 5000);
        }
        assert_eq!(spool.kept.len(), 1);
        assert!(spool.blocks <= 21, "{} blocks", spool.blocks);
    }

    #[test]
    fn text_is_told_from_bytes() {
        let mut spool = Spool::default();
        for (bytes, is_text) in [("馬".as_bytes(), true), (b"\xff", false), (b"cut \xe2\x82", false)] {
            let id = record(&mut spool, bytes, 1);
            assert_eq!(spool.is_text(id), is_text);
        }
    }
}
