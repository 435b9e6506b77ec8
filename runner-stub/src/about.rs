//! Whose a run folder is, and what became of it: the file `about` in it, one JSON object.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use serde_json::{Value, json};

use crate::cgroup::Cgroup;
use crate::clock;
use crate::plain_file::open_plain;
use crate::run_folder::is_ours_among_others;

/// The file's name.
pub const ABOUT: &str = "about";
/// Bytes of it.
const MOST: u64 = 64 << 10;

/// `{"run", "host", "node", "at", "boot", "up"}`: the run, its host's name at the operator, the machine's
/// own name; when this was written: in s since 1970, and in s since the machine started, with the kernel's
/// name for that start; where there are such, `"group"`, the script's control group,
/// and `"sockets"`, a folder elsewhere; `"state"`, where it is not that of a run that lives.
pub struct About(Value);

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its supervisor lives, or died without a word.
    Open,
    /// It ended and waits to be fetched.
    Over,
    /// It never began here, and will not: the operator was told so.
    Barred,
    /// It ended, and was dropped for want of room or of an operator.
    Dropped,
}

impl State {
    const NAMED: [(Self, &str); 3] =
        [(Self::Over, "over"), (Self::Barred, "barred"), (Self::Dropped, "dropped")];
}

impl About {
    pub fn new(run: &str, host: &str, group: Option<&Path>) -> Self {
        let group = group.map(Path::to_string_lossy);
        Self(json!({"run": run, "host": host, "node": node(), "group": group})).dated()
    }

    fn dated(mut self) -> Self {
        self.0["at"] = clock::now().into();
        self.0["boot"] = clock::boot().into();
        self.0["up"] = clock::up().into();
        self
    }

    /// `None` where the folder has none, or it is damaged.
    pub fn read(folder: &Path) -> Option<Self> {
        let mut bytes = Vec::new();
        let file = open_plain(&folder.join(ABOUT), OFlags::RDONLY).ok()?;
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok().map(Self)
    }

    /// Into a folder that nobody knows yet.
    pub fn create(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(ABOUT), self.0.to_string())
    }

    /// In one step: whoever reads it meanwhile reads the old one or the new one.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(".about");
        // Of somebody who was killed here, or whatever a script put there.
        let _ = fs::remove_file(&new);
        let mut file = File::create_new(&new)?;
        file.write_all(self.0.to_string().as_bytes())?;
        file.sync_data()?;
        fs::rename(new, folder.join(ABOUT))
    }

    pub fn is_of(&self, run: &str, host: &str) -> bool {
        self.run() == run && self.host() == host
    }

    pub fn run(&self) -> &str {
        self.text("run")
    }

    pub fn host(&self) -> &str {
        self.text("host")
    }

    /// A folder elsewhere that holds the run's sockets.
    pub fn with_sockets(mut self, folder: &Path) -> Self {
        self.0["sockets"] = folder.to_string_lossy().into();
        self
    }

    pub fn sockets(&self) -> Option<&Path> {
        let path = Path::new(self.0["sockets"].as_str()?);
        is_ours_among_others(path).then_some(path)
    }

    /// The script's control group.
    pub fn group(&self) -> Option<Cgroup> {
        self.0["group"].as_str().and_then(Cgroup::of)
    }

    /// Whether it is of this machine: one that shares the folder's disk looks after its own.
    pub fn is_here(&self) -> bool {
        self.text("node") == node()
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// How long ago this was written. `None` where the clock was wrong then, or is now.
    pub fn age(&self) -> Option<Duration> {
        let at = |name: &str| self.0[name].as_u64().unwrap_or(0);
        let boot = self.text("boot");
        match !boot.is_empty() && boot == clock::boot() {
            true => clock::up().checked_sub(at("up")).map(Duration::from_secs),
            false => clock::since(at("at")),
        }
    }

    pub fn is_older(&self, than: Duration) -> bool {
        self.age().is_some_and(|age| age > than)
    }

    pub fn state(&self) -> State {
        let state = self.text("state");
        State::NAMED.iter().find(|(_, name)| *name == state).map_or(State::Open, |(state, _)| *state)
    }

    pub fn with(mut self, state: State) -> Self {
        let name = State::NAMED.iter().find(|(named, _)| *named == state);
        self.0["state"] = name.map_or(Value::Null, |(_, name)| (*name).into());
        self.dated()
    }
}

#[cfg(test)]
impl About {
    pub fn aged(mut self, age: Duration) -> Self {
        self.0["at"] = (clock::now() - age.as_secs()).into();
        self.0["boot"] = "another".into();
        self
    }

    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }
}

fn node() -> String {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is as long as we say.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&name[..length]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_folder::{private, random_word};

    #[test]
    fn there_and_back() {
        let folder = std::env::temp_dir().join(random_word().unwrap());
        private(&folder).unwrap();
        assert!(About::read(&folder).is_none());
        for state in [State::Open, State::Over, State::Barred, State::Dropped] {
            About::new("R", "web1", None).with(state).write(&folder).unwrap();
            let about = About::read(&folder).unwrap();
            assert_eq!((about.run(), about.host(), about.state()), ("R", "web1", state));
            assert!(
                about.is_of("R", "web1") && about.is_here() && about.age().unwrap() < Duration::from_secs(9)
            );
        }
        fs::write(folder.join(ABOUT), "{").unwrap();
        assert!(About::read(&folder).is_none());
        fs::remove_dir_all(&folder).unwrap();
    }

    /// The machine's own clock counts while it is up, whatever the wall's was set to.
    #[test]
    fn a_wrong_clock_makes_nothing_old() {
        const DAY: u64 = 24 * 3600;
        let (now, up) = (clock::now(), clock::up());
        let about = || About::new("R", "web1", None);
        let other = |at: u64| about().set("boot", "another").set("at", at);
        let table = [
            ("written with a clock of 1970", about().set("at", 0), Some(0)),
            ("with one of a time to come", about().set("at", now + DAY), Some(0)),
            ("a minute ago", about().set("up", up - 60), Some(60)),
            ("before the boot", other(now - DAY), Some(DAY)),
            ("before the boot, in 1970", other(99), None),
            ("before the boot, in a time to come", other(now + DAY), None),
            ("by another build", about().set("boot", Value::Null).set("at", now - DAY), Some(DAY)),
        ];
        for (what, about, want) in table {
            let age = about.age().map(|age| age.as_secs());
            let is_near = age.zip(want).is_some_and(|(age, want)| (want..want + 9).contains(&age));
            assert!(is_near || (age, want) == (None, None), "{what}: {age:?}");
        }
    }
}
