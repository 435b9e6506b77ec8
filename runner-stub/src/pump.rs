//! Carries one output stream of the script to where it is kept.

use std::io::{PipeReader, Read};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cronium_wire::frame::CHUNK;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::kept::Kept;

/// How long a pipe that a background process still holds is watched after the script's end.
const QUIET: Duration = Duration::from_millis(200);
const AT_MOST: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

#[derive(Debug, PartialEq, Eq)]
pub enum PumpEnd {
    /// Everything that was written has been sent.
    Whole,
    /// A process that outlives the script keeps the stream open: not waited for.
    Held,
}

/// When the script printed something last.
pub struct Pulse {
    begun: Instant,
    /// In ms since then.
    last: AtomicU64,
}

impl Pulse {
    pub fn start() -> Self {
        Self { begun: Instant::now(), last: AtomicU64::new(0) }
    }

    pub fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    fn beat(&self) {
        self.last.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }
}

/// Keeps what comes on `pipe` until its end, or until a moment after `ended` is closed: when the
/// script has ended, what stands in the pipe is all kept.
pub fn pump(pipe: PipeReader, ended: &PipeReader, mut kept: Kept, pulse: &Pulse) -> PumpEnd {
    let end = carry(pipe, ended, &mut kept, pulse);
    kept.finish();
    end
}

fn carry(mut pipe: PipeReader, ended: &PipeReader, kept: &mut Kept, pulse: &Pulse) -> PumpEnd {
    let mut buffer = vec![0; CHUNK];
    let mut deadline = None;
    let mut owed = 0;
    loop {
        match wait(&pipe, ended, deadline.is_none()) {
            Readable::Data => {}
            Readable::Ended => {
                deadline = Some(Instant::now() + AT_MOST);
                owed = rustix::io::ioctl_fionread(&pipe).unwrap_or(0);
                continue;
            }
            Readable::Quiet => return PumpEnd::Held,
        }
        if owed == 0 && deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return PumpEnd::Held;
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return PumpEnd::Whole,
            Ok(count) => {
                owed = owed.saturating_sub(count as u64);
                kept.take(&buffer[..count]);
                pulse.beat();
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
            // First: a background process that never stops writing must not hide the script's end.
            Ok(_) if running && !watched[1].revents().is_empty() => return Readable::Ended,
            Ok(_) => return Readable::Data,
            Err(rustix::io::Errno::INTR) => {}
            // Nothing to poll is nothing to read: the read that follows says why.
            Err(_) => return Readable::Data,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::os::fd::OwnedFd;
    use std::thread;

    use cronium_wire::frame::Decoder;

    use super::*;
    use crate::uplink::Uplink;

    /// What the operator gets, who starts to read after `patience`.
    fn pumped(pipe: PipeReader, ended: PipeReader, patience: Duration) -> (PumpEnd, usize) {
        let (mut link, out) = io::pipe().unwrap();
        let operator = thread::spawn(move || {
            thread::sleep(patience);
            let mut bytes = Vec::new();
            link.read_to_end(&mut bytes).unwrap();
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            std::iter::from_fn(|| decoder.next().unwrap()).map(|frame| frame.body.len()).sum()
        });
        let uplink = Uplink::over(OwnedFd::from(out).into());
        let kept = Kept::new(false, u64::MAX, "/nowhere".as_ref(), uplink.clone());
        let end = pump(pipe, &ended, kept, &Pulse::start());
        uplink.hang_up();
        (end, operator.join().unwrap())
    }

    #[test]
    fn all_that_the_script_wrote_is_sent() {
        let (pipe, mut script) = io::pipe().unwrap();
        let (ended, _ended_writer) = io::pipe().unwrap();
        let writer = thread::spawn(move || script.write_all(&[7; 300_000]));
        assert_eq!(pumped(pipe, ended, Duration::ZERO), (PumpEnd::Whole, 300_000));
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn a_slow_operator_loses_nothing() {
        let (pipe, mut script) = io::pipe().unwrap();
        let (ended, ended_writer) = io::pipe().unwrap();
        let held = script.try_clone().unwrap();
        let writer = thread::spawn(move || {
            script.write_all(&[7; 2 * CHUNK]).unwrap();
            drop(ended_writer);
        });
        assert_eq!(pumped(pipe, ended, AT_MOST * 2), (PumpEnd::Held, 2 * CHUNK));
        writer.join().unwrap();
        drop(held);
    }

    #[test]
    fn a_background_process_that_never_stops_is_not_waited_for() {
        let (pipe, mut background) = io::pipe().unwrap();
        let (ended, ended_writer) = io::pipe().unwrap();
        drop(ended_writer);
        let flood = thread::spawn(move || while background.write_all(&[7; 4096]).is_ok() {});
        assert_eq!(pumped(pipe, ended, Duration::ZERO).0, PumpEnd::Held);
        flood.join().unwrap();
    }
}
