use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::{Fleet, until};

/// How long a thread may take to see what it was told.
const TICK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToHost,
    ToOperator,
}

/// A network between the operator and host `to`: it stands at the address of host `number`, counts what
/// it passes, and does to connections what networks do. It lives as long as the test process.
#[derive(Clone)]
pub struct Proxy(Arc<Network>);

struct Network {
    behind: (String, u16),
    state: Mutex<State>,
    /// Bytes passed to the host and to the operator, over all connections.
    passed: [AtomicU64; 2],
}

#[derive(Default)]
struct State {
    connections: Vec<Arc<Connection>>,
    /// Nothing passes this way; it waits.
    held: [bool; 2],
    /// Nothing passes either way once so many bytes have passed to the host.
    stop_at: Option<u64>,
    delay: Duration,
    /// New connections are reset at once.
    refuses: bool,
}

/// What is told of one connection; its threads look at it.
#[derive(Default)]
struct Connection {
    /// Both ends are to be told that it is over, with a reset.
    is_reset: AtomicBool,
    /// Nothing passes any more, and nobody is told.
    is_silent: AtomicBool,
    is_over: AtomicBool,
}

impl Proxy {
    pub fn start(fleet: &Fleet, number: u8, to: u8) -> Self {
        let listener = TcpListener::bind((fleet.name(number).as_str(), fleet.port()));
        let listener = listener.expect("the address is free");
        fleet.record(number, to);
        let network = Network {
            behind: (fleet.name(to), fleet.port()),
            state: Mutex::default(),
            passed: Default::default(),
        };
        let proxy = Self(Arc::new(network));
        let accepting = proxy.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                accepting.connect(near);
            }
        });
        proxy
    }

    /// Resets every connection there is, at both ends.
    pub fn reset(&self) {
        for connection in &self.state().connections {
            connection.is_reset.store(true, Ordering::Relaxed);
        }
    }

    /// The connections there are stay open and pass nothing any more.
    pub fn silence(&self) {
        for connection in &self.state().connections {
            connection.is_silent.store(true, Ordering::Relaxed);
        }
    }

    /// Whether new connections are reset at once.
    pub fn refuse(&self, refuses: bool) {
        self.state().refuses = refuses;
    }

    /// Nothing passes this way until it is let go.
    pub fn hold(&self, way: Way) {
        self.state().held[way as usize] = true;
    }

    /// Nothing passes either way once `bytes` more have passed to the host.
    pub fn hold_after(&self, bytes: u64) {
        self.state().stop_at = Some(self.passed(Way::ToHost) + bytes);
    }

    /// Whether [`Self::hold_after`] has come to its point.
    pub fn is_held(&self) -> bool {
        self.state().held == [true, true]
    }

    /// Everything passes again, but over connections that were reset or silenced.
    pub fn let_go(&self) {
        let mut state = self.state();
        state.held = [false, false];
        state.stop_at = None;
    }

    /// Every piece takes so long to pass.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    pub fn passed(&self, way: Way) -> u64 {
        self.0.passed[way as usize].load(Ordering::Relaxed)
    }

    /// Connections that are neither over nor silent.
    pub fn alive(&self) -> usize {
        let is_alive = |connection: &&Arc<Connection>| {
            !connection.is_over.load(Ordering::Relaxed) && !connection.is_silent.load(Ordering::Relaxed)
        };
        self.state().connections.iter().filter(is_alive).count()
    }

    /// Waits until nothing has passed for a while.
    pub fn settle(&self) {
        let passed = || (self.passed(Way::ToHost), self.passed(Way::ToOperator));
        let mut last = passed();
        until(10, || {
            thread::sleep(Duration::from_millis(250));
            let before = std::mem::replace(&mut last, passed());
            before == last
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn connect(&self, near: TcpStream) {
        if self.state().refuses {
            let _ = set_socket_linger(&near, Some(Duration::ZERO));
            return;
        }
        let behind = (self.0.behind.0.as_str(), self.0.behind.1);
        // Its sshd may have been killed: then this one is over, too.
        let Ok(far) = TcpStream::connect(behind) else { return };
        let connection = Arc::<Connection>::default();
        self.state().connections.push(Arc::clone(&connection));
        for stream in [&near, &far] {
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(TICK)).unwrap();
            stream.set_write_timeout(Some(TICK)).unwrap();
        }
        let (near, far) = (Arc::new(near), Arc::new(far));
        for (way, from, to) in [(Way::ToHost, &near, &far), (Way::ToOperator, &far, &near)] {
            let pump = Pump {
                proxy: self.clone(),
                connection: Arc::clone(&connection),
                way,
                from: Arc::clone(from),
                to: Arc::clone(to),
            };
            thread::spawn(move || pump.run());
        }
    }
}

/// One direction of one connection.
struct Pump {
    proxy: Proxy,
    connection: Arc<Connection>,
    way: Way,
    from: Arc<TcpStream>,
    to: Arc<TcpStream>,
}

impl Pump {
    fn run(self) {
        let mut piece = vec![0; 32 << 10];
        let is_reset = || self.connection.is_reset.load(Ordering::Relaxed);
        while !is_reset() {
            let count = match (&*self.from).read(&mut piece) {
                Ok(0) => {
                    self.wait();
                    break;
                }
                Ok(count) => count,
                Err(error) if is_timeout(&error) => continue,
                Err(_) => break,
            };
            if !self.pass(&piece[..count]) {
                break;
            }
        }
        self.connection.is_over.store(true, Ordering::Relaxed);
        if is_reset() {
            // Closed like this, by whoever of the two threads comes last, a socket sends a reset.
            for stream in [&self.from, &self.to] {
                let _ = set_socket_linger(stream, Some(Duration::ZERO));
            }
        } else if !self.is_silent() {
            let _ = self.to.shutdown(Shutdown::Write);
        }
    }

    fn is_silent(&self) -> bool {
        self.connection.is_silent.load(Ordering::Relaxed)
    }

    /// Whether it can go on.
    fn pass(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if !self.wait() {
                return false;
            }
            let most = self.room().min(bytes.len());
            match (&*self.to).write(&bytes[..most]) {
                Ok(count) => {
                    self.count(count as u64);
                    bytes = &bytes[count..];
                }
                Err(error) if is_timeout(&error) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// How much may pass before the point where everything is held.
    fn room(&self) -> usize {
        match (self.way, self.proxy.state().stop_at) {
            (Way::ToHost, Some(at)) => at.saturating_sub(self.proxy.passed(Way::ToHost)).max(1) as usize,
            _ => usize::MAX,
        }
    }

    fn count(&self, bytes: u64) {
        self.proxy.0.passed[self.way as usize].fetch_add(bytes, Ordering::Relaxed);
        let mut state = self.proxy.state();
        if self.way == Way::ToHost && state.stop_at.is_some_and(|at| self.proxy.passed(Way::ToHost) >= at) {
            state.stop_at = None;
            state.held = [true, true];
        }
    }

    /// Waits while nothing may pass. `false`: nothing ever will.
    fn wait(&self) -> bool {
        let delay = self.proxy.state().delay;
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        loop {
            if self.connection.is_reset.load(Ordering::Relaxed) {
                return false;
            }
            let is_silent = self.is_silent();
            if !is_silent && !self.proxy.state().held[self.way as usize] {
                return true;
            }
            thread::sleep(if is_silent { 50 * TICK } else { TICK });
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
