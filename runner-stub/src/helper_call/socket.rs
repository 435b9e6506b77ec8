//! The stub's end of the helper socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{fs, io, thread};

use serde_json::{Value, json};

use super::protocol::{MAX_LINE, Reply, Request};
use crate::door::Answer;
use crate::session::spawn;
use crate::tunnel::Tunnel;

/// More helper commands at once than this wait in the kernel's queue: the operator serves as many
/// connections of a host.
const AT_ONCE: usize = 32;

/// A path the kernel takes for a socket however deep the folder lies: through our descriptor of it.
pub fn short(path: &Path) -> io::Result<(fs::File, PathBuf)> {
    let dir = fs::File::open(path.parent().unwrap_or(Path::new(".")))?;
    let name = path.file_name().unwrap_or_default();
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    Ok((dir, short))
}

/// Answers helper commands on `path` until the process ends.
pub fn listen(path: &Path, desk: Arc<Desk>) -> io::Result<()> {
    let (_dir, short) = short(path)?;
    let listener = UnixListener::bind(short)?;
    let busy = Arc::new(AtomicUsize::new(0));
    spawn(move || {
        for stream in listener.incoming().flatten() {
            while busy.load(Ordering::Acquire) >= AT_ONCE {
                thread::sleep(std::time::Duration::from_millis(1));
            }
            if !is_ours(&stream) {
                continue;
            }
            let desk = Arc::clone(&desk);
            busy.fetch_add(1, Ordering::AcqRel);
            let done = Arc::clone(&busy);
            let started = spawn(move || {
                // A helper command that goes away in the middle is no concern of ours.
                let _ = converse(&stream, &desk);
                done.fetch_sub(1, Ordering::AcqRel);
            });
            if started.is_err() {
                // Too many processes: the stream is closed, and the helper command says so.
                busy.fetch_sub(1, Ordering::AcqRel);
            }
        }
    })
}

/// The folder keeps others out already; this holds even where it was opened up.
fn is_ours(stream: &UnixStream) -> bool {
    let ours = rustix::process::getuid();
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == ours || peer.uid.is_root())
}

fn converse(stream: &UnixStream, desk: &Desk) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let count = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(());
        }
        let reply = if count as u64 == MAX_LINE {
            // The other end reads only when it has written all.
            if !line.ends_with(b"\n") {
                reader.skip_until(b'\n')?;
            }
            Reply::error(413, "a request over 4 MiB")
        } else {
            serde_json::from_slice(&line).map_or_else(
                |error| Reply::error(400, format!("a malformed request: {error}")),
                |request| desk.answer(request),
            )
        };
        let mut bytes = serde_json::to_vec(&reply)?;
        bytes.push(b'\n');
        (&mut &*stream).write_all(&bytes)?;
    }
}

/// Answers calls by asking the operator.
pub struct Desk {
    tunnel: Arc<Tunnel>,
    /// What the run's output is so far; the lock keeps appends in order.
    output: Mutex<Value>,
}

impl Desk {
    pub fn new(tunnel: Arc<Tunnel>) -> Self {
        Self { tunnel, output: Mutex::new(Value::Null) }
    }
}

impl Answer for Desk {
    fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Input => self.tunnel.call("GET", "input", None),
            Request::Output { value, append } => {
                let mut output = self.output.lock().expect("no thread panics while it calls");
                let value = if append { appended(output.clone(), value) } else { value };
                let reply = self.tunnel.call("POST", "output", Some(&json!({"data": value})));
                // What was refused may be tried again, and must not stand there twice then.
                if reply.is_ok() {
                    *output = value;
                }
                reply
            }
            Request::GetVariable { key, .. } => self.tunnel.call("GET", &variable(&key), None),
            Request::SetVariable { key, value, if_version, .. } => {
                let mut body = json!({"value": value});
                if let Some(version) = if_version {
                    body["ifVersion"] = version.into();
                }
                self.tunnel.call("PUT", &variable(&key), Some(&body))
            }
            Request::Event => self.tunnel.call("GET", "context", None),
            Request::Condition { condition } => {
                self.tunnel.call("POST", "condition", Some(&json!({"condition": condition})))
            }
            Request::Unset { key, .. } => self.tunnel.call("DELETE", &variable(&key), None),
            _ => Reply::error(400, "not yet"),
        }
    }
}

fn appended(before: Value, value: Value) -> Value {
    match before {
        Value::Null => json!([value]),
        Value::Array(mut list) => {
            list.push(value);
            Value::Array(list)
        }
        single => json!([single, value]),
    }
}

/// The path of a variable, with everything but unreserved characters percent-encoded (RFC 3986).
fn variable(key: &str) -> String {
    key.bytes().fold("variables/".to_owned(), |mut path, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(byte as char),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_one_path_segment() {
        assert_eq!(variable("a/b ?#%ü"), "variables/a%2Fb%20%3F%23%25%C3%BC");
    }

    #[test]
    fn appending_makes_a_list() {
        assert_eq!(appended(Value::Null, json!(1)), json!([1]));
        assert_eq!(appended(json!([1]), json!(2)), json!([1, 2]));
        assert_eq!(appended(json!("x"), json!(2)), json!(["x", 2]));
    }
}
