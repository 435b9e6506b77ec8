//! How much of an output stream is told: its first half at once, the second half from its end, and
//! how much there was between them (`--max-output`).

use std::fs;
use std::path::{Path, PathBuf};

use cronium_wire::frame::CHUNK;
use cronium_wire::message::FromStub;

use crate::ring::Ring;
use crate::uplink::Uplink;

/// The names of the files in the run's folder that hold ends of streams.
pub const TAILS: [&str; 2] = ["stdout.tail", "stderr.tail"];

/// One stream on its way into the spool.
pub struct Kept {
    is_stderr: bool,
    uplink: Uplink,
    /// Bytes of the first half, and how many of them are still to come.
    first: u64,
    head: u64,
    /// Bytes of the second half.
    tail: u64,
    path: PathBuf,
    ring: Option<Ring>,
    /// Bytes before the next that are missing: untold so far.
    missing: u64,
    /// Bytes behind those in the ring, which are missing, too.
    behind: u64,
}

impl Kept {
    /// `most`: [`Job::max_output`](cronium_wire::message::Job::max_output).
    pub fn new(is_stderr: bool, most: u64, folder: &Path, uplink: Uplink) -> Self {
        let path = folder.join(TAILS[usize::from(is_stderr)]);
        let tail = most / 2;
        let first = most - tail;
        Self { is_stderr, uplink, first, head: first, tail, path, ring: None, missing: 0, behind: 0 }
    }

    /// The next bytes of the stream, at most [`CHUNK`].
    pub fn take(&mut self, bytes: &[u8]) {
        let (now, later) = bytes.split_at(self.head.min(bytes.len() as u64) as usize);
        self.head -= now.len() as u64;
        if !now.is_empty() {
            self.tell(now);
        }
        if later.is_empty() {
            return;
        }
        if self.ring.is_none() && self.behind == 0 && self.tail > 0 {
            self.ring = Ring::create(&self.path, self.tail, self.first).ok();
        }
        // Behind the first that is missing there are no more, so that there is one gap.
        let taken = match &mut self.ring {
            Some(ring) if self.behind == 0 => ring.push(later),
            _ => 0,
        };
        self.behind += later.len() as u64 - taken;
    }

    /// The stream has ended.
    pub fn finish(mut self) {
        let ring = self.ring.take();
        if let Some(ring) = &ring {
            self.tell_ring(ring, self.first);
        }
        self.missing += self.behind;
        if let Some(cut) = self.cut() {
            // Kept in any case.
            let _ = self.uplink.send(&cut);
        }
        // It is told once. Where the disk takes no more, it may yet be needed.
        if ring.is_some() && self.uplink.flush() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// What of the stream comes behind its first `told` bytes.
    fn tell_ring(&mut self, ring: &Ring, told: u64) {
        let mut next = told.max(ring.begins());
        self.missing += next - told;
        let read = ring.read(next, |piece| {
            next += piece.len() as u64;
            self.tell(piece);
        });
        if read.is_err() {
            self.missing += ring.ends().saturating_sub(next);
        }
    }

    fn tell(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(CHUNK) {
            let output = match self.is_stderr {
                true => FromStub::Stderr(piece.to_vec()),
                false => FromStub::Stdout(piece.to_vec()),
            };
            let told = match self.cut() {
                Some(cut) => self.uplink.send_all(&[cut, output]),
                None => self.uplink.send(&output),
            };
            match told {
                Ok(()) => self.missing = 0,
                Err(_) => self.missing += piece.len() as u64,
            }
        }
    }

    fn cut(&self) -> Option<FromStub> {
        (self.missing > 0).then_some(FromStub::Cut { stderr: self.is_stderr, bytes: self.missing })
    }
}

/// Tells what the supervisor of a run that is dead kept of the ends of its streams, as far as it has
/// not told that itself: `told`, how many bytes of stdout and stderr it has told or told to be missing.
pub fn settle(folder: &Path, told: [u64; 2], uplink: &Uplink) {
    for ((name, is_stderr), told) in TAILS.into_iter().zip([false, true]).zip(told) {
        if let Ok(ring) = Ring::open(&folder.join(name)) {
            let mut kept = Kept::new(is_stderr, 0, folder, uplink.clone());
            kept.tell_ring(&ring, told);
            kept.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use cronium_wire::frame::Decoder;
    use cronium_wire::message::Message;
    use proptest::prelude::*;

    use super::*;
    use crate::run_folder::{private, random_word};
    use crate::spool::Spool;

    /// What is told: bytes, and how many are missing between them.
    fn told(uplink: Uplink) -> (Vec<u8>, Vec<(usize, u64)>) {
        let (mut bytes, mut cuts) = (Vec::new(), Vec::new());
        let spool = uplink.into_spool();
        let mut decoder = Decoder::default();
        let mut at = 0;
        while at < spool.end() {
            let piece = spool.piece(at).read().unwrap();
            at += piece.len() as u64;
            decoder.push(&piece);
        }
        while let Some(frame) = decoder.next().unwrap() {
            match FromStub::decode(frame).unwrap() {
                FromStub::Stdout(piece) => bytes.extend(piece),
                FromStub::Cut { stderr: false, bytes: missing } => cuts.push((bytes.len(), missing)),
                other => panic!("{other:?}"),
            }
        }
        (bytes, cuts)
    }

    proptest! {
        /// Head, gap and tail are the stream, to the byte.
        #[test]
        fn head_gap_and_tail(pieces in prop::collection::vec(1usize..50, 0..20), most in 0u64..300) {
            let folder = std::env::temp_dir().join(random_word().unwrap());
            private(&folder).unwrap();
            let uplink = Uplink::new(Spool::default());
            let mut kept = Kept::new(false, most, &folder, uplink.clone());
            let all: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|number| number as u8).collect();
            let mut rest = &all[..];
            for piece in pieces {
                let (piece, behind) = rest.split_at(piece);
                kept.take(piece);
                rest = behind;
            }
            kept.finish();
            let (bytes, cuts) = told(uplink);
            let (total, tail) = (all.len() as u64, most / 2);
            let head = most - tail;
            if total <= most {
                prop_assert_eq!((bytes, cuts), (all, vec![]));
            } else {
                let (head, tail) = (head as usize, tail as usize);
                prop_assert_eq!(bytes, [&all[..head], &all[all.len() - tail..]].concat());
                prop_assert_eq!(cuts, vec![(head, total - most)]);
            }
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }

    /// Neither disk nor memory has room: all that is missing is counted.
    #[test]
    fn without_room() {
        let uplink = Uplink::new(Spool::default());
        let mut kept = Kept::new(false, 64 << 20, "/nowhere".as_ref(), uplink.clone());
        for _ in 0..(40 << 20) / CHUNK {
            kept.take(&[7; CHUNK]);
        }
        kept.finish();
        let (bytes, cuts) = told(uplink);
        let missing: u64 = cuts.iter().map(|(_, missing)| missing).sum();
        assert_eq!(bytes.len() as u64 + missing, 40 << 20);
        assert!(bytes.len() > (7 << 20) && bytes.len() <= (8 << 20), "{}", bytes.len());
    }
}
