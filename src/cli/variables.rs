//! The helper API's variables, kept in the ledger.

use cronium_wire::manifest::KeyPatterns;
use etcetera::BaseStrategy as _;

use crate::error::{Error, Result};
use crate::helper_api::{Act, Author, Bulk, Change, Listed, Variable, VariableStore, Written};
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
    Ok(ledger.variables(key_file()?))
}

/// `$XDG_CONFIG_HOME/cronium-run/variables.key`: seals secret variables and what runs were asked for.
pub(super) fn key_file() -> Result<std::path::PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().map_err(|error| {
        Error::failure("cannot find your home folder").because(error).hint("export HOME=/home/you")
    })?;
    Ok(base.config_dir().join("cronium-run/variables.key"))
}

impl VariableStore for LedgerVariables {
    fn get(&self, scopes: &[String], key: &str) -> Result<Option<Variable>> {
        Ok(self.0.get(scopes, key)?.map(variable))
    }

    fn write(&self, scopes: &[String], change: Change, by: Author) -> Result<Written> {
        let Change { key, scope, act } = change;
        let act = match act {
            Act::Set { value, if_version, after } => ledger::Act::Set { value, if_version, after },
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
            ledger::Written::NotAfter { made, current } => Written::NotAfter { made, current },
            ledger::Written::Missing => Written::Missing,
            ledger::Written::NoNumber { reason } => Written::NoNumber { reason },
        })
    }

    fn list(&self, scopes: &[String]) -> Result<Vec<Listed>> {
        let listed = self.0.list(scopes)?.into_iter();
        let listed = listed.map(|ledger::Listed { key, version, scope, secret }| Listed {
            key,
            version,
            scope,
            secret,
        });
        Ok(listed.collect())
    }

    fn read_all(&self, scopes: &[String], only: Option<&KeyPatterns>, max_bytes: usize) -> Result<Bulk> {
        // What stands before the first `*` tells where in the ledger to look.
        let prefixes: Vec<&str> = match only {
            Some(KeyPatterns(patterns)) => {
                patterns.iter().map(|pattern| pattern.split('*').next().unwrap_or_default()).collect()
            }
            None => vec![""],
        };
        let size = |ledger::Unread { key, scope, json_bytes }: ledger::Unread| {
            let wanted = only.is_none_or(|patterns| patterns.match_key(key));
            wanted.then(|| Variable::bytes_of(key, scope, json_bytes))
        };
        let read = self.0.read_all(scopes, &prefixes, only.is_some(), max_bytes, size)?;
        let ledger::Bulk { variables, complete, withheld, unopened } = read;
        Ok(Bulk { variables: variables.into_iter().map(variable).collect(), complete, withheld, unopened })
    }
}

fn variable(variable: ledger::Variable) -> Variable {
    let ledger::Variable { key, value, version, scope } = variable;
    Variable { key, value, version, scope }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The same ledger, read as a store reads that knows no better.
    struct ByDefault<'a>(&'a LedgerVariables);

    impl VariableStore for ByDefault<'_> {
        fn get(&self, scopes: &[String], key: &str) -> Result<Option<Variable>> {
            self.0.get(scopes, key)
        }

        fn write(&self, scopes: &[String], change: Change, by: Author) -> Result<Written> {
            self.0.write(scopes, change, by)
        }

        fn list(&self, scopes: &[String]) -> Result<Vec<Listed>> {
            self.0.list(scopes)
        }
    }

    /// A ledger of its own with a value in each of these places; the last word says whether it is secret.
    struct Store {
        variables: LedgerVariables,
        folder: tempfile::TempDir,
    }

    impl Store {
        fn of<'a>(places: impl IntoIterator<Item = (&'a str, &'a str, Value, bool)>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let ledger = ledger::Ledger::open(&folder.path().join("ledger.db")).unwrap();
            let variables = ledger.variables(folder.path().join("variables.key"));
            for (scope, key, value, secret) in places {
                let act = ledger::Act::Set { value, if_version: None, after: None };
                let write = ledger::Write { key: key.into(), scope: None, act, secret };
                variables.write(&[scope.to_owned()], write, ledger::Author::Operator("me".into())).unwrap();
            }
            Self { variables: LedgerVariables(variables), folder }
        }

        /// `key=value@scope` of each, `…` where there was no room, `-N` where N secrets are left out.
        fn told(&self, scopes: &[&str], only: Option<&[&str]>, max_bytes: usize) -> String {
            let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let only = only.map(|patterns| KeyPatterns(patterns.iter().map(|it| (*it).to_owned()).collect()));
            let Bulk { variables, complete, withheld, .. } =
                self.variables.read_all(&scopes, only.as_ref(), max_bytes).unwrap();
            let mut told: Vec<String> =
                variables.iter().map(|it| format!("{}={}@{}", it.key, it.value, it.scope)).collect();
            told.extend((!complete).then(|| "…".to_owned()));
            told.extend((withheld > 0).then(|| format!("-{withheld}")));
            told.join(" ")
        }
    }

    #[test]
    fn all_at_once() {
        let store = Store::of([
            ("global", "app/a", json!(1), false),
            ("global", "app/b", json!("pässword"), true),
            ("global", "z", json!({"deep": [null]}), false),
            ("host:web1", "app/a", json!(2), false),
            ("run:R1", "app/c", json!("x".repeat(100)), false),
            ("host:web2", "secret of another host", json!(0), true),
        ]);
        let c = format!("app/c=\"{}\"@run:R1", "x".repeat(100));
        let web1 = ["run:R1", "host:web1", "group:web", "global"];
        let all = format!("app/a=2@host:web1 app/b=\"pässword\"@global {c} z={{\"deep\":[null]}}@global");
        let most = usize::MAX;
        let any: Option<&[&str]> = Some(&["*"]);
        // 64, the key, the scope and the value: 79, 86, 177 and 86 bytes.
        /// Scopes, patterns, room, what is told.
        type Asked<'a> = (&'a [&'a str], Option<&'a [&'a str]>, usize, &'a str);
        let table: [Asked; 20] = [
            (&web1, None, most, &format!("app/a=2@host:web1 {c} z={{\"deep\":[null]}}@global -1")),
            (&web1, None, 79 + 177, &format!("app/a=2@host:web1 {c} … -1")),
            (&web1, None, 78, "…"),
            (&web1, any, most, &all),
            (&web1, any, 79 + 86 + 177 + 86, &all),
            (&web1, any, 79 + 86 + 177 + 85, &format!("app/a=2@host:web1 app/b=\"pässword\"@global {c} …")),
            // What comes behind would have room.
            (&web1, any, 79 + 86 + 176, "app/a=2@host:web1 app/b=\"pässword\"@global …"),
            (&web1, any, 79 + 86, "app/a=2@host:web1 app/b=\"pässword\"@global …"),
            (&web1, any, 79 + 85, "app/a=2@host:web1 …"),
            (&web1, any, 78, "…"),
            (&web1, any, 0, "…"),
            (&web1, Some(&[]), 0, ""),
            (&web1, Some(&["none", "app", "a*z"]), 0, ""),
            (
                &web1,
                Some(&["app/*"]),
                79 + 86 + 177,
                &format!("app/a=2@host:web1 app/b=\"pässword\"@global {c}"),
            ),
            (
                &web1,
                Some(&["z", "*/b", "app/a"]),
                most,
                "app/a=2@host:web1 app/b=\"pässword\"@global z={\"deep\":[null]}@global",
            ),
            (&web1, Some(&["z", "app/a"]), 79 + 85, "app/a=2@host:web1 …"),
            (&["global"], Some(&["app/*"]), most, "app/a=1@global app/b=\"pässword\"@global"),
            (&["global", "host:web1", "global"], Some(&["app/a"]), most, "app/a=1@global"),
            (&["group:web", "project:p"], None, 0, ""),
            (&[], None, most, ""),
        ];
        for (scopes, only, max_bytes, wanted) in table {
            assert_eq!(store.told(scopes, only, max_bytes), wanted, "{scopes:?} {only:?} {max_bytes}");
        }
    }

    #[test]
    fn a_secret_that_does_not_open_takes_nothing_along() {
        let store = Store::of([
            ("global", "a", json!(1), false),
            ("global", "b", json!("s3cret"), true),
            ("global", "c", json!("wide"), false),
            ("host:web1", "b", json!("plain"), false),
            ("host:web1", "c", json!("near"), true),
        ]);
        let key = store.folder.path().join("variables.key");
        std::fs::remove_file(&key).unwrap();
        // The key was kept in memory since it sealed: another process has to read it.
        let ledger = ledger::Ledger::open(&store.folder.path().join("ledger.db")).unwrap();
        let store = Store { variables: LedgerVariables(ledger.variables(key.clone())), ..store };
        let any: Option<&[&str]> = Some(&["*"]);
        assert_eq!(store.told(&["global"], Some(&["a"]), usize::MAX), "a=1@global");
        assert_eq!(store.told(&["global"], any, 100), "a=1@global …");
        // A secret hides what a wider scope has, whether it opens or not.
        assert_eq!(
            store.told(&["host:web1", "global"], any, usize::MAX),
            "a=1@global b=\"plain\"@host:web1 -1"
        );
        assert_eq!(
            store.told(&["host:web1", "global"], None, usize::MAX),
            "a=1@global b=\"plain\"@host:web1 -1"
        );
        let only = KeyPatterns(vec!["*".into()]);
        let read = |store: &dyn VariableStore| {
            store.read_all(&["global".to_owned()], Some(&only), usize::MAX).unwrap().unopened
        };
        let missing = format!(
            "cannot open the secret variable `b` of global: there is no key file {key}: put {key} back from a copy",
            key = key.display()
        );
        assert_eq!(read(&store.variables), [missing]);
        assert_eq!(read(&ByDefault(&store.variables)), read(&store.variables));
    }

    const SCOPES: [&str; 4] = ["run:R1", "host:web1", "group:web", "global"];

    fn key() -> impl Strategy<Value = String> {
        prop_oneof!["[ab/]{1,3}", "[ab/]{0,2}[*?%ž\u{10000}]"]
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::from),
            // Not any f64: serde_json reads some of them as their neighbour, with more digits.
            any::<i32>().prop_map(|eighths| json!(f64::from(eighths) / 8.0)),
            ".{0,8}".prop_map(Value::from),
            (0..2000_usize).prop_map(|length| json!(["x".repeat(length)])),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

        #[test]
        fn as_by_default(
            places in prop::collection::vec((prop::sample::select(&SCOPES[..]), key(), value(), any::<bool>()), 0..24),
            asked in prop::collection::vec(
                (
                    prop::sample::subsequence(&SCOPES[..], 0..=4),
                    prop::option::of(prop::collection::vec("[ab/]{0,2}[*]?[ab/ž]?[*]?", 0..4)),
                    prop_oneof![0..600_usize, 0..20_000_usize, Just(usize::MAX)],
                ),
                24,
            ),
        ) {
            let places = places.iter().map(|(scope, key, value, secret)| (*scope, key.as_str(), value.clone(), *secret));
            let store = Store::of(places);
            for (scopes, only, max_bytes) in asked {
                let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
                let only = only.map(KeyPatterns);
                let by_default = ByDefault(&store.variables);
                let all = by_default.read_all(&scopes, only.as_ref(), usize::MAX).unwrap();
                // Where a limit matters: just what the first of them take, and a byte less.
                let mut limits = vec![max_bytes];
                let mut sum = 0;
                for variable in &all.variables {
                    sum += variable.bytes();
                    limits.extend([sum, sum - 1]);
                }
                for limit in limits {
                    prop_assert_eq!(
                        store.variables.read_all(&scopes, only.as_ref(), limit).unwrap(),
                        by_default.read_all(&scopes, only.as_ref(), limit).unwrap(),
                        "{:?} {:?} {}", scopes, only, limit
                    );
                }
            }
        }
    }
}
