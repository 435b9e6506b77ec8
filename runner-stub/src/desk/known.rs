//! What is known on this host of the operator's variables: the job's snapshot and everything the
//! script has read and written since.

use cronium_wire::manifest::Helpers;
use cronium_wire::message::Job;
use serde_json::Value;

use crate::helper_call::Scope;

/// Text of values kept at most; of what does not fit nothing is known.
const MAX_BYTES: usize = 16 << 20;

/// From the nearest scope to the widest: run, host, group, project, global.
const LEVELS: usize = 5;
const NAMES: [&str; LEVELS] = ["run", "host", "group", "project", "global"];

/// Where a variable without any value is written.
const WIDEST: usize = LEVELS - 1;

/// A key's value at one level.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Level {
    #[default]
    Unknown,
    Absent,
    Is(Held),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// JSON text: parsed it would take up to 40 times the memory.
    pub text: String,
    pub version: u64,
    /// As the operator names it: `host:web1`, `global`.
    pub scope: String,
}

impl Held {
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).expect("it was written from a value")
    }
}

pub struct Known {
    /// By key: a list finds them as fast as a tree and is less code. Each in a box, so that little
    /// moves where one is put in.
    keys: Vec<(String, Box<[Level; LEVELS]>)>,
    /// Whether a key that may be read and does not stand here has no value at any level.
    is_complete: bool,
    bytes: usize,
    run: String,
    host: String,
    helpers: Helpers,
}

impl Known {
    pub fn new(job: &Job, helpers: Helpers) -> Self {
        let mut known = Self {
            keys: Vec::new(),
            is_complete: job.snapshot.complete,
            bytes: 0,
            run: job.run.clone(),
            host: job.host.clone(),
            helpers,
        };
        for variable in &job.snapshot.variables {
            known.found(&variable.key, None, &variable.value, variable.version, &variable.scope);
        }
        known
    }

    /// Where a key stands: at the level of `scope`, else at the nearest that has it.
    pub fn get(&self, key: &str, scope: Option<Scope>) -> Level {
        let levels = self.levels(key);
        match scope {
            Some(scope) => levels[level(scope)].clone(),
            None => levels.into_iter().find(|level| *level != Level::Absent).unwrap_or(Level::Absent),
        }
    }

    /// The level that a write goes to: that of `scope`, else the nearest that has the key, else the
    /// widest.
    pub fn target(&self, key: &str, scope: Option<Scope>) -> usize {
        let nearest = || self.levels(key).iter().position(|level| matches!(level, Level::Is(_)));
        scope.map(level).or_else(nearest).unwrap_or(WIDEST)
    }

    pub fn at(&self, key: &str, level: usize) -> Level {
        self.levels(key)[level].clone()
    }

    /// The operator's name of a level, as far as it is known here.
    pub fn scope_name(&self, level: usize) -> String {
        match level {
            0 => format!("run:{}", self.run),
            1 => format!("host:{}", self.host),
            level => NAMES[level].to_owned(),
        }
    }

    /// The operator has said that the key has this value, asked for `scope` or, without one, for
    /// the nearest.
    pub fn found(&mut self, key: &str, asked: Option<Scope>, value: &Value, version: u64, scope: &str) {
        let kind = scope.split(':').next().unwrap_or(scope);
        let Some(level) = NAMES.iter().position(|name| *name == kind) else { return };
        if asked.is_none() {
            (0..level).for_each(|nearer| self.set(key, nearer, Level::Absent));
        }
        let held = Held { text: value.to_string(), version, scope: scope.into() };
        self.set(key, level, Level::Is(held));
    }

    /// The operator has said that there is no such key.
    pub fn missing(&mut self, key: &str, asked: Option<Scope>) {
        match asked {
            Some(scope) => self.set(key, level(scope), Level::Absent),
            None => (0..LEVELS).for_each(|level| self.set(key, level, Level::Absent)),
        }
    }

    /// The script has written here. `nearest`: it named no scope, so that what it reads next must
    /// be this.
    pub fn wrote(&mut self, key: &str, level: usize, now: Level, nearest: bool) {
        if nearest {
            for nearer in 0..level {
                if self.at(key, nearer) == Level::Unknown {
                    self.set(key, nearer, Level::Absent);
                }
            }
        }
        self.set(key, level, now);
    }

    /// Every key that is known to have a value, where it is nearest, by key.
    pub fn list(&self) -> Vec<(&str, &Held)> {
        let nearest = |levels: &'_ [Level; LEVELS]| levels.iter().position(|level| *level != Level::Absent);
        let known = self.keys.iter().filter_map(|(key, levels)| match &levels[nearest(levels)?] {
            Level::Is(held) => Some((key.as_str(), held)),
            _ => None,
        });
        known.collect()
    }

    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn levels(&self, key: &str) -> [Level; LEVELS] {
        match self.place(key) {
            Ok(at) => (*self.keys[at].1).clone(),
            Err(_) => {
                let is_sure = self.is_complete && self.helpers.may_read(key);
                let absent = if is_sure { Level::Absent } else { Level::Unknown };
                std::array::from_fn(|_| absent.clone())
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
        let mut levels = self.levels(key);
        let bytes = self.bytes - size(&levels[level]) + size(&to);
        (levels[level], self.bytes) = match bytes {
            ..=MAX_BYTES => (to, bytes),
            _ => (Level::Unknown, bytes - size(&to)),
        };
        match self.place(key) {
            Ok(at) => *self.keys[at].1 = levels,
            Err(at) => self.keys.insert(at, (key.to_owned(), Box::new(levels))),
        }
    }
}

fn level(scope: Scope) -> usize {
    match scope {
        Scope::Run => 0,
        Scope::Host => 1,
        Scope::Project => 3,
        Scope::Global => WIDEST,
    }
}

#[cfg(test)]
mod tests {
    use cronium_wire::message::{Snapshot, SnapshotVariable};
    use serde_json::json;

    use super::*;

    fn known(complete: bool) -> Known {
        let variable = |key: &str, value: Value, scope: &str| SnapshotVariable {
            key: key.into(),
            value,
            version: 3,
            scope: scope.into(),
        };
        let variables = vec![variable("wide", json!(1), "global"), variable("near", json!("x"), "host:web1")];
        let snapshot = Snapshot { variables, complete };
        Known::new(&Job { snapshot, host: "web1".into(), ..Job::default() }, Helpers::default())
    }

    fn value(level: &Level) -> Value {
        match level {
            Level::Is(held) => held.value(),
            Level::Absent => json!("absent"),
            Level::Unknown => json!("unknown"),
        }
    }

    #[test]
    fn where_keys_stand() {
        for (complete, key, scope, want) in [
            (true, "wide", None, json!(1)),
            (true, "near", None, json!("x")),
            (true, "near", Some(Scope::Host), json!("x")),
            (true, "near", Some(Scope::Run), json!("absent")),
            (true, "none", None, json!("absent")),
            (false, "none", None, json!("unknown")),
            (false, "none", Some(Scope::Run), json!("unknown")),
            (false, "wide", None, json!(1)),
        ] {
            assert_eq!(value(&known(complete).get(key, scope)), want, "{key} {scope:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let is =
            |value: Value| Level::Is(Held { text: value.to_string(), version: 1, scope: "global".into() });
        let mut known = known(false);
        let target = known.target("none", None);
        known.wrote("none", target, is(json!(5)), true);
        assert_eq!(value(&known.get("none", None)), json!(5));
        known.wrote("none", target, Level::Absent, true);
        assert_eq!(value(&known.get("none", None)), json!("absent"));
        assert_eq!(known.target("near", None), 1);
        assert_eq!(known.target("near", Some(Scope::Global)), 4);
        known.wrote("near", 4, is(json!("wide")), false);
        assert_eq!(value(&known.get("near", None)), json!("x"), "the nearer one hides it");
        known.wrote("near", 1, Level::Absent, true);
        assert_eq!(value(&known.get("near", None)), json!("unknown"), "there may be one of a group");
    }

    #[test]
    fn what_does_not_fit_is_unknown_not_old() {
        let mut known = known(true);
        let large = json!("x".repeat(MAX_BYTES));
        known.found("wide", None, &large, 4, "global");
        assert_eq!(value(&known.get("wide", None)), json!("unknown"));
        known.found("wide", None, &json!(2), 5, "global");
        assert_eq!(value(&known.get("wide", None)), json!(2));
    }
}
