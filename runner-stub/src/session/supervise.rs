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
use crate::serve::SYNC_AFTER;
use crate::tunnel::Tunnel;
use crate::uplink::FIRST_LINK;

/// Between TERM and KILL for what a script leaves running.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
/// How long is waited at once where nothing is due.
const WAIT: Duration = Duration::from_secs(3600);
/// A script that is not gone so long after it was killed cannot be ended: it waits for a dead disk, say.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// How often a link is tried over which nothing is told.
const STIR_EVERY: Duration = Duration::from_secs(60);
/// Whoever tells may hold the uplink for as long as a dead disk does.
const LOSE_WITHIN: Duration = Duration::from_secs(2);

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
    wall: Option<Instant>,
    lease: Duration,
    /// Since when nobody is there to be told.
    alone: Option<Instant>,
    /// When what was told so far is brought to the disk for good.
    sync: Option<Instant>,
    stir: Instant,
    /// Once it is killed.
    give_up: Option<Instant>,
    idle: Option<Duration>,
    pulse: Arc<Pulse>,
}

/// What a clock says.
enum Due {
    Wall,
    Lease,
    Idle,
    Sync,
    Stir,
    GiveUp,
}

impl Clocks {
    fn next(&self) -> Option<(Instant, Due)> {
        // One beyond the reach of the clock is none.
        let lease = self.alone.and_then(|since| since.checked_add(self.lease));
        let idle = self.idle.and_then(|idle| self.pulse.last().checked_add(idle));
        let all = [
            (self.wall, Due::Wall),
            (lease, Due::Lease),
            (idle, Due::Idle),
            (self.sync, Due::Sync),
            (Some(self.stir), Due::Stir),
            (self.give_up, Due::GiveUp),
        ];
        let running = all.into_iter().filter_map(|(at, due)| Some((at?, due)));
        running.min_by_key(|(at, _)| *at)
    }
}

impl Session {
    /// Waits for the script's end, one of its deadlines, or the operator's word. How it ended, and after
    /// what time.
    pub(super) fn supervise(&mut self, script: Script, limits: Limits<'_>) -> Result<(End, Duration), Lost> {
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
            wall: timeout.and_then(|timeout| begun.checked_add(timeout)),
            lease: Duration::from_millis(job.lease_ms),
            alone: None,
            sync: Some(begun + SYNC_AFTER),
            stir: begun + STIR_EVERY,
            give_up: None,
            idle: job.idle_ms.map(Duration::from_millis),
            pulse,
        };
        let (mut end, mut exit, mut pumping, mut held) = (None, None, 2, false);
        let mut ran = Duration::ZERO;
        while exit.is_none() || pumping > 0 {
            let mut kill = None;
            match next(&self.events, clocks.next().filter(|_| exit.is_none())) {
                Ok(Event::Exited(status, has_leftovers)) if exit.is_none() => {
                    ran = begun.elapsed();
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
                Ok(event @ (Event::Linked | Event::Gone(_))) => {
                    // What the two say may come in another order than it happened.
                    let uplink = self.uplink.clone();
                    let looked = Aside::start(move || {
                        if let Event::Gone(number) = event {
                            uplink.lose(number);
                        }
                        uplink.is_linked()
                    });
                    clocks.alone = match looked.wait(LOSE_WITHIN) {
                        Some(true) => None,
                        _ => clocks.alone.or_else(|| Some(Instant::now())),
                    };
                    if clocks.alone.is_some() || !self.uplink.is_newest(FIRST_LINK) {
                        tunnel.unlinked();
                    }
                }
                Ok(Event::Down(number, message)) if self.uplink.is_newest(number) => match message {
                    // Nobody else was asked, and whoever came later may not be whom the job came from.
                    ToStub::TunnelOpen { port } if number == FIRST_LINK => tunnel.opened(port),
                    ToStub::TunnelRefused { reason } if number == FIRST_LINK => tunnel.refused(reason),
                    ToStub::Cancel => kill = Some(End::Cancelled),
                    ToStub::Detach { lease_ms } => clocks.lease = Duration::from_millis(lease_ms),
                    _ => {}
                },
                Ok(Event::Down(..) | Event::Exited(..)) => {}
                Err(Due::Stir) => {
                    let uplink = self.uplink.clone();
                    Aside::start(move || uplink.stir());
                    clocks.stir = Instant::now() + STIR_EVERY;
                }
                Err(Due::GiveUp) => {
                    clocks.give_up = None;
                    ran = begun.elapsed();
                    let pid = script.pid.as_raw_nonzero();
                    let message = format!("process {pid} cannot be ended");
                    self.uplink.send(&FromStub::Warning { message })?;
                    exit = end.clone();
                    ended_writer = None;
                }
                Err(Due::Sync) => {
                    let uplink = self.uplink.clone();
                    // A disk may take its time, or hang.
                    Aside::start(move || uplink.sync());
                    clocks.sync = None;
                }
                Err(Due::Wall) => {
                    clocks.wall = None;
                    kill = Some(End::TimedOut { after_ms: begun.elapsed().as_millis() as u64 });
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
                clocks.give_up = clocks.give_up.or_else(|| Some(Instant::now() + GIVE_UP_AFTER));
            }
        }
        drop(ended_writer);
        Ok((end.or(exit).expect("the loop ends with the script"), ran))
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
