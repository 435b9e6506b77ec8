//! Defaults < system < user < project < environment < flags; every value knows its source.
//!
//! A key is the long name of a flag: `forks = 50`, `private-key = "~/.ssh/fleet"`. A flag that
//! repeats takes an array, a switch takes true or false. A relative path is looked for in the folder
//! of the file it stands in. What this module gives is the files' part; the command line puts
//! environment and flags over it.
//!
//! | layer | file |
//! | --- | --- |
//! | system | `/etc/cronium-run/config.toml` |
//! | user | `$XDG_CONFIG_HOME/cronium-run/config.toml` |
//! | project | `cronium.toml` in this folder or the nearest one above that has one |
//!
//! The last one often came with a repository that somebody else wrote, so it may not set all keys:
//! the command line says which ones.

mod file;
mod project;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, OrFail as _, Result};

/// The name of a project's file.
pub const PROJECT_FILE: &str = "cronium.toml";

/// Whose a file is, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    System,
    User,
    Project,
}

/// Where a value comes from, weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File {
        layer: Layer,
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
            Self::File { path, line, .. } => write!(f, "{}:{line}", path.display()),
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
    pub fn of_file(path: &Path, layer: Layer, known: &[&str]) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .or_fail(|| format!("cannot read the configuration {}", path.display()))
            .map_err(|error| error.hint(format!("ls -l {}", path.display())))?;
        Ok(Self { settings: file::parse(path, layer, &text, known)? })
    }

    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().map(|(key, setting)| (key.as_str(), setting))
    }
}

/// Reads the files there are. A key that is not `known` is an error with its place and the
/// nearest known key; so is a project file that somebody else could have written, and a key in it
/// for which `refusal` has a reason.
pub fn load(known: &[&str], refusal: impl Fn(&str) -> Option<&'static str>) -> Result<Settings> {
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
    .load(known, refusal)
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
    fn load(&self, known: &[&str], refusal: impl Fn(&str) -> Option<&'static str>) -> Result<Settings> {
        let mut settings = Settings::default();
        let project = project::find(&self.start, self.uid)?;
        for (layer, path) in [
            (Layer::System, Some(&self.system)),
            (Layer::User, self.user.as_ref()),
            (Layer::Project, project.as_ref()),
        ] {
            let Some(path) = path.filter(|path| path.exists()) else { continue };
            let file = Settings::of_file(path, layer, known)?;
            if layer == Layer::Project {
                self.check_project(&file, &refusal)?;
            }
            settings.settings.extend(file.settings);
        }
        Ok(settings)
    }

    fn check_project(&self, file: &Settings, refusal: impl Fn(&str) -> Option<&'static str>) -> Result<()> {
        let mut refused =
            file.iter().filter_map(|(key, setting)| Some((key, &setting.source, refusal(key)?)));
        let Some((key, source, why)) = refused.next() else { return Ok(()) };
        let error = Error::usage(format!("{source}: the file of a project cannot set {key}"))
            .cause(why)
            .hint(format!("--{key} VALUE  sets it for one call"));
        Err(match &self.user {
            Some(user) => error.hint(format!("or set it in {}, for all projects", user.display())),
            None => error,
        })
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
        let load = || layers(folder.path()).load(KNOWN, |_| None).unwrap();
        assert_eq!(load(), Settings::default());

        write("etc/config.toml", "forks = 1\nuser = 'system'\nbecome = true\n");
        write("home/config.toml", "forks = 2\nuser = 'user'\n");
        write("work/cronium.toml", "forks = 99\n");
        write("work/project/cronium.toml", "\nforks = 3\nprivate-key = ['a', 'b']\n");
        let settings = load();
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

    #[test]
    fn a_project_cannot_set_every_key() {
        let folder = tempfile::TempDir::new().unwrap();
        for sub in ["home", "work/project/deep"] {
            std::fs::create_dir_all(folder.path().join(sub)).unwrap();
        }
        let text = "forks = 3\n\nbecome = true\n";
        let load = || {
            let refusal = |key: &str| (key == "become").then_some("it is not theirs");
            layers(folder.path()).load(KNOWN, refusal)
        };
        std::fs::write(folder.path().join("home/config.toml"), text).unwrap();
        assert_eq!(load().unwrap().get("become").unwrap().values, ["true"]);
        std::fs::write(folder.path().join("work/cronium.toml"), text).unwrap();
        let told = load().unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "");
        insta::assert_snapshot!(told, @r"
        error: /work/cronium.toml:3: the file of a project cannot set become
        caused by: it is not theirs

        hint: --become VALUE  sets it for one call
        hint: or set it in /home/config.toml, for all projects
        ");
    }
}
