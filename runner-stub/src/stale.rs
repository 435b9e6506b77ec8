//! What stubs left behind: runs whose supervisor died, results that nobody came for, half files.
//!
//! Looked after at every contact, when the operator has been told what it came for. A run whose
//! supervisor is dead is brought to its end, and its spool kept. A result is kept for
//! [`KEEP`], and the oldest are dropped sooner where all together take more than [`MOST`]: then the
//! folder says so, and the file `.dropped` beside it names the run for a warning at the next contact.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::about::{About, State};
use crate::clock;
use crate::identity;
use crate::lease::Lease;
use crate::payload::{self, Cache};
use crate::run_folder::{CONTROL, SHARED, SPOOL, is_ours_among_others, random_word, remove_all, runs, xdg};
use crate::settle::settle;

/// Nothing younger is touched where it may be just on its way to its lease or its name.
const AGE: Duration = Duration::from_secs(3600);
const KEEP: Duration = Duration::from_secs(14 * 24 * 3600);
/// Bytes of all spools that wait.
const MOST: u64 = 256 << 20;
/// Stubs of other builds that stay.
const STUBS: usize = 8;
const STUB_BYTES: u64 = 32 << 20;
/// Names of runs that were dropped, a line each; empty ones behind the first [`DROPPED_MOST`] bytes.
const DROPPED: &str = ".dropped";
const DROPPED_MOST: u64 = 4096;

/// Goes over all that lies here, also where we had to make do with shared folders.
pub fn collect() {
    remove_runs(&runs(), KEEP, MOST);
    for shared in SHARED {
        remove_runs(Path::new(shared), KEEP, MOST);
    }
    remove_parts(&Cache::dir());
    let stubs = xdg("XDG_CACHE_HOME", ".cache").join("stub");
    remove_parts(&stubs);
    payload::shrink(&stubs, &identity::program(), STUBS, STUB_BYTES);
}

/// A sentence about the results that were dropped since the last contact.
pub fn warning() -> Option<String> {
    warning_of(&runs())
}

fn warning_of(runs: &Path) -> Option<String> {
    // Taken away first: what is added from now on is told the next time.
    let path = runs.join(format!("{DROPPED}.{}", random_word().ok()?));
    fs::rename(runs.join(DROPPED), &path).ok()?;
    let text = fs::read_to_string(&path);
    let _ = fs::remove_file(&path);
    let text = text.ok()?;
    let names: Vec<&str> = text.lines().collect();
    let shown = names[..names.len().min(10)].join(", ");
    Some(format!(
        "{} results that nobody had fetched were dropped here, as they were older than {} days or took more \
         than {} MiB: {shown}{}",
        names.len(),
        KEEP.as_secs() / (24 * 3600),
        MOST >> 20,
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
    for (at, Waiting { age, size, path }) in waiting.into_iter().enumerate() {
        sum = sum.saturating_add(size);
        // The youngest may just be the one that somebody is about to come for.
        if age > keep || (sum > most && age > AGE && at > 0) {
            drop_result(&path, !is_shared);
        }
    }
}

/// Does for one folder what is due. One that waits to be fetched is told.
fn look_after(path: &Path, is_shared: bool) -> Option<Waiting> {
    let Some(about) = About::read(path) else {
        // On its way to its name, or on its way out, unless that was long ago. Elsewhere it is none of a
        // run: one for sockets, or for a program.
        if is_shared {
            return None;
        }
        let age = age(&path.symlink_metadata().ok()?);
        // One whose host went down before that was on its disk: what it holds may yet be looked for.
        if !is_draft(path)
            && let Some(waiting) = waiting(path, age).filter(|waiting| waiting.size > 0)
        {
            return Some(waiting);
        }
        if age > AGE {
            remove_ended(path);
        }
        return None;
    };
    match about.state() {
        _ if is_draft(path) => {
            if about.is_older(AGE) {
                remove_ended(path);
            }
            None
        }
        State::Barred | State::Dropped => {
            let most = if about.state() == State::Barred { AGE } else { KEEP };
            if age_of(path, about) > most {
                remove_ended(path);
            } else if path.join(SPOOL).exists() {
                // Whoever dropped it was killed.
                remove_result(path);
            }
            None
        }
        State::Open => {
            if !about.is_here() && !about.is_older(KEEP) {
                return None;
            }
            let Lease::Ours(_lease) = Lease::take(path) else { return None };
            match settle(path, &about).ok()? {
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
        State::Over => {
            let waiting = waiting(path, age_of(path, about));
            if waiting.is_none() {
                remove_ended(path);
            }
            waiting
        }
    }
}

/// Where the clock was wrong then, or is now, it ages from now on.
fn age_of(path: &Path, about: About) -> Duration {
    about.age().unwrap_or_else(|| {
        let state = about.state();
        let _ = about.with(state).write(path);
        Duration::ZERO
    })
}

fn is_draft(path: &Path) -> bool {
    path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b".")
}

/// `None` where there is no spool.
fn waiting(path: &Path, age: Duration) -> Option<Waiting> {
    match path.join(SPOOL).symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        meta => Some(Waiting { age, size: meta.map_or(0, |meta| meta.len()), path: path.to_owned() }),
    }
}

/// The lock is held while the folder goes, so that only one of us works on it.
fn remove_ended(path: &Path) {
    if let Lease::Ours(_lease) = Lease::take(path) {
        let _ = remove_all(path);
    }
}

fn remove_result(path: &Path) {
    if let Lease::Ours(_lease) = Lease::take(path) {
        remove_files(path);
    }
}

fn remove_files(path: &Path) {
    for file in [SPOOL, CONTROL] {
        let _ = fs::remove_file(path.join(file));
    }
}

/// Nobody came for it. What stays says so.
fn drop_result(path: &Path, is_told: bool) {
    let Lease::Ours(_lease) = Lease::take(path) else { return };
    let name = match About::read(path) {
        Some(about) => {
            let name = about.run().to_owned();
            if about.with(State::Dropped).write(path).is_err() {
                return;
            }
            remove_files(path);
            name
        }
        None => {
            let _ = remove_all(path);
            path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        }
    };
    // Not where others may have put a link of that name.
    if !is_told {
        return;
    }
    let list = path.with_file_name(DROPPED);
    let opened = File::options().create(true).append(true).open(list);
    let _ = opened.and_then(|mut list| {
        // Those that have no room for their names are counted.
        let is_room = list.metadata()?.len() < DROPPED_MOST;
        list.write_all(format!("{}\n", if is_room { &name } else { "" }).as_bytes())
    });
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
    age(meta) > AGE
}

/// As far as clocks can be believed.
fn age(meta: &fs::Metadata) -> Duration {
    clock::since(u64::try_from(meta.mtime()).unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use cronium_wire::message::{End, FromStub};
    use rustix::fs::FlockOperation;

    use super::*;
    use crate::run_folder::{LEASE, private, random_word};
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
            // The youngest stays.
            (0, [over, dropped, dropped, dropped]),
        ] {
            remove_runs(&runs.0, KEEP, most);
            assert_eq!(states(), want, "{most}");
        }
        assert_eq!(fs::read_to_string(runs.0.join(DROPPED)).unwrap(), "d\nb\nc\n");
    }

    #[test]
    fn what_is_fresh_stays_however_large() {
        let runs = Runs::new();
        for (name, minutes) in [("a", 1), ("b", 59), ("c", 61)] {
            runs.run(name, State::Over, Duration::from_secs(minutes * 60), Some(1000));
        }
        remove_runs(&runs.0, KEEP, 0);
        let states = ["a", "b", "c"].map(|name| runs.state(name).unwrap());
        assert_eq!(states, [State::Over, State::Over, State::Dropped]);
    }

    /// Whoever is killed in the middle leaves it to the next.
    #[test]
    fn half_done() {
        let runs = Runs::new();
        runs.run("dropped", State::Dropped, DAY, Some(0));
        runs.run("forgotten", State::Over, DAY, None);
        for (name, age) in [("nobodys", DAY), ("nobodys-old", 15 * DAY)] {
            runs.run(name, State::Open, age, Some(0));
            fs::write(runs.0.join(name).join("about"), "").unwrap();
            File::open(runs.0.join(name)).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
        // Written before the clock was set.
        runs.run("of-1970", State::Barred, DAY, None);
        let about = || About::read(&runs.0.join("of-1970")).unwrap();
        about().set("at", 99).write(&runs.0.join("of-1970")).unwrap();
        assert_eq!(about().age(), None);
        remove_runs(&runs.0, KEEP, MOST);
        assert!(about().age().is_some());
        assert!(!runs.0.join("dropped").join(SPOOL).exists() && !runs.0.join("forgotten").exists());
        assert!(runs.0.join("nobodys").join(SPOOL).exists() && !runs.0.join("nobodys-old").exists());
        let warning = warning_of(&runs.0).unwrap();
        assert!(warning.starts_with("1 results") && warning.ends_with("nobodys-old"), "{warning}");
        assert_eq!(warning_of(&runs.0), None);
    }

    #[test]
    fn all_that_are_dropped_are_counted() {
        let runs = Runs::new();
        fs::write(runs.0.join(DROPPED), "some-run\n".repeat(DROPPED_MOST as usize / 9 + 1)).unwrap();
        for name in ["a", "b"] {
            runs.run(name, State::Over, 15 * DAY, Some(0));
        }
        remove_runs(&runs.0, KEEP, MOST);
        let warning = warning_of(&runs.0).unwrap();
        assert!(warning.starts_with(&format!("{} results", DROPPED_MOST / 9 + 3)), "{warning}");
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
