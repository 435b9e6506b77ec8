//! Variables in memory, for tests.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;

use super::{Act, Author, Change, Listed, Variable, VariableStore, Written};
use crate::error::{Error, Result};

/// The key `broken` fails, the key `panics` panics.
#[derive(Default)]
pub struct MemoryStore {
    variables: Mutex<BTreeMap<(String, String), Variable>>,
    /// Who wrote what, in order.
    pub history: Mutex<Vec<String>>,
}

impl VariableStore for MemoryStore {
    fn get(&self, scopes: &[String], key: &str) -> Result<Option<Variable>> {
        let scope = scopes.last().unwrap();
        match key {
            "broken" => Err(Error::failure("cannot read /secret/ledger.db")),
            "panics" => panic!("a test wants this"),
            _ => Ok(self.variables.lock().unwrap().get(&(scope.clone(), key.into())).cloned()),
        }
    }

    fn write(&self, scopes: &[String], change: Change, by: Author) -> Result<Written> {
        let scope = scopes.last().unwrap().clone();
        let Change { key, act, .. } = change;
        let mut variables = self.variables.lock().unwrap();
        let entry = (scope.clone(), key.clone());
        let current = variables.get(&entry).map_or(0, |variable| variable.version);
        match act {
            Act::Set { value, if_version } => {
                if if_version.is_some_and(|wanted| wanted != current) {
                    return Ok(Written::Conflict { current });
                }
                let variable =
                    Variable { key: key.clone(), value, version: current + 1, scope: scope.clone() };
                variables.insert(entry, variable.clone());
                self.history
                    .lock()
                    .unwrap()
                    .push(format!("{scope}/{key} by run {} host {}", by.run, by.host));
                Ok(Written::Done(variable))
            }
            Act::Remove => match variables.remove(&entry) {
                None => Ok(Written::Missing),
                Some(_) => {
                    let by = format!("run {} host {}", by.run, by.host);
                    self.history.lock().unwrap().push(format!("{scope}/{key} removed by {by}"));
                    Ok(Written::Done(Variable { key, value: Value::Null, version: 0, scope }))
                }
            },
            Act::Increment { .. } => Ok(Written::NoNumber { reason: "not here".into() }),
        }
    }

    fn list(&self, _: &[String]) -> Result<Vec<Listed>> {
        Ok(Vec::new())
    }
}
