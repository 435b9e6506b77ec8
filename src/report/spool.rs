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
    cuts: Vec<Cut>,
}

/// So many bytes are missing behind the first `behind` that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub behind: u64,
    pub bytes: u64,
}

/// What stands in a stream.
pub enum Piece<'a> {
    Bytes(&'a [u8]),
    /// So many are missing here.
    Cut(u64),
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
    cuts: Vec<Cut>,
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

    /// Bytes are missing here.
    pub fn cut(&self, recording: &mut Recording, bytes: u64) {
        match recording.cuts.last_mut() {
            Some(cut) if cut.behind == recording.bytes => cut.bytes = cut.bytes.saturating_add(bytes),
            _ => recording.cuts.push(Cut { behind: recording.bytes, bytes }),
        }
    }

    /// A stream that goes on where a kept one ended.
    pub fn reopen(&mut self, id: TextId) -> io::Result<Recording> {
        let mut recording = Recording::default();
        for index in 0..self.kept[id.0].blocks.len() {
            let piece = self.block(id, index)?;
            self.append(&mut recording, &piece)?;
        }
        let tail = self.kept[id.0].tail.clone();
        self.append(&mut recording, &tail)?;
        recording.cuts.clone_from(&self.kept[id.0].cuts);
        Ok(recording)
    }

    /// Ends a stream. What was kept before is not kept twice.
    pub fn keep(&mut self, mut recording: Recording) -> io::Result<TextId> {
        let mut digest: [u8; 32] = recording.digest.finalize().into();
        if !recording.cuts.is_empty() {
            // The same bytes with another gap in them are another text.
            let mut with_cuts = Sha256::new_with_prefix(digest);
            for cut in &recording.cuts {
                with_cuts.update(cut.behind.to_le_bytes());
                with_cuts.update(cut.bytes.to_le_bytes());
            }
            digest = with_cuts.finalize().into();
        }
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
            cuts: recording.cuts,
        });
        Ok(id)
    }

    /// Whether it is UTF-8 as a whole.
    pub fn is_text(&self, id: TextId) -> bool {
        self.kept[id.0].is_text
    }

    /// How many bytes are missing in it.
    pub fn missing(&self, id: TextId) -> u64 {
        self.kept[id.0].cuts.iter().fold(0, |all, cut| all.saturating_add(cut.bytes))
    }

    /// How many bytes stand before the first that is missing.
    pub fn first_cut(&self, id: TextId) -> Option<u64> {
        self.kept[id.0].cuts.first().map(|cut| cut.behind)
    }

    /// Hands on the content in order, piece by piece.
    pub fn read(&self, id: TextId, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let kept = &self.kept[id.0];
        for index in 0..kept.blocks.len() {
            each(&self.block(id, index)?)?;
        }
        if kept.tail.is_empty() { Ok(()) } else { each(&kept.tail) }
    }

    /// As [`Self::read`], and says where bytes are missing.
    pub fn read_with_cuts(
        &self,
        id: TextId,
        mut each: impl FnMut(Piece<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut cuts = self.kept[id.0].cuts.iter().peekable();
        let mut at = 0;
        self.read(id, |mut bytes| {
            while let Some(cut) = cuts.next_if(|cut| cut.behind < at + bytes.len() as u64) {
                let (before, after) = bytes.split_at(usize::try_from(cut.behind - at).unwrap_or(0));
                if !before.is_empty() {
                    each(Piece::Bytes(before))?;
                }
                each(Piece::Cut(cut.bytes))?;
                at += before.len() as u64;
                bytes = after;
            }
            at += bytes.len() as u64;
            each(Piece::Bytes(bytes))
        })?;
        cuts.try_for_each(|cut| each(Piece::Cut(cut.bytes)))
    }

    /// The bytes of one block of a kept stream.
    fn block(&self, id: TextId, index: usize) -> io::Result<Vec<u8>> {
        let kept = &self.kept[id.0];
        let before = (index * BLOCK) as u64;
        let length = (kept.bytes - before).min(BLOCK as u64);
        let mut file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(u64::from(kept.blocks[index]) * BLOCK as u64))?;
        let mut piece = vec![0; usize::try_from(length).expect("no more than a block")];
        file.read_exact(&mut piece)?;
        Ok(piece)
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

    /// Bytes and, in brackets, how many are missing.
    fn shown(spool: &Spool, id: TextId) -> String {
        let mut all = String::new();
        spool
            .read_with_cuts(id, |piece| {
                match piece {
                    Piece::Bytes(bytes) => all.push_str(&String::from_utf8_lossy(bytes)),
                    Piece::Cut(bytes) => all += &format!("({bytes})"),
                }
                Ok(())
            })
            .unwrap();
        all
    }

    #[test]
    fn what_is_missing_stands_at_its_place() {
        let mut spool = Spool::default();
        let mut keep = |pieces: &[(&str, u64)]| {
            let mut recording = Recording::default();
            for (bytes, cut) in pieces {
                spool.append(&mut recording, bytes.as_bytes()).unwrap();
                if *cut > 0 {
                    spool.cut(&mut recording, *cut);
                }
            }
            spool.keep(recording).unwrap()
        };
        let long = "x".repeat(BLOCK);
        let (whole, cut, other, large) =
            (keep(&[("ab", 0)]), keep(&[("a", 5), ("b", 0)]), keep(&[("a", 6), ("b", 0)]), {
                keep(&[("", 1), (&long, 2), ("", 2), (&long, 0), ("b", u64::MAX)])
            });
        assert_eq!([whole, cut, other].map(|id| spool.missing(id)), [0, 5, 6]);
        assert_eq!([whole, cut, large].map(|id| spool.first_cut(id)), [None, Some(1), Some(0)]);
        assert!(whole != cut && cut != other, "the same bytes are not the same text");
        assert_eq!([whole, cut].map(|id| shown(&spool, id)), ["ab", "a(5)b"]);
        assert_eq!(shown(&spool, large).replace(&long, "X"), format!("(1)X(4)Xb({})", u64::MAX));
        assert_eq!(spool.missing(large), u64::MAX);
    }

    #[test]
    fn a_stream_that_goes_on_is_one_text() {
        let mut spool = Spool::default();
        for size in [0, 3, IN_MEMORY + 1, BLOCK, 2 * BLOCK + 7] {
            let mut recording = Recording::default();
            spool.append(&mut recording, &vec![b'x'; size]).unwrap();
            spool.cut(&mut recording, 3);
            let half = spool.keep(recording).unwrap();
            let mut again = spool.reopen(half).unwrap();
            spool.append(&mut again, b"rest").unwrap();
            let whole = spool.keep(again).unwrap();
            assert_eq!(shown(&spool, whole), format!("{}(3)rest", "x".repeat(size)));
        }
    }
}
