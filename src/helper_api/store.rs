//! Variables in memory, for tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use cronium_wire::number;
use serde_json::{Number, Value};

use super::{Act, Author, Change, Listed, Variable, VariableStore, Written};
use crate::error::{Error, Result};

/// The key `broken` fails, the key `panics` panics.
#[derive(Default)]
pub struct MemoryStore {
    /// By scope and key.
    variables: Mutex<BTreeMap<(String, String), Variable>>,
    /// Answers by host and id of the write.
    answers: Mutex<HashMap<(String, String), Written>>,
    /// Who wrote what, in order.
    pub history: Mutex<Vec<String>>,
}

impl MemoryStore {
    pub fn put(&self, scope: &str, key: &str, value: Value) {
        let variable = Variable { key: key.into(), value, version: 1, scope: scope.into() };
        self.variables.lock().unwrap().insert((scope.into(), key.into()), variable);
    }

    /// The key's value in one scope.
    pub fn value(&self, scope: &str, key: &str) -> Option<Value> {
        let variables = self.variables.lock().unwrap();
        variables.get(&(scope.into(), key.into())).map(|variable| variable.value.clone())
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
        let variables = self.variables.lock().unwrap();
        Ok(scopes.iter().find_map(|scope| variables.get(&(scope.clone(), key.into()))).cloned())
    }

    fn write(&self, scopes: &[String], change: Change, by: Author) -> Result<Written> {
        fails(&change.key)?;
        let Change { key, scope, act } = change;
        let id = by.write.map(|id| (by.host.clone(), id));
        if let Some(written) = id.as_ref().and_then(|id| self.answers.lock().unwrap().get(id).cloned()) {
            return Ok(written);
        }
        let mut variables = self.variables.lock().unwrap();
        let has = |scope: &&String| variables.contains_key(&((*scope).clone(), key.clone()));
        let scope = scope.or_else(|| scopes.iter().find(has).cloned());
        let scope = scope.unwrap_or_else(|| scopes.last().unwrap().clone());
        let entry = (scope.clone(), key.clone());
        let (current, old) =
            variables.get(&entry).map_or((0, None), |found| (found.version, Some(found.value.clone())));
        let value = match act {
            Act::Set { if_version: Some(wanted), .. } if wanted != current => {
                Err(Written::Conflict { current })
            }
            Act::Set { value, .. } => Ok(Some(value)),
            Act::Remove => old.map(|_| None).ok_or(Written::Missing),
            Act::Increment { by } => sum(old.unwrap_or(0.into()), &by, &key).map(Some),
        };
        let written = value.map(|value| {
            let variable = match value {
                Some(value) => {
                    Variable { key: key.clone(), value, version: current + 1, scope: scope.clone() }
                }
                None => Variable { key: key.clone(), value: Value::Null, version: 0, scope: scope.clone() },
            };
            match variable.version {
                0 => variables.remove(&entry),
                _ => variables.insert(entry, variable.clone()),
            };
            let what =
                format!("{scope}/{key} version {} by run {} host {}", variable.version, by.run, by.host);
            self.history.lock().unwrap().push(what);
            Written::Done(variable)
        });
        let written = written.unwrap_or_else(|refused| refused);
        if let Some(id) = id {
            self.answers.lock().unwrap().insert(id, written.clone());
        }
        Ok(written)
    }

    fn list(&self, scopes: &[String]) -> Result<Vec<Listed>> {
        let variables = self.variables.lock().unwrap();
        let mut nearest = BTreeMap::new();
        for scope in scopes {
            for variable in variables.values().filter(|variable| variable.scope == *scope) {
                nearest.entry(variable.key.clone()).or_insert_with(|| Listed {
                    key: variable.key.clone(),
                    version: variable.version,
                    scope: variable.scope.clone(),
                });
            }
        }
        Ok(nearest.into_values().collect())
    }
}
