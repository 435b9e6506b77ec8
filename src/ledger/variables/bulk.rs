//! Many variables at once. Of what is not given, not even the value is read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::{CachedStatement, Connection, params};

use super::Variable;
use super::row::Row;
use super::sealing::{self, Keyring};
use crate::ledger::fault::Fault;

/// What [`Variables::read_all`](super::Variables::read_all) gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    /// By key.
    pub variables: Vec<Variable>,
    /// Whether nothing that was wanted is left out for want of room.
    pub complete: bool,
    /// Secrets that were wanted and had room, and are left out all the same.
    pub withheld: usize,
    /// Why some of these did not open, a sentence each.
    pub unopened: Vec<String>,
}

/// See [`Variables::read_all`](super::Variables::read_all).
pub(super) struct Wanted<'a> {
    pub(super) prefixes: &'a [&'a str],
    pub(super) secrets: bool,
    pub(super) max_bytes: usize,
    pub(super) size: &'a dyn Fn(Unread) -> Option<usize>,
}

/// A variable whose value has not been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread<'a> {
    pub scope: &'a str,
    pub key: &'a str,
    /// Of the value as JSON text, opened where it is secret.
    pub json_bytes: usize,
}

/// The wanted variables of `scopes`, each where it is nearest, in one state of the ledger.
pub(super) fn read(
    connection: &Connection,
    keyring: &Keyring,
    scopes: &[String],
    wanted: &Wanted,
) -> Result<Bulk, Fault> {
    let prefixes = disjoint(wanted.prefixes);
    if prefixes.is_empty() {
        return Ok(Bulk { variables: Vec::new(), complete: true, withheld: 0, unopened: Vec::new() });
    }
    // Only read from: it is over when it is dropped.
    let state = connection.unchecked_transaction()?;
    let mut look = Look {
        rows: state.prepare_cached(
            // SQLite knows a value's length without reading it. The end of a sealed one tells the
            // length of what is inside; of one that cannot fit, nobody needs to know that.
            "SELECT key, octet_length(value), secret,
                 CASE WHEN secret AND octet_length(value) <= ?3 THEN substr(value, -4) END
             FROM variables WHERE scope = ?1 AND key >= ?2 ORDER BY key",
        )?,
        prefixes: &prefixes,
        wanted,
        found: BTreeMap::new(),
        bytes: 0,
        end: None,
    };
    for scope in scopes {
        look.through(scope)?;
    }
    let Look { found, end, .. } = look;
    let mut values =
        state.prepare_cached("SELECT value, version, secret FROM variables WHERE scope = ?1 AND key = ?2")?;
    let mut variables = Vec::with_capacity(found.len());
    let (mut withheld, mut unopened) = (0, Vec::new());
    for (key, Found { scope, is_withheld, .. }) in found {
        if is_withheld {
            withheld += 1;
            continue;
        }
        let row = values.query_row([scope, &key], |row| {
            let version = row.get::<_, i64>(1)?.cast_unsigned();
            Ok(Row { scope: scope.to_owned(), text: row.get(0)?, version, secret: row.get(2)? })
        })?;
        match row.value(keyring, &key) {
            Ok(value) => variables.push(Variable { scope: row.scope, key, value, version: row.version }),
            // The others open, or are no secrets: one that does not must not take them along.
            Err(Fault::Worded(error)) if row.secret => {
                withheld += 1;
                unopened.push([&[error.message], &error.causes[..], &error.hints[..]].concat().join(": "));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(Bulk { variables, complete: end.is_none(), withheld, unopened })
}

/// A walk through scopes, the nearest first, that never keeps more than may be given. A wider scope
/// only adds keys, so what had to go for want of room would have to go in any case.
struct Look<'a> {
    /// Of a scope, from a key on: keys, bytes of the value, whether it is secret, the end of its text.
    rows: CachedStatement<'a>,
    /// Where to look, see [`disjoint`].
    prefixes: &'a [&'a str],
    wanted: &'a Wanted<'a>,
    /// By key.
    found: BTreeMap<String, Found<'a>>,
    /// What they take.
    bytes: usize,
    /// From this key on there is no room.
    end: Option<String>,
}

struct Found<'a> {
    scope: &'a str,
    bytes: usize,
    /// A secret that is not given. It hides what wider scopes have, as it does from a script.
    is_withheld: bool,
}

impl<'a> Look<'a> {
    /// One look into the primary key, and one for each gap between prefixes in which there are keys.
    fn through(&mut self, scope: &'a str) -> Result<(), Fault> {
        // More than anything sealed takes that has room.
        let longest =
            i64::try_from(self.wanted.max_bytes.saturating_mul(2).saturating_add(1024)).unwrap_or(i64::MAX);
        let mut from = self.prefixes.first().copied();
        'jump: while let Some(first) = from {
            let mut rows = self.rows.query(params![scope, first, longest])?;
            while let Some(row) = rows.next()? {
                let key = row.get_ref(0)?.as_str()?;
                if self.end.as_deref().is_some_and(|end| key >= end) {
                    return Ok(());
                }
                let behind = self.prefixes.partition_point(|prefix| *prefix <= key);
                if !self.prefixes[..behind].last().is_some_and(|prefix| key.starts_with(prefix)) {
                    from = self.prefixes.get(behind).copied();
                    continue 'jump;
                }
                let Entry::Vacant(vacant) = self.found.entry(key.to_owned()) else { continue };
                let stored = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(usize::MAX);
                let secret: bool = row.get(2)?;
                let json_bytes = match secret {
                    true => sealing::bytes_inside(stored, row.get_ref(3)?.as_str_or_null()?.unwrap_or("")),
                    false => stored,
                };
                let Some(bytes) = (self.wanted.size)(Unread { scope, key, json_bytes }) else { continue };
                let is_withheld = secret && !self.wanted.secrets;
                let bytes = if is_withheld { 0 } else { bytes };
                vacant.insert(Found { scope, bytes, is_withheld });
                self.bytes = self.bytes.saturating_add(bytes);
                while self.bytes > self.wanted.max_bytes
                    && let Some((key, last)) = self.found.pop_last()
                {
                    self.bytes -= last.bytes;
                    self.end = Some(key);
                }
            }
            return Ok(());
        }
        Ok(())
    }
}

/// Sorted, and without those that begin with another: of a sorted list of such prefixes, only the
/// last that is not behind a key can be its beginning.
fn disjoint<'a>(prefixes: &[&'a str]) -> Vec<&'a str> {
    let mut prefixes = prefixes.to_vec();
    prefixes.sort_unstable();
    prefixes.dedup_by(|next, kept| next.starts_with(*kept));
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let table: [(&[&str], &[&str]); 6] = [
            (&[], &[]),
            (&["b", "a"], &["a", "b"]),
            (&["app/db", "app/", "apq", "app/db"], &["app/", "apq"]),
            (&["a", "ab", "abc", "b", "ba"], &["a", "b"]),
            (&["x", ""], &[""]),
            (&["ž", "z"], &["z", "ž"]),
        ];
        for (given, wanted) in table {
            assert_eq!(disjoint(given), wanted, "{given:?}");
        }
    }
}
