//! While the script runs: until its end, its deadlines, or the operator's word.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use cronium_wire::message::{End, FromStub, Job, ToStub};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::{Event, Lost, Session, spawn};
use crate::process_tree;
use crate::pump::{PumpEnd, pump};
use crate::script::Script;
use crate::tunnel::Tunnel;

/// Between TERM and KILL for what a script leaves running.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
/// A script that is over sooner costs its host no write to the disk.
const SYNC_AFTER: Duration = Duration::from_millis(500);

/// Why the script is killed before its own end, and when: a clock that does not run has no time.
struct Clocks {
    begun: Instant,
    wall: Option<Instant>,
    lease: Duration,
    /// Since when nobody is there to be told.
    alone: Option<Instant>,
    /// When what was told so far is brought to the disk for good.
    sync: Option<Instant>,
}

/// What a clock says.
enum Due {
    Wall,
    Lease,
    Sync,
}

impl Clocks {
    fn next(&self) -> Option<(Instant, Due)> {
        // One beyond the reach of the clock is none.
        let lease = self.alone.and_then(|since| since.checked_add(self.lease));
        let all = [(self.wall, Due::Wall), (lease, Due::Lease), (self.sync, Due::Sync)];
        let running = all.into_iter().filter_map(|(at, due)| Some((at?, due)));
        running.min_by_key(|(at, _)| *at)
    }
}

impl Session {
    /// Waits for the script's end, one of its deadlines, or the operator's word.
    pub(super) fn supervise(
        &mut self,
        script: Script,
        tunnel: &Arc<Tunnel>,
        job: &Job,
        timeout: Option<Duration>,
        grace: Duration,
    ) -> Result<End, Lost> {
        let begun = Instant::now();
        let (ended, ended_writer) = io::pipe()?;
        let mut ended_writer = Some(ended_writer);
        for (pipe, wrap) in
            [(script.stdout, FromStub::Stdout as fn(Vec<u8>) -> FromStub), (script.stderr, FromStub::Stderr)]
        {
            let (ended, uplink, sender) = (ended.try_clone()?, self.uplink.clone(), self.sender.clone());
            spawn(move || {
                let _ = sender.send(Event::Pumped(pump(pipe, &ended, &uplink, wrap)));
            })?;
        }
        reap(script.pid, self.sender.clone())?;

        let mut clocks = Clocks {
            begun,
            wall: timeout.and_then(|timeout| begun.checked_add(timeout)),
            lease: Duration::from_millis(job.lease_ms),
            alone: None,
            sync: Some(begun + SYNC_AFTER),
        };
        let (mut end, mut exit, mut pumping, mut held) = (None, None, 2, false);
        while exit.is_none() || pumping > 0 {
            let mut kill = None;
            match next(&self.events, clocks.next().filter(|_| exit.is_none())) {
                Ok(Event::Exited(status, has_leftovers)) => {
                    // A finished run leaves nothing behind: services are for the host's own manager.
                    if has_leftovers {
                        process_tree::end(grace.min(LEFTOVERS_GRACE));
                    }
                    exit = Some(exit_of(status));
                    ended_writer = None;
                }
                Ok(Event::Pumped(PumpEnd::Whole)) => pumping -= 1,
                Ok(Event::Pumped(PumpEnd::Held)) => {
                    pumping -= 1;
                    // It may hold both streams; once is enough.
                    if !std::mem::replace(&mut held, true) {
                        let message =
                            "a background process outlives the script; its output is not waited for".into();
                        self.uplink.send(&FromStub::Warning { message })?;
                    }
                }
                Ok(Event::Linked) => clocks.alone = None,
                Ok(Event::Gone(number)) => {
                    if self.uplink.lose(number) {
                        clocks.alone = Some(Instant::now());
                        tunnel.unlinked();
                    }
                }
                Ok(Event::Down(number, message)) if self.uplink.is_newest(number) => match message {
                    ToStub::TunnelOpen { port } => tunnel.opened(port),
                    ToStub::TunnelRefused { reason } => tunnel.refused(reason),
                    ToStub::Cancel => kill = Some(End::Cancelled),
                    ToStub::Detach { lease_ms } => clocks.lease = Duration::from_millis(lease_ms),
                    _ => {}
                },
                Ok(Event::Down(..)) => {}
                Err(Due::Sync) => {
                    self.uplink.sync();
                    clocks.sync = None;
                }
                Err(Due::Wall) => {
                    clocks.wall = None;
                    kill = Some(End::TimedOut { after_ms: clocks.begun.elapsed().as_millis() as u64 });
                }
                Err(Due::Lease) => {
                    let after = clocks.alone.take().unwrap_or(begun).elapsed();
                    kill = Some(End::LeaseEnded { after_ms: after.as_millis() as u64 });
                }
            }
            if let Some(why) = kill.filter(|_| exit.is_none()) {
                end.get_or_insert(why);
                process_tree::end(grace);
            }
        }
        drop(ended_writer);
        Ok(end.or(exit).expect("the loop ends with the script"))
    }
}

/// The next event, or what is due before it.
fn next(events: &Receiver<Event>, due: Option<(Instant, Due)>) -> Result<Event, Due> {
    // We hold a sender ourselves, so that there is always one.
    let Some((at, due)) = due else { return Ok(events.recv().expect("there is a sender")) };
    events.recv_timeout(at.saturating_duration_since(Instant::now())).map_err(|_| due)
}

/// Reaps every descendant that ends below us and tells of the script's own end.
fn reap(script: Pid, sender: SyncSender<Event>) -> io::Result<()> {
    spawn(move || {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == script => {
                    let _ = sender.send(Event::Exited(status, process_tree::has_children()));
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    })
}

fn exit_of(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (_, Some(signal)) => End::Signalled { signal },
        (code, None) => End::Exited { code: code.unwrap_or(0) },
    }
}
