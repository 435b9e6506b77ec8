//! Whose a run folder is, and what became of it: the file `about` in it, one JSON object.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::cgroup::Cgroup;
use crate::run_folder::is_ours_among_others;

/// The file's name.
pub const ABOUT: &str = "about";

/// `{"run", "host", "node", "at"}`: the run, its host's name at the operator, the machine's own name,
/// when this was written, in s since 1970; where there are such, `"group"`, the script's control group,
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
        Self(json!({"run": run, "host": host, "node": node(), "at": now(), "group": group}))
    }

    /// `None` where the folder has none, or it is damaged.
    pub fn read(folder: &Path) -> Option<Self> {
        let bytes = fs::read(folder.join(ABOUT)).ok()?;
        serde_json::from_slice(&bytes).ok().map(Self)
    }

    /// Into a folder that nobody knows yet.
    pub fn create(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(ABOUT), self.0.to_string())
    }

    /// In one step: whoever reads it meanwhile reads the old one or the new one.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(".about");
        fs::write(&new, self.0.to_string())?;
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

    /// How long ago this was written.
    pub fn age(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.0["at"].as_u64().unwrap_or(0)))
    }

    pub fn state(&self) -> State {
        let state = self.text("state");
        State::NAMED.iter().find(|(_, name)| *name == state).map_or(State::Open, |(state, _)| *state)
    }

    pub fn with(mut self, state: State) -> Self {
        let name = State::NAMED.iter().find(|(named, _)| *named == state);
        self.0["state"] = name.map_or(Value::Null, |(_, name)| (*name).into());
        self.0["at"] = now().into();
        self
    }
}

#[cfg(test)]
impl About {
    pub fn aged(mut self, age: Duration) -> Self {
        self.0["at"] = (now() - age.as_secs()).into();
        self
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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
            assert!(about.is_of("R", "web1") && about.is_here() && about.age() < Duration::from_secs(9));
        }
        fs::write(folder.join(ABOUT), "{").unwrap();
        assert!(About::read(&folder).is_none());
        fs::remove_dir_all(&folder).unwrap();
    }
}
