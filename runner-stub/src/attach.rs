//! Answers an operator that asks for a run: from its supervisor, from what a dead one left, or, where
//! there was none, with the word that there will be none.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cronium_wire::message::{Attach, FromStub, Message, RunState, ToStub};

use crate::about::{About, State};
use crate::events::Event;
use crate::helper_call::socket::short;
use crate::lease::Lease;
use crate::run_folder::{CONTROL, RunFolder, bar, find, is_taken, listen, remove_drafts};
use crate::session::{Lost, Session, plain_name, spawn};
use crate::settle::settle;
use crate::uplink::SEND_WITHIN;
use crate::{clock, peer, serve};

/// A run on its way to its script, or to its end, is waited for.
const WITHIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// How a try to find out went.
enum Tried {
    Done,
    /// It is about to change.
    Again,
}

impl Session {
    pub(crate) fn attach(&mut self, attach: &Attach) -> Result<(), Lost> {
        plain_name(&attach.run).map_err(|_| Lost)?;
        let until = Instant::now() + WITHIN;
        loop {
            match self.try_attach(attach, until)? {
                Tried::Done => return Ok(()),
                // A folder that does not say whose it is has the name.
                Tried::Again if Instant::now() > until && find(&attach.run, &attach.host).is_none() => {
                    return self.answer(RunState::Absent).map(drop);
                }
                Tried::Again if Instant::now() > until => return Err(Lost),
                Tried::Again => thread::sleep(PAUSE),
            }
        }
    }

    fn try_attach(&mut self, attach: &Attach, until: Instant) -> Result<Tried, Lost> {
        let Some((path, about)) = find(&attach.run, &attach.host) else {
            // Whoever has seen frames of it has no need of our word that it will not begin.
            if attach.from > 0 {
                return self.answer(RunState::Absent);
            }
            remove_drafts(&attach.run);
            return match bar(&attach.run, &attach.host) {
                Ok(()) => self.answer(barred(attach)),
                Err(error) if is_taken(&error) => Ok(Tried::Again),
                Err(_) => self.answer(RunState::Absent),
            };
        };
        match about.state() {
            State::Barred => return self.answer(barred(attach)),
            State::Dropped => return self.answer(RunState::Dropped),
            State::Open | State::Over => {}
        }
        match Lease::take(&path) {
            Lease::Moved => Ok(Tried::Again),
            Lease::Theirs => self.pass_on(&path, attach, until),
            lease => self.stand_in(&path, about, lease, attach),
        }
    }

    fn answer(&self, state: RunState) -> Result<Tried, Lost> {
        self.uplink.send(&FromStub::Attached(state)).map_err(|_| Lost)?;
        self.uplink.finish();
        Ok(Tried::Done)
    }

    /// To and from the supervisor, until either end is closed.
    fn pass_on(&mut self, folder: &Path, attach: &Attach, until: Instant) -> Result<Tried, Lost> {
        let connect = || {
            let (_dir, path) = short(&folder.join(CONTROL))?;
            let mut stream = UnixStream::connect(path)?;
            if !peer::is_supervisor(&stream) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            stream.set_write_timeout(Some(SEND_WITHIN))?;
            stream.set_read_timeout(Some(until.saturating_duration_since(Instant::now()).max(PAUSE)))?;
            stream.write_all(&ToStub::Attach(attach.clone()).to_frame(0))?;
            let mut first = vec![0; 4096];
            let count = stream.read(&mut first)?;
            stream.set_read_timeout(None)?;
            first.truncate(count);
            Ok::<_, io::Error>((stream, first))
        };
        let Ok((mut supervisor, first)) = connect() else { return Ok(Tried::Again) };
        // Closed without a word: it has ended.
        if first.is_empty() {
            return Ok(Tried::Again);
        }
        self.watch.over();
        let (mut link, mut down) = (self.link.try_clone()?, supervisor.try_clone()?);
        let events = self.events.clone();
        spawn(move || {
            let mut copy = || {
                link.write_all(&first)?;
                let mut buffer = vec![0; 64 << 10];
                loop {
                    match down.read(&mut buffer)? {
                        0 => return Ok::<_, io::Error>(()),
                        count => link.write_all(&buffer[..count])?,
                    }
                }
            };
            let _ = copy();
            events.push(Event::Gone(0));
        })?;
        let mut seq = 1;
        loop {
            match self.events.next(WITHIN) {
                Some(Event::Gone(_)) => return Ok(Tried::Done),
                // Where it takes nothing any more, what it has said is still on its way.
                Some(Event::Down(_, message)) => _ = supervisor.write_all(&message.to_frame(seq)),
                _ => continue,
            }
            seq += 1;
        }
    }

    /// In the place of a supervisor that is dead.
    fn stand_in(&mut self, path: &Path, about: About, lease: Lease, attach: &Attach) -> Result<Tried, Lost> {
        // What we do here is not left half done where the operator goes away.
        self.watch.over();
        let Some(mut spool) = settle(path, &about)? else {
            let (state, answer) = match about.state() {
                State::Over => (State::Dropped, RunState::Dropped),
                _ => (State::Barred, barred(attach)),
            };
            about.with(state).write(path)?;
            return self.answer(answer);
        };
        spool.finish_at(attach.from)?;
        let mut folder = RunFolder::at(path.to_owned());
        folder.stay();
        peer::become_supervisor();
        serve::admit(listen(path)?, self.uplink.clone(), self.events.clone())?;
        self.uplink.adopt(spool, attach.from, &FromStub::Attached(RunState::Ended))?;
        self.until_acknowledged(&folder, Instant::now() + serve::STAY[0]);
        drop(lease);
        Ok(Tried::Done)
    }
}

/// What is said of a run whose name is taken by our word that it will never begin. Whoever has seen
/// frames of it knows that it did.
fn barred(attach: &Attach) -> RunState {
    match attach.from == 0 && is_younger_than_us(made_at(&attach.run) / 1000, clock::now(), clock::up()) {
        true => RunState::Barred,
        false => RunState::Absent,
    }
}

/// Whether the run was made since the host has booted: what it knew of an older one may be lost. In s
/// since 1970, and since the boot. Clocks may differ a little; by one that differs more nothing is said.
fn is_younger_than_us(made: u64, now: u64, up: u64) -> bool {
    const SKEW: u64 = 2 * 60;
    made <= now + SKEW && made >= now.saturating_sub(up) + SKEW
}

/// When a run was made, in ms since 1970: the first ten characters of a ULID.
fn made_at(run: &str) -> u64 {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    run.bytes()
        .take(10)
        .fold(0, |ms, byte| ms * 32 + DIGITS.iter().position(|digit| *digit == byte).unwrap_or(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_the_time_since_the_boot() {
        assert_eq!(made_at("01JAR0M5K8Q9Z3V7C2X4B6N8D0") / 1000, 1_729_530_304);
        const HOUR: u64 = 3600;
        let now = 500_000 * HOUR;
        let table = [
            ("just now", now, now, true),
            ("an hour ago", now - HOUR, now, true),
            ("before the boot", now - 9 * HOUR, now, false),
            ("at the boot", now - 8 * HOUR, now, false),
            ("the host's clock was never set", now, 9 * HOUR, false),
            ("the host's clock is slow", now, now - HOUR, false),
        ];
        for (what, made, now, want) in table {
            assert_eq!(is_younger_than_us(made, now, 8 * HOUR), want, "{what}");
        }
    }
}
