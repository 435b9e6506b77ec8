//! Paths in order, in a list: they are few, and a tree for them would be most of this module's code.

use std::io;

use super::inside::Inside;
use crate::run_folder::{OUT, RunFolder, WORK};

/// The folder a file lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    Out,
    Work,
}

impl Root {
    pub fn dir(self, folder: &RunFolder) -> io::Result<Inside> {
        let name = match self {
            Self::Out => OUT,
            Self::Work => WORK,
        };
        Inside::open(folder.path())?.folder(name)
    }
}

/// Each path once.
#[derive(Debug, Default)]
pub struct Sorted(Vec<(String, Root)>);

impl Sorted {
    /// Keeps the first `most` paths and gives back what is beyond them.
    pub fn insert(&mut self, path: String, root: Root, most: usize) -> Option<String> {
        let at = self.place(&path);
        self.0.insert(at, (path, root));
        if self.0.len() > most { self.0.pop().map(|(path, _)| path) } else { None }
    }

    /// Whether a file is there, lies beneath it, or it beneath a file.
    pub fn is_taken(&self, path: &str) -> bool {
        let has = |path: &str| self.0.get(self.place(path)).is_some_and(|(found, _)| found == path);
        let beneath = format!("{path}/");
        has(path)
            || path.match_indices('/').any(|(at, _)| has(&path[..at]))
            || self.0.get(self.place(&beneath)).is_some_and(|(next, _)| next.starts_with(&beneath))
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _)| path.as_str())
    }

    pub fn take(&mut self) -> Vec<(String, Root)> {
        std::mem::take(&mut self.0)
    }

    fn place(&self, path: &str) -> usize {
        self.0.partition_point(|(found, _)| found.as_str() < path)
    }
}
