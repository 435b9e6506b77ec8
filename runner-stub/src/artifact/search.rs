//! Which files are to be sent.

use std::io;

use cronium_wire::archive::clean_name;
use cronium_wire::manifest::{Artifacts, glob};
use rustix::fs::FileType;

use super::inside::Inside;
use super::skipped::{Skipped, Why, list};
use super::sorted::{Root, Sorted};
use crate::run_folder::RunFolder;

pub struct Search<'a> {
    artifacts: &'a Artifacts,
    /// By their path below the root: no more than `max_files`, those that come first.
    pub files: Sorted,
    pub skipped: Skipped,
    /// For each pattern of `outputs`, whether anything matches it.
    matched: Vec<bool>,
}

impl<'a> Search<'a> {
    pub fn new(artifacts: &'a Artifacts) -> Self {
        let matched = vec![false; artifacts.outputs.len()];
        Self { artifacts, files: Sorted::default(), skipped: Skipped::default(), matched }
    }

    pub fn run(&mut self, folder: &RunFolder) {
        // First, so that its files win.
        let roots: &[Root] =
            if self.artifacts.outputs.is_empty() { &[Root::Out] } else { &[Root::Out, Root::Work] };
        for root in roots {
            match root.dir(folder).and_then(|dir| self.folder(*root, &dir, "")) {
                // A script may remove what it does not need.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) if *root == Root::Out => self.skipped.add(Why::Unreadable, "$CRONIUM_OUT"),
                Err(_) => self.skipped.add(Why::Unreadable, "$CRONIUM_WORK_DIR"),
                Ok(()) => {}
            }
        }
    }

    /// What is said when all has been sent.
    pub fn warnings(self) -> Vec<String> {
        let mut warnings = self.skipped.warnings(self.artifacts);
        let patterns = self.artifacts.outputs.iter().zip(&self.matched);
        let unmatched: Vec<&str> =
            patterns.filter(|(_, matched)| !**matched).map(|(pattern, _)| pattern.as_str()).collect();
        if !unmatched.is_empty() {
            let names = list(&mut unmatched.iter().copied(), unmatched.len());
            warnings.push(format!("nothing matches artifacts.outputs: {names}"));
        }
        warnings
    }

    /// `prefix` is the folder's path below the root, with a last `/`, or empty. Goes no deeper than
    /// [`clean_name`] allows.
    fn folder(&mut self, root: Root, dir: &Inside, prefix: &str) -> io::Result<()> {
        let mut entries = dir.entries()?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = format!("{prefix}{}", name.to_string_lossy());
            let is_clean = name.to_str().is_ok() && clean_name(path.as_bytes()) == Ok(Some(path.clone()));
            // Some file systems do not say it here.
            let kind = match entry.file_type() {
                FileType::Unknown => dir.look(name).map_or(FileType::Unknown, |(kind, _)| kind),
                kind => kind,
            };
            match kind {
                FileType::Directory if is_clean => {
                    let inner = dir.folder(&path[prefix.len()..]);
                    if inner.and_then(|inner| self.folder(root, &inner, &format!("{path}/"))).is_err() {
                        self.skipped.add(Why::Unreadable, &path);
                    }
                }
                _ if !self.wants(root, &path) => {}
                _ if !is_clean => self.skipped.add(Why::Name, &path),
                FileType::RegularFile => match dir.look(name) {
                    Ok((_, size)) => self.file(root, path, size),
                    Err(_) => self.skipped.add(Why::Unreadable, &path),
                },
                FileType::Symlink => self.skipped.add(Why::Symlink, &path),
                FileType::Unknown => self.skipped.add(Why::Unreadable, &path),
                _ => self.skipped.add(Why::Special, &path),
            }
        }
        Ok(())
    }

    fn wants(&mut self, root: Root, path: &str) -> bool {
        if root == Root::Out {
            return true;
        }
        let mut wanted = false;
        for (pattern, matched) in self.artifacts.outputs.iter().zip(&mut self.matched) {
            if glob::matches(pattern, path) {
                (wanted, *matched) = (true, true);
            }
        }
        wanted
    }

    fn file(&mut self, root: Root, path: String, size: u64) {
        if size > self.artifacts.max_bytes {
            return self.skipped.add(Why::TooLarge, &path);
        }
        if self.files.is_taken(&path) {
            return self.skipped.add(Why::Taken, &path);
        }
        if let Some(path) = self.files.insert(path, root, self.artifacts.max_files) {
            self.skipped.add(Why::TooMany, &path);
        }
    }
}
