//! Brings what a dead supervisor left of a run to its end.

use std::io;
use std::path::Path;

use cronium_wire::frame::HEADER;
use cronium_wire::message::{End, FromStub, kind};

use crate::about::About;
use crate::cgroup::Cgroup;
use crate::run_folder::{self, SPOOL, WORK};
use crate::session::finished;
use crate::spool::{Spool, gap};
use crate::uplink::Uplink;
use crate::{kept, process_tree};

/// The caller holds the folder's lease. `None` where no script was started.
///
/// Whoever is killed here, or finds no room on the disk for what is still to be told, leaves the folder
/// as one that can be settled again: what the spool holds by then is not told twice. An error where the
/// spool cannot be read, or not all of it is on the disk.
pub fn settle(folder: &Path, about: &About) -> io::Result<Option<Spool>> {
    let _ = about.sockets().map(run_folder::remove_all);
    // Dropped, it is removed.
    drop(about.group().inspect(Cgroup::kill));
    let path = folder.join(SPOOL);
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        run_folder::clear(folder)?;
        return Ok(None);
    }
    let mut spool = Spool::open(&path)?;
    if !spool.is_over() {
        process_tree::end_of(&folder.join(WORK));
        let left = Left::of(&spool)?;
        if let Some((at, seq)) = left.line {
            spool.cut(at, seq)?;
        }
        let uplink = Uplink::new(spool);
        if left.is_in_artifact {
            let _ = uplink.send(&FromStub::ArtifactEnd { digest: String::new() });
        }
        kept::settle(folder, left.told, &uplink);
        let _ = uplink.send(&FromStub::Finished(finished(End::RunnerKilled)));
        if !uplink.sync() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        spool = uplink.into_spool();
    }
    let _ = run_folder::clear(folder);
    Ok(Some(spool))
}

/// What a supervisor was about when it died.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    /// Bytes of stdout and stderr that were told, or told to be missing.
    told: [u64; 2],
    is_in_artifact: bool,
    /// Where a line of the journal begins that has no end, and the number of its first frame.
    line: Option<(u64, u64)>,
}

impl Left {
    fn of(spool: &Spool) -> io::Result<Self> {
        let mut left = Self::default();
        spool.walk(|place| {
            match place.kind {
                // Most of the bytes, of which the length alone is wanted.
                kind::STDOUT => left.told[0] += place.length - HEADER as u64,
                kind::STDERR => left.told[1] += place.length - HEADER as u64,
                kind::CUT => {
                    let (stream, bytes) = gap(&spool.body(place)?);
                    left.told[stream] = left.told[stream].saturating_add(bytes);
                }
                kind::ARTIFACT => left.is_in_artifact = true,
                kind::ARTIFACT_END => left.is_in_artifact = false,
                kind::JOURNAL if spool.body(place)?.ends_with(b"\n") => left.line = None,
                kind::JOURNAL => _ = left.line.get_or_insert((place.at, place.seq)),
                _ => {}
            }
            Ok(true)
        })?;
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::PathBuf;

    use cronium_wire::frame::Frame;
    use cronium_wire::message::{Artifact, Message};

    use super::*;
    use crate::kept::Kept;
    use crate::run_folder::{private, random_word};
    use crate::spool::Place;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(random_word().unwrap());
            private(&path).unwrap();
            Self(path)
        }

        fn spool(&self) -> Uplink {
            let mut spool = Spool::default();
            spool.create(&self.0.join(SPOOL)).unwrap();
            Uplink::new(spool)
        }

        /// What is told when it is settled.
        fn settled(&self) -> Vec<FromStub> {
            let spool = settle(&self.0, &About::new("R", "web1", None)).unwrap().unwrap();
            assert!(spool.is_over());
            let mut told = Vec::new();
            spool
                .walk(|place| {
                    let Place { kind, seq, .. } = place;
                    told.push(FromStub::decode(Frame { kind, seq, body: spool.body(place)? }).unwrap());
                    Ok(true)
                })
                .unwrap();
            told
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn out(bytes: &[u8]) -> FromStub {
        FromStub::Stdout(bytes.to_vec())
    }

    fn cut(bytes: u64) -> FromStub {
        FromStub::Cut { stderr: false, bytes }
    }

    /// Wherever the supervisor, or one that settled before, was killed: before the tail was told, within,
    /// and behind it, with the file still there.
    #[test]
    fn the_tail_is_told_once() {
        let all: Vec<u8> = (0..100).collect();
        for (size, gap) in [(100, 0), (60, 40), (2, 98)] {
            let head = size as usize / 2;
            let tail = &all[100 - head..];
            for told in 0..=head + 1 {
                let folder = Folder::new();
                let uplink = folder.spool();
                let mut kept = Kept::new(false, size, &folder.0, uplink.clone());
                all.chunks(7).for_each(|piece| kept.take(piece));
                // What the end of the stream comes to, up to somewhere.
                if told > 0 {
                    let piece = out(&tail[..told - 1]);
                    match gap {
                        0 => uplink.send(&piece).unwrap(),
                        gap => uplink.send_all(&[cut(gap), piece]).unwrap(),
                    }
                }
                drop((kept, uplink));
                let (mut seen, mut missing) = (Vec::new(), 0);
                for message in folder.settled() {
                    match message {
                        FromStub::Stdout(bytes) => seen.extend(bytes),
                        FromStub::Cut { bytes, .. } => missing += bytes,
                        _ => {}
                    }
                }
                assert_eq!((seen, missing), ([&all[..head], tail].concat(), gap), "{size} {told}");
                assert!(!folder.0.join(kept::TAILS[0]).exists());
            }
        }
    }

    #[test]
    fn what_was_begun_is_ended_or_was_never() {
        let artifact = || FromStub::Artifact(Artifact { path: "a".into(), ..Artifact::default() });
        let piece = || FromStub::ArtifactPiece(vec![7]);
        let ended = || FromStub::ArtifactEnd { digest: String::new() };
        let line = |text: &str| FromStub::Journal(text.into());
        let killed = || FromStub::Finished(finished(End::RunnerKilled));
        let table = [
            (vec![artifact()], vec![artifact(), ended(), killed()]),
            (vec![artifact(), piece()], vec![artifact(), piece(), ended(), killed()]),
            (vec![artifact(), ended()], vec![artifact(), ended(), killed()]),
            (vec![line("{}\n"), line("{")], vec![line("{}\n"), killed()]),
            (vec![line("{"), line(" ")], vec![killed()]),
            (vec![line("{"), line("}\n")], vec![line("{"), line("}\n"), killed()]),
        ];
        for (told, want) in table {
            let folder = Folder::new();
            folder.spool().send_all(&told).unwrap();
            assert_eq!(folder.settled(), want);
            assert_eq!(folder.settled(), want, "once more");
        }
    }

    #[test]
    fn what_cannot_be_read_stays() {
        let folder = Folder::new();
        fs::create_dir(folder.0.join(SPOOL)).unwrap();
        File::create(folder.0.join(kept::TAILS[0])).unwrap();
        assert!(settle(&folder.0, &About::new("R", "web1", None)).is_err());
        assert!(folder.0.join(kept::TAILS[0]).exists() && folder.0.join(SPOOL).exists());
    }
}
