//! The stub's end of the helper socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, io, thread};

use super::protocol::{MAX_LINE, Reply};
use crate::desk::Desk;
use crate::door::Answer;
use crate::peer;
use crate::session::spawn;

/// Programs that keep their connection: far fewer than the files a process may have open. Where there
/// are more, those that have been idle make room; a program that finds its connection closed makes
/// another.
const CONNECTIONS: usize = 256;
/// How often an idle connection looks whether others wait.
const IDLE: Duration = Duration::from_secs(1);
/// After a failure to accept: no more files, say.
const PAUSE: Duration = Duration::from_millis(10);

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
    let connections = Arc::new(AtomicUsize::new(0));
    spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                thread::sleep(PAUSE);
                continue;
            };
            if !is_ours(&stream) {
                continue;
            }
            let (desk, done) = (Arc::clone(&desk), Arc::clone(&connections));
            connections.fetch_add(1, Ordering::AcqRel);
            let started = spawn(move || {
                // A helper command that goes away in the middle is no concern of ours.
                let _ = converse(&stream, &desk, || done.load(Ordering::Acquire) >= CONNECTIONS);
                done.fetch_sub(1, Ordering::AcqRel);
            });
            if started.is_err() {
                // Too many processes: the stream is closed, and the helper command says so.
                connections.fetch_sub(1, Ordering::AcqRel);
            }
            while connections.load(Ordering::Acquire) >= CONNECTIONS {
                thread::sleep(PAUSE);
            }
        }
    })
}

/// The folder keeps others out already; this holds even where it was opened up.
pub fn is_ours(stream: &UnixStream) -> bool {
    [rustix::process::getuid().as_raw(), 0].contains(&peer::credentials(stream).uid)
}

fn converse(stream: &UnixStream, desk: &Desk, is_crowded: impl Fn() -> bool) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    loop {
        while let Err(error) = reader.fill_buf() {
            if error.kind() != io::ErrorKind::WouldBlock || is_crowded() {
                return Err(error);
            }
        }
        // Whoever has begun a request may take its time over it.
        stream.set_read_timeout(None)?;
        let mut line = Vec::new();
        let count = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line)?;
        stream.set_read_timeout(Some(IDLE))?;
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
