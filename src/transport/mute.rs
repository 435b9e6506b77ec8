//! A host that let us in and did not run what we asked for: why, from what it said instead.

use super::{Fault, Phase};
use crate::inventory::Ssh;

/// What is told of what it said.
const TOLD: usize = 200;
/// What our commands begin with: a shell that refuses one may quote all of it.
const OURS: &str = "exec sh -c";

/// How a command ended that should have become the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// `None` where a signal ended it.
    pub exit_code: Option<u32>,
    /// Its last line on stderr, else what it printed.
    pub said: String,
}

/// Why a login runs nothing of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    PasswordExpired,
    NoLogin,
    Restricted,
    Other,
    Shell,
}

impl Mute {
    pub fn new(exit_code: Option<u32>, said: &str) -> Self {
        Self { exit_code, said: said.trim().to_owned() }
    }

    /// The login itself is the trouble: no command is run.
    /// `None`: on this machine.
    pub fn fault(self, address: Option<&Ssh>) -> Fault {
        let to_type = address.map_or_else(|| "sh -c".to_owned(), Ssh::to_type);
        let user = address.map_or("root", |address| &address.user);
        let fault = match self.reason() {
            Reason::PasswordExpired => {
                let message = format!(
                    "the password of '{user}' has expired, and the host runs nothing before it is changed"
                );
                Fault::new(Phase::Auth, "expired", message).hint(format!("{to_type} -t  asks for a new one"))
            }
            Reason::NoLogin => {
                let message = format!("the account '{user}' has a login shell that runs nothing");
                Fault::new(Phase::Upload, "nologin", message)
                    .hint(format!("usermod -s /bin/sh {user}  on the host, or --user NAME"))
            }
            Reason::Restricted => {
                let message = format!("the host lets '{user}' run only what it chooses");
                Fault::new(Phase::Upload, "restricted", message).hint(format!(
                    "getent passwd {user}; grep -ri ForceCommand /etc/ssh  on the host, or --user NAME"
                ))
            }
            Reason::Other => {
                Fault::new(Phase::Upload, "forced", "the host ran something else than our command")
                    .hint("grep -ri ForceCommand /etc/ssh; grep command= ~/.ssh/authorized_keys  on the host")
            }
            Reason::Shell => Fault::new(Phase::Upload, "shell", "the host's shell did not start the runner")
                .hint(format!("{to_type} uname -m")),
        };
        self.tell(fault)
    }

    /// The login is fine, and so is the runner, which was checked on the host: it does not start.
    pub fn fault_of_runner(self, machine: &str) -> Fault {
        let fault = match self.is_foreign_program() {
            true => {
                let message = format!("the host says that it is {machine} and cannot run programs of that");
                Fault::new(Phase::Upload, "architecture", message).hint("uname -m; file /bin/sh  on the host")
            }
            false => Fault::new(Phase::Upload, "start", "the runner is on the host and does not start")
                .hint("dmesg | tail; ulimit -a  on the host"),
        };
        self.tell(fault)
    }

    fn tell(self, fault: Fault) -> Fault {
        let ended = match self.exit_code {
            Some(code) => format!("it exited with {code}"),
            None => "a signal ended it".to_owned(),
        };
        let said = match self.said.split_once(OURS) {
            Some((before, _)) => format!("{before}{OURS} …"),
            None => self.said,
        };
        let said: String = said.chars().take(TOLD).collect();
        let said = if said.is_empty() { said } else { format!("it says '{said}'") };
        fault.cause(said).cause(ended)
    }

    fn reason(&self) -> Reason {
        let said = self.said.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if has(&["password has expired", "password change required", "password is expired"]) {
            Reason::PasswordExpired
        } else if has(&["not available", "nologin"]) || (said.is_empty() && self.exit_code == Some(1)) {
            // /bin/false says nothing.
            Reason::NoLogin
        } else if has(&[
            "restricted",
            "sftp connections only",
            "shell access",
            "shell is not enabled",
            "unrecognized command",
        ]) {
            Reason::Restricted
        } else if self.exit_code == Some(0) {
            Reason::Other
        } else {
            Reason::Shell
        }
    }

    /// Shells that run what the kernel will not as a script of theirs stumble over its first bytes.
    fn is_foreign_program(&self) -> bool {
        ["Exec format error", "cannot execute binary", "ELF", "yntax error"]
            .iter()
            .any(|word| self.said.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        // exit code, words, reason
        const TABLE: &[(Option<u32>, &str, Reason)] = &[
            (Some(1), "This account is currently not available.", Reason::NoLogin),
            (Some(1), "", Reason::NoLogin),
            (Some(1), "WARNING: Your password has expired.", Reason::PasswordExpired),
            (Some(1), "Password change required but no TTY available.", Reason::PasswordExpired),
            (Some(1), "rbash: line 1: exec: restricted", Reason::Restricted),
            (Some(1), "This service allows sftp connections only.", Reason::Restricted),
            (Some(128), "fatal: Interactive git shell is not enabled.", Reason::Restricted),
            (Some(128), "fatal: unrecognized command 'exec sh'", Reason::Restricted),
            (Some(1), "Hi ann! GitHub does not provide shell access.", Reason::Restricted),
            (Some(0), "hello", Reason::Other),
            (Some(0), "", Reason::Other),
            (Some(127), "sh: not found", Reason::Shell),
            (None, "", Reason::Shell),
        ];
        for (exit_code, said, reason) in TABLE {
            assert_eq!(Mute::new(*exit_code, said).reason(), *reason, "{exit_code:?} {said}");
        }
    }
}
