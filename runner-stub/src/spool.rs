//! What a run tells, kept on the host until the operator has acknowledged it: `runs/RUN/spool`.
//!
//! The file is the bytes of the run's numbered frames as they go over the wire
//! ([`FromStub::is_numbered`]), one behind the other, in the order of their numbers, and nothing
//! else. It is made just before the script starts, so that a folder without one is that of a script
//! that never did. While its supervisor lives it only grows; the last frame of one that is over is `Finished`. Bytes of an
//! unfinished frame at its end were being written when the supervisor, or the host, went down.
//! Numbers have no gap but one, in front of `Finished`: where the disk had no room, and behind a crash of
//! the host, where they go on as far as the operator has seen them. What such a crash left of the last writes may be anything, zeros mostly: frames end with
//! the first that does not go on from the one before it.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cronium_wire::frame::{Frame, HEADER, MAX_BODY};
use cronium_wire::message::{FromStub, Message, kind};
use rustix::fs::OFlags;
use serde_json::Value;

use crate::about::ABOUT;
use crate::plain_file::open_plain;

/// What is read at once: holds the longest frame that this build makes.
const PIECE: u64 = 128 << 10;
/// Bytes that are kept in memory where the disk takes no more.
const MAX_BEHIND: usize = 8 << 20;
/// How soon the disk is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// What is read at once where headers alone are wanted: many small frames, or one header.
const HEADERS: usize = 8 << 10;
/// The numbers of messages from stubs; a newer build may have more of them than we know.
const KINDS: RangeInclusive<u8> = 101..=199;

/// Neither the disk nor memory has room for more, or there is nobody to send it to.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsent;

#[derive(Default)]
pub struct Spool {
    file: Option<Arc<File>>,
    /// Bytes in the file.
    length: u64,
    /// What stands behind the file's bytes: what the disk had no room for, and all there is before
    /// there is a file.
    behind: Vec<u8>,
    /// When that was tried to bring to the disk.
    tried: Option<Instant>,
    /// The number of the next frame.
    next: u64,
    is_over: bool,
    /// Its folder, until that is on the disk for good, too.
    unsynced: Option<PathBuf>,
}

/// Where a frame stands, and what its header says.
#[derive(Clone, Copy)]
pub struct Place {
    pub at: u64,
    /// Of the whole frame.
    pub length: u64,
    pub kind: u8,
    pub seq: u64,
}

impl Spool {
    /// Keeps what comes from now on in a new file.
    pub fn create(&mut self, path: &Path) -> io::Result<()> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        self.file = Some(Arc::new(file));
        self.unsynced = path.parent().map(Path::to_owned);
        Ok(())
    }

    /// One that a dead supervisor left. An unfinished frame is cut off, unless the file cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = Arc::new(open_plain(path, OFlags::RDWR)?);
        let mut spool = Self { length: file.metadata()?.len(), file: Some(file), ..Self::default() };
        let mut last = None;
        spool.walk(|place| {
            last = Some(place);
            Ok(true)
        })?;
        spool.is_over = last.is_some_and(|place| place.kind == kind::FINISHED);
        spool.cut(last.map_or(0, |last| last.at + last.length), last.map_or(0, |last| last.seq + 1))?;
        Ok(spool)
    }

    /// Removes all from `at` on, which is where the frame numbered `next` begins.
    pub fn cut(&mut self, at: u64, next: u64) -> io::Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| at < self.length) {
            file.set_len(at)?;
            self.length = at;
        }
        self.next = next;
        Ok(())
    }

    /// Where the bytes of all frames end.
    pub fn end(&self) -> u64 {
        self.length + self.behind.len() as u64
    }

    /// The number of the next frame.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether [`FromStub::Finished`] is in it.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// All of `messages`, one right behind the other, or none. Their bytes.
    pub fn append(&mut self, messages: &[FromStub]) -> Result<Vec<u8>, Unsent> {
        let (mut bytes, mut next, mut must, mut is_over) = (Vec::new(), self.next, true, self.is_over);
        for message in messages {
            let (kind, body) = message.encode();
            Frame::write(kind, next, &body, &mut bytes);
            next += 1;
            must &= !is_bulk(message);
            is_over |= kind == kind::FINISHED;
        }
        self.flush();
        if self.behind.is_empty() && self.write(&bytes).is_ok() {
            self.length += bytes.len() as u64;
        } else if must || self.behind.len() + bytes.len() <= MAX_BEHIND {
            self.behind.extend_from_slice(&bytes);
        } else {
            return Err(Unsent);
        }
        (self.next, self.is_over) = (next, is_over);
        Ok(bytes)
    }

    /// Tries to move what is in memory to the disk, now and then. Whether all is there.
    pub fn flush(&mut self) -> bool {
        let is_due = self.tried.is_none_or(|tried| tried.elapsed() > RETRY);
        if self.file.is_some() && !self.behind.is_empty() && is_due {
            self.tried = Some(Instant::now());
            if self.write(&self.behind).is_ok() {
                self.length += self.behind.len() as u64;
                self.behind = Vec::new();
            }
        }
        self.behind.is_empty()
    }

    /// Of what the disk has no room for, keeps how much output is missing, and the end.
    pub fn keep_least(&mut self) {
        let (mut missing, mut rest) = ([0, 0], &self.behind[..]);
        let (mut kept, mut first, mut torn, mut end) = (Vec::new(), None, None, None);
        while let Some((length, number, seq)) = Frame::peek(rest) {
            let (frame, behind) = rest.split_at(length);
            (rest, first) = (behind, first.or(Some(seq)));
            let body = &frame[HEADER..];
            match number {
                kind::STDOUT | kind::STDERR => {
                    missing[usize::from(number - kind::STDOUT)] += body.len() as u64;
                }
                kind::CUT => {
                    let (stream, bytes) = gap(body);
                    missing[stream] += bytes;
                }
                // The rest of a file whose beginning is on the disk.
                kind::ARTIFACT..=kind::ARTIFACT_END => torn = torn.or(Some(number != kind::ARTIFACT)),
                kind::STARTED => kept.push((number, body)),
                kind::FINISHED => end = Some((seq, body)),
                _ => {}
            }
        }
        let Some(mut next) = first else { return };
        let mut least = Vec::new();
        let mut keep = |kind, body: &[u8]| {
            Frame::write(kind, next, body, &mut least);
            next += 1;
        };
        if torn == Some(true) {
            let (kind, body) = FromStub::ArtifactEnd { digest: String::new() }.encode();
            keep(kind, &body);
        }
        for (stderr, bytes) in [false, true].into_iter().zip(missing).filter(|(_, bytes)| *bytes > 0) {
            let (kind, body) = FromStub::Cut { stderr, bytes }.encode();
            keep(kind, &body);
        }
        kept.into_iter().for_each(|(kind, body)| keep(kind, body));
        // Under its own number: the operator may have seen all that stood before it.
        match end {
            Some((seq, body)) => Frame::write(kind::FINISHED, seq, body, &mut least),
            None => self.next = next,
        }
        (self.behind, self.tried) = (least, None);
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        // A part of it would stand behind the end.
        file.write_all_at(bytes, self.length).inspect_err(|_| drop(file.set_len(self.length)))
    }

    /// Whole frames from `at` on, which is where one begins; none at the end.
    pub fn piece(&self, at: u64) -> Piece {
        match &self.file {
            Some(file) if at < self.length => Piece::File(Arc::clone(file), at, self.length),
            _ => {
                let rest = &self.behind[(at - self.length) as usize..];
                Piece::Memory(rest[..whole(rest, PIECE as usize)].to_vec())
            }
        }
    }

    /// Where the first frame begins whose number is `from` or more.
    pub fn seek(&self, from: u64) -> io::Result<u64> {
        let mut found = self.end();
        self.walk(|place| {
            if place.seq >= from {
                found = place.at;
            }
            Ok(place.seq < from)
        })?;
        Ok(found)
    }

    /// Calls with each whole frame, until it is told to stop. Bodies are not read, so that it is quick
    /// however much there is.
    pub fn walk(&self, mut next: impl FnMut(Place) -> io::Result<bool>) -> io::Result<()> {
        let (mut at, mut seq, mut buffer, mut start) = (0, 0, Vec::new(), 0u64);
        loop {
            let mut skip = (at - start).min(buffer.len() as u64) as usize;
            if buffer.len() - skip < HEADER {
                (buffer, start, skip) = (self.bytes(at, HEADERS)?, at, 0);
            }
            let Some((length, kind, number)) = Frame::peek(&buffer[skip..]) else { return Ok(()) };
            let is_next = if kind == kind::FINISHED { number >= seq } else { number == seq };
            let place = Place { at, length: length as u64, kind, seq: number };
            let is_whole = length <= HEADER + MAX_BODY && at + place.length <= self.end();
            if !is_whole || !is_next || !KINDS.contains(&kind) || !next(place)? || kind == kind::FINISHED {
                return Ok(());
            }
            (at, seq) = (at + place.length, number + 1);
        }
    }

    /// At most so many bytes from `at` on: of the file, or of what is in memory.
    fn bytes(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let Some(file) = self.file.as_ref().filter(|_| at < self.length) else {
            let rest = &self.behind[(at - self.length) as usize..];
            return Ok(rest[..rest.len().min(most)].to_vec());
        };
        let mut bytes = vec![0; (self.length - at).min(most as u64) as usize];
        file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    /// The body of the frame that stands there.
    pub fn body(&self, place: Place) -> io::Result<Vec<u8>> {
        self.bytes(place.at + HEADER as u64, place.length as usize - HEADER)
    }

    /// Numbers the last frame, `Finished`, anew: behind a crash of the host the operator may have seen
    /// frames that did not come to the disk, and waits for the one behind them. Who wants what is behind
    /// the last frame has all of it, unless that is not what its supervisor said.
    pub fn finish_at(&mut self, from: u64) -> io::Result<()> {
        let mut last = None;
        self.walk(|place| {
            last = Some(place);
            Ok(true)
        })?;
        let (Some(last), Some(file)) = (last, &self.file) else { return Ok(()) };
        if self.is_over && (self.next < from || (self.next == from && self.was_killed(last)?)) {
            let at = last.at + 5;
            match at.checked_sub(self.length) {
                Some(at) => self.behind[at as usize..][..8].copy_from_slice(&from.to_le_bytes()),
                None => file.write_all_at(&from.to_le_bytes(), at)?,
            }
            self.next = from + 1;
        }
        Ok(())
    }

    /// Whether that is [`End::RunnerKilled`](cronium_wire::message::End::RunnerKilled).
    fn was_killed(&self, last: Place) -> io::Result<bool> {
        let finished: Value = serde_json::from_slice(&self.body(last)?).unwrap_or_default();
        Ok(finished["end"]["end"] == "runner_killed")
    }

    /// Brings what is in the file to the disk for good, the first time with its folder. To be
    /// called without holding the spool.
    pub fn syncing(&mut self) -> impl FnOnce() -> io::Result<()> + use<> {
        let (file, folder) = (self.file.clone(), self.unsynced.take());
        move || {
            if let Some(folder) = folder {
                let _ = File::open(folder.join(ABOUT)).and_then(|about| about.sync_data());
                // What is in it, and its name.
                for folder in folder.ancestors().take(2) {
                    let _ = File::open(folder).and_then(|folder| folder.sync_all());
                }
            }
            file.map_or(Ok(()), |file| file.sync_data())
        }
    }
}

/// Of a `Cut`: 1 for stderr, and how many bytes.
pub fn gap(body: &[u8]) -> (usize, u64) {
    let gap: Value = serde_json::from_slice(body).unwrap_or_default();
    (usize::from(gap["stderr"] == true), gap["bytes"].as_u64().unwrap_or(0))
}

/// What may be told to be missing, where there is no room for it.
fn is_bulk(message: &FromStub) -> bool {
    matches!(
        message,
        FromStub::Stdout(_)
            | FromStub::Stderr(_)
            | FromStub::Told(_)
            | FromStub::Journal(_)
            | FromStub::Artifact(_)
            | FromStub::ArtifactPiece(_)
    )
}

/// The bytes of some frames, to be read without holding the spool.
pub enum Piece {
    Memory(Vec<u8>),
    File(Arc<File>, u64, u64),
}

impl Piece {
    pub fn read(self) -> io::Result<Vec<u8>> {
        let (file, at, end) = match self {
            Self::Memory(bytes) => return Ok(bytes),
            Self::File(file, at, end) => (file, at, end),
        };
        let mut wanted = PIECE;
        loop {
            let mut bytes = vec![0; (end - at).min(wanted) as usize];
            file.read_exact_at(&mut bytes, at)?;
            match (whole(&bytes, bytes.len()), Frame::peek(&bytes)) {
                // One frame of another build, longer than any of ours.
                (0, Some((length, ..))) if length as u64 > wanted && length as u64 <= end - at => {
                    wanted = length as u64;
                }
                (count, _) => {
                    bytes.truncate(count);
                    return Ok(bytes);
                }
            }
        }
    }
}

/// How many of the first bytes are whole frames: the first, and what else there is within `most`.
fn whole(bytes: &[u8], most: usize) -> usize {
    let mut count = 0;
    while let Some((length, ..)) = Frame::peek(&bytes[count..]) {
        let end = count + length;
        if end > bytes.len() || (count > 0 && end > most) {
            break;
        }
        count = end;
    }
    count
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use cronium_wire::frame::Decoder;
    use cronium_wire::message::End;
    use proptest::prelude::*;

    use super::*;
    use crate::run_folder::random_word;
    use crate::session::finished;

    /// Removed in the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            Self(std::env::temp_dir().join(random_word().unwrap()))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn out(length: usize) -> FromStub {
        FromStub::Stdout(vec![7; length])
    }

    /// Numbers and lengths of bodies from the frame `from` on, as a link is given them.
    fn frames(spool: &Spool, from: u64) -> Vec<(u64, usize)> {
        let (mut at, mut decoder, mut seen) = (spool.seek(from).unwrap(), Decoder::default(), Vec::new());
        while at < spool.end() {
            let piece = spool.piece(at).read().unwrap();
            assert!(!piece.is_empty());
            at += piece.len() as u64;
            decoder.push(&piece);
            while let Some(frame) = decoder.next().unwrap() {
                seen.push((frame.seq, frame.body.len()));
            }
            assert!(!decoder.is_mid_frame(), "pieces are whole frames");
        }
        seen
    }

    proptest! {
        /// From any frame on, by whoever writes it and by whoever opens it later, on disk or in memory.
        #[test]
        fn goes_on_from_any_frame(
            lengths in prop::collection::vec(0usize..70_000, 0..12),
            on_disk in any::<bool>(),
            from in 0u64..14,
        ) {
            let path = Scratch::new();
            let mut spool = Spool::default();
            if on_disk {
                spool.create(&path.0).unwrap();
            }
            for length in &lengths {
                spool.append(&[out(*length)]).unwrap();
            }
            let all: Vec<(u64, usize)> = (0..).zip(lengths.iter().copied()).collect();
            let want: Vec<_> = all.iter().copied().filter(|(seq, _)| *seq >= from).collect();
            prop_assert_eq!(frames(&spool, from), want.clone());
            if on_disk {
                prop_assert_eq!(frames(&Spool::open(&path.0).unwrap(), from), want);
            }
        }

        /// Whatever a killed supervisor left of its last frame is cut off, and the next one has its number.
        #[test]
        fn a_torn_frame_is_cut_off(lengths in prop::collection::vec(0usize..300, 1..6), keep in any::<prop::sample::Index>()) {
            let path = Scratch::new();
            let mut spool = Spool::default();
            spool.create(&path.0).unwrap();
            let mut ends = vec![0];
            for length in &lengths {
                spool.append(&[out(*length)]).unwrap();
                ends.push(spool.end());
            }
            let cut = keep.index(spool.end() as usize + 1) as u64;
            File::options().write(true).open(&path.0).unwrap().set_len(cut).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let mut spool = Spool::open(&path.0).unwrap();
            prop_assert_eq!((spool.end(), spool.is_over()), (ends[whole], false));
            spool.append(&[FromStub::Finished(finished(End::RunnerKilled))]).unwrap();
            let seen = frames(&Spool::open(&path.0).unwrap(), 0);
            prop_assert_eq!(seen.len(), whole + 1);
            prop_assert_eq!(seen[whole].0, whole as u64);
        }
    }

    #[test]
    fn the_end_is_where_the_operator_waits_for_it() {
        let killed = [(0, 1), (1, 1), (2, 2), (9, 9)].map(|(from, want)| (End::RunnerKilled, from, want));
        // Who has seen it needs no other.
        let other = [(1, 1), (2, 1), (9, 9)].map(|(from, want)| (End::Cancelled, from, want));
        for (end, from, want) in killed.into_iter().chain(other) {
            let end = FromStub::Finished(finished(end));
            let length = end.encode().1.len();
            let path = Scratch::new();
            let mut spool = Spool::default();
            spool.create(&path.0).unwrap();
            spool.append(&[out(5)]).unwrap();
            spool.append(std::slice::from_ref(&end)).unwrap();
            drop(spool);
            let mut spool = Spool::open(&path.0).unwrap();
            spool.finish_at(from).unwrap();
            assert_eq!(frames(&spool, from).last(), (want >= from).then_some(&(want, length)), "{from}");
            assert_eq!(frames(&Spool::open(&path.0).unwrap(), 1), [(want, length)], "{from}");
        }
    }

    /// Behind a power cut there may be anything at the end, and all that stands before it is kept.
    #[test]
    fn what_does_not_go_on_is_cut_off() {
        let frame = |kind: u8, seq: u64| {
            let mut bytes = Vec::new();
            Frame::write(kind, seq, b"body", &mut bytes);
            bytes
        };
        let table = [
            ("zeros", vec![0; 5000], 2),
            ("a frame of no kind", frame(0, 2), 2),
            ("a kind to come", frame(150, 2), 3),
            ("a number twice", frame(104, 1), 2),
            ("a gap", frame(104, 3), 2),
            ("zeros before more", [vec![0; 26], frame(104, 2)].concat(), 2),
        ];
        for (what, bytes, want) in table {
            let path = Scratch::new();
            let mut spool = Spool::default();
            spool.create(&path.0).unwrap();
            spool.append(&[out(1), out(2)]).unwrap();
            spool.file.as_ref().unwrap().write_all_at(&bytes, spool.end()).unwrap();
            let spool = Spool::open(&path.0).unwrap();
            assert_eq!((frames(&spool, 0).len(), spool.next), (want, want as u64), "{what}");
            assert_eq!(std::fs::metadata(&path.0).unwrap().len(), spool.end(), "{what}");
        }
    }

    /// What must be kept is, however little room there is; all of a unit or nothing.
    #[test]
    fn without_a_disk_there_is_an_end() {
        let mut spool = Spool::default();
        let taken = (0..).take_while(|_| spool.append(&[out(60_000)]).is_ok()).count();
        assert_eq!(taken, MAX_BEHIND / 60_013);
        let before = spool.end();
        assert!(spool.append(&[FromStub::Cut { stderr: false, bytes: 1 }, out(60_000)]).is_err());
        assert_eq!(spool.end(), before);
        assert!(spool.append(&[FromStub::Cut { stderr: false, bytes: 1 }]).is_ok());
        assert!(!spool.is_over() && spool.append(&[FromStub::Finished(finished(End::Cancelled))]).is_ok());
        assert!(spool.is_over());
    }

    #[test]
    fn what_has_no_room_is_given_up_but_for_the_end() {
        let mut spool = Spool::default();
        let journal = FromStub::Journal(vec![1; 9]);
        spool.append(&[FromStub::ArtifactPiece(vec![1])]).unwrap();
        spool.append(&[FromStub::Cut { stderr: true, bytes: 5 }, out(50), journal, out(6)]).unwrap();
        spool.append(&[FromStub::Finished(finished(End::Cancelled))]).unwrap();
        spool.keep_least();
        let mut decoder = Decoder::default();
        decoder.push(&spool.piece(0).read().unwrap());
        let mut seen = Vec::new();
        while let Some(frame) = decoder.next().unwrap() {
            seen.push((frame.seq, FromStub::decode(frame).unwrap()));
        }
        let want = [
            FromStub::ArtifactEnd { digest: String::new() },
            FromStub::Cut { stderr: false, bytes: 56 },
            FromStub::Cut { stderr: true, bytes: 5 },
            FromStub::Finished(finished(End::Cancelled)),
        ];
        // The end has the number that it had.
        assert_eq!(seen, [0, 1, 2, 5].into_iter().zip(want).collect::<Vec<_>>());
        assert_eq!(spool.next, 6);
    }

    /// What stood in memory goes to the disk when that has room, in order.
    #[test]
    fn room_again() {
        let path = Scratch::new();
        let mut spool = Spool::default();
        for length in [1, 2, 3] {
            spool.append(&[out(length)]).unwrap();
        }
        spool.create(&path.0).unwrap();
        spool.append(&[out(4)]).unwrap();
        let want = [(0, 1), (1, 2), (2, 3), (3, 4)];
        assert_eq!(frames(&spool, 0), want);
        assert!(spool.behind.is_empty());
        assert_eq!(frames(&Spool::open(&path.0).unwrap(), 0), want);
    }
}
