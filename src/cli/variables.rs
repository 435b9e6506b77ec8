//! The helper API's variables, kept in the ledger.

use serde_json::Value;

use crate::error::Result;
use crate::helper_api::{Variable, VariableStore, Written};
use crate::ledger;

pub struct LedgerVariables(pub ledger::Variables);

impl VariableStore for LedgerVariables {
    fn get(&self, scope: &str, key: &str) -> Result<Option<Variable>> {
        Ok(self.0.get(scope, key)?.map(variable))
    }

    fn set(
        &self,
        scope: &str,
        key: &str,
        value: &Value,
        if_version: Option<u64>,
        by: &str,
    ) -> Result<Written> {
        Ok(match self.0.set(scope, key, value, if_version, by)? {
            ledger::Written::Done(written) => Written::Done(variable(written)),
            ledger::Written::Conflict { current } => Written::Conflict { current },
        })
    }

    fn remove(&self, scope: &str, key: &str, by: &str) -> Result<bool> {
        self.0.remove(scope, key, by)
    }
}

fn variable(variable: ledger::Variable) -> Variable {
    Variable { key: variable.key, value: variable.value, version: variable.version }
}
