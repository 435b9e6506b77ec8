//! Another user of the host, through its sudo, doas or su: the line that asks them, what they ask
//! back, and what they say when they refuse.

use super::Fault;
use super::link::Carrier;
use crate::inventory::{Method, Privilege};

mod prompt;
mod refusal;

use prompt::Prompt;

pub use refusal::{NO_TERMINAL, no_terminal_here, refusal};

/// What sudo prints where it wants a password: no shell takes it for anything but a word, and no
/// greeting begins like it.
const MARKER: &str = "cronium-run-password:";

/// What runs before any script of ours does: where we come from belongs to the user who logged in,
/// and so may the folders that his environment names. HOME is that of the new user, see [`line`].
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

/// Answers the one question that may come, and hears what else is said until the script runs.
pub struct Asked<'a> {
    privilege: &'a Privilege,
    prompt: Prompt,
    is_sent: bool,
}

impl<'a> Asked<'a> {
    pub fn new(privilege: &'a Privilege) -> Self {
        Self { privilege, prompt: Prompt::new(privilege.method), is_sent: false }
    }

    /// Takes what came from either stream. The password is sent once: a second wrong one may lock
    /// the account, so a second question is the end.
    pub async fn hear(&mut self, bytes: &[u8], carrier: &mut Carrier) -> Result<(), Fault> {
        if !self.prompt.hear(bytes) {
            return Ok(());
        }
        match &self.privilege.password {
            None => Err(refusal::wants_password(self.privilege)),
            Some(_) if self.is_sent => Err(refusal::wrong_password(self.privilege)),
            Some(password) => {
                self.is_sent = true;
                let answer = zeroize::Zeroizing::new(format!("{}\n", password.expose()));
                carrier.write(bytes::Bytes::from_owner(SecretBytes(answer))).await;
                Ok(())
            }
        }
    }

    /// Whether the password was sent.
    pub fn is_answered(&self) -> bool {
        self.is_sent
    }

    /// Nothing more came: the question is another than the one we know.
    pub fn silent(&self) -> Fault {
        refusal::silent(self.privilege, self.prompt.pending())
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
