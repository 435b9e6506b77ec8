//! The helper API's variables, kept in the ledger.

use serde_json::Value;

use crate::error::Result;
use crate::helper_api::{Act, Author, Change, Listed, Variable, VariableStore, Written};
use crate::ledger;

pub struct LedgerVariables(pub ledger::Variables);

impl VariableStore for LedgerVariables {
    fn get(&self, scopes: &[String], key: &str) -> Result<Option<Variable>> {
        let Some(scope) = scopes.last() else { return Ok(None) };
        Ok(self.0.get(scope, key)?.map(variable))
    }

    fn write(&self, scopes: &[String], change: Change, by: Author) -> Result<Written> {
        let by = format!("run {} host {}", by.run, by.host);
        let Some(scope) = scopes.last() else { return Ok(Written::Missing) };
        Ok(match change.act {
            Act::Set { value, if_version } => {
                match self.0.set(scope, &change.key, &value, if_version, &by)? {
                    ledger::Written::Done(written) => Written::Done(variable(written)),
                    ledger::Written::Conflict { current } => Written::Conflict { current },
                }
            }
            Act::Remove => match self.0.remove(scope, &change.key, &by)? {
                true => Written::Done(Variable {
                    key: change.key,
                    value: Value::Null,
                    version: 0,
                    scope: scope.clone(),
                }),
                false => Written::Missing,
            },
            Act::Increment { .. } => Written::NoNumber { reason: "not yet".into() },
        })
    }

    fn list(&self, _: &[String]) -> Result<Vec<Listed>> {
        Ok(Vec::new())
    }
}

fn variable(variable: ledger::Variable) -> Variable {
    let ledger::Variable { key, value, version, scope, .. } = variable;
    Variable { key, value, version, scope }
}
