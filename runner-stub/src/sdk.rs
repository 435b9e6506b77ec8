//! The helpers of each language: the files of `helpers/`, carried in the stub and put on the host
//! once.
//!
//! `~/.cache/cronium-run/sdk/<digest>/` holds them for python (`PYTHONPATH`), node (`NODE_PATH`,
//! `--require`, `node_modules`) and shells (`. cronium.sh` finds it on PATH).

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cronium_wire::manifest::Interpreter;
use flate2::{Decompress, FlushDecompress};

use crate::environment::Environment;
use crate::fnv::{BASIS, fnv};
use crate::run_folder::{RunFolder, private_all, random_word, remove_all, xdg};

const SHELL: &str = "cronium.sh";
const PYTHON: &str = "cronium.py";
const NODE: &str = "node_modules/cronium/index.js";

/// A file of `helpers/`: its name below the folder, its bytes and their digest.
struct File {
    name: &'static str,
    length: usize,
    digest: u64,
}

// `FILES` and `DIGEST`, by build.rs.
include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// The contents of [`FILES`], one behind the other.
const CONTENTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sdk.deflate"));

/// As many versions of the helpers stay in the cache.
const VERSIONS: usize = 8;

/// The helpers of each language, on the host.
pub struct Sdk {
    folder: PathBuf,
}

impl Sdk {
    /// Puts them into the cache where they are not yet, and what a script of this kind needs into its
    /// run folder. Where the cache cannot be written to, all goes into the run folder.
    pub fn install(run: &RunFolder, interpreter: &Interpreter) -> io::Result<Self> {
        let folder = match cached(interpreter) {
            Ok(folder) => folder,
            Err(_) => {
                let folder = run.path().join("sdk");
                write(&folder)?;
                folder
            }
        };
        // The run's `bin` is on PATH, where a shell looks for `. cronium.sh`.
        symlink(folder.join(SHELL), run.bin().join(SHELL))?;
        if *interpreter == Interpreter::Node {
            // `import` looks in the folders above the script's, and nowhere else.
            symlink(folder.join("node_modules"), run.path().join("node_modules"))?;
        }
        Ok(Self { folder })
    }

    /// What makes the languages find their helpers; what `all` says already stays.
    pub fn environment(&self, interpreter: &Interpreter, all: &mut Environment) {
        for (name, folder) in
            [("PYTHONPATH", self.folder.clone()), ("NODE_PATH", self.folder.join("node_modules"))]
        {
            let mut path = folder.into_os_string();
            if let Some(given) = all.get(name).filter(|given| !given.is_empty()) {
                path.push(":");
                path.push(given);
            }
            all.set(name, path);
        }
        if *interpreter == Interpreter::Bash && all.get("BASH_ENV").is_none() {
            all.set("BASH_ENV", self.folder.join(SHELL));
        }
    }

    /// The interpreter's arguments in front of the entrypoint: node gets its global `cronium`.
    pub fn arguments(&self, interpreter: &Interpreter) -> Vec<OsString> {
        match interpreter {
            Interpreter::Node => vec!["--require".into(), self.folder.join(NODE).into()],
            _ => Vec::new(),
        }
    }
}

/// The cache's folder, written anew where it is missing or what the script begins with is damaged.
fn cached(interpreter: &Interpreter) -> io::Result<PathBuf> {
    let versions = xdg("XDG_CACHE_HOME", ".cache").join("sdk");
    let folder = versions.join(format!("{DIGEST:016x}"));
    if is_whole(&folder, interpreter) {
        return Ok(folder);
    }
    private_all(&versions)?;
    if folder.exists() {
        return write(&folder).map(|()| folder);
    }
    let part = versions.join(format!(".{}", random_word()?));
    write(&part).and_then(|()| fs::rename(&part, &folder)).or_else(|error| {
        let _ = remove_all(&part);
        // Another run was faster.
        if is_whole(&folder, interpreter) { Ok(()) } else { Err(error) }
    })?;
    forget(&versions, &folder);
    Ok(folder)
}

/// The folder appears with all its files at once, so one of them stands for the others: read where
/// the script begins with it, else looked at.
fn is_whole(folder: &Path, interpreter: &Interpreter) -> bool {
    let (name, is_read) = match interpreter {
        Interpreter::Python => (PYTHON, true),
        Interpreter::Node => (NODE, true),
        Interpreter::Bash => (SHELL, true),
        _ => (SHELL, false),
    };
    let path = folder.join(name);
    FILES.iter().filter(|file| file.name == name).all(|file| {
        if is_read {
            fs::read(&path).is_ok_and(|found| found.len() == file.length && fnv(BASIS, &found) == file.digest)
        } else {
            fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() == file.length as u64)
        }
    })
}

/// Each file appears whole: a run beside us may read there.
fn write(folder: &Path) -> io::Result<()> {
    private_all(&folder.join(NODE).with_file_name(""))?;
    let mut contents = vec![0; FILES.iter().map(|file| file.length).sum()];
    Decompress::new(false).decompress(CONTENTS, &mut contents, FlushDecompress::Finish)?;
    let mut rest = &contents[..];
    for file in &FILES {
        let (content, behind) = rest.split_at(file.length);
        rest = behind;
        let part = folder.join(format!(".{}", random_word()?));
        fs::write(&part, content).and_then(|()| fs::rename(&part, folder.join(file.name))).inspect_err(
            |_| {
                let _ = fs::remove_file(&part);
            },
        )?;
    }
    Ok(())
}

/// Removes the oldest versions, and what a stub that was killed left half written.
fn forget(versions: &Path, own: &Path) {
    let others = || {
        let entries = fs::read_dir(versions).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path != own)
    };
    for _ in VERSIONS..others().count() + 1 {
        let age = |path: &PathBuf| path.metadata().and_then(|meta| meta.modified()).ok();
        let _ = others().min_by_key(age).map(|oldest| remove_all(&oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_folder::private;

    fn folder() -> PathBuf {
        let path = std::env::temp_dir().join(random_word().unwrap());
        private(&path).unwrap();
        path
    }

    #[test]
    fn all_together_are_small() {
        let bytes: usize = FILES.iter().map(|file| file.length).sum();
        assert!(bytes <= 25_000 && CONTENTS.len() <= 10_000, "{bytes} bytes, {} compressed", CONTENTS.len());
    }

    #[test]
    fn damage_is_seen_and_mended() {
        let root = folder();
        let folder = root.join("sdk");
        write(&folder).unwrap();
        for (interpreter, file) in [
            (Interpreter::Python, PYTHON),
            (Interpreter::Node, NODE),
            (Interpreter::Bash, SHELL),
            (Interpreter::Sh, SHELL),
        ] {
            assert!(is_whole(&folder, &interpreter));
            fs::write(folder.join(file), "short").unwrap();
            assert!(!is_whole(&folder, &interpreter), "{file}");
            fs::remove_file(folder.join(file)).unwrap();
            assert!(!is_whole(&folder, &interpreter), "{file}");
            write(&folder).unwrap();
            assert!(is_whole(&folder, &interpreter), "{file}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn few_versions_stay() {
        let root = folder();
        let own = root.join("own");
        private(&own).unwrap();
        for number in 0..VERSIONS + 3 {
            private(&root.join(format!("v{number:02}"))).unwrap();
            let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            fs::File::open(root.join(format!("v{number:02}"))).unwrap().set_modified(at).unwrap();
        }
        forget(&root, &own);
        let left = fs::read_dir(&root).unwrap().count();
        assert_eq!(left, VERSIONS);
        assert!(own.exists() && !root.join("v00").exists() && root.join("v10").exists());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_the_manifest_sets_stays() {
        let sdk = Sdk { folder: "/sdk".into() };
        let text =
            |all: &Environment, name: &str| all.get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut all = Environment::default();
        sdk.environment(&Interpreter::Bash, &mut all);
        assert_eq!(text(&all, "PYTHONPATH").as_deref(), Some("/sdk"));
        assert_eq!(text(&all, "NODE_PATH").as_deref(), Some("/sdk/node_modules"));
        assert_eq!(text(&all, "BASH_ENV").as_deref(), Some("/sdk/cronium.sh"));

        let mut all = Environment::default();
        all.set("PYTHONPATH", "lib");
        all.set("BASH_ENV", "own");
        sdk.environment(&Interpreter::Bash, &mut all);
        assert_eq!(text(&all, "PYTHONPATH").as_deref(), Some("/sdk:lib"));
        assert_eq!(text(&all, "BASH_ENV").as_deref(), Some("own"));

        let mut all = Environment::default();
        sdk.environment(&Interpreter::Python, &mut all);
        assert_eq!(text(&all, "BASH_ENV"), None);
    }
}
