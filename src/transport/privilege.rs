//! Another user of the host, through its sudo, doas or su: the line that asks them, what they ask
//! back, and what they say when they refuse.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Fault;
use super::link::Carrier;
use crate::inventory::{Method, Privilege};

mod prompt;
mod refusal;

use prompt::Prompt;

use refusal::refusal;
pub use refusal::{NO_TERMINAL, no_terminal_here};

/// What sudo prints where it wants a password: no shell takes it for anything but a word, and no
/// greeting begins like it.
const MARKER: &str = "cronium-run-password:";

/// What runs before any script of ours does: where we come from belongs to the user who logged in,
/// and so may the folders that his environment names. HOME is that of the new user, see [`line`]. PATH
/// stays as sudo's secure_path or the host made it: it is the script's as well.
const CLEAN: &str = "cd /; unset XDG_CACHE_HOME XDG_STATE_HOME XDG_CONFIG_HOME;";

/// Whether the method may ask for a password. Nothing that is no password is sent before it has
/// had its say: it would be taken for one.
pub fn may_ask(privilege: &Privilege) -> bool {
    privilege.password.is_some() || privilege.method == Method::Su
}

/// The line for the login shell that makes the user's own sh run `script`, which holds no single
/// quote: as root's is in root's home, nothing is run that somebody else could have put there.
///
/// The messages of all three are those of the C locale.
pub fn line(privilege: &Privilege, script: &str) -> String {
    let Privilege { method, user, password, .. } = privilege;
    let script = format!("'{CLEAN} {script}'");
    match (method, password) {
        (Method::Sudo, None) => format!("exec env LC_ALL=C sudo -H -n -u {user} -- sh -c {script}"),
        (Method::Sudo, Some(_)) => {
            format!("exec env LC_ALL=C sudo -H -S -p {MARKER} -u {user} -- sh -c {script}")
        }
        (Method::Doas, None) => format!("exec env LC_ALL=C doas -n -u {user} sh -c {script}"),
        (Method::Doas, Some(_)) => format!("exec env LC_ALL=C doas -u {user} sh -c {script}"),
        // A login: only then it has the environment of the new user alone.
        (Method::Su, _) => format!("exec env LC_ALL=C su -l -s /bin/sh -c {script} {user}"),
    }
}

/// The user to become for one job, over however many commands that takes.
pub struct Escalation<'a> {
    pub privilege: &'a Privilege,
    is_answered: AtomicBool,
}

impl<'a> Escalation<'a> {
    pub fn new(privilege: &'a Privilege) -> Self {
        Self { privilege, is_answered: AtomicBool::new(false) }
    }

    /// Whether the password was sent: from then on nobody asks again.
    pub fn is_answered(&self) -> bool {
        self.is_answered.load(Ordering::Relaxed)
    }

    /// Why the host did not make us another user, where that is what `said` means.
    pub fn refusal(&self, said: &str, exit_code: Option<u32>) -> Option<Fault> {
        refusal(self.privilege, self.is_answered(), said, exit_code)
    }
}

/// Answers the one question that may come, and hears what else is said until the script runs.
pub struct Asked<'a> {
    escalation: &'a Escalation<'a>,
    prompt: Prompt,
}

impl<'a> Asked<'a> {
    /// Nothing where no question may come.
    pub fn new(escalation: &'a Escalation<'a>) -> Option<Self> {
        let privilege = escalation.privilege;
        may_ask(privilege).then(|| Self { escalation, prompt: Prompt::new(privilege.method) })
    }

    /// Takes what came from either stream. The password is sent once: a second wrong one may lock
    /// the account, so a second question is the end.
    pub async fn hear(&mut self, bytes: &[u8], carrier: &mut Carrier) -> Result<(), Fault> {
        if !self.prompt.hear(bytes) {
            return Ok(());
        }
        let Escalation { privilege, is_answered } = self.escalation;
        match &privilege.password {
            None => Err(refusal::wants_password(privilege)),
            Some(_) if is_answered.swap(true, Ordering::Relaxed) => Err(refusal::wrong_password(privilege)),
            Some(password) => {
                let answer = zeroize::Zeroizing::new(format!("{}\n", password.expose()));
                carrier.write(bytes::Bytes::from_owner(SecretBytes(answer))).await;
                Ok(())
            }
        }
    }

    /// Nothing more came: the question is another than the one we know.
    pub fn silent(&self) -> Fault {
        refusal::silent(self.escalation.privilege, self.prompt.pending())
    }
}

/// Zeroed when the transport is done with it.
struct SecretBytes(zeroize::Zeroizing<String>);

impl AsRef<[u8]> for SecretBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Secret;

    #[test]
    fn no_password_is_in_a_line() {
        let password = Some(Secret::new("hunter2"));
        let shown: Vec<String> = Method::ALL
            .into_iter()
            .flat_map(|method| [(method, None), (method, password.clone())])
            .map(|(method, password)| {
                line(&Privilege { method, login: "ann".into(), user: "app".into(), password }, "id")
            })
            .map(|line| line.replace(CLEAN, "CLEAN;"))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        exec env LC_ALL=C sudo -H -n -u app -- sh -c 'CLEAN; id'
        exec env LC_ALL=C sudo -H -S -p cronium-run-password: -u app -- sh -c 'CLEAN; id'
        exec env LC_ALL=C doas -n -u app sh -c 'CLEAN; id'
        exec env LC_ALL=C doas -u app sh -c 'CLEAN; id'
        exec env LC_ALL=C su -l -s /bin/sh -c 'CLEAN; id' app
        exec env LC_ALL=C su -l -s /bin/sh -c 'CLEAN; id' app
        ");
    }
}
