//! `--on-condition` and `--on-notify`: the operator's own programs, started by what scripts tell.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{Sender, channel as queue};

use super::shell::{self, Call};
use crate::error::{ExitCode, OrFail as _, Result};
use crate::event::{Event, EventKind};
use crate::report::units;
use crate::term::Term;

mod call;
mod runner;

use runner::{Ended, Runner};

/// Hooks that wait; those beyond are not run, and counted.
const WAITING: usize = 10_000;

/// Bytes of all that wait: a notification may be a megabyte.
const WAITING_BYTES: usize = 64 << 20;

/// A hook that takes longer is killed with all it started.
const LONGEST: Duration = Duration::from_secs(60);

/// Between the end of the run and word of hooks that still wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shell commands to run on this machine, as `/bin/sh -c`. A hook gets data in its environment
/// (`CRONIUM_RUN_ID`, `CRONIUM_HOST`, and `CRONIUM_CONDITION` or `CRONIUM_AUDIENCE` and
/// `CRONIUM_MESSAGE`; a value over 100 KiB is cut) and the event as a line of JSON on stdin. Nothing
/// a host sent becomes part of the command.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Telling")]
pub struct HookArgs {
    /// Run a shell command here for each host whose script told `condition true` last
    #[arg(long, value_name = "CMD", env = "CRONIUM_RUN_ON_CONDITION", hide_env_values = true)]
    pub on_condition: Option<String>,
    /// Run a shell command here for each `cronium notify` of a script
    #[arg(long, value_name = "CMD", env = "CRONIUM_RUN_ON_NOTIFY", hide_env_values = true)]
    pub on_notify: Option<String>,
}

/// Runs hooks on a thread of its own, one at a time, in the order of events: a run never waits
/// for them until it is over.
///
/// The last condition of a host counts, so its hook runs when the host has ended. A host whose
/// link was lost has ended, too.
pub struct Hooks {
    args: HookArgs,
    run: String,
    term: Term,
    /// What hosts that have not ended said last.
    conditions: HashMap<String, Event>,
    /// `None` where there is no hook.
    thread: Option<Thread>,
    dropped: u64,
}

struct Thread {
    queue: Sender<Call>,
    waiting: Arc<Waiting>,
    ended: Receiver<Ended>,
}

/// What waits or runs.
#[derive(Default)]
struct Waiting {
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    fn add(&self, call: &Call) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(call::bytes(call), Ordering::Relaxed);
    }

    fn remove(&self, call: &Call) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(call::bytes(call), Ordering::Relaxed);
    }
}

impl Hooks {
    /// An error is one of starting the thread, before any host is touched.
    pub fn start(args: &HookArgs, run: &str, term: &Term) -> Result<Self> {
        Self::within(args, run, term, WAITING, LONGEST)
    }

    fn within(
        args: &HookArgs,
        run: &str,
        term: &Term,
        most_waiting: usize,
        longest: Duration,
    ) -> Result<Self> {
        let mut hooks = Self {
            args: args.clone(),
            run: run.to_owned(),
            term: term.clone(),
            conditions: HashMap::new(),
            thread: None,
            dropped: 0,
        };
        if args.on_condition.is_none() && args.on_notify.is_none() {
            return Ok(hooks);
        }
        let (queue, calls) = queue(most_waiting);
        let (done, ended) = channel();
        let waiting = Arc::new(Waiting::default());
        let runner = Runner::new(term.clone(), Arc::clone(&waiting), longest);
        let failed = || "cannot start the thread that runs hooks";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_fail(failed)?;
        thread::Builder::new()
            .name("hooks".to_owned())
            .spawn(move || {
                // Somebody waits for it until the end.
                let _ = done.send(runtime.block_on(runner.run(calls)));
            })
            .or_fail(failed)?;
        hooks.thread = Some(Thread { queue, waiting, ended });
        Ok(hooks)
    }

    /// Queues the hook of an event, if it has one. Never waits.
    pub fn event(&mut self, event: &Event) {
        if self.thread.is_none() {
            return;
        }
        match &event.kind {
            EventKind::HostNotify { audience, message, .. } => {
                let data = [("CRONIUM_AUDIENCE", audience.as_str()), ("CRONIUM_MESSAGE", message.as_str())];
                if let Some(command) = self.args.on_notify.clone() {
                    self.queue(call::of_event("on-notify", &command, &self.run, event, &data));
                }
            }
            EventKind::HostCondition { host, .. } if self.args.on_condition.is_some() => {
                self.conditions.insert(host.clone(), event.clone());
            }
            EventKind::HostFinished { host, .. } => {
                let last = self.conditions.remove(host);
                let is_true =
                    |event: &Event| matches!(event.kind, EventKind::HostCondition { condition: true, .. });
                if let (Some(command), Some(event)) = (self.args.on_condition.clone(), last.filter(is_true)) {
                    let data = [("CRONIUM_CONDITION", "true")];
                    self.queue(call::of_event("on-condition", &command, &self.run, &event, &data));
                }
            }
            _ => {}
        }
    }

    fn queue(&mut self, call: Call) {
        let Some(Thread { queue, waiting, .. }) = &self.thread else { return };
        let fits = waiting.bytes.load(Ordering::Relaxed) + call::bytes(&call) <= WAITING_BYTES;
        // Counted first: the other side may be done with it at once.
        waiting.add(&call);
        let refused =
            if fits { queue.try_send(call).err().map(|error| error.into_inner()) } else { Some(call) };
        if let Some(call) = refused {
            waiting.remove(&call);
            self.dropped += 1;
        }
    }

    /// Waits for all that were queued. The exit code of a run that went well otherwise: 1 where a
    /// hook failed or was not run, 130 where the operator left.
    pub fn finish(self) -> ExitCode {
        let Some(Thread { queue, waiting, ended }) = self.thread else { return ExitCode::Success };
        drop(queue);
        let ended = match ended.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Timeout) => {
                let count = count(waiting.calls.load(Ordering::Relaxed) as u64);
                self.term.note(&format!("waiting for {count}: Ctrl-C twice leaves"));
                ended.recv().ok()
            }
            ended => ended.ok(),
        };
        let ended = ended.expect("the thread of hooks does not panic");
        if self.dropped > 0 {
            let (dropped, most) = (count(self.dropped), units::size(WAITING_BYTES as u64));
            let limit = format!("no more than {WAITING} and {most} may wait");
            shell::warn(&self.term, &format!("{dropped} not run: {limit}"));
        }
        match ended {
            Ended { left: true, .. } => ExitCode::Interrupted,
            Ended { failed: 0, .. } if self.dropped == 0 => ExitCode::Success,
            _ => ExitCode::Failure,
        }
    }
}

/// `1 hook`, `3 hooks`.
fn count(hooks: u64) -> String {
    if hooks == 1 { "1 hook".to_owned() } else { format!("{hooks} hooks") }
}

#[cfg(test)]
mod tests;
