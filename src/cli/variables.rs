//! The helper API's variables, kept in the ledger.

use etcetera::BaseStrategy as _;

use crate::error::{Error, Result};
use crate::helper_api::{Act, Author, Change, Listed, Variable, VariableStore, Written};
use crate::ledger;

pub struct LedgerVariables(ledger::Variables);

impl LedgerVariables {
    /// Secrets are sealed with `$XDG_CONFIG_HOME/cronium-run/variables.key`.
    pub fn new(ledger: &ledger::Ledger) -> Result<Self> {
        Ok(Self(open(ledger)?))
    }
}

/// The ledger's variables with the operator's key for secrets.
pub(super) fn open(ledger: &ledger::Ledger) -> Result<ledger::Variables> {
    let base = etcetera::base_strategy::Xdg::new().map_err(|error| {
        Error::failure("cannot find your home folder").because(error).hint("export HOME=/home/you")
    })?;
    Ok(ledger.variables(base.config_dir().join("cronium-run/variables.key")))
}

impl VariableStore for LedgerVariables {
    fn get(&self, scopes: &[String], key: &str) -> Result<Option<Variable>> {
        Ok(self.0.get(scopes, key)?.map(variable))
    }

    fn write(&self, scopes: &[String], change: Change, by: Author) -> Result<Written> {
        let Change { key, scope, act } = change;
        let act = match act {
            Act::Set { value, if_version } => ledger::Act::Set { value, if_version },
            Act::Remove => ledger::Act::Remove,
            Act::Increment { by } => ledger::Act::Increment { by },
        };
        let Author { run, host, write } = by;
        // What an operator made secret stays so; a script cannot ask for it.
        let wanted = ledger::Write { key, scope, act, secret: false };
        let written = self.0.write(scopes, wanted, ledger::Author::Script { run, host, write })?;
        Ok(match written {
            ledger::Written::Done(written) => Written::Done(variable(written)),
            ledger::Written::Conflict { current } => Written::Conflict { current },
            ledger::Written::Missing => Written::Missing,
            ledger::Written::NoNumber { reason } => Written::NoNumber { reason },
        })
    }

    fn list(&self, scopes: &[String]) -> Result<Vec<Listed>> {
        let listed = self.0.list(scopes)?.into_iter();
        Ok(listed.map(|ledger::Listed { key, version, scope }| Listed { key, version, scope }).collect())
    }
}

fn variable(variable: ledger::Variable) -> Variable {
    let ledger::Variable { key, value, version, scope } = variable;
    Variable { key, value, version, scope }
}
