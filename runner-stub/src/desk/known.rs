//! What is known on this host of the operator's variables: the job's snapshot and everything the
//! script has read and written since.

use cronium_wire::manifest::HelperAccess;
use cronium_wire::message::Snapshot;
use serde_json::Value;

/// Text of values kept at most; of what does not fit nothing is known.
const MAX_BYTES: usize = 16 << 20;

/// A key's value in one scope.
#[derive(Debug, Clone, PartialEq)]
pub enum Level {
    Unknown,
    /// With the last version it had, as far as that is known; else 0.
    Absent(u64),
    Is(Held),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// JSON text: parsed it would take up to 40 times the memory.
    pub text: String,
    pub version: u64,
    /// The write in our journal that made this version, where it was not the operator who named it.
    pub made_by: Option<String>,
}

impl Held {
    pub fn value(&self) -> Value {
        serde_json::from_slice(self.text.as_bytes()).expect("it was written from a value")
    }
}

pub struct Known {
    /// By key, one level a scope: a list finds them as fast as a tree and is less code.
    keys: Vec<(String, Vec<Level>)>,
    /// Whether a key that may be read and does not stand here has no value in any scope.
    is_complete: bool,
    bytes: usize,
    /// Those in sight, nearest first: `run:ID`, `host:NAME`, `group:NAME`, `project:NAME`, `global`.
    scopes: Vec<String>,
    helpers: HelperAccess,
}

impl Known {
    pub fn new(snapshot: Snapshot, scopes: &[String], helpers: HelperAccess) -> Self {
        let mut known = Self {
            keys: Vec::new(),
            is_complete: snapshot.complete,
            bytes: 0,
            scopes: scopes.to_vec(),
            helpers,
        };
        for variable in snapshot.variables {
            known.found(&variable.key, None, &variable.value, variable.version, &variable.scope);
        }
        known
    }

    /// Which level a scope of this kind is (`run`, `host` and so on), if there is one.
    pub fn level(&self, kind: &str) -> Option<usize> {
        self.scopes.iter().position(|scope| kind_of(scope) == kind)
    }

    /// Which level a scope is by its whole name, as the operator's answers have it.
    pub fn level_of(&self, scope: &Value) -> Option<usize> {
        self.scopes.iter().position(|known| scope == known.as_str())
    }

    pub fn scope(&self, level: usize) -> &str {
        &self.scopes[level]
    }

    /// Where a key stands: at `level`, else at the nearest that has it.
    pub fn get(&self, key: &str, level: Option<usize>) -> (usize, Level) {
        let mut levels = self.levels(key);
        let at = level.or_else(|| levels.iter().position(|level| !matches!(level, Level::Absent(_))));
        let at = at.unwrap_or(levels.len() - 1);
        (at, levels.swap_remove(at))
    }

    /// The level that a write without a scope goes to: the nearest that has the key, else the widest.
    pub fn target(&self, key: &str) -> usize {
        let nearest = self.levels(key).iter().position(|level| matches!(level, Level::Is(_)));
        nearest.unwrap_or(self.scopes.len() - 1)
    }

    /// The operator has said that the key has this value in `scope`, asked for `level` or, without
    /// one, for the nearest. An answer that has been overtaken changes nothing.
    pub fn found(&mut self, key: &str, asked: Option<usize>, value: &Value, version: u64, scope: &str) {
        let Some(level) = self.scopes.iter().position(|known| known == scope) else { return };
        if matches!(self.get(key, Some(level)), (_, Level::Is(held)) if held.version > version) {
            return;
        }
        if asked.is_none() {
            // What the nearest hides was not told.
            if self.place(key).is_err() {
                (level + 1..self.scopes.len()).for_each(|wider| self.set(key, wider, Level::Unknown));
            }
            (0..level).for_each(|nearer| self.set(key, nearer, Level::Absent(0)));
        }
        self.set(key, level, Level::Is(Held { text: value.to_string(), version, made_by: None }));
    }

    /// The operator has said that there is no such key.
    pub fn missing(&mut self, key: &str, asked: Option<usize>) {
        match asked {
            Some(level) => self.set(key, level, Level::Absent(0)),
            None => (0..self.scopes.len()).for_each(|level| self.set(key, level, Level::Absent(0))),
        }
    }

    /// The script has written here. `nearest`: it named no scope, so that what it reads next must
    /// be this.
    pub fn wrote(&mut self, key: &str, level: usize, now: Level, nearest: bool) {
        if nearest {
            for nearer in 0..level {
                if self.get(key, Some(nearer)).1 == Level::Unknown {
                    self.set(key, nearer, Level::Absent(0));
                }
            }
        }
        self.set(key, level, now);
    }

    /// Every key that has a value, at `level` or else where it is nearest, by key; `None` where
    /// there may be others.
    pub fn list(&self, level: Option<usize>) -> Option<Vec<(&str, usize, u64)>> {
        let mut listed = Vec::new();
        for (key, levels) in &self.keys {
            let nearest = levels.iter().position(|level| !matches!(level, Level::Absent(_)));
            let Some(at) = level.or(nearest) else { continue };
            match &levels[at] {
                Level::Is(held) => listed.push((key.as_str(), at, held.version)),
                Level::Absent(_) => {}
                Level::Unknown => return None,
            }
        }
        self.is_complete.then_some(listed)
    }

    fn levels(&self, key: &str) -> Vec<Level> {
        match self.place(key) {
            Ok(at) => self.keys[at].1.clone(),
            Err(_) => {
                let is_sure = self.is_complete && self.helpers.may_read(key);
                vec![if is_sure { Level::Absent(0) } else { Level::Unknown }; self.scopes.len()]
            }
        }
    }

    /// Where the key stands, or where it belongs.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.keys.binary_search_by(|(known, _)| known.as_str().cmp(key))
    }

    fn set(&mut self, key: &str, level: usize, to: Level) {
        let size = |level: &Level| match level {
            Level::Is(held) => held.text.len(),
            _ => 0,
        };
        let at = self.place(key).unwrap_or_else(|at| {
            self.keys.insert(at, (key.to_owned(), self.levels(key)));
            at
        });
        let stands = &mut self.keys[at].1[level];
        let bytes = self.bytes - size(stands) + size(&to);
        (*stands, self.bytes) = match bytes {
            ..=MAX_BYTES => (to, bytes),
            _ => (Level::Unknown, bytes - size(&to)),
        };
    }
}

fn kind_of(scope: &str) -> &str {
    scope.split(':').next().unwrap_or(scope)
}

#[cfg(test)]
mod tests {
    use cronium_wire::message::SnapshotVariable;
    use serde_json::json;

    use super::*;

    const SCOPES: [&str; 5] = ["run:R", "host:web1", "group:a", "group:b", "global"];

    fn known(complete: bool) -> Known {
        let variable = |key: &str, value: Value, scope: &str| SnapshotVariable {
            key: key.into(),
            value,
            version: 3,
            scope: scope.into(),
        };
        let variables = vec![variable("wide", json!(1), "global"), variable("near", json!("x"), "host:web1")];
        Known::new(Snapshot { variables, complete }, &SCOPES.map(str::to_owned), HelperAccess::default())
    }

    fn value(level: &Level) -> Value {
        match level {
            Level::Is(held) => held.value(),
            Level::Absent(_) => json!("absent"),
            Level::Unknown => json!("unknown"),
        }
    }

    fn get(known: &Known, key: &str, kind: &str) -> Value {
        let level = (!kind.is_empty()).then(|| known.level(kind).unwrap());
        value(&known.get(key, level).1)
    }

    #[test]
    fn where_keys_stand() {
        for (complete, key, kind, want) in [
            (true, "wide", "", json!(1)),
            (true, "near", "", json!("x")),
            (true, "near", "host", json!("x")),
            (true, "near", "run", json!("absent")),
            // The snapshot has only the nearest of each.
            (true, "near", "global", json!("unknown")),
            (true, "none", "", json!("absent")),
            (true, "none", "global", json!("absent")),
            (false, "none", "", json!("unknown")),
            (false, "none", "run", json!("unknown")),
            (false, "wide", "", json!(1)),
        ] {
            assert_eq!(get(&known(complete), key, kind), want, "{key} {kind}");
        }
        assert_eq!(known(true).level("project"), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let is = |value: Value| Level::Is(Held { text: value.to_string(), version: 1, made_by: None });
        let mut known = known(false);
        let target = known.target("none");
        known.wrote("none", target, is(json!(5)), true);
        assert_eq!(get(&known, "none", ""), json!(5));
        known.wrote("none", target, Level::Absent(1), true);
        assert_eq!(get(&known, "none", ""), json!("absent"));
        assert_eq!(known.target("near"), 1);
        known.wrote("near", 4, is(json!("wide")), false);
        assert_eq!(get(&known, "near", ""), json!("x"), "the nearer one hides it");
        known.wrote("near", 1, Level::Absent(3), true);
        assert_eq!(get(&known, "near", ""), json!("unknown"), "there may be one of a group");
    }

    #[test]
    fn an_answer_that_was_overtaken_changes_nothing() {
        let mut known = known(true);
        known.found("wide", None, &json!(6), 6, "global");
        known.found("wide", None, &json!(5), 5, "global");
        assert_eq!(get(&known, "wide", ""), json!(6));
        assert_eq!(known.list(None).unwrap(), [("near", 1, 3), ("wide", 4, 6)]);
        assert_eq!(known.list(Some(4)), None, "what 'near' hides is not known");
    }

    #[test]
    fn what_does_not_fit_is_unknown_not_old() {
        let mut known = known(true);
        let large = json!("x".repeat(MAX_BYTES));
        known.found("wide", None, &large, 4, "global");
        assert_eq!(get(&known, "wide", ""), json!("unknown"));
        known.found("wide", None, &json!(2), 5, "global");
        assert_eq!(get(&known, "wide", ""), json!(2));
    }
}
