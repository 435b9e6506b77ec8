//! A password, by either of the two ways to send one.

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::{MethodKind, MethodSet};

use crate::inventory::Secret;
use crate::transport::ssh::client::Client;
use crate::transport::{Fault, Phase};

/// Questions of a server in one login: more is a server that plays with us.
const ROUNDS: usize = 8;

/// Sends the password once: a second wrong one may lock the account.
///
/// `offered` is what the server takes, as far as it has said so. `is_sent` becomes true before the
/// password leaves: whoever gives up afterwards must not try again.
pub async fn authenticate(
    handle: &mut Handle<Client>,
    user: &str,
    password: &Secret,
    offered: Option<&MethodSet>,
    is_sent: &mut bool,
) -> Result<(), Fault> {
    let takes = |offered: &MethodSet, kind| offered.contains(&kind);
    if offered.is_none_or(|offered| takes(offered, MethodKind::Password)) {
        *is_sent = true;
        let sent = handle.authenticate_password(user, password.expose()).await;
        match sent.map_err(|error| super::broke(&error))? {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { remaining_methods, partial_success: true } => {
                return Err(wants_more(&remaining_methods));
            }
            AuthResult::Failure { remaining_methods, .. } => {
                let is_method_unknown = offered.is_none()
                    && !takes(&remaining_methods, MethodKind::Password)
                    && takes(&remaining_methods, MethodKind::KeyboardInteractive);
                if !is_method_unknown {
                    return Err(wrong(handle, user));
                }
            }
        }
    } else if offered.is_some_and(|offered| !takes(offered, MethodKind::KeyboardInteractive)) {
        let message = format!("the host takes no password of '{user}'");
        return Err(
            Fault::new(Phase::Auth, "no-password", message).hint("--private-key FILE, or ssh-add FILE")
        );
    }
    keyboard_interactive(handle, user, password, is_sent).await
}

/// Answers the one question that is asked without echo.
async fn keyboard_interactive(
    handle: &mut Handle<Client>,
    user: &str,
    password: &Secret,
    is_sent: &mut bool,
) -> Result<(), Fault> {
    let mut response = handle.authenticate_keyboard_interactive_start(user, None).await;
    let mut is_answered = false;
    for _ in 0..ROUNDS {
        let prompts = match response.map_err(|error| super::broke(&error))? {
            KeyboardInteractiveAuthResponse::Success => return Ok(()),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success: true } => {
                return Err(wants_more(&remaining_methods));
            }
            KeyboardInteractiveAuthResponse::Failure { .. } => return Err(wrong(handle, user)),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let answers = match prompts.as_slice() {
            [] => Vec::new(),
            [prompt] if !prompt.echo && !is_answered => {
                is_answered = true;
                *is_sent = true;
                vec![password.expose().to_owned()]
            }
            // The same question again says that the answer was wrong.
            [prompt] if !prompt.echo && prompt.prompt.to_ascii_lowercase().contains("password") => {
                return Err(wrong(handle, user));
            }
            prompts => {
                let clean = |text: &str| text.trim().chars().filter(|c| !c.is_control()).collect::<String>();
                let fault = Fault::new(
                    Phase::Auth,
                    "interactive",
                    format!("the host asks '{user}' for more than a password"),
                );
                let fault = prompts
                    .iter()
                    .fold(fault, |fault, prompt| fault.cause(format!("it asks '{}'", clean(&prompt.prompt))));
                return Err(fault.hint("--private-key FILE, or ssh-add FILE"));
            }
        };
        response = handle.authenticate_keyboard_interactive_respond(answers).await;
    }
    Err(Fault::new(Phase::Auth, "interactive", "the host goes on asking questions without an end")
        .hint("--private-key FILE, or ssh-add FILE"))
}

/// The host fell silent, or hung up, behind the password: a kind of its own, as nobody sends it again.
pub fn unanswered(fault: Fault, user: &str) -> Fault {
    let message = format!("the host was sent the password of '{user}' and did not go on");
    Fault::new(Phase::Auth, "unanswered", message)
        .cause(fault.message)
        .cause("it was sent once: a second wrong one may lock the account")
        .hint("--connect-timeout 60s")
}

fn wrong(handle: &Handle<Client>, user: &str) -> Fault {
    let fault = Fault::new(Phase::Auth, "password", format!("the host refused the password of '{user}'"));
    let fault = match handle.is_closed() {
        true => fault.cause("and closed the connection"),
        false => fault,
    };
    fault.cause("it was sent once: a second wrong one may lock the account").hint("--user NAME")
}

/// The password was right, and the host wants something else besides.
fn wants_more(methods: &MethodSet) -> Fault {
    super::wants_more("the password", methods)
}
