//! While the script runs: until its end, its deadlines, or the operator's word.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cronium_wire::message::{End, FromStub, Job, ToStub};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::{Lost, Session, spawn};
use crate::aside::Aside;
use crate::cgroup::Cgroup;
use crate::events::{Event, Events};
use crate::kept::Kept;
use crate::process_tree;
use crate::pump::{Pulse, PumpEnd, pump};
use crate::run_folder::RunFolder;
use crate::script::Script;
use crate::tunnel::Tunnel;

/// Between TERM and KILL for what a script leaves running.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
/// How long is waited at once where nothing is due.
const WAIT: Duration = Duration::from_secs(3600);
/// A script that is over sooner costs its host no write to the disk.
const SYNC_AFTER: Duration = Duration::from_millis(500);

/// What a script is held to.
pub(super) struct Limits<'a> {
    pub job: &'a Job,
    /// Of its whole time.
    pub timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub grace: Duration,
    pub group: Option<Cgroup>,
    pub tunnel: Arc<Tunnel>,
    pub folder: &'a RunFolder,
}

/// Why the script is killed before its own end, and when: a clock that does not run has no time.
struct Clocks {
    begun: Instant,
    wall: Option<Instant>,
    lease: Duration,
    /// Since when nobody is there to be told.
    alone: Option<Instant>,
    /// When what was told so far is brought to the disk for good.
    sync: Option<Instant>,
    idle: Option<Duration>,
    pulse: Arc<Pulse>,
}

/// What a clock says.
enum Due {
    Wall,
    Lease,
    Idle,
    Sync,
}

impl Clocks {
    fn next(&self) -> Option<(Instant, Due)> {
        // One beyond the reach of the clock is none.
        let lease = self.alone.and_then(|since| since.checked_add(self.lease));
        let idle = self.idle.and_then(|idle| self.pulse.last().checked_add(idle));
        let all = [(self.wall, Due::Wall), (lease, Due::Lease), (idle, Due::Idle), (self.sync, Due::Sync)];
        let running = all.into_iter().filter_map(|(at, due)| Some((at?, due)));
        running.min_by_key(|(at, _)| *at)
    }
}

impl Session {
    /// Waits for the script's end, one of its deadlines, or the operator's word.
    pub(super) fn supervise(&mut self, script: Script, limits: Limits<'_>) -> Result<End, Lost> {
        let Limits { job, timeout, grace, group, tunnel, folder } = limits;
        let begun = Instant::now();
        let pulse = Arc::new(Pulse::start());
        let (ended, ended_writer) = io::pipe()?;
        let mut ended_writer = Some(ended_writer);
        for (pipe, is_stderr) in [(script.stdout, false), (script.stderr, true)] {
            let kept = Kept::new(is_stderr, job.max_output, folder.path(), self.uplink.clone());
            let (ended, events, pulse) = (ended.try_clone()?, self.events.clone(), Arc::clone(&pulse));
            spawn(move || events.push(Event::Pumped(pump(pipe, &ended, kept, &pulse))))?;
        }
        reap(script.pid, self.events.clone())?;

        let mut clocks = Clocks {
            begun,
            wall: timeout.and_then(|timeout| begun.checked_add(timeout)),
            lease: Duration::from_millis(job.lease_ms),
            alone: None,
            sync: Some(begun + SYNC_AFTER),
            idle: job.idle_ms.map(Duration::from_millis),
            pulse,
        };
        let (mut end, mut exit, mut pumping, mut held) = (None, None, 2, false);
        while exit.is_none() || pumping > 0 {
            let mut kill = None;
            match next(&self.events, clocks.next().filter(|_| exit.is_none())) {
                Ok(Event::Exited(status, has_leftovers)) => {
                    // A finished run leaves nothing behind: services are for the host's own manager.
                    if has_leftovers {
                        process_tree::end(grace.min(LEFTOVERS_GRACE), group.as_ref());
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
                    self.uplink.lose(number);
                    if self.uplink.is_newest(number) {
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
                    let uplink = self.uplink.clone();
                    // A disk may take its time, or hang.
                    Aside::start(move || uplink.sync());
                    clocks.sync = None;
                }
                Err(Due::Wall) => {
                    clocks.wall = None;
                    kill = Some(End::TimedOut { after_ms: clocks.begun.elapsed().as_millis() as u64 });
                }
                Err(Due::Idle) => {
                    let silent = clocks.pulse.last().elapsed();
                    // It may have printed something meanwhile.
                    if clocks.idle.is_some_and(|idle| silent >= idle) {
                        clocks.idle = None;
                        kill = Some(End::Idle { after_ms: silent.as_millis() as u64 });
                    }
                }
                Err(Due::Lease) => {
                    let after = clocks.alone.take().unwrap_or(begun).elapsed();
                    kill = Some(End::LeaseEnded { after_ms: after.as_millis() as u64 });
                }
            }
            if let Some(why) = kill.filter(|_| exit.is_none()) {
                end.get_or_insert(why);
                process_tree::end(grace, group.as_ref());
            }
        }
        drop(ended_writer);
        Ok(end.or(exit).expect("the loop ends with the script"))
    }
}

/// The next event, or what is due before it.
fn next(events: &Events, mut due: Option<(Instant, Due)>) -> Result<Event, Due> {
    loop {
        let left = due.as_ref().map(|(at, _)| at.saturating_duration_since(Instant::now()));
        match (events.next(left.unwrap_or(WAIT)), due.take()) {
            (Some(event), _) => return Ok(event),
            (None, Some((_, due))) => return Err(due),
            (None, None) => {}
        }
    }
}

/// Reaps every descendant that ends below us and tells of the script's own end.
fn reap(script: Pid, events: Events) -> io::Result<()> {
    spawn(move || {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == script => {
                    events.push(Event::Exited(status, process_tree::has_children()));
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
