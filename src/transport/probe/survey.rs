//! What a probed host is like.

use std::time::Duration;

use super::super::Fault;
use super::super::ssh::Credential;
use crate::inventory::Method;

#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// `None` where there was no login: this machine.
    pub login: Option<Login>,
    /// What made us the user who answers, where that is not the one who logged in.
    pub became: Option<Method>,
    /// Seconds that the host's clock is ahead of ours; its own are whole.
    pub clock_ahead: f64,
    /// What the login printed on stdout before our command's first word.
    pub noise: String,
    /// `uname -s` and `uname -m`.
    pub system: String,
    pub machine: String,
    pub user: String,
    pub uid: String,
    /// The login shell; empty where nobody knows.
    pub shell: String,
    pub home: Home,
    /// Where a runner may be put, in the order in which they are tried.
    pub places: Vec<Place>,
    /// The digest of our runner in the host's cache, whole.
    pub cached: Option<String>,
    /// Programs without which no runner is put there.
    pub lacks: Vec<String>,
    pub memory: Option<Memory>,
    pub interpreters: Vec<Interpreter>,
    /// `sudo` and `doas`, as far as they are there. Empty for root.
    pub ways_up: Vec<WayUp>,
    /// How helpers of a script reach the operator.
    pub forwarding: Forwarding,
}

#[derive(Debug, Clone)]
pub struct Login {
    /// From the first packet to the last word of the login.
    pub took: Duration,
    /// One question and its answer.
    pub round_trip: Duration,
    pub credential: Credential,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Home {
    #[default]
    Unset,
    Missing(String),
    There(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub state: PlaceState,
    /// The host's own words where it is not fine.
    pub why: String,
    /// Kilobytes on its file system.
    pub size_kb: u64,
    pub free_kb: u64,
}

/// Tried by writing a script there, running it, and writing as much as the runner is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceState {
    Fine,
    /// It cannot be written to.
    Denied,
    Noexec,
    Full,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    pub total_kb: u64,
    pub available_kb: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    pub name: String,
    pub path: String,
    /// As it says itself; of `sh`, the program behind the name.
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayUp {
    pub program: String,
    /// `None` where it asks for nothing, else its words.
    pub refusal: Option<String>,
}

impl WayUp {
    /// Whether a password is all it wants.
    pub fn asks(&self) -> bool {
        let words = ["password is required", "Authentication required", "Authorization required"];
        self.refusal.as_ref().is_some_and(|said| words.iter().any(|word| said.contains(word)))
    }
}

/// Unix sockets and ports: `None` where the host forwards them.
#[derive(Debug, Clone, Default)]
pub struct Forwarding {
    pub socket: Option<Fault>,
    pub port: Option<Fault>,
}

impl Survey {
    /// Takes one line of the probe; one that it does not know is no trouble.
    pub fn line(&mut self, line: &str) {
        let mut fields = line.split('\t');
        let what = fields.next().unwrap_or_default();
        let mut next = || fields.next().unwrap_or_default().trim().to_owned();
        match what {
            "machine" => (self.system, self.machine) = (next(), next()),
            "user" => (self.user, self.uid, self.shell) = (next(), next(), next()),
            "home" => {
                self.home = match (next().as_str(), next()) {
                    ("there", path) => Home::There(path),
                    ("missing", path) => Home::Missing(path),
                    _ => Home::Unset,
                }
            }
            "place" => {
                let path = next();
                let state = match next().as_str() {
                    "fine" => PlaceState::Fine,
                    "noexec" => PlaceState::Noexec,
                    "full" => PlaceState::Full,
                    _ => PlaceState::Denied,
                };
                self.places.push(Place { path, state, why: next(), size_kb: 0, free_kb: 0 });
            }
            "disk" => {
                let path = next();
                let (size, free) = (next().parse(), next().parse());
                let place = self.places.iter_mut().find(|place| place.path == path);
                if let (Some(place), Ok(size), Ok(free)) = (place, size, free) {
                    (place.size_kb, place.free_kb) = (size, free);
                }
            }
            "cached" => self.cached = Some(next()),
            "lacks" => self.lacks.push(next()),
            "memory" => {
                let memory = self.memory.get_or_insert_default();
                let is_total = next() == "MemTotal";
                let kb = next().parse().unwrap_or(0);
                *(if is_total { &mut memory.total_kb } else { &mut memory.available_kb }) = kb;
            }
            "interpreter" => {
                self.interpreters.push(Interpreter { name: next(), path: next(), version: next() });
            }
            "become" => {
                let (program, said) = (next(), next());
                self.ways_up.push(WayUp { program, refusal: (said != "free").then_some(said) });
            }
            _ => {}
        }
    }

    /// The first place that can hold a runner: where `exec` puts it.
    pub fn chosen(&self) -> Option<&Place> {
        self.places.iter().find(|place| place.state == PlaceState::Fine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let mut survey = Survey::default();
        for line in [
            "machine\tLinux\tx86_64",
            "user\tann\t1000\t/bin/fish",
            "home\tmissing\t/home/ann",
            "place\t/home/ann/.cache\tdenied\tmkdir: No such file",
            "place\t/var/tmp\tfine\t",
            "disk\t/var/tmp\t1000\t700\t/",
            "cached\tabc",
            "lacks\tgzip",
            "memory\tMemTotal\t2000",
            "memory\tMemAvailable\t900",
            "interpreter\tsh\t/bin/sh\t/bin/dash",
            "become\tsudo\tsudo: a password is required",
            "become\tdoas\tfree",
            "later\tsomething",
            "disk\t/tmp",
            "",
        ] {
            survey.line(line);
        }
        assert_eq!((survey.system.as_str(), survey.machine.as_str()), ("Linux", "x86_64"));
        assert_eq!(
            (survey.user.as_str(), survey.uid.as_str(), survey.shell.as_str()),
            ("ann", "1000", "/bin/fish")
        );
        assert_eq!(survey.home, Home::Missing("/home/ann".into()));
        let chosen = survey.chosen().unwrap();
        assert_eq!((chosen.path.as_str(), chosen.size_kb, chosen.free_kb), ("/var/tmp", 1000, 700));
        assert_eq!((survey.places[0].state, survey.cached.as_deref()), (PlaceState::Denied, Some("abc")));
        assert_eq!(
            (survey.lacks, survey.memory),
            (vec!["gzip".into()], Some(Memory { total_kb: 2000, available_kb: 900 }))
        );
        assert_eq!(survey.interpreters.len(), 1);
        let ways: Vec<(bool, bool)> =
            survey.ways_up.iter().map(|way| (way.asks(), way.refusal.is_none())).collect();
        assert_eq!(ways, [(true, false), (false, true)]);
    }
}
