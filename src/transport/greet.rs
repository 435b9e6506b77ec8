//! Waits for a started program's greeting.

use cronium_wire::greeting::{Greeter, Greeting, GreetingError};
use cronium_wire::message::{FromStub, Hello};

use super::inbox::Piece;
use super::link::{Carrier, Link, Tail};
use super::{Fault, Phase};

/// What stands at the other end.
pub enum Answer {
    Stub(Box<(Link, Hello)>),
    /// `uname -m` of a host without our stub.
    NeedsStub {
        machine: String,
    },
    /// It ended without a greeting: a stub that cannot run, or a shell that ran something else.
    Mute {
        exit_code: Option<u32>,
        stderr: String,
    },
}

/// `sent`: how many frames are on their way already.
pub async fn greet(mut carrier: Carrier, sent: u64) -> Result<Answer, Fault> {
    let mut greeter = Greeter::default();
    let mut stderr = Tail::default();
    loop {
        match carrier.read().await {
            Piece::Stderr(bytes) => stderr.push(&bytes),
            Piece::Ended(exit_code) => {
                let stderr = if stderr.text().is_empty() { greeter.noise() } else { stderr.text() };
                return Ok(Answer::Mute { exit_code, stderr: stderr.trim().to_owned() });
            }
            Piece::Lost => {
                return Err(Fault::lost("the connection broke while the runner started").cause(stderr.text()));
            }
            Piece::Stdout(bytes) => match greeter.push(&bytes) {
                Ok(None) => {}
                Ok(Some((Greeting::Ready, behind))) => {
                    let mut link = Link::new(carrier, &behind, sent, stderr);
                    return match link.receive().await? {
                        FromStub::Hello(hello) => Ok(Answer::Stub(Box::new((link, hello)))),
                        _ => Err(Fault::lost("the runner did not say hello")),
                    };
                }
                Ok(Some((Greeting::Need { machine }, _))) => return Ok(Answer::NeedsStub { machine }),
                Ok(Some((Greeting::Fail { reason }, _))) => {
                    return Err(Fault::new(Phase::Tempdir, "folder", "the host has no place for the runner")
                        .cause(reason)
                        .cause(stderr.text())
                        .hint("make ~/.cache, /var/tmp or /tmp writable and not mounted noexec"));
                }
                Err(GreetingError::Noise) => {
                    return Err(Fault::new(
                        Phase::Upload,
                        "noise",
                        "the host prints without end instead of running a command",
                    )
                    .cause(format!("it begins with {:?}", greeter.noise())));
                }
                Err(GreetingError::Unknown(line)) => {
                    return Err(Fault::new(
                        Phase::Upload,
                        "greeting",
                        "the host answers in another language",
                    )
                    .cause(line));
                }
            },
        }
    }
}
