//! The variables that leave with a job, for a host that may not be able to ask for them.

use cronium_wire::message::{Snapshot, SnapshotVariable};

use super::host::HostScope;
use super::json_size::json_size;
use super::{Api, Bulk, Variable, sentence};

/// Bytes of JSON of what a manifest names.
const NAMED: usize = 1 << 20;

/// Bytes of JSON of all there is, where a manifest names nothing: every host would be sent them.
const UNNAMED: usize = 64 << 10;

/// What the manifest names in `helpers.read`, as far as it fits; where it names nothing, all there
/// is but secrets if it is little, else nothing. Reads the store. What the script will miss is told
/// to the operator.
pub fn take(api: &Api, host: &HostScope) -> Snapshot {
    let named = api.helpers.read.as_ref();
    let limit = if named.is_some() { NAMED } else { UNNAMED };
    let Bulk { variables, complete, withheld, unopened } =
        match api.variables.read_all(&host.scopes, named, limit) {
            Ok(read) => read,
            Err(error) => {
                api.warnings.add(format!("jobs leave without variables: {}", sentence(&error)));
                return Snapshot::default();
            }
        };
    for why in unopened {
        api.warnings.add(format!("jobs leave without a secret: {why}"));
    }
    let (variables, fits) = fit(variables, limit);
    let fits = fits && complete;
    match named.is_some() || fits {
        true => Snapshot { variables, complete: fits && withheld == 0 },
        false => Snapshot::default(),
    }
}

/// The first of them that take at most `limit` bytes as JSON, and whether that is all.
fn fit(variables: Vec<Variable>, limit: usize) -> (Vec<SnapshotVariable>, bool) {
    let mut fitting = Vec::with_capacity(variables.len());
    let mut left = limit;
    for Variable { key, value, version, scope } in variables {
        let variable = SnapshotVariable { key, value, version, scope };
        // And a comma.
        let Some(rest) = left.checked_sub(json_size(&variable) + 1) else { return (fitting, false) };
        left = rest;
        fitting.push(variable);
    }
    (fitting, true)
}
