//! Files that are not sent: one sentence for each reason, however many they are.

use std::collections::{BTreeMap, BTreeSet};

use cronium_wire::manifest::Artifacts;

/// How many are named.
const NAMED: usize = 3;
/// Of a path, in characters: what is longer is cut.
const SHOWN: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
        }
    }
}

#[derive(Default)]
pub struct Skipped(BTreeMap<Why, Group>);

/// How many, and the first of them by path.
#[derive(Default)]
struct Group {
    count: usize,
    first: BTreeSet<String>,
}

impl Skipped {
    pub fn add(&mut self, why: Why, path: &str) {
        let some = self.0.entry(why).or_default();
        some.count += 1;
        some.first.insert(path.to_owned());
        if some.first.len() > NAMED {
            some.first.pop_last();
        }
    }

    pub fn warnings(&self, artifacts: &Artifacts) -> Vec<String> {
        let warning = |(why, some): (&Why, &Group)| {
            let names = list(&mut some.first.iter().map(String::as_str), some.count);
            format!("not fetched: {names}: {}", why.reason(artifacts))
        };
        self.0.iter().map(warning).collect()
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
