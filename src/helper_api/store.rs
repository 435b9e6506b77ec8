//! Variables in memory, for tests.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;

use super::{Variable, VariableStore, Written};
use crate::error::{Error, Result};

/// The key `broken` fails, the key `panics` panics.
#[derive(Default)]
pub struct MemoryStore {
    variables: Mutex<BTreeMap<(String, String), Variable>>,
    /// Who wrote what, in order.
    pub history: Mutex<Vec<String>>,
}

impl VariableStore for MemoryStore {
    fn get(&self, scope: &str, key: &str) -> Result<Option<Variable>> {
        match key {
            "broken" => Err(Error::failure("cannot read /secret/ledger.db")),
            "panics" => panic!("a test wants this"),
            _ => Ok(self.variables.lock().unwrap().get(&(scope.into(), key.into())).cloned()),
        }
    }

    fn set(
        &self,
        scope: &str,
        key: &str,
        value: &Value,
        if_version: Option<u64>,
        by: &str,
    ) -> Result<Written> {
        let mut variables = self.variables.lock().unwrap();
        let entry = (scope.to_owned(), key.to_owned());
        let current = variables.get(&entry).map_or(0, |variable| variable.version);
        if if_version.is_some_and(|wanted| wanted != current) {
            return Ok(Written::Conflict { current });
        }
        let variable = Variable { key: key.into(), value: value.clone(), version: current + 1 };
        variables.insert(entry, variable.clone());
        self.history.lock().unwrap().push(format!("{scope}/{key} by {by}"));
        Ok(Written::Done(variable))
    }

    fn remove(&self, scope: &str, key: &str, by: &str) -> Result<bool> {
        let removed = self.variables.lock().unwrap().remove(&(scope.into(), key.into())).is_some();
        if removed {
            self.history.lock().unwrap().push(format!("{scope}/{key} removed by {by}"));
        }
        Ok(removed)
    }
}
