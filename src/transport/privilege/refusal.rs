//! What sudo, doas and su say when they refuse, in our words and with what helps.

use crate::inventory::{Method, Privilege};
use crate::transport::{Fault, Phase};

/// The kind of a refusal for want of a terminal.
pub const NO_TERMINAL: &str = "terminal";
/// A cause is no longer than this: sudo quotes the command, which is our whole script.
const LONGEST: usize = 200;

/// Kinds of refusals and what tells them apart, in lower case; the first that fits counts. Of what
/// a shell says too, only with the program's name before it: sudo may have let us through.
const PHRASES: &[(&str, &[&str])] = &[
    ("missing", &["must be owned by uid 0", "su: must be suid", "no new privileges"]),
    (NO_TERMINAL, &["must have a tty", "a tty is required", "must be run from a terminal"]),
    (
        "password",
        &[
            "incorrect password",
            "incorrect authentication",
            "sorry, try again",
            "authentication fail",
            "authorization failed",
        ],
    ),
    (
        "password-wanted",
        &[
            "a password is required",
            "authentication is required",
            "authentication required",
            "authorization required",
        ],
    ),
    (
        "denied",
        &[
            "not in the sudoers",
            "is not allowed to",
            "may not run",
            "i'm afraid i can't",
            "doas: operation not permitted",
            "doas is not enabled",
            "su: permission denied",
        ],
    ),
    ("no-user", &["unknown user", "su: user ", "sudo: user "]),
    ("account", &["password is expired", "has expired", "account is locked", "is currently not available"]),
];

/// Why the host did not make us another user, where that is what `said` means: all that was printed
/// before the line ended with `exit_code`. Whoever took the password wants no terminal: then it was
/// somebody else who spoke of one.
pub fn refusal(
    privilege: &Privilege,
    is_answered: bool,
    said: &str,
    exit_code: Option<u32>,
) -> Option<Fault> {
    let Privilege { method, user, .. } = privilege;
    let program = method.as_str();
    let words = said.to_ascii_lowercase();
    // `env` says so, which stands before it.
    let is_missing = matches!(exit_code, Some(126 | 127))
        && words.lines().any(|line| line.starts_with("env: ") && line.contains(program));
    let phrases = PHRASES.iter().filter(|(kind, _)| !is_answered || *kind != NO_TERMINAL);
    let known = { phrases }.find(|(_, phrases)| phrases.iter().any(|phrase| words.contains(phrase)));
    let kind = match known {
        _ if is_missing => "missing",
        Some((kind, _)) => kind,
        None if words.lines().any(|line| line.starts_with(&format!("{program}: "))) => "refused",
        None => return None,
    };
    let refused = |message: String, hint: String| Fault::new(Phase::Become, kind, message).hint(hint);
    let fault = match kind {
        "missing" => {
            let others = Method::ALL.into_iter().filter(|other| other != method);
            let others: Vec<&str> = others.map(Method::as_str).collect();
            let hint = format!("--become-method {}", others.join(" or "));
            refused(format!("the host has no {program} that works"), hint)
        }
        NO_TERMINAL => refused(
            format!("{program} on the host wants a terminal"),
            "Defaults !requiretty in its sudoers (visudo)".into(),
        ),
        "password" if privilege.password.is_some() => wrong_password(privilege),
        "password" | "password-wanted" => wants_password(privilege),
        "no-user" => refused(format!("the host has no user '{user}'"), "--become-user NAME".into()),
        "account" => refused(
            format!("{program} on the host takes '{user}' for no account that can be used"),
            format!("chage -l {user}  on the host says more"),
        ),
        _ => refused(format!("{program} on the host does not let us become '{user}'"), permission(privilege)),
    };
    Some(quoting(fault, program, said))
}

/// The program asks, and nobody gave us the password.
pub fn wants_password(privilege: &Privilege) -> Fault {
    let program = privilege.method.as_str();
    let message = format!("{program} on the host wants a password to make us '{}'", privilege.user);
    Fault::new(Phase::Become, "password-wanted", message)
        .hint("--ask-become-pass, or --become-password-file FILE")
}

pub fn wrong_password(privilege: &Privilege) -> Fault {
    let Privilege { method, user, .. } = privilege;
    let whose = match method {
        Method::Su => format!("that of '{user}'"),
        Method::Sudo | Method::Doas => "that of the user who logs in".to_owned(),
    };
    Fault::new(Phase::Become, "password", format!("{} on the host refused the password", method.as_str()))
        .cause("it was sent once: a second wrong one may lock the account")
        .hint(format!("--ask-become-pass  asks for it: {whose}"))
}

/// Over SSH it gets a terminal of its own.
pub fn no_terminal_here(privilege: &Privilege) -> Fault {
    let program = privilege.method.as_str();
    let message = format!("{program} asks at a terminal, and on this machine there is none but yours");
    Fault::new(Phase::Become, NO_TERMINAL, message).hint("--become-method sudo")
}

/// No greeting and no question that we know; `pending` is the line that nobody has ended.
pub fn silent(privilege: &Privilege, pending: String) -> Fault {
    let program = privilege.method.as_str();
    let pending: String = pending.trim().chars().filter(|c| !c.is_control()).collect();
    match pending.is_empty() {
        true => Fault::new(Phase::Become, "timeout", format!("{program} on the host does not answer")),
        false => Fault::new(
            Phase::Become,
            "question",
            format!("{program} on the host asks for something else than a password"),
        )
        .cause(format!("it asks '{pending}'")),
    }
    .hint(format!("ssh HOST {program} true  shows what it does"))
}

/// Where the host's administrator says who may become whom.
fn permission(privilege: &Privilege) -> String {
    let Privilege { method, login, user, .. } = privilege;
    match method {
        Method::Sudo => {
            "visudo -f /etc/sudoers.d/cronium-run  on the host; `sudo -l` there says what holds".to_owned()
        }
        Method::Doas => format!("permit {login} as {user}  in the host's /etc/doas.conf"),
        Method::Su => "--become-method sudo".to_owned(),
    }
}

/// With the host's own words, the last that its program said.
fn quoting(fault: Fault, program: &str, said: &str) -> Fault {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let prefix = format!("{program}:");
    let own = lines().rfind(|line| line.contains(&prefix)).or_else(|| lines().next_back());
    let own = own.unwrap_or_default();
    let words = own.rsplit(super::MARKER).next().unwrap_or_default();
    let words = words.split(" to execute '").next().unwrap_or_default();
    let short: String = words.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    // The host's words come before what we make of them.
    let mut causes = vec![short];
    causes.retain(|cause| !cause.is_empty());
    causes.extend(fault.causes.iter().cloned());
    Fault { causes, ..fault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Secret;

    /// As Debian 12's sudo 1.9.13, opendoas 6.8, util-linux 2.38 and busybox 1.35 say it, unless
    /// told.
    #[test]
    fn what_they_say() {
        use Method::{Doas, Su, Sudo};
        for (method, said, code, kind) in [
            (Sudo, "sudo: a password is required", 1, "password-wanted"),
            (
                Sudo,
                "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt",
                1,
                "password",
            ),
            (Sudo, "ann is not in the sudoers file.", 1, "denied"),
            (Sudo, "Sorry, user ann may not run sudo on web1.", 1, "denied"),
            (
                Sudo,
                "Sorry, user ann is not allowed to execute '/usr/bin/sh -c cd /' as root on web1.",
                1,
                "denied",
            ),
            (Sudo, "sudo: sorry, you must have a tty to run sudo", 1, "terminal"),
            (
                Sudo,
                "sudo: unknown user nosuch\nsudo: error initializing audit plugin sudoers_audit",
                1,
                "no-user",
            ),
            (Sudo, "env: 'sudo': No such file or directory", 127, "missing"),
            (Sudo, "env: can't execute 'sudo': No such file or directory", 127, "missing"),
            (Sudo, "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set", 1, "missing"),
            (Sudo, "sudo: Account or password is expired, reset your password and try again", 1, "account"),
            (Sudo, "sudo: something new", 1, "refused"),
            (
                Sudo,
                "sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.",
                1,
                "missing",
            ),
            // sudo-rs 0.2, from its source.
            (Sudo, "sudo: interactive authentication is required", 1, "password-wanted"),
            (
                Sudo,
                "sudo: Authentication failed, try again.\nsudo: maximum 3 incorrect authentication attempts",
                1,
                "password",
            ),
            (Sudo, "sudo: I'm sorry ann. I'm afraid I can't do that", 1, "denied"),
            (Sudo, "sudo: user 'root' not found", 1, "no-user"),
            (Doas, "doas: Authentication required", 1, "password-wanted"),
            (Doas, "doas: Authorization required", 1, "password-wanted"),
            (Doas, "doas: Authentication failed", 1, "password"),
            (Doas, "doas: Operation not permitted", 1, "denied"),
            (Doas, "doas: doas is not enabled, /etc/doas.conf: No such file or directory", 1, "denied"),
            (Doas, "doas: a tty is required", 1, "terminal"),
            (Doas, "doas: unknown user", 1, "no-user"),
            (Su, "Password: \nsu: Authentication failure", 1, "password"),
            (Su, "su: incorrect password", 1, "password"),
            (
                Su,
                "su: user nosuch does not exist or the user entry does not contain all the required fields",
                1,
                "no-user",
            ),
            (Su, "su: unknown user nosuch", 1, "no-user"),
            (Su, "su: must be suid to work properly", 1, "missing"),
            (Su, "su: Permission denied", 1, "denied"),
            (Su, "This account is currently not available.", 1, "account"),
        ] {
            let privilege = Privilege {
                method,
                login: "ann".into(),
                user: "root".into(),
                password: Some(Secret::new("x")),
            };
            let fault = refusal(&privilege, false, said, Some(code)).unwrap_or_else(|| panic!("{said}"));
            assert_eq!((fault.phase, fault.kind.as_ref()), (Phase::Become, kind), "{said}");
            assert!(fault.hint.is_some() && !fault.causes.is_empty(), "{said}");
            assert!(!fault.causes[0].contains("sh -c"), "{fault:?}");
            if (method, kind) == (Doas, "denied") {
                assert_eq!(fault.hint.as_deref(), Some("permit ann as root  in the host's /etc/doas.conf"));
            }
        }
        let said = "Welcome: a tty is required.\nSorry, try again.\nsudo: 1 incorrect password attempt";
        for (is_answered, kind) in [(false, NO_TERMINAL), (true, "password")] {
            let privilege = Privilege {
                method: Sudo,
                login: "ann".into(),
                user: "root".into(),
                password: Some(Secret::new("x")),
            };
            let fault = refusal(&privilege, is_answered, said, Some(1)).unwrap();
            assert_eq!(fault.kind, kind, "{fault:?}");
        }
        // These come from behind it.
        for (said, code) in [
            ("sh: 1: exec: /root/.cache/cronium-run/stub/ab: Exec format error", 126),
            ("sh: 1: exec: /root/.cache/cronium-run/stub/ab: Permission denied", 126),
            ("Your password will expire in 5 days.", 0),
        ] {
            for method in Method::ALL {
                let privilege =
                    Privilege { method, login: "ann".into(), user: "root".into(), password: None };
                assert_eq!(refusal(&privilege, false, said, Some(code)), None, "{said}");
            }
        }
    }
}
