//! Ends a stub whose operator goes away before the script starts, whatever the stub hangs on:
//! a trusted key or a folder on a dead network disk, say.

use std::fs::File;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{process, thread};

use rustix::event::{PollFd, PollFlags, poll};

use crate::aside::Aside;
use crate::session::spawn;

/// What is under way may come to its own end first.
const PATIENCE: Duration = Duration::from_secs(2);
/// For what would stay behind; on a dead disk it does.
const REMOVE_WITHIN: Duration = Duration::from_secs(2);

type Removal = Box<dyn FnOnce() + Send>;

/// `None` once it is over.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<Option<Vec<Removal>>>>);

impl Watch {
    pub fn start(link: File) -> Self {
        let watch = Self(Arc::new(Mutex::new(Some(Vec::new()))));
        let watching = watch.clone();
        // Without a thread for it, the session sees the loss where it waits for the operator.
        let _ = spawn(move || {
            if until_closed(&link) {
                thread::sleep(PATIENCE);
                watching.end();
            }
        });
        watch
    }

    /// `removal` is due where the stub ends here.
    pub fn leaves(&self, removal: impl FnOnce() + Send + 'static) {
        if let Some(removals) = &mut *self.0.lock().expect("no holder panics") {
            removals.push(Box::new(removal));
        }
    }

    /// The session looks after the operator itself from here on. Does not return where the end has
    /// begun already.
    pub fn over(&self) {
        *self.0.lock().expect("no holder panics") = None;
    }

    fn end(&self) {
        // Held to the last, so that no script starts meanwhile.
        let mut state = self.0.lock().expect("no holder panics");
        let Some(removals) = state.take() else { return };
        Aside::start(move || removals.into_iter().for_each(|removal| removal())).wait(REMOVE_WITHIN);
        process::exit(1);
    }
}

/// Waits until the other end of the link is closed, even where much is still to be read from it.
fn until_closed(link: &File) -> bool {
    let mut link = [PollFd::new(link, PollFlags::RDHUP)];
    loop {
        match poll(&mut link, None) {
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
