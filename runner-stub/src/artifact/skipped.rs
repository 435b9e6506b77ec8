//! Files that are not sent: one sentence for each reason, however many they are.

use cronium_wire::manifest::Artifacts;

use super::sorted::{Root, Sorted};

/// How many are named.
const NAMED: usize = 3;
/// Of a path, in characters: what is longer is cut.
const SHOWN: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    TooLarge,
    TooMany,
    Symlink,
    /// A device, a FIFO or a socket.
    Special,
    /// Not UTF-8, with control characters, too long or too deep.
    Name,
    Unreadable,
    /// A file of `$CRONIUM_OUT` is in its way.
    Taken,
    Stopped,
    /// The host's disk takes no more.
    NoRoom,
}

impl Why {
    fn reason(self, artifacts: &Artifacts) -> String {
        match self {
            Self::TooLarge => {
                format!("over {} bytes; raise artifacts.max_bytes in manifest.yaml", artifacts.max_bytes)
            }
            Self::TooMany => {
                format!("over {} files; raise artifacts.max_files in manifest.yaml", artifacts.max_files)
            }
            Self::Symlink => "symlinks are not followed".into(),
            Self::Special => "not a regular file".into(),
            Self::Name => "not a name that every system takes".into(),
            Self::Unreadable => "cannot be read".into(),
            Self::Taken => "a file of $CRONIUM_OUT is in its place".into(),
            Self::Stopped => "the run was cancelled".into(),
            Self::NoRoom => "the host has no room to keep it until it is fetched".into(),
        }
    }
}

impl Why {
    const ALL: [Self; 9] = [
        Self::TooLarge,
        Self::TooMany,
        Self::Symlink,
        Self::Special,
        Self::Name,
        Self::Unreadable,
        Self::Taken,
        Self::Stopped,
        Self::NoRoom,
    ];
}

#[derive(Default)]
pub struct Skipped([Group; Why::ALL.len()]);

/// How many, and the first of them by path.
#[derive(Default)]
struct Group {
    count: usize,
    first: Sorted,
}

impl Skipped {
    pub fn add(&mut self, why: Why, path: &str) {
        let group = &mut self.0[why as usize];
        group.count += 1;
        group.first.insert(path.to_owned(), Root::Out, NAMED);
    }

    pub fn warnings(&self, artifacts: &Artifacts) -> Vec<String> {
        let mut warnings = Vec::new();
        for (why, group) in Why::ALL.into_iter().zip(&self.0).filter(|(_, group)| group.count > 0) {
            let names = list(&mut group.first.paths(), group.count);
            warnings.push(format!("not fetched: {names}: {}", why.reason(artifacts)));
        }
        warnings
    }
}

/// The first few names of `count`. Whatever a name holds, it stays one short line.
pub fn list(names: &mut dyn Iterator<Item = &str>, count: usize) -> String {
    let mut text = String::new();
    for name in names.take(NAMED) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.extend(name.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }));
        if name.chars().nth(SHOWN).is_some() {
            text.push('…');
        }
    }
    match count.saturating_sub(NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
