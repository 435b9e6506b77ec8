//! The stub's end of the helper socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::{fs, io, thread};

use super::protocol::{MAX_LINE, Reply};
use crate::desk::Desk;
use crate::door::Answer;
use crate::session::spawn;

/// More calls at once than this wait for their turn: the operator serves as many connections of a
/// host.
const AT_ONCE: usize = 32;
/// Programs that keep their connection; more of them wait in the kernel's queue.
const CONNECTIONS: usize = 1024;

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
    let turns = Arc::new(Turns::default());
    let connections = Arc::new(AtomicUsize::new(0));
    spawn(move || {
        for stream in listener.incoming().flatten() {
            while connections.load(Ordering::Acquire) >= CONNECTIONS {
                thread::sleep(std::time::Duration::from_millis(1));
            }
            if !is_ours(&stream) {
                continue;
            }
            let (desk, turns) = (Arc::clone(&desk), Arc::clone(&turns));
            connections.fetch_add(1, Ordering::AcqRel);
            let done = Arc::clone(&connections);
            let started = spawn(move || {
                // A helper command that goes away in the middle is no concern of ours.
                let _ = converse(&stream, &desk, &turns);
                done.fetch_sub(1, Ordering::AcqRel);
            });
            if started.is_err() {
                // Too many processes: the stream is closed, and the helper command says so.
                connections.fetch_sub(1, Ordering::AcqRel);
            }
        }
    })
}

/// The folder keeps others out already; this holds even where it was opened up.
fn is_ours(stream: &UnixStream) -> bool {
    let ours = rustix::process::getuid();
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == ours || peer.uid.is_root())
}

fn converse(stream: &UnixStream, desk: &Desk, turns: &Turns) -> io::Result<()> {
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
                |request| turns.take(|| desk.answer(request)),
            )
        };
        let mut bytes = serde_json::to_vec(&reply)?;
        bytes.push(b'\n');
        (&mut &*stream).write_all(&bytes)?;
    }
}

/// Lets so many work at once.
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
