//! What the operator is told: over the link that there is, from the spool.
//!
//! Who tells never waits for the link: what it takes at once is written at once, and what it does not
//! a thread copies to it, first what belongs to the link alone, then the frames of the run from the
//! spool. There is one link at most; a newer one takes its place.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cronium_wire::frame::UNNUMBERED;
use cronium_wire::greeting;
use cronium_wire::message::{FromStub, Message};
use rustix::net::SendFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::session::spawn;
use crate::spool::{Spool, Unsent};

/// A link that takes nothing for so long is lost.
pub const SEND_WITHIN: Duration = Duration::from_secs(120);
/// The number of the link that [`Uplink::greet`] makes: whoever started us is at its other end, and
/// nobody else of the host.
pub const FIRST_LINK: u64 = 1;

/// Shared by all threads.
#[derive(Clone)]
pub struct Uplink(Arc<Shared>);

struct Shared {
    /// Held over writes to the disk, which may hang.
    state: Mutex<State>,
    changed: Condvar,
    /// As in the state, for who cannot wait.
    newest: AtomicU64,
}

#[derive(Default)]
struct State {
    spool: Spool,
    link: Option<Link>,
    /// Of the newest link.
    number: u64,
    /// There will be no other.
    is_retired: bool,
}

struct Link {
    is_open: bool,
    out: Arc<Out>,
    /// Where in the spool the first byte stands that was not taken for it yet.
    at: u64,
    /// There is a thread that copies what the link does not take at once.
    is_served: bool,
    /// It is writing.
    is_writing: bool,
    /// How often something was written.
    written: u64,
}

/// Outlives its link for as long as a thread writes to it.
struct Out {
    file: File,
    /// To be written before anything else: frames that belong to the link alone, or the rest of one.
    mail: Mutex<Vec<u8>>,
}

impl Out {
    fn mail(&self) -> MutexGuard<'_, Vec<u8>> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of it the link takes without waiting.
    fn offer(&self, bytes: &[u8]) -> usize {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        // An error is seen by who reads from the link, or writes to it next.
        rustix::net::send(&self.file, bytes, flags).unwrap_or(0)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }

    /// For all that hold the descriptor, so that whoever reads from it sees the end.
    fn close(&self) {
        let _ = rustix::net::shutdown(&self.file, rustix::net::Shutdown::Both);
    }
}

impl Link {
    /// Nothing waits to be written, so that what is written now is in its order.
    fn is_idle(&self, end: u64) -> bool {
        self.is_open && !self.is_writing && self.at == end && self.out.mail().is_empty()
    }
}

impl Uplink {
    /// What is told is kept until there is a link.
    pub fn new(spool: Spool) -> Self {
        let state = State { spool, ..State::default() };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            newest: AtomicU64::new(0),
        }))
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
    pub fn connect(&self, file: File, mail: Vec<u8>, from: u64) -> io::Result<u64> {
        // Fails for one that is no socket, in tests.
        let _ = set_socket_timeout(&file, Timeout::Send, Some(SEND_WITHIN));
        let out = Arc::new(Out { file, mail: Mutex::new(mail) });
        let mut state = self.state();
        if state.is_retired {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        // Whoever has seen more than there is now waits for an end behind that.
        if from >= state.spool.next() {
            state.spool.finish_at(from)?;
        }
        let at = state.spool.seek(from)?;
        state.number += 1;
        self.0.newest.store(state.number, Ordering::Release);
        let link = Link { is_open: true, out, at, is_served: false, is_writing: false, written: 0 };
        if let Some(old) = state.link.replace(link)
            && old.is_open
            && !old.is_served
        {
            old.out.offer(&superseded());
            old.out.close();
        }
        let number = state.number;
        self.wake(&mut state);
        match state.link.as_ref().is_some_and(|link| link.is_open) {
            true => Ok(number),
            false => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    /// What is numbered is kept; what is not is lost where there is no link.
    pub fn send(&self, message: &FromStub) -> Result<(), Unsent> {
        if message.is_numbered() {
            return self.send_all(std::slice::from_ref(message));
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let end = state.spool.end();
        let link = state.link.as_mut().filter(|link| link.is_open).ok_or(Unsent)?;
        let bytes = message.to_frame(UNNUMBERED);
        let taken = if link.is_idle(end) { link.out.offer(&bytes) } else { 0 };
        link.out.mail().extend_from_slice(&bytes[taken..]);
        self.wake(state);
        Ok(())
    }

    /// Numbered ones, with nothing between them.
    pub fn send_all(&self, messages: &[FromStub]) -> Result<(), Unsent> {
        let mut guard = self.state();
        let state = &mut *guard;
        let end = state.spool.end();
        let bytes = state.spool.append(messages)?;
        if let Some(link) = state.link.as_mut().filter(|link| link.is_idle(end)) {
            let taken = link.out.offer(&bytes);
            if taken > 0 {
                link.at = state.spool.end();
                link.written += 1;
                link.out.mail().extend_from_slice(&bytes[taken..]);
            }
        }
        self.wake(state);
        Ok(())
    }

    /// Sees to it that what waits for the link is written.
    fn wake(&self, state: &mut State) {
        let (number, end) = (state.number, state.spool.end());
        self.0.changed.notify_all();
        let Some(link) = state.link.as_mut().filter(|link| !link.is_idle(end) && link.is_open) else {
            return;
        };
        if !link.is_served {
            let (uplink, out) = (self.clone(), Arc::clone(&link.out));
            link.is_served = spawn(move || uplink.serve(number, &out)).is_ok();
            // Nobody can write to it: the operator makes another, later.
            if !link.is_served {
                link.is_open = false;
                link.out.close();
            }
        }
    }

    /// Keeps what is told from now on in this file.
    pub fn spool_to(&self, path: &Path) -> io::Result<()> {
        self.state().spool.create(path)
    }

    /// Whether this is the newest link: what came over it counts even where it is closed by now.
    pub fn is_newest(&self, number: u64) -> bool {
        self.0.newest.load(Ordering::Acquire) == number
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
    pub fn adopt(&self, spool: Spool, from: u64, first: &FromStub) -> io::Result<()> {
        let mut state = self.state();
        let at = spool.seek(from)?;
        state.spool = spool;
        if let Some(link) = &mut state.link {
            link.out.mail().extend(first.to_frame(UNNUMBERED));
            link.at = at;
        }
        self.wake(&mut state);
        Ok(())
    }

    /// The link is gone: the one that there is, or none.
    pub fn lose(&self, number: u64) {
        let mut state = self.state();
        if state.number != number {
            return;
        }
        self.0.changed.notify_all();
        if let Some(link) = state.link.as_mut().filter(|link| link.is_open) {
            link.is_open = false;
            link.out.close();
        }
    }

    /// Takes no link any more, unless there is one: whether that is so.
    pub fn retire(&self) -> bool {
        let mut state = self.state();
        state.is_retired = !state.link.as_ref().is_some_and(|link| link.is_open);
        state.is_retired
    }

    /// A word that is no news, where nothing waits for the link: one whose other end is dead fails in
    /// time, and does not count as an operator.
    pub fn stir(&self) {
        let mut state = self.state();
        let end = state.spool.end();
        if let Some(link) = state.link.as_ref().filter(|link| link.is_idle(end)) {
            let bytes = FromStub::Alive.to_frame(UNNUMBERED);
            let taken = link.out.offer(&bytes);
            link.out.mail().extend_from_slice(&bytes[taken..]);
            self.wake(&mut state);
        }
    }

    /// Gives up what the disk has no room for, but for what says so, and the end. No link is told that.
    pub fn keep_least(&self) {
        let mut state = self.state();
        if let Some(link) = state.link.take() {
            link.out.close();
        }
        state.spool.keep_least();
        self.0.changed.notify_all();
    }

    /// Waits until everything is with the link, or there is none, or it takes too long.
    pub fn finish(&self) {
        let is_busy = |state: &mut State| {
            let end = state.spool.end();
            state.link.as_ref().is_some_and(|link| link.is_open && !link.is_idle(end))
        };
        drop(self.0.changed.wait_timeout_while(self.state(), SEND_WITHIN, is_busy));
    }

    /// Brings what is told to the disk for good. Whether all of it is on the disk.
    pub fn sync(&self) -> bool {
        let mut state = self.state();
        let is_whole = state.spool.flush();
        let syncing = state.spool.syncing();
        drop(state);
        let _ = syncing();
        is_whole
    }

    /// Whether all of what is told is on the disk, where it stays when we are killed.
    pub fn flush(&self) -> bool {
        self.state().spool.flush()
    }

    /// Takes what was told out again.
    pub fn into_spool(self) -> Spool {
        std::mem::take(&mut self.state().spool)
    }

    fn serve(&self, number: u64, out: &Out) {
        let idle = |state: &mut State| {
            let end = state.spool.end();
            state.number == number && state.link.as_ref().is_some_and(|link| link.is_idle(end))
        };
        loop {
            let waited = self.0.changed.wait_while(self.state(), idle);
            let mut guard = waited.unwrap_or_else(PoisonError::into_inner);
            let state = &mut *guard;
            let mail = std::mem::take(&mut *out.mail());
            let link = match &mut state.link {
                Some(link) if state.number == number && link.is_open => link,
                _ => {
                    let is_superseded = state.number != number;
                    drop(guard);
                    if is_superseded {
                        // First the rest of a frame that the link has a part of.
                        let _ = out.write(&mail).and_then(|()| out.write(&superseded()));
                    }
                    out.close();
                    return;
                }
            };
            link.is_writing = true;
            let written = if mail.is_empty() {
                let (piece, at) = (state.spool.piece(link.at), link.at);
                drop(guard);
                piece.read().and_then(|bytes| {
                    // Before it is written: what was written may be acknowledged at once.
                    self.of(number, |link| link.at = at + bytes.len() as u64);
                    if bytes.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { out.write(&bytes) }
                })
            } else {
                drop(guard);
                out.write(&mail)
            };
            self.of(number, |link| {
                link.is_writing = false;
                link.written += 1;
            });
            if written.is_err() {
                self.lose(number);
                out.close();
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

fn superseded() -> Vec<u8> {
    FromStub::Superseded.to_frame(UNNUMBERED)
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
