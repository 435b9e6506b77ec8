//! Between ssh and the supervisor of a run: the process that was started stays as the relay, and
//! all else is done by a child of it in a session of its own. So the run goes on where the relay
//! and its ssh end, and what the supervisor leaves behind where it is killed is ended by the relay.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::{ManuallyDrop, replace};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};

use crate::process_tree;

/// What is carried at once.
const PIECE: usize = 64 << 10;
/// A pipe that can be written to takes so much without blocking (pipe(7)).
const PIPE_BUF: usize = 4096;
/// A supervisor that has closed its end and lives on after this has let go of the link alone.
const ENDED_WITHIN: Duration = Duration::from_secs(2);
/// Whoever takes nothing of the last words for so long is given up: those of a supervisor that has
/// ended, and of one that has let go of the link alone.
const TAKEN_WITHIN: Duration = Duration::from_secs(120);
const LEFT_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at whether that is so.
const TICK_MS: libc::c_int = 500;

/// Goes on in the supervisor, whose stdin and stdout are its end of the link. The relay ends with
/// the supervisor, with its exit code, or with the link.
///
/// Called before there is another thread.
pub fn split() -> io::Result<()> {
    let (near, far) = UnixStream::pair()?;
    // SAFETY: there is no other thread that could hold a lock over the fork.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(near);
            let _ = rustix::process::setsid();
            rustix::stdio::dup2_stdin(&far)?;
            rustix::stdio::dup2_stdout(&far)?;
            Ok(())
        }
        child => {
            drop(far);
            let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
            let child = Pid::from_raw(child).expect("a child has a number");
            carry(0, 1, &near, || if has_ended(child) { TAKEN_WITHIN } else { LEFT_WITHIN });
            drop(near);
            process::exit(child_code(child))
        }
    }
}

/// Whether it has; its exit code stays for [`child_code`].
fn has_ended(child: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(child), options), Ok(None))
}

/// The exit code of the child. What it leaves behind is killed.
fn child_code(child: Pid) -> i32 {
    let until = Instant::now() + ENDED_WITHIN;
    let mut pause = Duration::from_micros(50);
    let status = loop {
        match waitpid(Some(child), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => break status,
            Err(Errno::INTR) => {}
            Ok(None) if Instant::now() < until => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            // It goes on without us.
            _ => return 0,
        }
    };
    if process_tree::has_children() {
        process_tree::end(Duration::ZERO, None);
    }
    status.exit_status().unwrap_or(1)
}

/// Copies from `input` to `far` and from `far` to `output` until `far` is closed there, or nobody
/// takes what comes from it: `output` may be silent for `patience` once `far` is closed there. The end of
/// `input` is passed on.
fn carry(input: RawFd, output: RawFd, far: &UnixStream, patience: impl Fn() -> Duration) {
    let far_end = far.as_raw_fd();
    let (mut up, mut down) = (Flow::default(), Flow::default());
    let (mut is_half, mut silent_since) = (false, None);
    while !down.is_over() {
        if up.is_over() && !replace(&mut is_half, true) {
            let _ = far.shutdown(Shutdown::Write);
        }
        // Only what is waited for: the end of another would be told at once, again and again.
        let mut waits = [
            wait_for(input, up.wants().then_some(libc::POLLIN)),
            wait_for(output, down.has_some().then_some(libc::POLLOUT)),
            wait_for(far_end, up.has_some().then_some(libc::POLLOUT)),
            wait_for(far_end, down.wants().then_some(libc::POLLIN)),
        ];
        // SAFETY: the array is as long as we say.
        let within = if down.has_some() { TICK_MS } else { -1 };
        if unsafe { libc::poll(waits.as_mut_ptr(), waits.len() as libc::nfds_t, within) } < 0 {
            match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => continue,
                _ => return,
            }
        }
        let [from_input, to_output, to_far, from_far] = waits.map(|wait| wait.revents != 0);
        if from_input {
            up.fill(input);
        }
        if from_far {
            down.fill(far_end);
        }
        if to_far {
            up.drain(far_end);
        }
        if to_output {
            silent_since = None;
            if !down.drain(output) {
                return;
            }
        } else if down.has_some() && is_hung_up(far_end) {
            let since: Instant = *silent_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= patience() {
                return;
            }
        }
    }
}

/// Also where much is still to be read from it.
fn is_hung_up(fd: RawFd) -> bool {
    let mut wait = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: it is one.
    unsafe { libc::poll(&mut wait, 1, 0) > 0 }
}

fn wait_for(fd: RawFd, events: Option<libc::c_short>) -> libc::pollfd {
    libc::pollfd { fd: if events.is_some() { fd } else { -1 }, events: events.unwrap_or(0), revents: 0 }
}

/// What came from one side and is on its way to the other.
#[derive(Default)]
struct Flow {
    bytes: Vec<u8>,
    start: usize,
    has_ended: bool,
}

impl Flow {
    fn has_some(&self) -> bool {
        self.start < self.bytes.len()
    }

    fn wants(&self) -> bool {
        !self.has_some() && !self.has_ended
    }

    fn is_over(&self) -> bool {
        !self.has_some() && self.has_ended
    }

    fn fill(&mut self, from: RawFd) {
        self.start = 0;
        self.bytes.resize(PIECE, 0);
        let count = match file(from).read(&mut self.bytes) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                self.bytes.clear();
                return;
            }
            // A terminal that is hung up says so by an error.
            Err(_) => 0,
        };
        self.bytes.truncate(count);
        self.has_ended = count == 0;
    }

    /// Whether `to` is still there.
    fn drain(&mut self, to: RawFd) -> bool {
        let rest = &self.bytes[self.start..];
        let to = file(to);
        // Without waiting, as the other direction must go on meanwhile.
        let sent = match rustix::net::send(&*to, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::NOTSOCK) => (&*to).write(&rest[..rest.len().min(PIPE_BUF)]),
            sent => sent.map_err(io::Error::from),
        };
        match sent {
            Ok(count) => self.start += count,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(_) => {
                self.bytes.clear();
                self.start = 0;
                self.has_ended = true;
                return false;
            }
        }
        true
    }
}

/// A descriptor that stays open.
fn file(fd: RawFd) -> ManuallyDrop<File> {
    // SAFETY: whoever calls `carry` keeps them open over it.
    ManuallyDrop::new(unsafe { File::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody reads at the end of `output`, and `far` has said its last words.
    #[test]
    fn a_silent_output_is_given_up() {
        let (near, far) = UnixStream::pair().unwrap();
        let (output, _reader) = UnixStream::pair().unwrap();
        let (input, _writer) = UnixStream::pair().unwrap();
        output.set_nonblocking(true).unwrap();
        while (&output).write(&[7; 4096]).is_ok() {}
        (&far).write_all(&[7; 9]).unwrap();
        drop(far);
        let (begun, patience) = (Instant::now(), Duration::from_millis(700));
        carry(input.as_raw_fd(), output.as_raw_fd(), &near, || patience);
        assert!((patience..patience * 10).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    /// All of it comes, whatever is closed when.
    #[test]
    fn last_words_come() {
        let (near, far) = UnixStream::pair().unwrap();
        let (output, mut reader) = UnixStream::pair().unwrap();
        let (input, _writer) = UnixStream::pair().unwrap();
        let carrying = thread::spawn(move || {
            carry(input.as_raw_fd(), output.as_raw_fd(), &near, || TAKEN_WITHIN);
        });
        let writing = thread::spawn(move || (&far).write_all(&vec![7; 1 << 20]));
        let mut seen = Vec::new();
        reader.read_to_end(&mut seen).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(seen.len(), 1 << 20);
        carrying.join().unwrap();
    }
}
