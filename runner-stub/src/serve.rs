//! The conversation about a run that has begun: who is told of it, and until when.
//!
//! - Everything numbered stands in the spool before it is sent, so that a link that is lost loses
//!   nothing: the next one asks for it from the frame that it wants.
//! - The newest link counts. What comes over an older one is not heeded, and it is told
//!   [`FromStub::Superseded`].
//! - [`ToStub::Ack`] over the newest link, to which everything up to
//!   [`FromStub::Finished`] was given: the run is forgotten. Nothing else removes it but age and
//!   want of room ([`crate::stale`]).
//! - A run that is over and has no link, or one that takes nothing for [`ACK_WITHIN`], is left to
//!   who asks for it later. Where the disk has no room for all of it, its supervisor stays for that, but
//!   not for ever ([`STAY`]).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use cronium_wire::frame::UNNUMBERED;
use cronium_wire::message::{Attach, FromStub, Message, RunState, ToStub};

use crate::downlink::Downlink;
use crate::events::{Event, Events};
use crate::helper_call::socket::is_ours;
use crate::peer::{self, Standing};
use crate::session::spawn;
use crate::uplink::Uplink;

/// The longest time in which a link takes nothing, or the operator does not acknowledge what it has.
const ACK_WITHIN: Duration = Duration::from_secs(120);
/// A script or a result that is over sooner costs its host no write to the disk.
pub const SYNC_AFTER: Duration = Duration::from_millis(500);
/// Who comes to the control socket says at once what it wants.
const ATTACH_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at whether the disk has room again.
const ROOM_PAUSE: Duration = Duration::from_secs(5);
/// The least and the longest time in which a result is kept in memory.
pub const STAY: [Duration; 2] = [Duration::from_secs(3600), Duration::from_secs(24 * 3600)];
/// After a failure to accept: no more files, say.
const PAUSE: Duration = Duration::from_millis(10);

/// Passes on what the operator says over the link of this number, until it is closed.
pub fn hear(mut downlink: Downlink, number: u64, events: &Events) {
    while let Ok(Some(message)) = downlink.receive() {
        events.push(Event::Down(number, message));
    }
    events.push(Event::Gone(number));
}

/// Takes links for this run on its control socket.
pub fn admit(listener: UnixListener, uplink: Uplink, events: Events) -> io::Result<()> {
    spawn(move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) if is_ours(&stream) && may_ask(&stream) => {
                    let (uplink, events) = (uplink.clone(), events.clone());
                    // Where there is no thread for it, the stream is closed.
                    let _ = spawn(move || drop(converse(stream, &uplink, &events)));
                }
                Ok(_) => {}
                Err(_) => thread::sleep(PAUSE),
            }
        }
    })
}

/// A script may not speak for the operator: not ours, and not another run's ([`crate::peer`]). Where
/// processes are hidden, those that ask for a run are, too.
fn may_ask(stream: &UnixStream) -> bool {
    matches!(peer::of(stream).0, Standing::Apart | Standing::Hidden)
}

fn converse(stream: UnixStream, uplink: &Uplink, events: &Events) -> io::Result<()> {
    stream.set_read_timeout(Some(ATTACH_WITHIN))?;
    let link = File::from(OwnedFd::from(stream.try_clone()?));
    let mut downlink = Downlink::new(link.try_clone()?);
    let Some(ToStub::Attach(attach)) = downlink.receive()? else { return Ok(()) };
    stream.set_read_timeout(None)?;
    let state = if uplink.is_over() { RunState::Ended } else { RunState::Running };
    let answer = FromStub::Attached(state).to_frame(UNNUMBERED);
    if !is_told(&attach, state) {
        return io::Write::write_all(&mut &stream, &answer);
    }
    let connected = uplink.connect(link, answer, attach.from);
    // Also where it failed: then there may be none any more.
    events.push(Event::Linked);
    hear(downlink, connected?, events);
    Ok(())
}

/// Whether frames follow the answer to `attach`.
fn is_told(attach: &Attach, state: RunState) -> bool {
    attach.follow || state == RunState::Ended
}

/// How the conversation about a run that is over ends.
pub enum Parted {
    /// The operator has recorded all there is.
    Acknowledged,
    /// There is no link, and all there is stands on the disk.
    Gone,
    /// It takes nothing, or does not acknowledge what it took.
    Silent,
}

/// Waits until the operator has acknowledged all there is of a run that is over, or is gone. What the disk
/// has no room for is given up at `until`.
pub fn until_acknowledged(events: &Events, uplink: &Uplink, until: Instant) -> Parted {
    let (mut progress, mut is_synced, mut is_stuck) = (0, false, false);
    loop {
        let is_linked = uplink.is_linked();
        let within = match (is_linked, is_synced) {
            _ if is_stuck => ROOM_PAUSE,
            (true, true) => ACK_WITHIN,
            (true, false) => SYNC_AFTER,
            // What was said before the link was lost still counts.
            (false, _) => Duration::ZERO,
        };
        match events.next(within) {
            Some(Event::Down(number, ToStub::Ack)) if uplink.is_newest(number) && uplink.is_told() => {
                return Parted::Acknowledged;
            }
            Some(Event::Gone(number)) => uplink.lose(number),
            Some(_) => {}
            None if is_linked && uplink.progress() != progress => progress = uplink.progress(),
            None if is_linked && !is_synced => {
                uplink.sync();
                is_synced = true;
            }
            // Where the disk has no room for all of it, we stay: it is here alone.
            None if !uplink.sync() && Instant::now() < until => is_stuck = true,
            None if Instant::now() >= until => {
                uplink.keep_least();
                uplink.sync();
                return if is_linked { Parted::Silent } else { Parted::Gone };
            }
            None if is_linked => return Parted::Silent,
            None => return Parted::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use cronium_wire::message::End;

    use super::*;
    use crate::session::finished;
    use crate::spool::Spool;

    /// There is no disk that would take it, and nobody who comes for it.
    #[test]
    fn nobody_stays_for_ever() {
        let uplink = Uplink::new(Spool::default());
        uplink.send(&FromStub::Stdout(b"lost".to_vec())).unwrap();
        uplink.send(&FromStub::Finished(finished(End::Cancelled))).unwrap();
        let parted = until_acknowledged(&Events::default(), &uplink, Instant::now());
        assert!(matches!(parted, Parted::Gone) && uplink.retire());
    }
}
