//! What a server says to people while it decides whether to let us in.

use std::sync::{Arc, Mutex, PoisonError};

use crate::inventory::Ssh;
use crate::transport::{Fault, Phase};

/// OpenSSH's words at its MaxAuthTries.
const TOO_MANY: &str = "Too many authentication failures";
/// What is kept of one notice: the first line that is not empty, so much of it.
const KEPT: usize = 200;

/// The last notice, if there was any.
#[derive(Clone, Default)]
pub struct Notice(Arc<Mutex<Option<String>>>);

impl Notice {
    pub fn put(&self, text: &str) {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let line: String = line.chars().filter(|c| !c.is_control()).take(KEPT).collect();
        if !line.is_empty() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        }
    }

    /// The fault of a login that the server broke off after so many keys.
    pub fn explain_hang_up(&self, fault: Fault, tried: usize) -> Fault {
        let mut notice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(said) = notice.take_if(|said| said.contains(TOO_MANY)) else { return fault };
        let keys = if tried == 1 { "1 key".to_owned() } else { format!("{tried} keys") };
        Fault::new(Phase::Auth, "too-many-tries", format!("the host hung up after {keys}"))
            .cause(format!("it says '{said}': its MaxAuthTries is low"))
            .hint("--private-key FILE, with --ssh-option IdentitiesOnly=yes")
    }

    /// Adds it to why `address` did not let us in; accounts that have ended say so here alone.
    pub fn explain(&self, mut fault: Fault, address: &Ssh) -> Fault {
        fault.hint.get_or_insert_with(|| format!("{} -v true", address.to_type()));
        let Some(said) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return fault;
        };
        let fault = match said.to_lowercase().contains("account has expired") {
            true => {
                let user = &address.user;
                Fault::new(Phase::Auth, "expired", format!("the account '{user}' has expired"))
                    .hint(format!("chage -E -1 {user}  on the host"))
            }
            false => fault,
        };
        fault.cause(format!("it says '{said}'"))
    }
}
