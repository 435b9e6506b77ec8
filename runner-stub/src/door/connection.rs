//! One connection: requests in turn, each with its answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::Shared;
use super::body::Body;
use super::head::{Framing, Head};
use super::response::{Keep, Response};
use super::route::Route;

/// What is read at once.
const PIECE: usize = 16 << 10;

pub struct Connection<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    /// Its place among [`super::Seats`].
    number: u64,
    /// What has come and belongs to nothing yet.
    buffer: Vec<u8>,
    /// Whether a good token has come.
    proven: bool,
    /// When its first head must be whole.
    opened: Instant,
}

impl<'a> Connection<'a> {
    pub fn new(shared: &'a Shared, stream: &'a TcpStream, number: u64) -> Self {
        Self { shared, stream, number, buffer: Vec::new(), proven: false, opened: Instant::now() }
    }

    /// Until either end closes it.
    pub fn serve(mut self) {
        let _ = self.stream.set_nodelay(true);
        if self.stream.set_write_timeout(Some(self.shared.limits.write)).is_ok() {
            while self.exchange().unwrap_or(false) {}
        }
    }

    /// One request and its answer; whether another may follow. An error: the client is gone.
    fn exchange(&mut self) -> io::Result<bool> {
        let head = match self.head()? {
            None => return Ok(false),
            Some(Ok(head)) => head,
            Some(Err(response)) => {
                self.stream.write_all(&response.bytes(false, Keep::Close))?;
                return self.linger();
            }
        };
        let mut body = Body::new(head.framing);
        let response = self.respond(&head, &mut body).unwrap_or_else(|refused| refused);
        // What was refused unread stays unread.
        let keep = match head.keep && body.is_whole() {
            false => Keep::Close,
            true if head.old => Keep::OpenOld,
            true => Keep::Open,
        };
        self.stream.write_all(&response.bytes(head.method == "HEAD", keep))?;
        if keep == Keep::Close { self.linger() } else { Ok(true) }
    }

    /// The next head; `None` when the client closes or says nothing for too long.
    fn head(&mut self) -> io::Result<Option<Result<Head, Response>>> {
        let limits = self.shared.limits;
        if self.buffer.is_empty() && self.proven {
            self.shared.seats.rest(self.number, true);
            let came = self.fill(Instant::now() + limits.idle);
            self.shared.seats.rest(self.number, false);
            if !came.is_ok_and(|came| came) {
                return Ok(None);
            }
        }
        let until = if self.proven { Instant::now() } else { self.opened } + limits.head;
        loop {
            match Head::parse(&self.buffer, &self.shared.authority) {
                Ok(Some((head, length))) => {
                    self.buffer.drain(..length);
                    return Ok(Some(Ok(head)));
                }
                Ok(None) => {}
                Err(response) => return Ok(Some(Err(response))),
            }
            match self.fill(until) {
                Ok(true) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut && !self.buffer.is_empty() => {
                    return Ok(Some(Err(Response::refused(408, "the head did not end in time"))));
                }
                Ok(false) | Err(_) => return Ok(None),
            }
        }
    }

    /// Path, token, execution, body, and only then the call itself.
    fn respond(&mut self, head: &Head, body: &mut Body) -> Result<Response, Response> {
        let route = Route::parse(&head.method, &head.target)?;
        let Route::Execution { id, call } = route else {
            return Ok(Response::ok(r#"{"status":"healthy"}"#.into()));
        };
        if !head.token.as_deref().is_some_and(|token| self.shared.knows(token)) {
            return Err(Response::refused(401, "no valid token"));
        }
        if id != self.shared.execution {
            return Err(Response::refused(403, "the token is for another execution"));
        }
        if !self.proven && !self.shared.seats.prove(self.number) {
            return Err(Response::refused(503, "too many calls at once"));
        }
        self.proven = true;
        if call.wants_body() && head.framing == Framing::Absent {
            return Err(Response::refused(411, "the body's length is missing"));
        }
        self.read(head, body)?;
        let request = call.request(body.bytes())?;
        Ok(call.response(self.shared.desk.answer(request)))
    }

    fn read(&mut self, head: &Head, body: &mut Body) -> Result<(), Response> {
        let until = Instant::now() + self.shared.limits.body;
        body.take(&mut self.buffer)?;
        if head.waits && !body.is_whole() && self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err()
        {
            return Err(Response::refused(400, "the body ends early"));
        }
        while !body.is_whole() {
            match self.fill(until) {
                Ok(true) => body.take(&mut self.buffer)?,
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Err(Response::refused(408, "the body did not end within 30 s"));
                }
                Ok(false) | Err(_) => return Err(Response::refused(400, "the body ends early")),
            }
        }
        Ok(())
    }

    /// Reads what is there, once something is; false at the end of the stream.
    fn fill(&mut self, until: Instant) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        let count = self.read_by(until, &mut piece)?;
        self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(count > 0)
    }

    fn read_by(&mut self, until: Instant, piece: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left < Duration::from_millis(1) {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(piece) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }

    /// Closed with something unread, the connection would take an answer with it that the client
    /// has not read either.
    fn linger(&mut self) -> io::Result<bool> {
        self.stream.shutdown(Shutdown::Write)?;
        let until = Instant::now() + self.shared.limits.linger;
        let mut piece = [0; PIECE];
        while self.read_by(until, &mut piece)? > 0 {}
        Ok(false)
    }
}
