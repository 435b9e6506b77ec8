//! Carries one output stream of the script to the operator.

use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cronium_wire::frame::CHUNK;
use cronium_wire::message::FromStub;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::uplink::Uplink;

/// How long a pipe that a background process still holds is watched after the script's end.
const QUIET: Duration = Duration::from_millis(200);
const AT_MOST: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Eq)]
pub enum PumpEnd {
    /// Everything that was written has been sent.
    Whole,
    /// A process that outlives the script keeps the stream open: not waited for.
    Held,
    OperatorGone,
}

/// Sends what comes on `pipe` until its end, or until a moment after `ended` is closed.
pub fn pump(
    mut pipe: PipeReader,
    ended: &PipeReader,
    uplink: &Uplink,
    wrap: fn(Vec<u8>) -> FromStub,
) -> PumpEnd {
    let mut buffer = vec![0; CHUNK];
    let mut deadline = None;
    loop {
        match wait(&pipe, ended, deadline.is_none()) {
            Readable::Data => {}
            Readable::Ended => {
                deadline = Some(Instant::now() + AT_MOST);
                continue;
            }
            Readable::Quiet => return PumpEnd::Held,
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return PumpEnd::Held;
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return PumpEnd::Whole,
            Ok(count) => {
                if uplink.send(&wrap(buffer[..count].to_vec())).is_err() {
                    return PumpEnd::OperatorGone;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return PumpEnd::Whole,
        }
    }
}

enum Readable {
    Data,
    Ended,
    Quiet,
}

fn wait(pipe: &PipeReader, ended: &PipeReader, running: bool) -> Readable {
    let quiet = Timespec { tv_sec: 0, tv_nsec: QUIET.as_nanos() as i64 };
    let mut both = [PollFd::new(pipe, PollFlags::IN), PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN)];
    let (watched, limit) = if running { (&mut both[..], None) } else { (&mut both[..1], Some(&quiet)) };
    loop {
        match poll(watched, limit) {
            Ok(0) => return Readable::Quiet,
            Ok(_) if !watched[0].revents().is_empty() => return Readable::Data,
            Ok(_) => return Readable::Ended,
            Err(rustix::io::Errno::INTR) => {}
            // Nothing to poll is nothing to read: the read that follows says why.
            Err(_) => return Readable::Data,
        }
    }
}
