//! The way to the operator's helper API: HTTP/1.1 over a Unix socket that SSH forwards.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use cronium_wire::message::{FromStub, Job};
use serde_json::{Value, json};

use crate::helper_call::Reply;
use crate::helper_call::socket::short;
use crate::uplink::Uplink;

/// How long the operator may take to forward the socket, and to answer a call.
const OPEN_WITHIN: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The longest answer: a value of 1 MiB with its escapes and its envelope.
const MAX_ANSWER: usize = 8 << 20;

/// Asked for at most once; shared by all helper commands of the script.
pub struct Tunnel {
    uplink: Uplink,
    path: PathBuf,
    token: String,
    execution: String,
    state: Mutex<State>,
    changed: Condvar,
    /// Connections that wait for the next call, so that a call is one round trip.
    idle: Mutex<Vec<UnixStream>>,
    used: AtomicBool,
}

#[derive(Clone)]
enum State {
    Closed,
    Asked,
    Open,
    Refused(String),
}

impl Tunnel {
    pub fn new(job: &Job, uplink: Uplink, path: PathBuf) -> Self {
        Self {
            uplink,
            path,
            token: job.token.clone(),
            execution: job.execution.clone(),
            state: Mutex::new(State::Closed),
            changed: Condvar::new(),
            idle: Mutex::default(),
            used: AtomicBool::new(false),
        }
    }

    /// Asks the operator to forward the socket, without waiting for it.
    pub fn ask(&self) {
        let mut state = self.state.lock().expect("no holder panics");
        if matches!(*state, State::Closed) {
            let path = self.path.to_string_lossy().into_owned();
            *state = match self.uplink.send(&FromStub::OpenTunnel { path: Some(path) }) {
                Ok(()) => State::Asked,
                Err(_) => State::Refused("the operator is gone".into()),
            };
        }
    }

    pub fn opened(&self) {
        self.become_(State::Open);
    }

    pub fn refused(&self, reason: String) {
        self.become_(State::Refused(reason));
    }

    fn become_(&self, state: State) {
        *self.state.lock().expect("no holder panics") = state;
        self.changed.notify_all();
    }

    /// Whether a call was answered through it.
    pub fn used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// One call. `path` is relative to the execution: `input`, `variables/KEY`.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.ask();
        if let Err(reason) = self.wait_open() {
            return Reply::error(503, format!("no tunnel to the operator: {reason}"));
        }
        match self.exchange(method, path, body) {
            Ok(reply) => {
                self.used.store(true, Ordering::Relaxed);
                reply
            }
            Err(error) => Reply::error(503, format!("the tunnel to the operator broke: {error}")),
        }
    }

    fn wait_open(&self) -> Result<(), String> {
        let state = self.state.lock().expect("no holder panics");
        let waited =
            self.changed.wait_timeout_while(state, OPEN_WITHIN, |state| matches!(state, State::Asked));
        let (state, _) = waited.expect("no holder panics");
        match &*state {
            State::Open => Ok(()),
            State::Refused(reason) => Err(reason.clone()),
            State::Asked | State::Closed => Err("the operator did not open it in time".into()),
        }
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Reply> {
        // Made twice, this one would be refused for what it wrote itself.
        let may_repeat = body.is_none_or(|body| body.get("ifVersion").is_none());
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} /executions/{}/{path} HTTP/1.1\r\nHost: cronium-run\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.execution,
            self.token,
            body.len(),
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        // The other end may have closed an idle connection. A call on one may be made twice, as
        // writes set whole values.
        let idle = may_repeat.then(|| self.idle.lock().expect("no holder panics").pop());
        if let Some(stream) = idle.flatten() {
            match self.on(stream, &request) {
                // The operator is slow, not gone.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => {}
                reply => return reply,
            }
        }
        let (_dir, short) = short(&self.path)?;
        self.on(UnixStream::connect(short)?, &request)
    }

    fn on(&self, mut stream: UnixStream, request: &[u8]) -> io::Result<Reply> {
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(request)?;
        let (reply, keep) = read_answer(&mut stream)?;
        if keep {
            self.idle.lock().expect("no holder panics").push(stream);
        }
        Ok(reply)
    }
}

/// The reply, and whether the connection may be used again.
fn read_answer(stream: &mut impl Read) -> io::Result<(Reply, bool)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(answer) = parse_answer(&bytes)? {
            return Ok(answer);
        }
        if bytes.len() > MAX_ANSWER {
            return Err(io::Error::other("an answer without end"));
        }
    }
}

/// `None` until the whole answer stands in `bytes`.
fn parse_answer(bytes: &[u8]) -> io::Result<Option<(Reply, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes).map_err(|error| io::Error::other(error.to_string()))? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let keep = !header("connection").is_some_and(|text| text.eq_ignore_ascii_case("close"));
    let Some(body) = bytes.get(head..head.saturating_add(length)) else { return Ok(None) };
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = body.get("error").and_then(Value::as_str).map(str::to_owned);
    let mut data = body.get_mut("data").map(Value::take).unwrap_or_default();
    // A conflict names the version that stands beside the error.
    if let Some(version) = body.get_mut("version").filter(|_| status == 409) {
        data = json!({"version": version.take()});
    }
    Ok(Some((Reply { status, data, error }, keep)))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::run_folder::random_word;

    /// The operator takes a call on an idle connection and closes it without an answer.
    #[test]
    fn only_what_may_be_done_twice_is() {
        for (body, is_sent_first) in
            [(json!({"value": 1}), true), (json!({"value": 1, "ifVersion": 3}), false)]
        {
            let path = std::env::temp_dir().join(random_word().unwrap());
            let listener = UnixListener::bind(&path).unwrap();
            let out = File::options().write(true).open("/dev/null").unwrap();
            let tunnel = Tunnel::new(&Job::default(), Uplink::new(out), path.clone());
            let (idle, mut other) = UnixStream::pair().unwrap();
            tunnel.idle.lock().unwrap().push(idle);
            tunnel.opened();
            let first = thread::spawn(move || other.read(&mut [0; 4096]).unwrap_or(0));
            let fresh = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
            });
            assert_eq!(tunnel.call("PUT", "variables/k", Some(&body)).status, 200, "{body}");
            drop(tunnel);
            fresh.join().unwrap();
            assert_eq!(first.join().unwrap() > 0, is_sent_first, "{body}");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn answers() {
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"success\":true,\"data\":[1]}".to_vec();
        let whole = Reply { status: 200, data: json!([1]), error: None };
        assert_eq!(parse_answer(&ok[..20]).unwrap(), None);
        assert_eq!(parse_answer(&ok[..ok.len() - 2]).unwrap(), None);
        assert_eq!(parse_answer(&ok).unwrap().unwrap().0, whole);
        let gone = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 34\r\n\r\n{\"success\":false,\"error\":\"no 'k'\"}";
        let want = (Reply::error(404, "no 'k'"), false);
        assert_eq!(parse_answer(gone).unwrap(), Some(want));
        assert!(parse_answer(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}
