//! The variables that leave with a job, for a host that may not be able to ask for them.

use cronium_wire::message::{Snapshot, SnapshotVariable};

use super::host::HostScope;
use super::json_size::json_size;
use super::{Api, Bulk, Variable};

/// Bytes of JSON of what a manifest names.
const NAMED: usize = 1 << 20;

/// Bytes of JSON of all there is, where a manifest names nothing: every host would be sent them.
const UNNAMED: usize = 64 << 10;

/// What the manifest names in `helpers.read`, as far as it fits; where it names nothing, all there
/// is if it is little, else nothing. Reads the store.
pub fn take(api: &Api, host: &HostScope) -> Snapshot {
    let named = api.helpers.read.as_ref();
    let limit = if named.is_some() { NAMED } else { UNNAMED };
    let read = api.variables.read_all(&host.scopes, named, limit);
    let Bulk { variables, complete } = read.unwrap_or_else(|error| {
        tracing::error!(host = host.host, %error, "the variables cannot be read for a host's job");
        Bulk { variables: Vec::new(), complete: false }
    });
    let snapshot = fit(variables, complete, limit);
    match named.is_some() || snapshot.complete {
        true => snapshot,
        false => Snapshot::default(),
    }
}

/// The first of them that take at most `limit` bytes as JSON.
fn fit(variables: Vec<Variable>, complete: bool, limit: usize) -> Snapshot {
    let mut snapshot = Snapshot { variables: Vec::with_capacity(variables.len()), complete };
    let mut left = limit;
    for Variable { key, value, version, scope } in variables {
        let variable = SnapshotVariable { key, value, version, scope };
        // And a comma.
        let Some(rest) = left.checked_sub(json_size(&variable) + 1) else {
            snapshot.complete = false;
            break;
        };
        left = rest;
        snapshot.variables.push(variable);
    }
    snapshot
}
