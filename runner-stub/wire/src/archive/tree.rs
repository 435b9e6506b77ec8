//! What an archive's entries add up to, as a model: what may stand where, and where links lead.

use std::collections::BTreeMap;

use super::{ArchiveError, Entry, EntryKind, Fault, MAX_ENTRIES};

/// As Linux: more links in one path are a loop.
const MAX_LINKS: usize = 40;

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Only implied by what lies in it; it may still be listed.
    ImpliedFolder,
    Folder,
    File,
    Symlink(String),
}

/// Files, folders and links by their path.
#[derive(Debug, Default)]
pub struct Tree {
    places: BTreeMap<String, Place>,
    entries: usize,
    implied: usize,
}

/// Where a path ends when its links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    File,
    Folder,
    Nothing,
}

impl Tree {
    /// Adds an entry, which may neither replace another nor lie beneath a file or a link.
    pub fn add(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(ArchiveError::TooManyEntries);
        }
        self.place(entry).map_err(|fault| ArchiveError::Entry { entry: entry.path.clone(), fault })?;
        // An archive of deep paths implies many folders for each of its entries.
        if self.implied > MAX_ENTRIES { Err(ArchiveError::TooManyEntries) } else { Ok(()) }
    }

    fn place(&mut self, entry: &Entry) -> Result<(), Fault> {
        for (at, _) in entry.path.match_indices('/') {
            let parent = &entry.path[..at];
            match self.places.get(parent) {
                Some(Place::Folder | Place::ImpliedFolder) => {}
                Some(Place::File) => return Err(Fault::BeneathFile),
                Some(Place::Symlink(_)) => return Err(Fault::BeneathLink),
                None => {
                    self.implied += 1;
                    self.places.insert(parent.to_owned(), Place::ImpliedFolder);
                }
            }
        }
        let place = match &entry.kind {
            EntryKind::File => Place::File,
            EntryKind::Folder => Place::Folder,
            EntryKind::Symlink { target } => Place::Symlink(target.clone()),
            EntryKind::Hardlink { target } => match self.places.get(target) {
                Some(Place::File) => Place::File,
                _ => return Err(Fault::LinkToNoFile { target: target.clone() }),
            },
        };
        match self.places.get(&entry.path) {
            None => {}
            Some(Place::ImpliedFolder) if place == Place::Folder => self.implied -= 1,
            Some(_) => return Err(Fault::Duplicate),
        }
        self.places.insert(entry.path.clone(), place);
        Ok(())
    }

    /// Whether every link stays inside. To be asked when all entries are known: where a link
    /// leads depends on the links in its way.
    pub fn check_links(&self) -> Result<(), ArchiveError> {
        for (path, place) in &self.places {
            let Place::Symlink(target) = place else { continue };
            self.find(path).map_err(|fault| ArchiveError::Entry {
                entry: path.clone(),
                fault: match fault {
                    Fault::LinkLeaves { .. } => Fault::LinkLeaves { target: target.clone() },
                    other => other,
                },
            })?;
        }
        Ok(())
    }

    /// Follows a path as the kernel would.
    pub fn find(&self, path: &str) -> Result<Found, Fault> {
        let mut links = 0;
        let mut here: Vec<&str> = Vec::new();
        let mut todo: Vec<&str> = path.rsplit('/').collect();
        while let Some(part) = todo.pop() {
            match part {
                "" | "." => continue,
                ".." if here.pop().is_some() => continue,
                ".." => return Err(Fault::LinkLeaves { target: path.to_owned() }),
                _ => here.push(part),
            }
            if let Some(Place::Symlink(target)) = self.places.get(&here.join("/")) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Fault::LinkLoops);
                }
                if target.starts_with('/') {
                    return Err(Fault::LinkLeaves { target: target.clone() });
                }
                here.pop();
                todo.extend(target.rsplit('/'));
            }
        }
        Ok(match self.places.get(&here.join("/")) {
            Some(Place::File) => Found::File,
            Some(_) => Found::Folder,
            None if here.is_empty() => Found::Folder,
            None => Found::Nothing,
        })
    }
}
