//! Defaults < system < user < project < environment < flags; every value knows its source.
//!
//! A key is the long name of a flag: `forks = 50`, `known-hosts = "fleet/known_hosts"`. A flag that
//! repeats takes an array, a switch takes true or false. What this module gives is the files'
//! part; the command line puts environment and flags over it.
//!
//! | layer | file |
//! | --- | --- |
//! | system | `/etc/cronium-run/config.toml` |
//! | user | `$XDG_CONFIG_HOME/cronium-run/config.toml` |
//! | project | `cronium.toml` in this folder or the nearest one above that has one |

mod file;
mod project;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{OrFail as _, Result};

/// The name of a project's file.
pub const PROJECT_FILE: &str = "cronium.toml";

/// Where a value comes from, weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File {
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The name of the variable.
    Environment(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// What a file says of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As they would be typed; one, unless the file gives an array.
    pub values: Vec<String>,
    pub source: Source,
}

/// All files merged: a key that stands in several has the value of the strongest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    settings: BTreeMap<String, Setting>,
}

impl Settings {
    /// What one file says.
    pub fn of_file(path: &Path, known: &[&str]) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .or_fail(|| format!("cannot read the configuration {}", path.display()))
            .map_err(|error| error.hint(format!("ls -l {}", path.display())))?;
        Ok(Self { settings: file::parse(path, &text, known)? })
    }

    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().map(|(key, setting)| (key.as_str(), setting))
    }
}

/// Reads the files there are. A key that is not `known` is an error with its place and the
/// nearest known key; so is a project file that somebody else could have written.
pub fn load(known: &[&str]) -> Result<Settings> {
    use etcetera::BaseStrategy as _;
    let user = etcetera::base_strategy::Xdg::new().ok().map(|base| base.config_dir());
    let start = std::env::current_dir()
        .or_fail(|| "cannot find the folder you are in")
        .map_err(|error| error.hint("cd to a folder that exists"))?;
    Layers {
        system: Path::new("/etc").join("cronium-run/config.toml"),
        user: user.map(|folder| folder.join("cronium-run/config.toml")),
        start,
        uid: rustix::process::getuid().as_raw(),
    }
    .load(known)
}

/// Where the files are, for whom.
struct Layers {
    system: PathBuf,
    user: Option<PathBuf>,
    /// The folder that the project is looked for from.
    start: PathBuf,
    uid: u32,
}

impl Layers {
    fn load(&self, known: &[&str]) -> Result<Settings> {
        let mut settings = Settings::default();
        let project = project::find(&self.start, self.uid)?;
        for path in [Some(&self.system), self.user.as_ref(), project.as_ref()].into_iter().flatten() {
            if path.exists() {
                settings.settings.extend(Settings::of_file(path, known)?.settings);
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["forks", "user", "private-key", "become"];

    fn layers(folder: &Path) -> Layers {
        Layers {
            system: folder.join("etc/config.toml"),
            user: Some(folder.join("home/config.toml")),
            start: folder.join("work/project/deep"),
            uid: rustix::process::getuid().as_raw(),
        }
    }

    #[test]
    fn the_project_wins_over_the_user_and_the_user_over_the_system() {
        let folder = tempfile::TempDir::new().unwrap();
        for sub in ["etc", "home", "work/project/deep"] {
            std::fs::create_dir_all(folder.path().join(sub)).unwrap();
        }
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(layers(folder.path()).load(KNOWN).unwrap(), Settings::default());

        write("etc/config.toml", "forks = 1\nuser = 'system'\nbecome = true\n");
        write("home/config.toml", "forks = 2\nuser = 'user'\n");
        write("work/cronium.toml", "forks = 99\n");
        write("work/project/cronium.toml", "\nforks = 3\nprivate-key = ['a', 'b']\n");
        let settings = layers(folder.path()).load(KNOWN).unwrap();
        let shown: Vec<String> = settings
            .iter()
            .map(|(key, setting)| format!("{key} = {} ({})", setting.values.join(" "), setting.source))
            .collect();
        let shown = shown.join("\n").replace(folder.path().to_str().unwrap(), "");
        insta::assert_snapshot!(shown, @r"
        become = true (/etc/config.toml:3)
        forks = 3 (/work/project/cronium.toml:2)
        private-key = a b (/work/project/cronium.toml:3)
        user = user (/home/config.toml:2)
        ");
        assert_eq!(settings.get("serial"), None);
    }
}
