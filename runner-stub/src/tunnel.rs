//! The way to the operator's helper API: HTTP/1.1 over a Unix socket that SSH forwards, else over
//! a port of 127.0.0.1 that it forwards, else none.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cronium_wire::message::{FromStub, Job, Mode};

use crate::helper_call::Reply;
use crate::helper_call::socket::short;
use crate::peer::{self, Standing};
use crate::session::spawn;
use crate::uplink::{FIRST_LINK, Uplink};

mod ancestry;
mod answer;
mod call;
mod listener;

pub use call::Call;

/// How long the operator may take to open a way, and to answer a call. Later the script is
/// answered from what is known here.
const OPEN_WITHIN: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// More calls at once than this wait for their turn: the operator serves as many connections of a
/// host.
const AT_ONCE: usize = 32;
/// How long a script that calls too often is held back before it is told so.
const HOLD_BACK: Duration = Duration::from_secs(60);

const LINK_LOST: &str = "the connection that it began with is lost";

/// One of a run, shared by all its helper calls.
pub struct Tunnel {
    uplink: Uplink,
    path: PathBuf,
    token: String,
    execution: String,
    state: Mutex<State>,
    changed: Condvar,
    /// Connections that wait for the next call, so that a call is one round trip.
    idle: Mutex<Vec<File>>,
    turns: Turns,
}

struct State {
    stage: Stage,
    /// What stood in the way so far.
    reasons: Vec<String>,
    /// When the first way was asked for.
    asked_at: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Closed,
    /// The operator is asked for it, or it is being tried.
    Opening(Way),
    Open(Way),
    /// From here on the operator is not asked any more: one who came back would see calls in
    /// another order than they were made in.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Socket,
    /// 0 until the operator has said which.
    Port(u16),
}

impl Tunnel {
    pub fn new(job: &Job, uplink: Uplink, path: PathBuf) -> Self {
        Self {
            uplink,
            path,
            token: job.token.clone(),
            execution: job.execution.clone(),
            state: Mutex::new(State { stage: Stage::Closed, reasons: Vec::new(), asked_at: None }),
            changed: Condvar::new(),
            idle: Mutex::default(),
            turns: Turns::default(),
        }
    }

    /// Asks the operator for a way, without waiting for it. Only over the link that the job came over:
    /// whoever takes another one could be anybody of this user.
    pub fn ask(&self) {
        let mut state = self.state();
        if state.stage == Stage::Closed && !self.uplink.is_newest(FIRST_LINK) {
            self.give_up(&mut state, LINK_LOST.into());
        } else if state.stage == Stage::Closed {
            state.asked_at = Some(Instant::now());
            state.stage = Stage::Opening(Way::Socket);
            drop(state);
            self.ask_for(Some(self.path.to_string_lossy().into_owned()));
        }
    }

    /// Without the lock: a link that is stuck holds nobody but us.
    fn ask_for(&self, path: Option<String>) {
        if !self.uplink.is_newest(FIRST_LINK) || self.uplink.send(&FromStub::OpenTunnel { path }).is_err() {
            self.give_up(&mut self.state(), LINK_LOST.into());
        }
    }

    /// The operator serves the way that was asked for. It is tried before it is used.
    pub fn opened(self: &Arc<Self>, port: Option<u16>) {
        let way = port.map_or(Way::Socket, Way::Port);
        let tunnel = Arc::clone(self);
        let tried = spawn(move || match tunnel.probe(way) {
            Ok(stream) => {
                tunnel.keep(stream);
                tunnel.become_open(way);
            }
            Err(error) => tunnel.next(format!("it was opened and does not work: {error}")),
        });
        if let Err(error) = tried {
            self.give_up(&mut self.state(), error.to_string());
        }
    }

    fn become_open(&self, way: Way) {
        let mut state = self.state();
        // A waiting call may have given up meanwhile.
        if matches!(state.stage, Stage::Opening(_)) {
            state.stage = Stage::Open(way);
        }
        self.changed.notify_all();
    }

    /// The way that was asked for is not to be had: on to the next, without waiting for it.
    pub fn refused(self: &Arc<Self>, reason: String) {
        let tunnel = Arc::clone(self);
        if let Err(error) = spawn(move || tunnel.next(reason)) {
            self.give_up(&mut self.state(), error.to_string());
        }
    }

    fn next(&self, reason: String) {
        let mut state = self.state();
        match state.stage {
            Stage::Opening(Way::Socket) => {
                state.reasons.push(format!("no Unix socket: {reason}"));
                state.stage = Stage::Opening(Way::Port(0));
                drop(state);
                self.ask_for(None);
            }
            Stage::Opening(Way::Port(_)) => self.give_up(&mut state, format!("no TCP port: {reason}")),
            Stage::Closed | Stage::Open(_) | Stage::Gone => {}
        }
    }

    /// The link was lost, or there is a newer one: over that one nobody is asked.
    pub fn unlinked(&self) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Opening(_)) {
            self.give_up(&mut state, LINK_LOST.into());
        }
    }

    fn give_up(&self, state: &mut State, reason: String) {
        state.reasons.push(reason);
        state.stage = Stage::Gone;
        self.changed.notify_all();
    }

    fn probe(&self, way: Way) -> io::Result<File> {
        let mut stream = self.connect(way)?;
        // With the token, so that the connection may stay for the calls to come.
        stream.write_all(&Call::context().request(&self.execution, &self.token))?;
        match answer::read(&mut stream)? {
            (reply, true) if reply.status == 200 => Ok(stream),
            (reply, _) => Err(io::Error::other(format!("the helper API says {}", reply.status))),
        }
    }

    /// The mode in use and why it is not `api`; no mode where nothing was asked for or answered yet.
    pub fn way(&self) -> (Option<Mode>, Option<String>) {
        let state = self.state();
        let reason = (!state.reasons.is_empty()).then(|| state.reasons.join("; "));
        let mode = match state.stage {
            Stage::Closed | Stage::Opening(_) => None,
            Stage::Open(Way::Socket) => Some(Mode::Api),
            Stage::Open(Way::Port(_)) => Some(Mode::Tcp),
            Stage::Gone => Some(Mode::Bundled),
        };
        (mode, reason)
    }

    /// Asks the operator; `None` where that is not possible, now and from now on.
    pub fn call(&self, call: &Call) -> Option<Reply> {
        self.ask();
        let until = Instant::now() + HOLD_BACK;
        let mut pause = Duration::from_millis(50);
        loop {
            let way = self.wait_open()?;
            match self.turns.take(|| self.exchange(way, call)) {
                // The script is no flood, only quick; or many hosts call at once.
                Ok(reply) if matches!(reply.status, 429 | 503) && Instant::now() < until => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Ok(reply) if reply.status == 503 => self.lost("the operator has no room for calls"),
                Ok(reply) if reply.status == 401 => self.lost("the operator takes the token no more"),
                Ok(reply) => return Some(reply),
                Err(error) => self.lost(&format!("the tunnel was lost: {error}")),
            }
        }
    }

    fn lost(&self, reason: &str) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Open(_)) {
            self.give_up(&mut state, reason.to_owned());
        }
        self.idle().clear();
    }

    fn wait_open(&self) -> Option<Way> {
        let state = self.state();
        let since = state.asked_at.unwrap_or_else(Instant::now);
        let left = OPEN_WITHIN.saturating_sub(since.elapsed());
        let waited =
            self.changed.wait_timeout_while(state, left, |state| matches!(state.stage, Stage::Opening(_)));
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.stage {
            Stage::Open(way) => Some(way),
            Stage::Gone => None,
            Stage::Opening(_) | Stage::Closed => {
                self.give_up(
                    &mut state,
                    format!("the operator opened nothing within {} s", OPEN_WITHIN.as_secs()),
                );
                None
            }
        }
    }

    fn exchange(&self, way: Way, call: &Call) -> io::Result<Reply> {
        let request = call.request(&self.execution, &self.token);
        // The other end may have closed an idle connection. A call on one may be made twice:
        // writes have an id.
        let idle = self.idle().pop();
        if let Some(stream) = idle {
            match self.on(stream, &request) {
                // The operator is slow, not gone.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => {}
                reply => return reply,
            }
        }
        self.on(self.connect(way)?, &request)
    }

    fn on(&self, mut stream: File, request: &[u8]) -> io::Result<Reply> {
        stream.write_all(request)?;
        let (reply, may_stay) = answer::read(&mut stream)?;
        if may_stay {
            self.keep(stream);
        }
        Ok(reply)
    }

    /// A connection with both timeouts set: a file, as all else that is done with it is reading
    /// and writing.
    fn connect(&self, way: Way) -> io::Result<File> {
        match way {
            Way::Socket => {
                let (_dir, short) = short(&self.path)?;
                let stream = UnixStream::connect(short)?;
                if !may_serve(peer::of_listener(&stream)) {
                    return Err(io::Error::other("whoever listens there may be the script"));
                }
                stream.set_read_timeout(Some(ANSWER_WITHIN))?;
                stream.set_write_timeout(Some(ANSWER_WITHIN))?;
                Ok(File::from(OwnedFd::from(stream)))
            }
            Way::Port(port) => {
                listener::check(port)?;
                let stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER_WITHIN)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_WITHIN))?;
                stream.set_write_timeout(Some(ANSWER_WITHIN))?;
                Ok(File::from(OwnedFd::from(stream)))
            }
        }
    }

    fn keep(&self, stream: File) {
        self.idle().push(stream);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<File>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token goes to nobody whom the script could be: of this user, below us, ended or not to be seen.
fn may_serve((standing, user): (Standing, u32)) -> bool {
    match standing {
        Standing::Apart => true,
        Standing::Hidden => user != rustix::process::getuid().as_raw(),
        Standing::Below | Standing::Foreign | Standing::Gone => false,
    }
}

/// Lets so many call at once.
#[derive(Default)]
struct Turns {
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Turns {
    fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.freed.wait_while(taken, |taken| *taken >= AT_ONCE);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        let done = work();
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.freed.notify_one();
        done
    }
}

#[cfg(test)]
mod tests;
