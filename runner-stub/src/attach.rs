//! Answers an operator that asks for a run: from its supervisor, from what a dead one left, or, where
//! there was none, with the word that there will be none.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cronium_wire::message::{Attach, End, FromStub, Message, RunState, ToStub};

use crate::about::{About, State};
use crate::cgroup::Cgroup;
use crate::events::Event;
use crate::helper_call::socket::short;
use crate::run_folder::{self, CONTROL, RunFolder, SPOOL, WORK, bar, find, listen};
use crate::session::{Lost, Session, finished, plain_name, spawn};
use crate::spool::Spool;
use crate::uplink::{SEND_WITHIN, Uplink};
use crate::{kept, process_tree, serve, stale};

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
                Tried::Again if Instant::now() > until => return Err(Lost),
                Tried::Again => thread::sleep(PAUSE),
            }
        }
    }

    fn try_attach(&mut self, attach: &Attach, until: Instant) -> Result<Tried, Lost> {
        let Some((path, about)) = find(&attach.run, &attach.host) else {
            return match bar(&attach.run, &attach.host) {
                Ok(()) => self.answer(barred(attach)),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(Tried::Again),
                Err(_) => self.answer(RunState::Absent),
            };
        };
        match about.state() {
            State::Barred => return self.answer(barred(attach)),
            State::Dropped => return self.answer(RunState::Dropped),
            State::Open | State::Over => {}
        }
        match stale::lease(&path) {
            Ok(Some(lease)) => self.stand_in(&path, about, lease, attach),
            // On its way out.
            Ok(None) => Ok(Tried::Again),
            Err(_) => self.pass_on(&path, attach, until),
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
    fn stand_in(&mut self, path: &Path, about: About, lease: File, attach: &Attach) -> Result<Tried, Lost> {
        let Some(mut spool) = settle(path, &about)? else {
            about.with(State::Barred).write(path)?;
            return self.answer(barred(attach));
        };
        spool.finish_at(attach.from);
        let mut folder = RunFolder::at(path.to_owned());
        folder.stay();
        serve::admit(listen(path)?, self.uplink.clone(), self.events.clone())?;
        self.watch.over();
        self.uplink.adopt(spool, attach.from, &FromStub::Attached(RunState::Ended));
        self.until_acknowledged(&folder, Instant::now() + serve::STAY[0]);
        drop(lease);
        Ok(Tried::Done)
    }
}

/// What is said of a run whose name is taken by our word that it will never begin. Whoever has seen
/// frames of it knows that it did.
fn barred(attach: &Attach) -> RunState {
    match attach.from == 0 && !is_older_than_us(&attach.run) {
        true => RunState::Barred,
        false => RunState::Absent,
    }
}

/// Whether the host has booted since the run was made: what it knew of it then may be lost. Clocks may
/// differ a little.
fn is_older_than_us(run: &str) -> bool {
    const SKEW_MS: u64 = 2 * 60 * 1000;
    // SAFETY: filled before it is read.
    let up = unsafe {
        let mut up: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut up);
        Duration::new(up.tv_sec as u64, 0)
    };
    let booted = SystemTime::now().checked_sub(up).and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    made_at(run) < booted.map_or(0, |at| at.as_millis() as u64) + SKEW_MS
}

/// When a run was made, in ms since 1970: the first ten characters of a ULID.
fn made_at(run: &str) -> u64 {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    run.bytes()
        .take(10)
        .fold(0, |ms, byte| ms * 32 + DIGITS.iter().position(|digit| *digit == byte).unwrap_or(0) as u64)
}

/// Brings what a dead supervisor left to an end; the caller holds its lease. `None` where no script
/// was started.
pub fn settle(folder: &Path, about: &About) -> io::Result<Option<Spool>> {
    let _ = about.sockets().map(run_folder::remove_all);
    // Dropped, it is removed.
    drop(about.group().inspect(Cgroup::kill));
    let spool = folder.join(SPOOL);
    if !spool.exists() {
        run_folder::clear(folder)?;
        return Ok(None);
    }
    let uplink = Uplink::new(Spool::open(&spool)?);
    if !uplink.is_over() {
        process_tree::end_of(&folder.join(WORK));
        kept::settle(folder, &uplink);
        let _ = uplink.send(&FromStub::Finished(finished(End::RunnerKilled)));
    }
    let _ = run_folder::clear(folder);
    Ok(Some(uplink.into_spool()))
}
