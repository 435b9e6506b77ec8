//! Asks a host what `exec` will find there: one shell script over the connection, and a look at
//! what its sshd forwards. Nothing of it is left on the host.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::timeout;

use super::bootstrap::{AGAIN, STUBS, undelivered};
use super::greet::{Answer, greet};
use super::inbox::Piece;
use super::link::{Carrier, Tail};
use super::mute::Mute;
use super::privilege::{self, Escalation};
use super::{Connection, Entrance, Fault, Phase, Remote, Step, Transport};
use crate::inventory::{Address, Method, Privilege, Target};

mod survey;

use survey::Forwarding;
pub use survey::{Home, Interpreter, Login, Memory, Place, PlaceState, Survey, WayUp};

/// The script; a slow `sudo` or interpreter has to answer.
const PROBE_WITHIN: Duration = Duration::from_secs(60);
/// What a host may print for all of it.
const SAID_MAX: usize = 256 << 10;
/// What is kept of a message of the day.
const NOISE_KEPT: usize = 200;

const SCRIPT: &str = include_str!("probe/probe.sh");
const BEGIN: &str = "cronium-run:probe\t";
const END: &str = "\nend\n";

impl Transport {
    /// What `target` is like for the user whom its scripts run as; a fault where `exec` could not log in,
    /// become that user or run a shell there either.
    pub async fn probe(&self, target: &Target) -> Result<Survey, Fault> {
        let begun = Instant::now();
        let privilege = target.privilege.as_ref();
        let address = match &target.address {
            Address::Local => return survey(&Connection::Local(super::local::Local), privilege, None).await,
            Address::Ssh(address) => address,
        };
        let ssh = self.ssh.connect(address, &|_: Step| {}).await?;
        let took = begun.elapsed();
        let asked = Instant::now();
        ssh.answers(super::ANSWER_WITHIN).await;
        let credential = ssh.credential().clone();
        let login = Login { took, round_trip: asked.elapsed(), credential };
        let connection = Connection::Ssh(Remote::Own(Box::new(ssh)));
        let survey = survey(&connection, privilege, Some(login)).await;
        connection.close().await;
        survey
    }
}

async fn survey(
    connection: &Connection,
    privilege: Option<&Privilege>,
    login: Option<Login>,
) -> Result<Survey, Fault> {
    let forwarding = async {
        let socket = format!("/tmp/cronium-run.{:016x}", getrandom::u64().unwrap_or_default());
        match connection {
            // Helpers of this machine need no sshd.
            Connection::Local(_) => (Forwarding::default(), socket),
            Connection::Ssh(ssh) => {
                let port = open_and_close(ssh, Entrance::Port(0)).await;
                let at_socket = match privilege {
                    None => open_and_close(ssh, Entrance::Socket(socket.clone())).await,
                    Some(_) => Some(foreign_socket()),
                };
                (Forwarding { socket: at_socket, port }, socket)
            }
        }
    };
    let late = || {
        let message = format!("the host did not answer the probe within {} s", PROBE_WITHIN.as_secs());
        Fault::new(Phase::Upload, "timeout", message).hint("uptime; df -h  on the host")
    };
    timeout(PROBE_WITHIN, async {
        let (forwarding, socket) = forwarding.await;
        let script = script(&socket);
        let mut carrier = match privilege {
            None => connection.exec("exec sh", false).await?,
            Some(privilege) => shell_of(connection, privilege, script.len()).await?,
        };
        // What goes wrong is told by what is read next.
        carrier.write(script).await;
        let said = listen(carrier, connection).await?;
        let mut survey = Survey { forwarding, noise: said.noise, ..Survey::default() };
        said.text.lines().for_each(|line| survey.line(line));
        let half = login.as_ref().map_or(0.0, |login| login.round_trip.as_secs_f64() / 2.0);
        // Its seconds are whole ones, cut off.
        survey.clock_ahead = said.clock + 0.5 - (said.heard_at - half);
        survey.login = login;
        survey.became = privilege.map(|privilege| privilege.method);
        Ok(survey)
    })
    .await
    .unwrap_or_else(|_| Err(late()))
}

/// A shell of the user of `privilege` that runs the next `length` bytes.
async fn shell_of(connection: &Connection, privilege: &Privilege, length: usize) -> Result<Carrier, Fault> {
    // As for a job: doas takes a password from a terminal only.
    let terminal = privilege::may_ask(privilege) && privilege.method == Method::Doas;
    let escalation = Escalation::new(privilege);
    match shell_on(connection, &escalation, length, terminal).await {
        // A password that went out is not sent again.
        Err(fault) if fault.kind == privilege::NO_TERMINAL && !terminal && !escalation.is_answered() => {
            shell_on(connection, &escalation, length, true).await
        }
        shell => shell,
    }
}

async fn shell_on(
    connection: &Connection,
    escalation: &Escalation<'_>,
    length: usize,
    terminal: bool,
) -> Result<Carrier, Fault> {
    let privilege = escalation.privilege;
    if terminal && matches!(connection, Connection::Local(_)) {
        return Err(privilege::no_terminal_here(privilege));
    }
    // It says when nobody asks for a password any more. An sh that reads from a terminal would
    // take it for a person's.
    let script = format!("echo \"cronium-run:need $(uname -m)\"; eval \"$(head -c {length})\"");
    let carrier = connection.exec(&privilege::line(privilege, &script), terminal).await?;
    match greet(carrier, 0, Some(escalation)).await.map_err(|fault| undelivered(fault, false))? {
        Answer::NeedsStub { carrier, .. } => Ok(carrier),
        Answer::Mute(mute) => Err(mute.fault(connection.address())),
        Answer::Stub(_) => Err(Fault::new(Phase::Upload, "greeting", "the host answers in another language")),
    }
}

/// sshd opens sockets as the user who logged in, and not where another user's run has its own.
fn foreign_socket() -> Fault {
    Fault::new(Phase::Upload, "forward", "the host's sshd serves the user who logged in")
}

/// Why the host's sshd does not forward, if it does not.
async fn open_and_close(remote: &Remote, at: Entrance) -> Option<Fault> {
    let opened = remote.open_tunnel(at).await;
    if let Remote::Own(ssh) = remote {
        ssh.close_tunnels().await;
    }
    opened.err()
}

fn script(socket: &str) -> Bytes {
    let need = STUBS.iter().map(|stub| stub.size).max().unwrap_or_default();
    let digests: Vec<&str> = STUBS.iter().map(|stub| stub.digest).collect();
    format!("need={need} digests='{}' socket={socket}\n{SCRIPT}", digests.join(" ")).into()
}

/// The probe's words.
struct Said {
    /// Before its first.
    noise: String,
    /// The host's clock, in seconds since 1970, and ours when it came.
    clock: f64,
    heard_at: f64,
    text: String,
}

async fn listen(mut carrier: Carrier, connection: &Connection) -> Result<Said, Fault> {
    let (mut bytes, mut stderr, mut heard_at) = (Vec::new(), Tail::default(), None);
    loop {
        match carrier.read().await {
            Piece::Stdout(piece) => bytes.extend_from_slice(&piece),
            Piece::Stderr(piece) => stderr.push(&piece),
            Piece::Lost => {
                let fault =
                    Fault::new(Phase::Upload, "lost", "the connection broke while the host was probed");
                return Err(fault.cause(stderr.text()).hint(AGAIN));
            }
            Piece::Ended(code) => {
                let said = String::from_utf8_lossy(&bytes);
                let said = if stderr.text().is_empty() { said.into_owned() } else { stderr.text() };
                let mute = Mute::new(code, said.lines().next().unwrap_or_default());
                return Err(match connection {
                    Connection::Ssh(_) => mute.fault(connection.address()),
                    Connection::Local(_) => {
                        Fault::new(Phase::Upload, "shell", "the shell of this machine does not run the probe")
                            .cause(mute.said)
                            .hint("ls -l /bin/sh")
                    }
                });
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((noise, rest)) = text.split_once(BEGIN) {
            let heard_at = *heard_at.get_or_insert_with(now);
            if let Some((said, _)) = rest.split_once(END) {
                let (clock, text) = said.split_once('\n').unwrap_or((said, ""));
                let clock = clock.trim().parse().unwrap_or(heard_at);
                let noise = noise.trim().chars().take(NOISE_KEPT).collect();
                return Ok(Said { noise, clock, heard_at, text: text.to_owned() });
            }
        }
        if bytes.len() > SAID_MAX {
            let first: String = text.lines().next().unwrap_or_default().chars().take(NOISE_KEPT).collect();
            return Err(super::greet::endless(&first));
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
