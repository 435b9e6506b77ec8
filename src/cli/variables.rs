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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ledger_is_a_variable_store() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger::Ledger::open(&folder.path().join("ledger.db")).unwrap();
        let store: &dyn VariableStore = &LedgerVariables(ledger.variables());
        let one = Variable { key: "k".into(), value: json!([1]), version: 1 };
        assert_eq!(store.get("s", "k").unwrap(), None);
        assert_eq!(store.set("s", "k", &json!([1]), None, "R1/web1").unwrap(), Written::Done(one.clone()));
        assert_eq!(
            store.set("s", "k", &json!(2), Some(0), "R1/web1").unwrap(),
            Written::Conflict { current: 1 }
        );
        assert_eq!(store.get("s", "k").unwrap(), Some(one));
        assert!(store.remove("s", "k", "R1/web1").unwrap());
        assert!(!store.remove("s", "k", "R1/web1").unwrap());
    }
}
