//! `~/.local/state/cronium-run/runs/<run-id>/`: everything a run leaves on the host, until its result is
//! acknowledged.
//!
//! | name | what | until |
//! | --- | --- | --- |
//! | `lease` | locked by the process that looks after the run: its supervisor, else one that was asked for it | the end |
//! | `about` | whose it is ([`crate::about`]) | the end |
//! | `control` | a socket: whoever asks for the run is told of it there ([`crate::serve`]) | the end |
//! | `spool` | what the run tells ([`crate::spool`]); made when the script starts | the end |
//! | `work`, `out`, `tmp`, `bin` | the script's | the script's end |
//! | `stdout.tail`, `stderr.tail` | the last bytes of long output ([`crate::ring`]) | the script's end |
//! | `helper.sock`, `tunnel` | the sockets of its helpers | the script's end |
//!
//! A folder is made as `.<run-id>.<word>` and gets its name when it has its lease. That is the gate:
//! one name is had once, so that a job that comes twice starts once. The name is `<run-id>`, or
//! `<run-id>.<hash of the host's name>` where another host that shares the home has that one. Only
//! who holds the lease may remove anything; a `barred` one (`about`) has none until somebody makes it, to
//! remove the folder. Where homes are read-only, folders lie in `/var/tmp` or `/tmp` under random names, and
//! there is no gate.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::about::{ABOUT, About, State};
use crate::fnv::{BASIS, fnv};
use crate::helper_call::socket::short;
use crate::identity;
use crate::lease::Lease;
use crate::refusal::Refusal;

/// The names a script calls its helpers by.
const HELPERS: [&str; 6] = [
    "cronium",
    "cronium.input",
    "cronium.output",
    "cronium.getVariable",
    "cronium.setVariable",
    "cronium.event",
];
/// What the kernel takes as the path of a Unix socket, less room for a file name.
const SOCKET_DIR_MAX: usize = 90;

/// How often a folder is given its name at most, and the pause where two gave it back.
const PLACINGS: usize = 20;
const GIVE_WAY: Duration = Duration::from_millis(5);

/// Folders that others can write to: names in them are never ones that could be guessed.
pub const SHARED: [&str; 2] = ["/var/tmp", "/tmp"];

/// Where the payload is unpacked, and what becomes artifacts: names in the run folder.
pub const WORK: &str = "work";
pub const OUT: &str = "out";

/// Locked for as long as the run lives; see [`crate::lease`].
pub const LEASE: &str = "lease";
pub const CONTROL: &str = "control";
pub const SPOOL: &str = "spool";
/// What stays until the operator has acknowledged the result.
const KEPT: [&str; 4] = [LEASE, CONTROL, SPOOL, ABOUT];

/// Removed when dropped, with everything in it, unless a script was started in it.
pub struct RunFolder {
    path: PathBuf,
    /// A folder for sockets, where `path` is too long for one.
    sockets: Option<PathBuf>,
    lease: Option<File>,
    stays: bool,
}

/// Where run folders lie.
pub fn runs() -> PathBuf {
    xdg("XDG_STATE_HOME", ".local/state").join("runs")
}

/// The names a run's folder may have there.
fn names(run: &str, host: &str) -> [String; 2] {
    [run.to_owned(), format!("{run}.{:016x}", fnv(BASIS, host.as_bytes()))]
}

/// The folder of a run that was begun here.
pub fn find(run: &str, host: &str) -> Option<(PathBuf, About)> {
    let named = names(run, host).map(|name| runs().join(name));
    let unnamed = SHARED.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
    let unnamed = unnamed.map(|entry| entry.path()).filter(|path| is_ours_among_others(path));
    named.into_iter().chain(unnamed).find_map(|path| {
        let about = About::read(&path).filter(|about| about.is_of(run, host))?;
        Some((path, about))
    })
}

/// Whether it is a folder of ours where others may put what they like.
pub fn is_ours_among_others(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let ours = rustix::process::getuid().as_raw();
    name.starts_with(b"cronium-run.")
        && path.symlink_metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == ours)
}

/// Takes the name of a run that never came here, so that it starts nothing when it does. An error
/// where something else has the name.
pub fn bar(run: &str, host: &str) -> io::Result<()> {
    let draft = draft(run)?;
    let about = About::new(run, host, None).with(State::Barred);
    let placed = about.create(&draft).and_then(|()| place(&draft, run, host));
    placed.map(drop).inspect_err(|_| drop(remove_all(&draft)))
}

/// Removes what a supervisor left that was killed before its folder had the run's name.
pub fn remove_drafts(run: &str) {
    let beginning = format!(".{run}.");
    for entry in fs::read_dir(runs()).into_iter().flatten().flatten() {
        let path = entry.path();
        // One without a lease is about to become a tombstone.
        let is_draft = entry.file_name().as_encoded_bytes().starts_with(beginning.as_bytes());
        if is_draft
            && path.join(LEASE).exists()
            && let Lease::Ours(_lease) = Lease::take(&path)
        {
            let _ = remove_all(&path);
        }
    }
}

fn draft(run: &str) -> io::Result<PathBuf> {
    private_all(&runs())?;
    let path = runs().join(format!(".{run}.{}", random_word()?));
    private(&path).map(|()| path)
}

/// Gives a folder the run's name, in one step and only where nobody has it, nor the other name that
/// is the host's; [`is_taken`] tells the error of that from others.
///
/// The plain name may get free at any moment, as the host that had it needs it no more. So who has
/// got one name looks at the other once more, and gives its own back where both are the host's: of two
/// that take one name each at the same time, at least the later one sees the other.
fn place(draft: &Path, run: &str, host: &str) -> io::Result<PathBuf> {
    let [name, other] = names(run, host).map(|name| draft.with_file_name(name));
    for _ in 0..PLACINGS {
        // None but this host's has that name.
        if other.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (placed, is_twice) = match fs::rename(draft, &name) {
            Ok(()) => (&name, other.symlink_metadata().is_ok()),
            Err(error) => match About::read(&name) {
                Some(about) if about.host() != host => {
                    fs::rename(draft, &other)?;
                    let is_ours = |about: About| about.host() == host;
                    (&other, About::read(&name).is_some_and(is_ours))
                }
                // Gone by now.
                None if name.symlink_metadata().is_err() && draft.exists() => continue,
                _ => return Err(error),
            },
        };
        if !is_twice {
            return Ok(placed.clone());
        }
        fs::rename(placed, draft)?;
        // One of both goes first.
        if placed == &other {
            thread::sleep(GIVE_WAY);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether a folder got no name as its run has one here.
pub fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

/// `$XDG_STATE_HOME`, `$XDG_CACHE_HOME` or `$XDG_CONFIG_HOME`, else its place under HOME.
pub fn xdg(variable: &str, under_home: &str) -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // Without HOME, a place where nobody can make a folder, as the shell line that started us has it.
    let home = || absolute("HOME").unwrap_or_else(|| PathBuf::from("/dev/null")).join(under_home);
    absolute(variable).unwrap_or_else(home).join("cronium-run")
}

impl RunFolder {
    /// With the listener of its control socket.
    pub fn create(run: &str, host: &str, mut about: About) -> Result<(Self, UnixListener), Refusal> {
        // A host whose home is read-only or missing runs jobs all the same.
        let elsewhere = || SHARED.iter().find_map(|dir| make_own(Path::new(dir)).ok());
        let (path, has_name) = match draft(run) {
            Ok(path) => (path, true),
            Err(error) => {
                let path = elsewhere().ok_or_else(|| Refusal::folder("make a folder in", &runs(), &error))?;
                (path, false)
            }
        };
        // From here on the folder goes away with the value, whatever fails.
        let mut folder = Self::at(path);
        let longest = folder.path.as_os_str().len() - usize::from(has_name);
        if longest > SOCKET_DIR_MAX {
            let made = make_own(Path::new("/tmp"));
            let made =
                made.map_err(|error| Refusal::folder("make a folder in", Path::new("/tmp"), &error))?;
            about = about.with_sockets(&made);
            folder.sockets = Some(made);
        }
        let filled = folder.fill(&about);
        let listener = filled.map_err(|error| {
            // As it would be called; people look for that.
            let path = if has_name { runs().join(run) } else { folder.path.clone() };
            Refusal::folder("fill", &path, &error)
        })?;
        if has_name {
            folder.path = place(&folder.path, run, host).map_err(|error| match is_taken(&error) {
                true => Refusal::new("exec", "begun", "this run was begun here already")
                    .hint(format!("cronium-run attach {run}")),
                false => Refusal::folder("name", &folder.path, &error),
            })?;
        }
        Ok((folder, listener))
    }

    /// One that is there already.
    pub fn at(path: PathBuf) -> Self {
        Self { sockets: None, path, lease: None, stays: false }
    }

    fn fill(&mut self, about: &About) -> io::Result<UnixListener> {
        let lease = File::create_new(self.path.join(LEASE))?;
        // Where locks are not to be had, nobody else can take it either.
        let _ = rustix::fs::flock(&lease, FlockOperation::NonBlockingLockExclusive);
        self.lease = Some(lease);
        // Before anybody can know whose it is: who finds a folder and nobody there takes it for a dead one.
        let listener = listen(&self.path)?;
        about.create(&self.path)?;
        for dir in [self.work(), self.out(), self.tmp(), self.bin()] {
            private(&dir)?;
        }
        // Not through `/proc/PID/exe`, which only root may follow into a process that is closed to
        // others' eyes.
        let program = identity::program();
        let [first, others @ ..] = HELPERS.map(|name| self.bin().join(name));
        if program.exists() {
            symlink(&program, &first)?;
        } else {
            // Removed while we waited for a job: what runs is still to be had.
            fs::copy("/proc/self/exe", &first)?;
            fs::set_permissions(&first, fs::Permissions::from_mode(0o700))?;
        }
        for other in others {
            // One link under all names is one inode to make and to remove, where that can be had.
            fs::hard_link(&first, &other).or_else(|_| symlink(&program, other))?;
        }
        Ok(listener)
    }

    /// Where the payload is unpacked and the script runs.
    pub fn work(&self) -> PathBuf {
        self.path.join(WORK)
    }

    /// `$CRONIUM_OUT`: every file that the script puts here is fetched.
    pub fn out(&self) -> PathBuf {
        self.path.join(OUT)
    }

    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub fn bin(&self) -> PathBuf {
        self.path.join("bin")
    }

    /// The socket the script's helpers speak to: found from `CRONIUM_WORK_DIR`.
    pub fn helper_socket(&self) -> PathBuf {
        self.path.join(crate::helper_call::SOCKET)
    }

    /// The socket that leads to the operator.
    pub fn tunnel_socket(&self) -> PathBuf {
        self.sockets.as_ref().unwrap_or(&self.path).join("tunnel")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn spool(&self) -> PathBuf {
        self.path.join(SPOOL)
    }

    /// A script was started in it: it is there until its result is acknowledged.
    pub fn stay(&mut self) {
        self.stays = true;
    }

    /// Removes what was the script's.
    pub fn clear(&self) -> io::Result<()> {
        self.sockets.as_deref().map_or(Ok(()), remove_all)?;
        clear(&self.path)
    }

    /// Notes that the result waits to be fetched.
    pub fn note_over(&self) {
        let _ = About::read(&self.path).map(|about| about.with(State::Over).write(&self.path));
    }

    /// Removes what is left, under another name: one of the run's own is there as a whole or not.
    pub fn forget(&self) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let draft = random_word().map(|word| self.path.with_file_name(format!(".{name}.{word}")));
        let gone = draft.and_then(|draft| fs::rename(&self.path, &draft).map(|()| draft));
        let _ = remove_all(gone.as_ref().unwrap_or(&self.path));
    }

    pub fn remove(&self) -> io::Result<()> {
        remove_both(self.sockets.as_deref(), &self.path)
    }

    /// Removes it where the value itself is out of reach.
    pub fn removal(&self) -> impl FnOnce() + Send + 'static {
        let (sockets, path) = (self.sockets.clone(), self.path.clone());
        move || {
            let _ = remove_both(sockets.as_deref(), &path);
        }
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if !self.stays {
            let _ = self.remove();
        }
    }
}

/// Listens on the control socket of a run's folder, in place of whoever did.
pub fn listen(folder: &Path) -> io::Result<UnixListener> {
    let (_dir, path) = short(&folder.join(CONTROL))?;
    let _ = fs::remove_file(&path);
    UnixListener::bind(path)
}

/// Removes what was the script's of a run's folder.
pub fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !KEPT.iter().any(|kept| entry.file_name() == *kept) {
            match entry.file_type()?.is_dir() {
                true => remove_all(&entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    Ok(())
}

fn remove_both(sockets: Option<&Path>, path: &Path) -> io::Result<()> {
    sockets.map_or(Ok(()), remove_all)?;
    remove_all(path)
}

/// Removes a tree even where the script took its folders' write permission away.
pub fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Through a descriptor, so that a link put in a folder's place meanwhile leads nowhere.
fn open_up(dir: &Path) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(held) = rustix::fs::open(dir, flags, Mode::empty()) else { return };
    let dir = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
    let _ = fs::set_permissions(&dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Makes a new folder that nobody else can enter.
pub fn private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a folder and those above it, where they are missing.
pub fn private_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// A new folder with a name that nobody can guess.
fn make_own(parent: &Path) -> io::Result<PathBuf> {
    let path = parent.join(format!("cronium-run.{}", random_word()?));
    private(&path).map(|()| path)
}

/// For a name that nobody can guess, and that no other host which shares the folder takes too.
pub fn random_word() -> io::Result<String> {
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(cronium_wire::digest::hex(&random))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of drafts.
    struct Runs(PathBuf);

    impl Runs {
        fn new() -> Self {
            let path = std::env::temp_dir().join(random_word().unwrap());
            private(&path).unwrap();
            Self(path)
        }

        /// What placing a new draft comes to: the name it got.
        fn place(&self, host: &str, state: State) -> Option<String> {
            let draft = self.0.join(format!(".R.{}", random_word().unwrap()));
            private(&draft).unwrap();
            About::new("R", host, None).with(state).create(&draft).unwrap();
            match place(&draft, "R", host) {
                Ok(path) => Some(path.file_name().unwrap().to_str().unwrap().to_owned()),
                Err(error) => {
                    assert!(is_taken(&error), "{error}");
                    fs::remove_dir_all(&draft).unwrap();
                    None
                }
            }
        }
    }

    impl Drop for Runs {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_name_is_had_once() {
        let [name, other] = names("R", "web2");
        let table: [(&str, State, &str, Option<&str>); 6] = [
            ("the first", State::Open, "web1", Some(&name)),
            ("the same again", State::Open, "web1", None),
            ("another host that shares the home", State::Open, "web2", Some(&other)),
            ("that one again", State::Open, "web2", None),
            ("the word that it never began", State::Barred, "web1", None),
            ("of the other", State::Barred, "web2", None),
        ];
        let runs = Runs::new();
        for (what, state, host, want) in table {
            assert_eq!(runs.place(host, state).as_deref(), want, "{what}");
        }
        let barred = Runs::new();
        assert!(barred.place("web1", State::Barred).is_some());
        assert_eq!(barred.place("web1", State::Open), None, "a job that comes too late");
    }

    #[test]
    fn of_many_at_once_one_begins() {
        for _ in 0..50 {
            let runs = Runs::new();
            let won: Vec<(usize, String)> = thread::scope(|scope| {
                let tries: Vec<_> = (0..12)
                    .map(|at| {
                        let runs = &runs;
                        let state = if at % 4 == 0 { State::Barred } else { State::Open };
                        scope.spawn(move || Some((at % 3, runs.place(["a", "b", "c"][at % 3], state)?)))
                    })
                    .collect();
                tries.into_iter().filter_map(|tried| tried.join().unwrap()).collect()
            });
            // Each host at most once; one of them has the plain name.
            let mut hosts: Vec<usize> = won.iter().map(|(host, _)| *host).collect();
            hosts.sort();
            assert_eq!(hosts, [0, 1, 2], "{won:?}");
            assert_eq!(won.iter().filter(|(_, name)| name == "R").count(), 1, "{won:?}");
        }
    }

    /// The host that has the plain name gives it back at any moment: the run of the other begins once
    /// all the same, or is barred.
    #[test]
    fn the_plain_name_gets_free() {
        let runs = Runs::new();
        assert!(runs.place("web1", State::Open).is_some());
        assert!(runs.place("web2", State::Barred).is_some());
        fs::remove_dir_all(runs.0.join("R")).unwrap();
        assert_eq!(runs.place("web2", State::Open), None, "a job that comes too late");
        for _ in 0..300 {
            let runs = Runs::new();
            assert!(runs.place("web1", State::Open).is_some());
            let won: Vec<String> = thread::scope(|scope| {
                let tries: Vec<_> = [State::Barred, State::Open, State::Open]
                    .map(|state| {
                        let runs = &runs;
                        scope.spawn(move || runs.place("web2", state))
                    })
                    .into();
                fs::rename(runs.0.join("R"), runs.0.join(".gone")).unwrap();
                tries.into_iter().filter_map(|tried| tried.join().unwrap()).collect()
            });
            assert_eq!(won.len(), 1, "{won:?}");
        }
    }
}
