//! The command's end.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

use super::frames::{Incoming, Outgoing, halves};
use super::place::{Place, program};
use super::protocol::{Ask, Request, Word};
use super::standing::Standing;
use crate::error::{Error, Result};
use crate::inventory::{Proxy, Ssh};
use crate::transport::inbox::{Hear, Inbox, Piece};
use crate::transport::tunnel::Stream;
use crate::transport::{Entrance, Fault, Phase, Step, Tunnel};

/// What a keeper may take to start on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(10);
/// What a keeper that lives may take to say how things stand.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Helper connections that wait to be served.
const TUNNEL_BACKLOG: usize = 32;
/// The kind of a fault that is none of the host.
pub const GONE: &str = "keeper";

/// What a keeper needs of the environment of the command that starts it. It has no use for the rest,
/// secrets of that command among it.
const KEPT: [&str; 12] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
];

/// The way to a keeper that runs, or is started by whoever finds none.
pub struct Keeper {
    place: Place,
    keep: Duration,
    session: AtomicU64,
    starting: Mutex<()>,
}

impl Keeper {
    /// Connections are kept for `keep` after their last use. An error where there can be no keeper.
    pub fn new(keep: Duration) -> Result<Self> {
        let session = getrandom::u64().map_err(|error| Error::failure("no random number").because(error))?;
        Ok(Self { place: Place::open()?, keep, session: session.into(), starting: Mutex::default() })
    }

    /// Sees to it that there is a keeper.
    pub async fn begin(&self) -> Result<()> {
        self.connect().await.map(drop).map_err(|error| {
            Error::failure("the keeper of connections does not start")
                .because(error)
                .hint("cronium-run keeper serve  shows why")
        })
    }

    /// Files are read again for connections from now on.
    pub fn read_anew(&self) {
        self.session.fetch_add(1, Ordering::Relaxed);
    }

    /// Borrows a connection to the host. `step` is called as each step of making one begins.
    pub async fn lend(&self, address: &Ssh, step: &impl Fn(Step)) -> Result<Kept, Fault> {
        let request = Request::Lend {
            address: Box::new(absolute(address.clone())),
            session: self.session.load(Ordering::Relaxed),
            keep: self.keep,
        };
        // One that is about to end takes nobody in any more; the next one does.
        let mut again = true;
        let is_at_login = AtomicBool::new(false);
        loop {
            let lent = async {
                let (mut incoming, outgoing) = ask(self.connect().await?, &request).await?;
                loop {
                    match incoming.message::<Word>().await? {
                        Some(Word::Step(next)) => {
                            is_at_login.fetch_or(next == Step::Authenticating, Ordering::Relaxed);
                            step(next);
                        }
                        Some(Word::Lent { lease }) => return Ok(Ok((lease, incoming, outgoing))),
                        Some(Word::Failed(fault)) => return Ok(Err(fault)),
                        _ => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                    }
                }
            };
            match lent.await {
                Ok(Ok((lease, incoming, outgoing))) => {
                    let address = address.without_secrets();
                    return Ok(Kept::new(address, self.place.socket(), lease, incoming, outgoing));
                }
                Ok(Err(fault)) => return Err(fault),
                // A password may have gone out already, and a second wrong one may lock the account.
                Err(error) if is_at_login.load(Ordering::Relaxed) => {
                    let message = "the keeper of connections ended while the host looked at who we are";
                    return Err(Fault::new(Phase::Auth, "keeper", message)
                        .because(&error)
                        .hint("run the same command again"));
                }
                Err(_) if again => again = false,
                Err(error) => return Err(gone(&error)),
            }
        }
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        let socket = self.place.socket();
        if let Ok(stream) = connect(&socket).await {
            return Ok(stream);
        }
        let _one_at_a_time = self.starting.lock().await;
        match connect(&socket).await {
            Ok(stream) => Ok(stream),
            Err(_) => {
                timeout(START_WITHIN, start())
                    .await
                    .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the keeper does not start"))??;
                connect(&socket).await
            }
        }
    }
}

/// How things stand with the keeper at `socket`, and its process; `None` where nobody listens.
pub async fn standing(socket: &std::path::Path) -> Option<(i32, Option<Standing>)> {
    let stream = connect(socket).await.ok()?;
    let pid = stream.peer_cred().ok()?.pid()?;
    let standing = async {
        let (mut incoming, _outgoing) = ask(stream, &Request::Status).await?;
        incoming.message::<Word>().await
    };
    match timeout(ANSWER_WITHIN, standing).await {
        Ok(Ok(Some(Word::Standing(standing)))) => Some((pid, Some(standing))),
        _ => Some((pid, None)),
    }
}

/// Makes a request and waits until it is heard: a keeper that is stopped or stuck takes connections
/// in, and nothing more.
async fn ask(stream: UnixStream, request: &Request) -> io::Result<(Incoming, Outgoing)> {
    let (mut incoming, mut outgoing) = halves(stream);
    let heard = async {
        outgoing.message(request).await?;
        incoming.message::<Word>().await
    };
    match timeout(ANSWER_WITHIN, heard).await {
        Ok(Ok(Some(Word::Heard))) => Ok((incoming, outgoing)),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it hears nobody")),
    }
}

/// Whoever listens there belongs to this user, or is told nothing.
async fn connect(socket: &std::path::Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket).await?;
    match stream.peer_cred()?.uid() == rustix::process::getuid().as_raw() {
        true => Ok(stream),
        false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user listens there")),
    }
}

/// Starts a keeper and waits until it, or another that was faster, can be connected to.
async fn start() -> io::Result<()> {
    let mut command = std::process::Command::new(program());
    command.arg0("cronium-run").args(["keeper", "serve"]).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env_clear().envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    let mut command = tokio::process::Command::from(command);
    let mut child = command.spawn()?;
    let mut word = [0; 1];
    // It closes its stdout where another one has the place.
    if let Some(mut stdout) = child.stdout.take() {
        let _ = stdout.read(&mut word).await?;
    }
    Ok(())
}

/// The keeper stands in another folder.
fn absolute(mut address: Ssh) -> Ssh {
    let paths = [&mut address.identities, &mut address.certificates, &mut address.known_hosts];
    let files = [&mut address.agent, &mut address.protocol.revoked].into_iter().flatten();
    for path in paths.into_iter().flatten().chain(files) {
        if let Ok(absolute) = std::path::absolute(&*path) {
            *path = absolute;
        }
    }
    if let Some(Proxy::Jump(jump)) = &mut address.proxy {
        *jump = Arc::new(absolute(Ssh::clone(jump)));
    }
    address
}

fn gone(error: &io::Error) -> Fault {
    Fault::new(Phase::Tcp, GONE, "the keeper of connections does not answer")
        .because(error)
        .hint("cronium-run keeper stop, or --persist 0")
}

/// With a port, the number that the host has chosen.
type Opened = Result<(Tunnel, Option<u16>), Fault>;

/// What is asked of a connection, and who waits for the answer.
enum Want {
    Tunnel(Entrance, oneshot::Sender<Opened>),
    Answers(Duration, oneshot::Sender<bool>),
}

impl Want {
    fn ask(&self) -> Ask {
        match self {
            Self::Tunnel(entrance, _) => Ask::Tunnel(entrance.clone()),
            Self::Answers(within, _) => Ask::Answers(*within),
        }
    }
}

/// A connection that the keeper lends until this is dropped.
pub struct Kept {
    address: Ssh,
    socket: PathBuf,
    lease: u64,
    wants: mpsc::Sender<Want>,
}

impl Kept {
    fn new(address: Ssh, socket: PathBuf, lease: u64, incoming: Incoming, outgoing: Outgoing) -> Self {
        let (wants, wanted) = mpsc::channel(1);
        tokio::spawn(attend(socket.clone(), incoming, outgoing, wanted));
        Self { address, socket, lease, wants }
    }

    /// Where it leads, without what it takes to get there.
    pub fn address(&self) -> &Ssh {
        &self.address
    }

    /// Starts `command`, on a terminal where one is wanted. `again`: the keeper starts it once more
    /// for whoever comes next. It is not waited for.
    pub async fn exec(&self, command: &str, terminal: bool, again: bool) -> Result<KeptExec, Fault> {
        let request = Request::Exec { lease: self.lease, command: command.to_owned(), terminal, again };
        let begun = async {
            let (mut incoming, outgoing) = ask(connect(&self.socket).await?, &request).await?;
            // As with a connection of our own: the host has agreed to it, or has said why not.
            match incoming.message().await? {
                Some(Word::Started) => Ok(Ok(KeptExec { inbox: Inbox::new(incoming), outgoing })),
                Some(Word::Failed(fault)) => Ok(Err(fault)),
                _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        };
        begun.await.unwrap_or_else(|error| Err(gone(&error)))
    }

    pub async fn open_tunnel(&self, at: Entrance) -> Opened {
        let (answer, answered) = oneshot::channel();
        let lost = || Fault::lost("the keeper of connections is gone");
        self.wants.send(Want::Tunnel(at, answer)).await.map_err(|_| lost())?;
        answered.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Whether the host answers now.
    pub async fn answers(&self, within: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        let asked = self.wants.send(Want::Answers(within, answer)).await;
        asked.is_ok() && answered.await.unwrap_or(false)
    }
}

/// Asks for what is wanted and takes the helpers that call, until nobody needs the connection any
/// more.
async fn attend(
    socket: PathBuf,
    mut incoming: Incoming,
    mut outgoing: Outgoing,
    mut wanted: mpsc::Receiver<Want>,
) {
    let mut waiting = None;
    let mut streams: Option<mpsc::Sender<Box<dyn Stream>>> = None;
    loop {
        tokio::select! {
            // One after the other: answers bear no names.
            want = wanted.recv(), if waiting.is_none() => {
                let Some(want) = want else { return };
                if outgoing.message(&want.ask()).await.is_err() {
                    return;
                }
                waiting = Some(want);
            }
            word = incoming.message::<Word>() => match (word, waiting.take()) {
                (Ok(Some(Word::Called { call })), want) => {
                    waiting = want;
                    if let (Some(streams), Ok(stream)) = (&streams, take(&socket, call).await) {
                        let _ = streams.send(Box::new(stream)).await;
                    }
                }
                (Ok(Some(Word::Tunnel { port })), Some(Want::Tunnel(_, answer))) => {
                    let (sender, receiver) = mpsc::channel(TUNNEL_BACKLOG);
                    streams = Some(sender);
                    let _ = answer.send(Ok((Tunnel::Ssh(receiver), port)));
                }
                (Ok(Some(Word::Failed(fault))), Some(Want::Tunnel(_, answer))) => {
                    let _ = answer.send(Err(fault));
                }
                (Ok(Some(Word::Answers(answers))), Some(Want::Answers(_, answer))) => {
                    let _ = answer.send(answers);
                }
                _ => return,
            }
        }
    }
}

async fn take(socket: &std::path::Path, call: u64) -> io::Result<UnixStream> {
    let (incoming, mut outgoing) = halves(connect(socket).await?);
    outgoing.message(&Request::Take { call }).await?;
    incoming.whole(outgoing).map_err(io::Error::other)
}

/// A program on a host, behind the keeper. It is told of its end when this is dropped.
pub struct KeptExec {
    inbox: Inbox<Incoming>,
    outgoing: Outgoing,
}

impl KeptExec {
    pub async fn read(&mut self) -> Piece {
        self.inbox.read().await
    }

    /// Waits while the other end takes nothing. Whether all was sent; if not, reading tells why.
    pub async fn write(&mut self, bytes: Bytes) -> bool {
        self.inbox.while_sending(self.outgoing.data(&bytes)).await
    }
}

impl Hear for Incoming {
    async fn hear(&mut self) -> Piece {
        self.piece().await
    }
}
