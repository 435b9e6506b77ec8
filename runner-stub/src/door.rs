//! The loopback HTTP door: the helper API for scripts that speak it themselves (design, section 6).
//!
//! An HTTP/1.1 server on a port of 127.0.0.1, with the paths, bodies, statuses and order of checks
//! of the operator's `src/helper_api`. What it cannot answer by itself the desk answers, and the
//! door connects to nothing.

use std::hint::black_box;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

mod body;
mod call;
mod connection;
mod head;
mod owners;
mod response;
mod route;
mod seats;

use connection::Connection;
use seats::Seats;

use crate::helper_call::{Reply, Request};
use crate::session::spawn;

/// Answers helper calls, wherever they came from.
pub trait Answer: Send + Sync + 'static {
    fn answer(&self, request: Request) -> Reply;
}

/// What the script must know to use the door.
pub struct Door {
    /// `http://127.0.0.1:PORT`, without a slash at its end.
    pub url: String,
    /// 64 hex digits, made for this door alone.
    pub token: String,
}

/// What a client may take of our time and places.
#[derive(Clone, Copy)]
struct Limits {
    /// For the first head of a connection, and for any head from its first byte on.
    head: Duration,
    /// Between two requests, once a good token has come.
    idle: Duration,
    /// For a body, from its head on.
    body: Duration,
    /// For the client to take a piece of an answer.
    write: Duration,
    /// For the client to see an answer after which the connection ends.
    linger: Duration,
    /// Connections at once with a good token.
    proven: usize,
    /// Connections at once without one, as yet.
    unproven: usize,
}

const LIMITS: Limits = Limits {
    head: Duration::from_secs(10),
    idle: Duration::from_secs(300),
    body: Duration::from_secs(30),
    write: Duration::from_secs(30),
    linger: Duration::from_secs(2),
    proven: 32,
    unproven: 8,
};

/// What all connections share.
struct Shared {
    desk: Arc<dyn Answer>,
    token: String,
    execution: String,
    /// `127.0.0.1:PORT`
    authority: String,
    limits: Limits,
    seats: Seats,
}

impl Shared {
    /// In a time that says nothing of where the token differs.
    fn knows(&self, token: &str) -> bool {
        let differs = |all: u8, (ours, theirs): (u8, u8)| black_box(all | (ours ^ theirs));
        token.len() == self.token.len() && self.token.bytes().zip(token.bytes()).fold(0, differs) == 0
    }
}

/// Opens the door for the script of `execution`; it stays open until the process ends.
pub fn open(desk: Arc<impl Answer>, execution: &str) -> io::Result<Door> {
    open_with(desk, execution, LIMITS)
}

fn open_with(desk: Arc<dyn Answer>, execution: &str, limits: Limits) -> io::Result<Door> {
    let mut random = [0u8; 32];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let token = cronium_wire::digest::hex(&random);
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let authority = format!("127.0.0.1:{}", listener.local_addr()?.port());
    let url = ["http://", &authority].concat();
    let shared = Arc::new(Shared {
        desk,
        token: token.clone(),
        execution: execution.to_owned(),
        authority,
        limits,
        seats: Seats::new(limits),
    });
    spawn(move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => admit(&shared, stream.into()),
                // Out of descriptors or memory; the connection waits in the kernel's queue.
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    })?;
    Ok(Door { url, token })
}

/// Serves the connection on a thread of its own, when it has a place.
fn admit(shared: &Arc<Shared>, stream: Arc<std::net::TcpStream>) {
    let Some(number) = shared.seats.take(&stream) else { return };
    let serving = Arc::clone(shared);
    let started = spawn(move || {
        Connection::new(&serving, &stream, number).serve();
        serving.seats.leave(number);
    });
    if started.is_err() {
        // Too many processes: the stream is closed.
        shared.seats.leave(number);
    }
}

#[cfg(test)]
mod tests;
