//! What the operator is told: over the link that there is, from the spool.
//!
//! Who tells never waits for the link. A thread for each link copies to it: first what belongs to
//! the link alone, then the frames of the run from where it asked for them, as they come. There is
//! one link at most; a newer one takes its place.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use cronium_wire::frame::UNNUMBERED;
use cronium_wire::greeting;
use cronium_wire::message::{FromStub, Message};

use crate::session::spawn;
use crate::spool::{Spool, Unsent};

/// Shared by all threads.
#[derive(Clone)]
pub struct Uplink(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    spool: Spool,
    link: Option<Link>,
    /// Of the newest link.
    number: u64,
}

struct Link {
    is_open: bool,
    /// Frames that belong to it alone.
    mail: Vec<u8>,
    /// Where in the spool the first byte stands that was not taken for it yet.
    at: u64,
    /// A piece is being written.
    is_writing: bool,
    /// How many pieces were.
    written: u64,
    file: Arc<File>,
}

impl Uplink {
    /// What is told is kept until there is a link.
    pub fn new(spool: Spool) -> Self {
        let state = State { spool, ..State::default() };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// One that greets on `out` with `first` as the first frame. The number of the link.
    pub fn greet(out: File, first: &FromStub) -> io::Result<(Self, u64)> {
        let mut bytes = greeting::READY.to_vec();
        bytes.extend(first.to_frame(UNNUMBERED));
        (&out).write_all(&bytes)?;
        let uplink = Self::new(Spool::default());
        let number = uplink.connect(out, Vec::new(), 0)?;
        Ok((uplink, number))
    }

    /// Tells over a new link from the frame numbered `from` on, after `mail`. The one there was is told
    /// so and closed.
    pub fn connect(&self, out: File, mail: Vec<u8>, from: u64) -> io::Result<u64> {
        let file = Arc::new(out);
        let mut state = self.state();
        let at = state.spool.seek(from);
        state.number += 1;
        let number = state.number;
        let link = Link { is_open: true, mail, at, is_writing: false, written: 0, file: Arc::clone(&file) };
        state.link = Some(link);
        self.0.changed.notify_all();
        drop(state);
        let uplink = self.clone();
        let serving = spawn(move || uplink.serve(number, &file));
        if serving.is_err() {
            self.lose(number);
        }
        serving.map(|()| number)
    }

    /// What is numbered is kept; what is not is lost where there is no link.
    pub fn send(&self, message: &FromStub) -> Result<(), Unsent> {
        if message.is_numbered() {
            return self.send_all(std::slice::from_ref(message));
        }
        let mut state = self.state();
        let link = state.link.as_mut().filter(|link| link.is_open).ok_or(Unsent)?;
        link.mail.extend(message.to_frame(UNNUMBERED));
        self.0.changed.notify_all();
        Ok(())
    }

    /// Numbered ones, with nothing between them.
    pub fn send_all(&self, messages: &[FromStub]) -> Result<(), Unsent> {
        let mut state = self.state();
        state.spool.append(messages)?;
        self.0.changed.notify_all();
        Ok(())
    }

    /// Keeps what is told from now on in this file.
    pub fn spool_to(&self, path: &Path) -> io::Result<()> {
        self.state().spool.create(path)
    }

    /// Whether this is the newest link: what came over it counts even where it is closed by now.
    pub fn is_newest(&self, number: u64) -> bool {
        self.state().number == number
    }

    pub fn is_linked(&self) -> bool {
        self.state().link.as_ref().is_some_and(|link| link.is_open)
    }

    pub fn is_over(&self) -> bool {
        self.state().spool.is_over()
    }

    /// Whether everything was taken for the link, so that it may be acknowledged.
    pub fn is_told(&self) -> bool {
        let state = self.state();
        state.link.as_ref().is_some_and(|link| link.at == state.spool.end())
    }

    /// How much the link has taken.
    pub fn progress(&self) -> u64 {
        self.state().link.as_ref().map_or(0, |link| link.written)
    }

    /// Goes on with what another supervisor has told, from its frame `from` on, after `first`.
    pub fn adopt(&self, spool: Spool, from: u64, first: &FromStub) {
        let mut state = self.state();
        let at = spool.seek(from);
        state.spool = spool;
        if let Some(link) = &mut state.link {
            link.mail.extend(first.to_frame(UNNUMBERED));
            link.at = at;
        }
        self.0.changed.notify_all();
    }

    /// The link is gone. Whether it was the one that there is.
    pub fn lose(&self, number: u64) -> bool {
        let mut state = self.state();
        if state.number != number {
            return false;
        }
        self.0.changed.notify_all();
        let Some(link) = state.link.as_mut().filter(|link| link.is_open) else { return false };
        link.is_open = false;
        close(&link.file);
        true
    }

    /// Waits until everything is with the link, or there is none.
    pub fn finish(&self) {
        let is_busy = |state: &mut State| {
            let end = state.spool.end();
            let busy =
                |link: &Link| link.is_open && (link.is_writing || !link.mail.is_empty() || link.at < end);
            state.link.as_ref().is_some_and(busy)
        };
        drop(self.0.changed.wait_while(self.state(), is_busy));
    }

    /// Brings what is told to the disk for good. Whether all of it is on the disk.
    pub fn sync(&self) -> bool {
        let mut state = self.state();
        let is_whole = state.spool.flush();
        let file = state.spool.file();
        drop(state);
        let _ = file.map(|file| file.sync_data());
        is_whole
    }

    /// Takes what was told out again.
    pub fn into_spool(self) -> Spool {
        std::mem::take(&mut self.state().spool)
    }

    fn serve(&self, number: u64, mut out: &File) {
        let idle = |state: &mut State| {
            let end = state.spool.end();
            let idle = |link: &Link| link.is_open && link.mail.is_empty() && link.at == end;
            state.number == number && state.link.as_ref().is_some_and(idle)
        };
        loop {
            let waited = self.0.changed.wait_while(self.state(), idle);
            let mut guard = waited.unwrap_or_else(PoisonError::into_inner);
            let state = &mut *guard;
            let link = match &mut state.link {
                Some(link) if state.number == number && link.is_open => link,
                _ => {
                    let is_superseded = state.number != number;
                    drop(guard);
                    if is_superseded {
                        let _ = out.write_all(&FromStub::Superseded.to_frame(UNNUMBERED));
                    }
                    close(out);
                    return;
                }
            };
            let written = if link.mail.is_empty() {
                let (piece, at) = (state.spool.piece(link.at), link.at);
                link.is_writing = true;
                drop(guard);
                piece.read().and_then(|bytes| {
                    // Before it is written: what was written may be acknowledged at once.
                    self.of(number, |link| link.at = at + bytes.len() as u64);
                    if bytes.is_empty() {
                        Err(io::ErrorKind::InvalidData.into())
                    } else {
                        out.write_all(&bytes)
                    }
                })
            } else {
                let bytes = std::mem::take(&mut link.mail);
                link.is_writing = true;
                drop(guard);
                out.write_all(&bytes)
            };
            self.of(number, |link| {
                link.is_writing = false;
                link.written += 1;
            });
            if written.is_err() {
                self.lose(number);
                close(out);
                return;
            }
        }
    }

    fn of(&self, number: u64, change: impl FnOnce(&mut Link)) {
        let mut state = self.state();
        if state.number == number
            && let Some(link) = &mut state.link
        {
            change(link);
        }
        self.0.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For all that hold the link's descriptor, so that whoever reads from it sees the end.
fn close(link: &File) {
    let _ = rustix::net::shutdown(link, rustix::net::Shutdown::Both);
}

#[cfg(test)]
impl Uplink {
    /// Over a link, without a greeting.
    pub fn over(out: File) -> Self {
        let uplink = Self::new(Spool::default());
        uplink.connect(out, Vec::new(), 0).unwrap();
        uplink
    }

    /// Closes a link that is a pipe, when all is sent.
    pub fn hang_up(&self) {
        self.finish();
        self.lose(1);
        self.state().link = None;
    }
}
