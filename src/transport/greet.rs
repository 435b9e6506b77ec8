//! Waits for a started program's greeting.

use std::time::Duration;

use cronium_wire::greeting::{Greeter, Greeting, GreetingError};
use cronium_wire::message::{FromStub, Hello};
use tokio::time::timeout;

use super::inbox::Piece;
use super::link::{Carrier, Link, Tail};
use super::mute::Mute;
use super::privilege::{Asked, Escalation};
use super::{Fault, Phase};

/// How long whoever may ask for a password may say nothing: longer than PAM makes a wrong one wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What stands at the other end.
pub enum Answer {
    Stub(Box<(Link, Hello)>),
    /// A host without our stub.
    NeedsStub {
        /// What `uname -m` prints there.
        machine: String,
        /// To what asked for it.
        carrier: Carrier,
    },
    /// It ended without a greeting: a stub that cannot run, or a shell that ran something else.
    Mute(Mute),
}

/// `sent`: how many frames are on their way already. `escalation`: who has to be become first.
pub async fn greet(
    mut carrier: Carrier,
    sent: u64,
    escalation: Option<&Escalation<'_>>,
) -> Result<Answer, Fault> {
    let mut greeter = Greeter::default();
    let mut stderr = Tail::default();
    // On both streams: a terminal has but one.
    let mut heard = Tail::default();
    // Where something may be asked, nothing was sent yet, and the other end may wait as we do.
    let mut asked = escalation.and_then(Asked::new);
    loop {
        let piece = match &asked {
            None => carrier.read().await,
            Some(asked) => timeout(ANSWER_WITHIN, carrier.read()).await.map_err(|_| asked.silent())?,
        };
        match piece {
            Piece::Stderr(bytes) => {
                stderr.push(&bytes);
                heard.push(&bytes);
                if let Some(asked) = &mut asked {
                    asked.hear(&bytes, &mut carrier).await?;
                }
            }
            Piece::Ended(exit_code) => {
                let refused = escalation.and_then(|escalation| escalation.refusal(&heard.all(), exit_code));
                if let Some(fault) = refused {
                    return Err(fault);
                }
                let stderr = if stderr.text().is_empty() { greeter.noise() } else { stderr.text() };
                return Ok(Answer::Mute(Mute::new(exit_code, &stderr)));
            }
            Piece::Lost
                if let Some(escalation) = escalation.filter(|escalation| escalation.is_answered()) =>
            {
                let program = escalation.privilege.method.as_str();
                return Err(Fault::new(
                    Phase::Become,
                    "lost",
                    "the connection broke while the host looked at the password",
                )
                .cause(stderr.text())
                .cause("it is not sent a second time, as it may have been wrong")
                .hint(format!("ssh HOST {program} true  shows what it does")));
            }
            Piece::Lost => {
                return Err(Fault::lost("the connection broke while the runner started").cause(stderr.text()));
            }
            Piece::Stdout(bytes) => match greeter.push(&bytes) {
                Ok(None) => {
                    heard.push(&bytes);
                    if let Some(asked) = &mut asked {
                        asked.hear(&bytes, &mut carrier).await?;
                    }
                }
                Ok(Some((Greeting::Ready, behind))) => {
                    let mut link = Link::new(carrier, &behind, sent, stderr);
                    return match link.receive().await? {
                        FromStub::Hello(hello) => Ok(Answer::Stub(Box::new((link, hello)))),
                        _ => Err(Fault::foreign("the runner did not say hello")),
                    };
                }
                Ok(Some((Greeting::Need { machine }, _))) => {
                    return Ok(Answer::NeedsStub { machine, carrier });
                }
                Ok(Some((Greeting::Fail { reason }, _))) => {
                    return Err(no_place(&reason, &stderr.text()));
                }
                Err(GreetingError::Noise) => {
                    return Err(endless(greeter.noise().lines().next().unwrap_or_default()));
                }
                Err(GreetingError::Unknown(line)) => {
                    return Err(Fault::new(
                        Phase::Upload,
                        "greeting",
                        "the host answers in another language",
                    )
                    .cause(line)
                    .hint("look for another cronium-run in ForceCommand or command= of authorized_keys of the host"));
                }
            },
        }
    }
}

/// Why the host took no runner: `reason` is one of the shell line's, with details behind a colon.
fn no_place(reason: &str, last_words: &str) -> Fault {
    let (reason, details) = reason.split_once(": ").unwrap_or((reason, ""));
    let fault = if reason.starts_with("there is no ") {
        let fault = Fault::new(Phase::Tempdir, "tool", "the host lacks a program that takes the runner");
        fault.cause(reason).hint("busybox has what is needed: dd, gzip, mktemp, mkdir, chmod, mv, rm")
    } else if [details, last_words].iter().any(|text| text.contains("no room") || text.contains("No space")) {
        let fault = Fault::new(Phase::Tempdir, "full", "the host has no room for the runner");
        fault.cause(reason).hint("df -h ~ /var/tmp /tmp  on the host")
    } else {
        let kind = if details.contains("noexec") { "noexec" } else { "folder" };
        Fault::new(Phase::Tempdir, kind, "the host has no place for the runner")
            .cause(reason)
            .hint("make ~/.cache, /var/tmp or /tmp writable and not mounted noexec")
    };
    details.split("; ").fold(fault, |fault, detail| fault.cause(detail)).cause(last_words)
}

/// A login that begins with the line `first` and does not end.
pub fn endless(first: &str) -> Fault {
    Fault::new(Phase::Upload, "noise", "the host prints without end instead of running a command")
        .cause(format!("it begins with '{first}'"))
        .hint("look for what prints in ~/.profile, ~/.bashrc, ~/.cshrc and ForceCommand of the host")
}
