//! The keeper's own process.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, interval, timeout};

use super::frames::{Incoming, Outgoing, halves};
use super::lease::Lease;
use super::place::Place;
use super::pool::{Idle, Pool, identity};
use super::protocol::{Ask, Request, Word};
use super::spare::Started;
use super::standing::{KeptStatus, Standing};
use crate::inventory::Ssh;
use crate::transport::inbox::Piece;
use crate::transport::ssh::{Connection, Connector};
use crate::transport::tunnel::Stream;
use crate::transport::{Fault, Step, Tunnel};

/// A command that connects says what it wants.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Helpers of one command that have called and that it has not taken yet.
const CALLS: usize = 32;
/// A host that does not answer for so long is gone: another connection is made in that time.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How often connections are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A run whose last hosts take their time does not hold up what is started for the next one longer.
const QUIET: Duration = Duration::from_secs(2);
/// Nobody comes and nothing is kept for so long: the keeper ends.
const LINGER: Duration = Duration::from_secs(5);

/// Serves until it has kept nothing for a while, or gets a signal to end. `ready` is called once
/// commands may connect. At once, where this user has a keeper of this build already.
pub async fn serve(place: &Place, login_keys: PathBuf, ready: impl FnOnce()) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let Some(seat) = place.listen()? else { return Ok(()) };
    ready();
    let process = Arc::new(Process::new(login_keys));
    let mut look = interval(LOOK);
    let mut idle_since = Instant::now();
    loop {
        tokio::select! {
            accepted = seat.listener.accept() => match accepted {
                Ok((stream, _)) => {
                    idle_since = Instant::now();
                    let process = Arc::clone(&process);
                    tokio::spawn(async move { process.answer(stream).await });
                }
                // Out of descriptors: those that are given back let the next one in.
                Err(error) => {
                    tracing::warn!(%error, "a command could not be let in");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = look.tick() => {
                process.let_go();
                if process.is_in_use() {
                    idle_since = Instant::now();
                } else if idle_since.elapsed() > LINGER {
                    break;
                }
                // Nobody finds the way here any more: those who are here finish.
                if !seat.is_ours() && process.busy.load(Ordering::Relaxed) == 0 {
                    break;
                }
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    seat.leave();
    process.end().await;
    Ok(())
}

struct Process {
    begun: Instant,
    /// Where it is remembered which key each host took.
    login_keys: PathBuf,
    /// What commands share: jump hosts, and how many logins a server takes at once.
    connector: Connector,
    sessions: Mutex<HashMap<u64, Session>>,
    /// Commands that want something just now.
    busy: AtomicUsize,
    pool: Mutex<Pool>,
    leases: Mutex<Numbered<Arc<Lease>>>,
    /// Helpers that wait for the command to take them, each in a place of its command's queue.
    calls: Mutex<Numbered<(Box<dyn Stream>, OwnedSemaphorePermit)>>,
}

impl Process {
    fn new(login_keys: PathBuf) -> Self {
        Self {
            begun: Instant::now(),
            login_keys,
            connector: Connector::default(),
            sessions: Mutex::default(),
            busy: AtomicUsize::new(0),
            pool: Mutex::default(),
            leases: Mutex::default(),
            calls: Mutex::default(),
        }
    }
}

/// One command, as far as files are read for it once.
struct Session {
    connector: Arc<Connector>,
    used: Instant,
}

/// Things under numbers that are never used again.
struct Numbered<T> {
    next: u64,
    all: HashMap<u64, T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { next: 0, all: HashMap::new() }
    }
}

impl<T> Numbered<T> {
    fn insert(&mut self, value: T) -> u64 {
        self.next += 1;
        self.all.insert(self.next, value);
        self.next
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    async fn answer(self: Arc<Self>, stream: UnixStream) {
        let ours = rustix::process::getuid().as_raw();
        if stream.peer_cred().map(|peer| peer.uid()).ok() != Some(ours) {
            return;
        }
        let (mut incoming, outgoing) = halves(stream);
        let Ok(Ok(Some(request))) = timeout(REQUEST_WITHIN, incoming.message()).await else { return };
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.serve(request, incoming, outgoing).await;
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    async fn serve(&self, request: Request, incoming: Incoming, mut outgoing: Outgoing) {
        if !matches!(request, Request::Take { .. }) && outgoing.message(&Word::Heard).await.is_err() {
            return;
        }
        match request {
            Request::Lend { address, session, keep } => {
                self.lend(*address, session, keep, incoming, outgoing).await;
            }
            Request::Exec { lease, command, terminal, again } => {
                let lease = locked(&self.leases).all.get(&lease).cloned();
                let Some(lease) = lease else { return };
                let Some(_place) = lease.place().await else { return };
                let started = lease.exec(&command, terminal, again).await;
                run(started, incoming, outgoing).await;
            }
            Request::Take { call } => {
                let call = locked(&self.calls).all.remove(&call);
                if let (Some((mut call, place)), Ok(mut stream)) = (call, incoming.whole(outgoing)) {
                    drop(place);
                    let _ = copy_bidirectional(&mut call, &mut stream).await;
                }
            }
            Request::Status => {
                let _ = outgoing.message(&Word::Standing(self.standing())).await;
            }
        }
    }

    /// Lends a connection until the command closes the stream.
    async fn lend(
        &self,
        address: Ssh,
        session: u64,
        keep: Duration,
        mut incoming: Incoming,
        mut outgoing: Outgoing,
    ) {
        let connector = self.session(session);
        let found = self.find_telling(&connector, &address, &mut incoming, &mut outgoing).await;
        drop(connector);
        let Some(found) = found else { return };
        let lease = match found {
            Ok(lease) => Arc::new(lease),
            Err(fault) => return drop(outgoing.message(&Word::Failed(fault)).await),
        };
        let number = locked(&self.leases).insert(Arc::clone(&lease));
        let has_tunnels = match outgoing.message(&Word::Lent { lease: number }).await {
            Ok(()) => self.tunnels(&lease.connection, &mut incoming, &mut outgoing).await,
            Err(_) => false,
        };
        locked(&self.leases).all.remove(&number);
        match lease.end(has_tunnels, keep).await {
            Some(idle) if !keep.is_zero() => locked(&self.pool).put(lease.identity.clone(), idle),
            _ => lease.connection.close().await,
        }
        // Hosts that are done take no time from those that are not.
        if locked(&self.leases).all.is_empty() {
            locked(&self.pool).start_spares(Duration::ZERO);
        }
    }

    /// [`find`](Self::find), while the command hears how far it got; `None` once it is gone.
    async fn find_telling(
        &self,
        connector: &Connector,
        address: &Ssh,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
    ) -> Option<Result<Lease, Fault>> {
        let (steps, mut seen) = mpsc::channel(8);
        let finding = self.find(connector, address, |step| {
            let _ = steps.try_send(step);
        });
        let mut finding = std::pin::pin!(finding);
        let mut found = None;
        loop {
            let step = tokio::select! {
                biased;
                Some(step) = seen.recv(), if found.is_none() || !seen.is_empty() => step,
                done = &mut finding, if found.is_none() => {
                    found = Some(done);
                    continue;
                }
                // Nothing more is said before we answer: it is gone.
                _ = incoming.message::<Ask>(), if found.is_none() => return None,
                else => return found,
            };
            outgoing.message(&Word::Step(step)).await.ok()?;
        }
    }

    /// One that is kept and answers, else a new one.
    async fn find(&self, connector: &Connector, address: &Ssh, step: impl Fn(Step)) -> Result<Lease, Fault> {
        let identity = identity(address);
        loop {
            let Some(Idle { connection, spare, .. }) = locked(&self.pool).take(&identity) else { break };
            if connector.trusts(&connection) && is_there(&connection).await {
                return Ok(Lease::new(identity, connection, spare));
            }
            tracing::debug!(%address, "a kept connection is of no more use");
            tokio::spawn(async move { connection.close().await });
        }
        let connection = Arc::new(connector.connect(address, &step).await?);
        Ok(Lease::new(identity, connection, None))
    }

    /// Opens what the command asks for and tells it of helpers that call, until it closes the
    /// stream. Whether the host was asked to listen for anything.
    async fn tunnels(
        &self,
        connection: &Connection,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
    ) -> bool {
        let mut tunnel: Option<Tunnel> = None;
        let queue = Arc::new(Semaphore::new(CALLS));
        let mut calls = Vec::new();
        loop {
            let word = tokio::select! {
                ask = incoming.message::<Ask>() => match ask {
                    Ok(Some(Ask::Answers(within))) => Word::Answers(connection.answers(within).await),
                    Ok(Some(Ask::Tunnel(entrance))) => match connection.open_tunnel(entrance).await {
                        Ok((open, port)) => {
                            tunnel = Some(open);
                            Word::Tunnel { port }
                        }
                        Err(fault) => Word::Failed(fault),
                    },
                    _ => break,
                },
                Some(call) = accept(&mut tunnel, &queue) => {
                    let number = locked(&self.calls).insert(call);
                    calls.push(number);
                    Word::Called { call: number }
                }
            };
            if outgoing.message(&word).await.is_err() {
                break;
            }
        }
        let mut waiting = locked(&self.calls);
        for call in calls {
            waiting.all.remove(&call);
        }
        tunnel.is_some()
    }

    /// What a session has read from files; a new one asks jump hosts again that failed before.
    fn session(&self, number: u64) -> Arc<Connector> {
        let mut sessions = locked(&self.sessions);
        let session = sessions.entry(number).or_insert_with(|| {
            self.connector.forgive_bastions();
            let connector = Arc::new(self.connector.beside(self.login_keys.clone()));
            Session { connector, used: Instant::now() }
        });
        session.used = Instant::now();
        Arc::clone(&session.connector)
    }

    /// Writes down what sessions have learnt that nobody has used for a while.
    fn end_sessions(&self, quiet: Duration) {
        let over: Vec<_> = locked(&self.sessions)
            .extract_if(|_, session| {
                session.used.elapsed() >= quiet && Arc::strong_count(&session.connector) == 1
            })
            .collect();
        for (_, session) in over {
            session.connector.save();
        }
    }

    /// Says goodbye to those whose time is over.
    fn let_go(&self) {
        for Idle { connection, .. } in locked(&self.pool).expired() {
            tokio::spawn(async move { connection.close().await });
        }
        locked(&self.pool).start_spares(QUIET);
        self.end_sessions(QUIET);
        if locked(&self.leases).all.is_empty() {
            self.connector.leave_bastions();
        }
    }

    fn is_in_use(&self) -> bool {
        !locked(&self.pool).is_empty() || self.busy.load(Ordering::Relaxed) > 0
    }

    async fn end(&self) {
        self.end_sessions(Duration::ZERO);
        let kept = locked(&self.pool).drain();
        let goodbyes: Vec<_> = kept
            .into_iter()
            .map(|Idle { connection, .. }| tokio::spawn(async move { connection.close().await }))
            .collect();
        for goodbye in goodbyes {
            let _ = goodbye.await;
        }
    }

    fn standing(&self) -> Standing {
        let lent = locked(&self.leases)
            .all
            .values()
            .map(|lease| KeptStatus { to: lease.identity.to_string(), left_ms: None, is_ready: false })
            .collect::<Vec<_>>();
        let mut kept = locked(&self.pool).status();
        kept.sort_by(|one, other| (other.left_ms, &one.to).cmp(&(one.left_ms, &other.to)));
        Standing {
            pid: std::process::id(),
            uptime_ms: self.begun.elapsed().as_millis() as u64,
            connections: lent.into_iter().chain(kept).collect(),
        }
    }
}

/// It was heard a moment ago, or answers when asked.
async fn is_there(connection: &Connection) -> bool {
    !connection.is_closed() && (connection.is_fresh() || connection.answers(ANSWER_WITHIN).await)
}

/// The next helper that calls, once there is room for it. Safe to drop and call again.
async fn accept(
    tunnel: &mut Option<Tunnel>,
    queue: &Arc<Semaphore>,
) -> Option<(Box<dyn Stream>, OwnedSemaphorePermit)> {
    let Some(tunnel) = tunnel else { return std::future::pending().await };
    let place = Arc::clone(queue).acquire_owned().await.ok()?;
    Some((tunnel.accept().await?, place))
}

/// Relays between a program and the command that wants it, until either ends.
async fn run(started: Result<Started, Fault>, mut incoming: Incoming, mut outgoing: Outgoing) {
    let Started { mut exec, said } = match started {
        Ok(started) => started,
        Err(fault) => return drop(outgoing.message(&Word::Failed(fault)).await),
    };
    if outgoing.message(&Word::Started).await.is_err() {
        return;
    }
    for piece in said {
        if outgoing.piece(&piece).await.is_err() {
            return;
        }
    }
    loop {
        tokio::select! {
            piece = exec.read() => {
                let is_last = matches!(piece, Piece::Ended(_) | Piece::Lost);
                if outgoing.piece(&piece).await.is_err() || is_last {
                    return;
                }
            }
            data = incoming.data() => match data {
                Ok(Some(data)) => {
                    // What goes wrong is told by what is read next.
                    exec.write(data.into()).await;
                }
                _ => return,
            }
        }
    }
}
