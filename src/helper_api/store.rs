//! Variables in memory, for tests. Remembers what the ledger remembers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use cronium_wire::number;
use serde_json::{Number, Value};

use super::{Act, Author, Change, Listed, Variable, VariableStore, Written};
use crate::error::{Error, Result};

/// The key `broken` fails, the key `panics` panics.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    /// Who wrote what, in order.
    pub history: Mutex<Vec<String>>,
}

#[derive(Default)]
struct State {
    /// By scope and key.
    variables: BTreeMap<(String, String), Variable>,
    /// The last version that a key ever had in a scope: none is used again after a removal.
    versions: HashMap<(String, String), u64>,
    /// By run, host and id of the write, also of what was refused.
    answers: HashMap<(String, String, String), Written>,
    /// By scope and key.
    secrets: HashSet<(String, String)>,
}

impl MemoryStore {
    pub fn put(&self, scope: &str, key: &str, value: Value) {
        self.state().set(scope.into(), key.into(), value);
    }

    pub fn put_secret(&self, scope: &str, key: &str, value: Value) {
        self.put(scope, key, value);
        self.state().secrets.insert((scope.into(), key.into()));
    }

    /// The key's value in one scope.
    pub fn value(&self, scope: &str, key: &str) -> Option<Value> {
        self.state().variables.get(&(scope.into(), key.into())).map(|variable| variable.value.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn set(&mut self, scope: String, key: String, value: Value) -> Variable {
        let place = (scope.clone(), key.clone());
        let version = self.versions.entry(place.clone()).or_default();
        *version += 1;
        let variable = Variable { key, value, version: *version, scope };
        self.variables.insert(place, variable.clone());
        variable
    }

    fn remove(&mut self, scope: String, key: String) -> Variable {
        self.variables.remove(&(scope.clone(), key.clone()));
        Variable { key, value: Value::Null, version: 0, scope }
    }

    /// `earlier`: what the write named by `after` was answered.
    fn make(&mut self, scopes: &[String], change: Change, earlier: Option<Written>) -> Written {
        let Change { key, scope, act } = change;
        let has = |scope: &&String| self.variables.contains_key(&((*scope).clone(), key.clone()));
        let scope = scope.or_else(|| scopes.iter().find(has).cloned());
        let scope = scope.unwrap_or_else(|| scopes.last().unwrap().clone());
        let (current, old) = self
            .variables
            .get(&(scope.clone(), key.clone()))
            .map_or((0, None), |found| (found.version, Some(found.value.clone())));
        match act {
            Act::Set { after: Some(_), value, .. } => match earlier {
                Some(Written::Done(left)) if left.key == key => match left.version == current {
                    true if current == 0 || left.scope == scope => Written::Done(self.set(scope, key, value)),
                    _ => Written::NotAfter { made: true, current },
                },
                Some(Written::Missing) if current == 0 => Written::Done(self.set(scope, key, value)),
                Some(Written::Missing) => Written::NotAfter { made: true, current },
                _ => Written::NotAfter { made: false, current },
            },
            Act::Set { if_version: Some(wanted), .. } if wanted != current => Written::Conflict { current },
            Act::Set { value, .. } => Written::Done(self.set(scope, key, value)),
            Act::Remove if old.is_none() => Written::Missing,
            Act::Remove => Written::Done(self.remove(scope, key)),
            Act::Increment { by } => match sum(old.unwrap_or(0.into()), &by, &key) {
                Ok(value) => Written::Done(self.set(scope, key, value)),
                Err(refused) => refused,
            },
        }
    }
}

fn fails(key: &str) -> Result<()> {
    match key {
        "broken" => Err(Error::failure("cannot read /secret/ledger.db")),
        "panics" => panic!("a test wants this"),
        _ => Ok(()),
    }
}

fn sum(value: Value, by: &Number, key: &str) -> Result<Value, Written> {
    let reason = |what: &str| Written::NoNumber { reason: format!("the variable '{key}' {what}") };
    let Value::Number(number) = value else { return Err(reason("is no number")) };
    number::add(&number, by).map(Value::Number).ok_or_else(|| reason("cannot hold the sum"))
}

impl VariableStore for MemoryStore {
    fn get(&self, scopes: &[String], key: &str) -> Result<Option<Variable>> {
        fails(key)?;
        let state = self.state();
        Ok(scopes.iter().find_map(|scope| state.variables.get(&(scope.clone(), key.into()))).cloned())
    }

    fn write(&self, scopes: &[String], change: Change, by: Author) -> Result<Written> {
        fails(&change.key)?;
        let Author { run, host, write } = by;
        let id = write.map(|id| (run.clone(), host.clone(), id));
        let mut state = self.state();
        if let Some(written) = id.as_ref().and_then(|id| state.answers.get(id).cloned()) {
            return Ok(written);
        }
        let earlier = match &change.act {
            Act::Set { after: Some(id), .. } => {
                state.answers.get(&(run.clone(), host.clone(), id.clone())).cloned()
            }
            _ => None,
        };
        let written = state.make(scopes, change, earlier);
        if let Written::Done(Variable { key, version, scope, .. }) = &written {
            let what = format!("{scope}/{key} version {version} by run {run} host {host}");
            self.history.lock().unwrap().push(what);
        }
        if let Some(id) = id {
            state.answers.insert(id, written.clone());
        }
        Ok(written)
    }

    fn list(&self, scopes: &[String]) -> Result<Vec<Listed>> {
        let state = self.state();
        let mut nearest = BTreeMap::new();
        for scope in scopes {
            for variable in state.variables.values().filter(|variable| variable.scope == *scope) {
                nearest.entry(variable.key.clone()).or_insert_with(|| Listed {
                    key: variable.key.clone(),
                    version: variable.version,
                    scope: variable.scope.clone(),
                    secret: state.secrets.contains(&(scope.clone(), variable.key.clone())),
                });
            }
        }
        Ok(nearest.into_values().collect())
    }
}

/// As `a_write_with_an_id_is_…` and `versions_are_never_used_twice` of the ledger.
#[test]
fn what_the_ledger_remembers() {
    let store = MemoryStore::default();
    let write = |run: &str, id: &str, act: Act| {
        let change = Change { key: "k".into(), scope: None, act };
        let by = Author { run: run.into(), host: "web1".into(), write: Some(id.into()) };
        match store.write(&["global".to_owned()], change, by).unwrap() {
            Written::Done(variable) => format!("{}@{}", variable.value, variable.version),
            Written::Conflict { current } => format!("conflict {current}"),
            Written::NotAfter { made, current } => format!("made {made}, now {current}"),
            Written::Missing => "missing".into(),
            Written::NoNumber { reason } => reason,
        }
    };
    let set = |value: i64, if_version| Act::Set { value: value.into(), if_version, after: None };
    let after = |id: &str| Act::Set { value: 5.into(), if_version: Some(9), after: Some(id.into()) };
    let increment = || Act::Increment { by: 1.into() };
    // run, id, act, what became of it
    for (run, id, act, wanted) in [
        ("R1", "a", set(7, Some(1)), "conflict 0"),
        ("R1", "b", Act::Remove, "missing"),
        ("R1", "c", set(7, Some(0)), "7@1"),
        ("R1", "a", set(7, Some(1)), "conflict 0"),
        ("R1", "b", Act::Remove, "missing"),
        ("R1", "d", increment(), "8@2"),
        ("R1", "d", increment(), "8@2"),
        ("R2", "d", increment(), "9@3"),
        ("R1", "e", Act::Remove, "null@0"),
        ("R1", "f", set(1, Some(3)), "conflict 0"),
        ("R1", "g", after("e"), "5@4"),
        ("R1", "h", after("e"), "made true, now 4"),
        ("R1", "i", after("f"), "made false, now 4"),
        ("R1", "j", after("g"), "5@5"),
        ("R2", "k", after("j"), "made false, now 5"),
    ] {
        assert_eq!(write(run, id, act.clone()), wanted, "{run} {id} {act:?}");
    }
}
