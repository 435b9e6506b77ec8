//! What a server says as it hangs up.

use std::sync::{Arc, Mutex, PoisonError};

use crate::transport::{Fault, Phase};

/// OpenSSH's words at its MaxAuthTries.
const TOO_MANY: &str = "Too many authentication failures";
/// Longest words that are passed on, in characters.
const LONGEST: usize = 200;

/// The words of one connection, once there are some. Clones share them.
#[derive(Clone, Default)]
pub struct Parting(Arc<Mutex<Option<String>>>);

impl Parting {
    pub fn hear(&self, said: &str) {
        let said = said.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }

    /// The fault of a login that the server broke off after so many keys, in its own words.
    pub fn explain(&self, fault: Fault, tried: usize) -> Fault {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match said.filter(|said| !said.is_empty()) {
            None => fault,
            Some(said) if said.contains(TOO_MANY) => {
                let keys = if tried == 1 { "1 key".to_owned() } else { format!("{tried} keys") };
                Fault::new(Phase::Auth, "too-many-tries", format!("the host hung up after {keys}"))
                    .cause(format!("it says '{said}': its MaxAuthTries is low"))
                    .hint("--private-key FILE, with --ssh-option IdentitiesOnly=yes")
            }
            Some(said) => fault.cause(format!("it says '{said}'")),
        }
    }
}
