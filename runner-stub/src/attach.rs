//! Answers an operator that asks for a run: from its supervisor, from what a dead one left, or, where
//! there was none, with the word that there will be none.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cronium_wire::message::{Attach, End, FromStub, Message, RunState, ToStub};

use crate::about::{About, Closed};
use crate::helper_call::socket::short;
use crate::run_folder::{self, CONTROL, RunFolder, SPOOL, WORK, bar, find, listen};
use crate::session::{Event, Lost, Session, finished, plain_name, spawn};
use crate::spool::Spool;
use crate::{process_tree, serve, stale};

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
                // Whoever has seen frames of the run knows that it began.
                Ok(()) if attach.from == 0 => self.answer(RunState::Barred),
                Ok(()) => self.answer(RunState::Absent),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(Tried::Again),
                Err(_) => self.answer(RunState::Absent),
            };
        };
        match about.closed() {
            Some(Closed::Barred) => return self.answer(RunState::Barred),
            Some(Closed::Dropped) => return self.answer(RunState::Dropped),
            None => {}
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
        let sender = self.sender.clone();
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
            let _ = sender.send(Event::Gone(0));
        })?;
        let mut seq = 1;
        while let Ok(Event::Down(_, message)) = self.events.recv() {
            if supervisor.write_all(&message.to_frame(seq)).is_err() {
                // What it has said is still on its way.
                while !matches!(self.events.recv(), Ok(Event::Gone(_)) | Err(_)) {}
                break;
            }
            seq += 1;
        }
        Ok(Tried::Done)
    }

    /// In the place of a supervisor that is dead.
    fn stand_in(&mut self, path: &Path, about: About, lease: File, attach: &Attach) -> Result<Tried, Lost> {
        let Some(mut spool) = settle(path)? else {
            about.close(Closed::Barred).write(path)?;
            return self.answer(RunState::Barred);
        };
        spool.finish_at(attach.from);
        let mut folder = RunFolder::at(path.to_owned());
        folder.stay();
        serve::admit(listen(path)?, self.uplink.clone(), self.sender.clone())?;
        self.watch.over();
        self.uplink.adopt(spool, attach.from, &FromStub::Attached(RunState::Ended));
        self.until_acknowledged(&folder);
        drop(lease);
        Ok(Tried::Done)
    }
}

/// Brings what a dead supervisor left to an end; the caller holds its lease. `None` where no script
/// was started.
pub fn settle(folder: &Path) -> io::Result<Option<Spool>> {
    let spool = folder.join(SPOOL);
    if !spool.exists() {
        run_folder::clear(folder)?;
        return Ok(None);
    }
    let mut spool = Spool::open(&spool)?;
    if !spool.is_over() {
        process_tree::end_of(&folder.join(WORK));
        let _ = spool.append(&[FromStub::Finished(finished(End::RunnerKilled))]);
    }
    let _ = run_folder::clear(folder);
    Ok(Some(spool))
}
