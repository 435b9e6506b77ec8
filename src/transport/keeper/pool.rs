//! Connections that nobody uses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::spare::Spare;
use super::standing::KeptStatus;
use crate::inventory::Ssh;
use crate::transport::ssh::{Connection, boot_time};

/// A connection and what it is good for.
pub struct Idle {
    pub connection: Arc<Connection>,
    pub spare: Option<Spare>,
    /// What is to be started for whoever comes next.
    pub again: Option<String>,
    /// Since when nobody uses it, as [`boot_time`] counts.
    pub since: Duration,
    /// As [`boot_time`] counts: a machine that was asleep finds them all expired.
    pub until: Duration,
}

/// What a connection must have been made with to be lent for `address`: host, user, keys, jump
/// hosts, files of host keys and the rest. Passwords are not kept.
pub fn identity(address: &Ssh) -> Ssh {
    Ssh { connect_timeout: Duration::ZERO, ..address.without_secrets() }
}

#[derive(Default)]
pub struct Pool(HashMap<Ssh, Vec<Idle>>);

impl Pool {
    /// The one that was used last.
    pub fn take(&mut self, identity: &Ssh) -> Option<Idle> {
        let kept = self.0.get_mut(identity)?;
        let idle = kept.pop();
        if kept.is_empty() {
            self.0.remove(identity);
        }
        idle
    }

    pub fn put(&mut self, identity: Ssh, idle: Idle) {
        self.0.entry(identity).or_default().push(idle);
    }

    /// Takes out those that are closed or whose time is over.
    pub fn expired(&mut self) -> Vec<Idle> {
        let now = boot_time();
        let mut expired = Vec::new();
        for kept in self.0.values_mut() {
            expired.extend(kept.extract_if(.., |idle| idle.until <= now || idle.connection.is_closed()));
        }
        self.0.retain(|_, kept| !kept.is_empty());
        expired
    }

    /// Starts what is to be started on connections that nobody has used for so long.
    pub fn start_spares(&mut self, quiet: Duration) {
        let now = boot_time();
        for idle in self.0.values_mut().flatten().filter(|idle| now.saturating_sub(idle.since) >= quiet) {
            if let Some(command) = idle.again.take() {
                idle.spare = Some(Spare::start(Arc::clone(&idle.connection), command));
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn drain(&mut self) -> Vec<Idle> {
        self.0.drain().flat_map(|(_, kept)| kept).collect()
    }

    pub fn status(&self) -> Vec<KeptStatus> {
        let now = boot_time();
        let status = |(address, idle): (&Ssh, &Idle)| KeptStatus {
            to: address.to_string(),
            left_ms: Some(idle.until.saturating_sub(now).as_millis() as u64),
            is_ready: idle.spare.as_ref().is_some_and(Spare::is_ready),
        };
        self.0
            .iter()
            .flat_map(|(address, kept)| kept.iter().map(move |idle| (address, idle)))
            .map(status)
            .collect()
    }
}
