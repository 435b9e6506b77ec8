//! What stubs left behind: runs whose supervisor died, results that nobody came for, half files.
//!
//! Looked after at every contact, when the operator has been told what it came for. A run whose
//! supervisor is dead is brought to its end, and its spool kept. A result is kept for
//! [`KEEP`], and the oldest are dropped sooner where all together take more than [`MOST`]: then the
//! folder says so, and the file `.dropped` beside it names the run for a warning at the next contact.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::about::{About, State};
use crate::attach;
use crate::identity;
use crate::payload::{self, Cache};
use crate::run_folder::{CONTROL, LEASE, SHARED, SPOOL, is_ours_among_others, remove_all, runs, xdg};

/// Nothing younger is touched where it may be just on its way to its lease or its name.
const AGE: Duration = Duration::from_secs(3600);
const KEEP: Duration = Duration::from_secs(14 * 24 * 3600);
/// Bytes of all spools that wait.
const MOST: u64 = 256 << 20;
/// Stubs of other builds that stay.
const STUBS: usize = 8;
const STUB_BYTES: u64 = 32 << 20;
/// Names of runs that were dropped, a line each.
const DROPPED: &str = ".dropped";
/// Bytes of that.
const DROPPED_MOST: u64 = 4096;

/// Goes over all that lies here; with the shared folder that we had to make do with.
pub fn collect(shared: Option<&str>) {
    remove_runs(&runs(), KEEP, MOST);
    if let Some(shared) = shared {
        remove_runs(Path::new(shared), KEEP, MOST);
    }
    remove_parts(&Cache::dir());
    let stubs = xdg("XDG_CACHE_HOME", ".cache").join("stub");
    remove_parts(&stubs);
    payload::shrink(&stubs, &identity::program(), STUBS, STUB_BYTES);
}

/// A sentence about the results that were dropped since the last contact.
pub fn warning() -> Option<String> {
    let path = runs().join(DROPPED);
    let text = fs::read_to_string(&path).ok()?;
    fs::remove_file(&path).ok()?;
    let names: Vec<&str> = text.lines().collect();
    let shown = names[..names.len().min(10)].join(", ");
    Some(format!(
        "{} results that nobody had fetched were dropped here, as they were older than 14 days or took more \
         than 256 MiB: {shown}{}",
        names.len(),
        if names.len() > 10 { " and others" } else { "" }
    ))
}

/// A result that waits.
struct Waiting {
    age: Duration,
    size: u64,
    path: PathBuf,
}

fn remove_runs(runs: &Path, keep: Duration, most: u64) {
    let mut waiting: Vec<Waiting> = Vec::new();
    let is_shared = SHARED.iter().any(|dir| runs == Path::new(dir));
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && (!is_shared || is_ours_among_others(&path))
            && let Some(found) = look_after(&path, is_shared)
        {
            // The youngest first.
            waiting.insert(waiting.partition_point(|other| other.age <= found.age), found);
        }
    }
    let mut sum = 0u64;
    for Waiting { age, size, path } in waiting {
        sum = sum.saturating_add(size);
        if age > keep || sum > most {
            drop_result(&path, !is_shared);
        }
    }
}

/// Does for one folder what is due. One that waits to be fetched is told.
fn look_after(path: &Path, is_shared: bool) -> Option<Waiting> {
    let Some(about) = About::read(path) else {
        // On its way to its name, or on its way out, unless that was long ago. Elsewhere it is none of a
        // run: one for sockets, or for a program.
        if !is_shared && path.symlink_metadata().is_ok_and(|meta| is_old(&meta)) {
            remove_ended(path);
        }
        return None;
    };
    let is_draft = path.file_name()?.as_encoded_bytes().starts_with(b".");
    match about.state() {
        _ if is_draft => {
            if about.age() > AGE {
                remove_ended(path);
            }
            None
        }
        State::Barred | State::Dropped => {
            if about.age() > if about.state() == State::Barred { AGE } else { KEEP } {
                remove_ended(path);
            }
            None
        }
        State::Open => {
            if !about.is_here() && about.age() < KEEP {
                return None;
            }
            let _lease = lease(path).ok()??;
            match attach::settle(path, &about).ok()? {
                Some(_) => {
                    about.with(State::Over).write(path).ok()?;
                    waiting(path, Duration::ZERO)
                }
                None => {
                    let _ = remove_all(path);
                    None
                }
            }
        }
        State::Over => waiting(path, about.age()),
    }
}

fn waiting(path: &Path, age: Duration) -> Option<Waiting> {
    let size = path.join(SPOOL).metadata().ok()?.len();
    Some(Waiting { age, size, path: path.to_owned() })
}

/// The lock is held while the folder goes, so that only one of us works on it.
fn remove_ended(path: &Path) {
    if let Ok(_lease) = lease(path) {
        let _ = remove_all(path);
    }
}

/// Nobody came for it. What stays says so.
fn drop_result(path: &Path, is_told: bool) {
    let (Ok(Some(_lease)), Some(about)) = (lease(path), About::read(path)) else { return };
    let name = about.run().to_owned();
    if about.with(State::Dropped).write(path).is_err() {
        return;
    }
    for file in [SPOOL, CONTROL] {
        let _ = fs::remove_file(path.join(file));
    }
    // Not where others may have put a link of that name.
    if !is_told {
        return;
    }
    let list = path.with_file_name(DROPPED);
    let opened = File::options().create(true).append(true).open(list);
    let _ = opened.and_then(|mut list| match list.metadata()?.len() < DROPPED_MOST {
        true => list.write_all(format!("{name}\n").as_bytes()),
        false => Ok(()),
    });
}

/// The lock of a run that has ended, `None` where there is nothing to lock; an error while it lives.
pub fn lease(run: &Path) -> io::Result<Option<File>> {
    // A script may have put anything in its place.
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(run.join(LEASE), flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(lease) => {
            rustix::fs::flock(&lease, FlockOperation::NonBlockingLockExclusive)?;
            Ok(Some(lease.into()))
        }
    }
}

/// Files on their way into a cache are called `.NAME.WORD` until they are whole.
pub fn remove_parts(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let is_part = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_part && entry.metadata().is_ok_and(|meta| meta.is_file() && is_old(&meta)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_old(meta: &fs::Metadata) -> bool {
    let age = meta.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > AGE)
}

#[cfg(test)]
mod tests {
    use cronium_wire::message::{End, FromStub};

    use super::*;
    use crate::run_folder::{private, random_word};
    use crate::session::finished;
    use crate::spool::Spool;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    struct Runs(PathBuf);

    impl Runs {
        fn new() -> Self {
            let path = std::env::temp_dir().join(random_word().unwrap());
            private(&path).unwrap();
            Self(path)
        }

        /// A run's folder with a spool of one frame of so many bytes; its lease.
        fn run(&self, name: &str, state: State, age: Duration, bytes: Option<usize>) -> File {
            let path = self.0.join(name);
            private(&path).unwrap();
            About::new(name, "web1", None).with(state).aged(age).write(&path).unwrap();
            if let Some(bytes) = bytes {
                let mut spool = Spool::default();
                spool.create(&path.join(SPOOL)).unwrap();
                spool.append(&[FromStub::Stdout(vec![7; bytes])]).unwrap();
            }
            fs::create_dir(path.join("work")).unwrap();
            File::create(path.join(LEASE)).unwrap()
        }

        fn state(&self, name: &str) -> Option<State> {
            About::read(&self.0.join(name)).map(|about| about.state())
        }
    }

    impl Drop for Runs {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_due() {
        let runs = Runs::new();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let table = [
            ("living", State::Open, hours(99), Some(0), true, Some(State::Open)),
            ("dead", State::Open, hours(0), Some(0), false, Some(State::Over)),
            ("never-started", State::Open, hours(0), None, false, None),
            ("over", State::Over, 13 * DAY, Some(0), false, Some(State::Over)),
            ("old", State::Over, 15 * DAY, Some(0), false, Some(State::Dropped)),
            ("being-fetched", State::Over, 15 * DAY, Some(0), true, Some(State::Over)),
            ("barred", State::Barred, hours(0), None, false, Some(State::Barred)),
            ("barred-long-ago", State::Barred, hours(2), None, false, None),
            ("dropped", State::Dropped, DAY, None, false, Some(State::Dropped)),
            ("dropped-long-ago", State::Dropped, 15 * DAY, None, false, None),
            (".draft", State::Open, hours(0), None, false, Some(State::Open)),
            (".old-draft", State::Open, hours(2), None, false, None),
        ];
        let mut held = Vec::new();
        for (name, state, age, bytes, is_held, _) in table {
            let lease = runs.run(name, state, age, bytes);
            if is_held {
                rustix::fs::flock(&lease, FlockOperation::LockExclusive).unwrap();
                held.push(lease);
            }
        }
        remove_runs(&runs.0, KEEP, MOST);
        for (name, .., want) in table {
            assert_eq!(runs.state(name), want, "{name}");
        }
        // A dead one is brought to its end, and nothing of its script stays.
        let spool = Spool::open(&runs.0.join("dead").join(SPOOL)).unwrap();
        assert!(spool.is_over() && !runs.0.join("dead/work").exists());
        let last = FromStub::Finished(finished(End::RunnerKilled));
        assert!(
            fs::read(runs.0.join("dead").join(SPOOL))
                .unwrap()
                .ends_with(&cronium_wire::message::Message::encode(&last).1)
        );
        assert_eq!(fs::read_to_string(runs.0.join(DROPPED)).unwrap(), "old\n");
    }

    #[test]
    fn the_oldest_make_room() {
        let runs = Runs::new();
        for (name, age) in [("c", 3), ("a", 1), ("d", 4), ("b", 2)] {
            runs.run(name, State::Over, age * DAY, Some(1000));
        }
        let states = || ["a", "b", "c", "d"].map(|name| runs.state(name).unwrap());
        let (over, dropped) = (State::Over, State::Dropped);
        for (most, want) in [
            (5000, [over, over, over, over]),
            (3999, [over, over, over, dropped]),
            (1100, [over, dropped, dropped, dropped]),
            (0, [dropped; 4]),
        ] {
            remove_runs(&runs.0, KEEP, most);
            assert_eq!(states(), want, "{most}");
        }
        assert_eq!(fs::read_to_string(runs.0.join(DROPPED)).unwrap(), "d\nb\nc\na\n");
    }

    fn make_old(path: &Path) {
        let at = SystemTime::now() - AGE - Duration::from_secs(60);
        File::open(path).unwrap().set_modified(at).unwrap();
    }

    /// From before there was `about`.
    #[test]
    fn only_old_folders_without_a_word_are_removed() {
        let runs = Runs::new();
        for (name, is_old) in [("young", false), ("old", true), ("held", true)] {
            private(&runs.0.join(name)).unwrap();
            let lease = File::create(runs.0.join(name).join(LEASE)).unwrap();
            if is_old {
                make_old(&runs.0.join(name));
            }
            if name == "held" {
                rustix::fs::flock(&lease, FlockOperation::LockExclusive).unwrap();
                std::mem::forget(lease);
            }
        }
        remove_runs(&runs.0, KEEP, MOST);
        let left = ["young", "old", "held"].map(|name| runs.0.join(name).exists());
        assert_eq!(left, [true, false, true]);
    }

    #[test]
    fn only_old_parts_are_removed() {
        let runs = Runs::new();
        let cache = &runs.0;
        let table = [(".old", true, false), (".young", false, true), ("payload", true, true)];
        for (name, old, _) in table {
            fs::write(cache.join(name), "").unwrap();
            if old {
                make_old(&cache.join(name));
            }
        }
        remove_parts(cache);
        for (name, _, stays) in table {
            assert_eq!(cache.join(name).exists(), stays, "{name}");
        }
    }
}
