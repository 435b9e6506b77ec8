//! What a channel brought and its reader has not taken yet.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Kept in memory; what comes on top goes to a file without a name.
const IN_MEMORY: usize = 256 << 10;
/// Where the file is that long, the channel waits, and with it its whole connection.
const IN_FILE: u64 = 1 << 30;
const PIECE: u64 = 64 << 10;

/// A queue of bytes that takes little memory however long it gets.
pub struct Backlog {
    folder: PathBuf,
    memory: VecDeque<Vec<u8>>,
    in_memory: usize,
    file: Option<File>,
    /// The part of the file that is still to be read. All of it is younger than `memory`.
    unread: std::ops::Range<u64>,
}

impl Backlog {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), memory: VecDeque::new(), in_memory: 0, file: None, unread: 0..0 }
    }

    pub fn is_full(&self) -> bool {
        self.unread.end >= IN_FILE
    }

    pub fn push(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        if self.unread.is_empty() && self.in_memory + bytes.len() <= IN_MEMORY {
            self.in_memory += bytes.len();
            self.memory.push_back(bytes);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        file.write_all_at(&bytes, self.unread.end)?;
        self.unread.end += bytes.len() as u64;
        Ok(())
    }

    /// The oldest bytes, never none of them; `None` where the queue is empty.
    pub fn pop(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.memory.pop_front() {
            self.in_memory -= bytes.len();
            return Ok(Some(bytes));
        }
        let Some(file) = self.file.as_mut().filter(|_| !self.unread.is_empty()) else { return Ok(None) };
        let length = PIECE.min(self.unread.end - self.unread.start);
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, self.unread.start)?;
        self.unread.start += length;
        if self.unread.is_empty() {
            file.set_len(0)?;
            self.unread = 0..0;
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes and pops in the given rhythm, and checks that every byte comes out once, in order.
    fn through(pushes_for_a_pop: usize, piece: usize, pieces: usize) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let mut backlog = Backlog::new(folder.path());
        let (mut sent, mut got, mut most) = (Vec::new(), Vec::new(), 0);
        for index in 0..pieces {
            let bytes: Vec<u8> = (0..piece).map(|at| (at + index * 7) as u8).collect();
            sent.extend_from_slice(&bytes);
            backlog.push(bytes).unwrap();
            most = most.max(backlog.in_memory);
            if index % pushes_for_a_pop == 0 {
                got.extend(backlog.pop().unwrap().unwrap());
            }
        }
        while let Some(bytes) = backlog.pop().unwrap() {
            assert!(!bytes.is_empty());
            got.extend(bytes);
        }
        assert!(sent == got, "{pushes_for_a_pop} {piece} {pieces}");
        assert_eq!((backlog.in_memory, backlog.unread.clone()), (0, 0..0));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        most
    }

    #[test]
    fn every_byte_comes_out_once_and_in_order() {
        for (pushes_for_a_pop, piece, pieces) in
            [(1, 10, 5), (2, 32 << 10, 7), (3, 32 << 10, 100), (1000, 33_000, 200), (5, 1, 300_000)]
        {
            let most = through(pushes_for_a_pop, piece, pieces);
            assert!(most <= IN_MEMORY, "{most} bytes in memory");
        }
    }
}
