//! What `init` writes: the folders of `payloads/init`, carried in the program.

use std::fs;
use std::path::{Path, PathBuf};

use super::file;
use crate::error::{Error, OrFail as _, Result};

/// A payload to start from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    #[default]
    Bash,
    Python,
    Node,
}

struct TemplateFile {
    name: &'static str,
    content: &'static str,
    executable: bool,
}

macro_rules! template {
    ($folder:literal, $entrypoint:literal) => {
        [
            TemplateFile {
                name: "manifest.yaml",
                content: include_str!(concat!("../../payloads/init/", $folder, "/manifest.yaml")),
                executable: false,
            },
            TemplateFile {
                name: $entrypoint,
                content: include_str!(concat!("../../payloads/init/", $folder, "/", $entrypoint)),
                executable: true,
            },
            TemplateFile {
                name: ".croniumignore",
                content: include_str!(concat!("../../payloads/init/", $folder, "/.croniumignore")),
                executable: false,
            },
        ]
    };
}

impl Template {
    fn files(self) -> [TemplateFile; 3] {
        match self {
            Self::Bash => template!("bash", "run.sh"),
            Self::Python => template!("python", "main.py"),
            Self::Node => template!("node", "main.js"),
        }
    }

    /// Writes the template into a folder, made where it is not there. Gives the files written; no
    /// file is ever replaced.
    pub fn write(self, folder: &Path) -> Result<Vec<PathBuf>> {
        let files = self.files();
        let taken = |path: &Path| {
            Error::usage(format!("{} is already there", path.display()))
                .hint(format!("cronium-run init {}-2", folder.display()))
        };
        let paths = files.each_ref().map(|file| folder.join(file.name));
        if let Some(path) = paths.iter().find(|path| path.exists()) {
            return Err(taken(path));
        }
        fs::create_dir_all(folder).or_fail(|| format!("cannot make {}", folder.display()))?;
        for (TemplateFile { content, executable, .. }, path) in files.into_iter().zip(&paths) {
            let mode = if executable { 0o755 } else { 0o644 };
            if !file::create(path, content.as_bytes(), mode)? {
                return Err(taken(path));
            }
        }
        Ok(paths.into())
    }
}
