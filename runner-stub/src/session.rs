//! One conversation with the operator: a job comes in, a result goes out.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use cronium_wire::archive::{self, ArchiveError};
use cronium_wire::message::{Deploy, End, Finished, FromStub, Hello, Job, Started, ToStub};
use rustix::process::{WaitOptions, WaitStatus, wait};

use crate::desk::Desk;
use crate::downlink::Downlink;
use crate::payload::{Cache, Payload};
use crate::pump::{PumpEnd, pump};
use crate::refusal::Refusal;
use crate::run_folder::{RunFolder, random_word};
use crate::script::Script;
use crate::sdk::Sdk;
use crate::tunnel::Tunnel;
use crate::uplink::Uplink;
use crate::watch::Watch;
use crate::{
    artifact, door, environment, helper_call, identity, inherited, process_tree, stale, trust, usage,
};

mod inputs;

/// An operator that connects must say what it wants.
const JOB_WITHIN: Duration = Duration::from_secs(60);
/// One that was started for a job to come waits for it this long, unless the connection ends.
const WAITING: Duration = Duration::from_secs(24 * 3600);
/// Between TERM and KILL for what a script leaves running.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
/// The longest pause between two pieces of a payload.
const PIECE_WITHIN: Duration = Duration::from_secs(120);

/// What the session waits for.
enum Event {
    Down(ToStub),
    /// The operator closed the link or speaks nonsense.
    Gone,
    /// The script has ended; whether anything it started is still there.
    Exited(WaitStatus, Leftovers),
    Pumped(PumpEnd),
}

/// The operator is gone: there is nobody to tell.
struct Lost;

enum Stop {
    Lost,
    Cancelled,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Lost> for Stop {
    fn from(Lost: Lost) -> Self {
        Self::Lost
    }
}

impl From<io::Error> for Lost {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Speaks on stdin and stdout. `words` of whoever started us: `checked`, the program is whole;
/// `temporary`, it lies in a folder made for this start alone; `waiting`, a job may come much later.
pub fn main(words: &[String]) -> ExitCode {
    inherited::shed();
    let said = |word: &str| words.iter().any(|given| given == word);
    let _program = said("temporary").then(TemporaryProgram::ours);
    let Some(digest) = identity::digest(said("checked")) else {
        // Damaged in the cache: ask for a whole one.
        crate::print(&format!("cronium-run:need {}\n", std::env::consts::ARCH));
        return ExitCode::SUCCESS;
    };
    let watch = Watch::start();
    if said("temporary") {
        watch.leaves(|| drop(TemporaryProgram::ours()));
    }
    let job_within = if said("waiting") { WAITING } else { JOB_WITHIN };
    let hello = FromStub::Hello(Hello { stub_digest: digest, arch: identity::arch() });
    match Uplink::open(&hello)
        .map_err(Lost::from)
        .and_then(|uplink| Session::new(uplink, watch).serve(job_within))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(Lost) => ExitCode::FAILURE,
    }
}

/// The program in a folder made for this start alone: there for the script's helpers, which are
/// links to it, and removed with its folder when dropped.
struct TemporaryProgram(PathBuf);

impl TemporaryProgram {
    fn ours() -> Self {
        Self(identity::program())
    }
}

impl Drop for TemporaryProgram {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = self.0.parent().map(std::fs::remove_dir);
    }
}

struct Session {
    uplink: Uplink,
    /// Over when the script starts.
    watch: Watch,
    events: Receiver<Event>,
    sender: SyncSender<Event>,
}

impl Session {
    fn new(uplink: Uplink, watch: Watch) -> Self {
        let (sender, events) = sync_channel(16);
        let down = sender.clone();
        thread::spawn(move || {
            let mut downlink = Downlink::default();
            while let Ok(Some(message)) = downlink.receive() {
                if down.send(Event::Down(message)).is_err() {
                    return;
                }
            }
            let _ = down.send(Event::Gone);
        });
        Self { uplink, watch, events, sender }
    }

    fn serve(mut self, job_within: Duration) -> Result<(), Lost> {
        let served = match self.receive(job_within)? {
            ToStub::Job(mut job) => self.run(&mut job),
            ToStub::Deploy(deploy) => self.deploy(&deploy),
            // Cancelled before it began.
            ToStub::Cancel => Ok(finished(End::Cancelled)),
            _ => return Err(Lost),
        };
        let finished = match served {
            Ok(finished) => finished,
            Err(Stop::Cancelled) => finished(End::Cancelled),
            Err(Stop::Refused(refusal)) => finished(refusal.into()),
            Err(Stop::Lost) => return Err(Lost),
        };
        Ok(self.uplink.send(&FromStub::Finished(finished))?)
    }

    /// The next message from the operator, before anything runs.
    fn receive(&mut self, within: Duration) -> Result<ToStub, Lost> {
        match self.events.recv_timeout(within) {
            Ok(Event::Down(message)) => Ok(message),
            _ => Err(Lost),
        }
    }

    fn deploy(&mut self, deploy: &Deploy) -> Result<Finished, Stop> {
        if let Some(job) = &deploy.payload {
            plain_name(&job.digest)?;
            let cache = Cache::open()?;
            let mut payload = self.fetch_cached(job, &cache)?;
            trust::verify(job, &mut payload)
                .and_then(|_| archive::check_reader(&mut payload, job.size).map_err(broken))
                .inspect_err(|_| cache.forget(&job.digest))?;
        }
        let pinned = trust::pin(&deploy.trust)?;
        Ok(finished(End::Deployed { pinned }))
    }

    fn run(&mut self, job: &mut Job) -> Result<Finished, Stop> {
        plain_name(&job.run)?;
        plain_name(&job.digest)?;
        let input = self.receive_input(job)?;
        let mut payload = self.fetch(job)?;
        let pinned = trust::verify(job, &mut payload)?;
        let folder = RunFolder::create(&job.run)?;
        self.watch.leaves(folder.removal());
        let tunnel = Arc::new(Tunnel::new(job, self.uplink.clone(), folder.tunnel_socket()));
        stale::collect(&folder);
        let manifest = archive::unpack_reader(&mut payload, job.size, &folder.work()).map_err(broken)?;
        self.stage_inputs(job, &manifest.artifacts, &folder)?;
        let word = random_word().map_err(|error| Refusal::folder("fill", folder.path(), &error))?;
        let helpers = manifest.helpers.clone();
        let desk = Desk::new(job, input, helpers, Arc::clone(&tunnel), self.uplink.clone(), word);
        let desk = Arc::new(desk);
        helper_call::socket::listen(&folder.helper_socket(), Arc::clone(&desk))
            .map_err(|error| Refusal::folder("listen on", &folder.helper_socket(), &error))?;
        let door = manifest.helpers.http.then(|| door::open(Arc::clone(&desk), &job.execution)).transpose();
        let door =
            door.map_err(|error| Refusal::new("exec", "door", "cannot open the HTTP door").because(error))?;
        // Nothing else is awaited from the operator from here on.
        if job.tunnel_now {
            tunnel.ask();
        }
        let (mode, _) = tunnel.way();
        let sdk = Sdk::install(&folder, &manifest.interpreter)
            .map_err(|error| Refusal::folder("fill", folder.path(), &error))?;
        let mut environment = environment::of(job, &manifest, &folder, mode, door.as_ref());
        sdk.environment(&manifest.interpreter, &mut environment);
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        // From here on the loss of the operator is seen in `supervise`.
        self.watch.over();
        let script = Script::start(&manifest, &sdk, &job.args, &environment, &folder.work())?;
        let started = Started { pid: script.pid.as_raw_nonzero().get() as u32, pinned };
        let timeout = job.timeout_ms.map(Duration::from_millis).or(manifest.timeout);
        let grace = Duration::from_millis(job.grace_ms);
        let told = self.uplink.send(&FromStub::Started(started)).map_err(Lost::from);
        // Where nobody is left to tell, nothing is left running.
        let end = told
            .and_then(|()| self.supervise(script, &tunnel, timeout, grace))
            .inspect_err(|Lost| process_tree::end(grace))?;
        let (cpu_ms, max_rss_kb) = usage::of_children().unzip();
        let helpers = desk.close();
        if end != End::Cancelled {
            let mut told = false;
            // Said once, it holds to the end.
            let stopped = || {
                let now = matches!(self.events.try_recv(), Ok(Event::Down(ToStub::Cancel) | Event::Gone));
                told |= now;
                told
            };
            artifact::send_outputs(&folder, &manifest.artifacts, &self.uplink, stopped)
                .map_err(Lost::from)?;
        }
        if let Err(error) = folder.remove() {
            let message = format!("the run folder could not be removed: {error}");
            self.uplink.send(&FromStub::Warning { message }).map_err(Lost::from)?;
        }
        Ok(Finished { end, cpu_ms, max_rss_kb, helpers, condition: None })
    }

    /// The run's input as JSON; empty where there is none.
    fn receive_input(&mut self, job: &Job) -> Result<Vec<u8>, Stop> {
        let mut input = Vec::new();
        while (input.len() as u64) < job.input_size {
            match self.receive(PIECE_WITHIN)? {
                ToStub::Input(piece) => input.extend(piece),
                ToStub::Cancel => return Err(Stop::Cancelled),
                _ => return Err(Stop::Lost),
            }
        }
        Ok(input)
    }

    /// Small payloads come with the job and are kept in memory.
    fn fetch(&mut self, job: &Job) -> Result<Payload, Stop> {
        if !job.payload_follows {
            return self.fetch_cached(job, &Cache::of_run());
        }
        let mut bytes = Vec::new();
        self.receive_bytes(job.size, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(Payload::Memory(io::Cursor::new(bytes)))
    }

    /// Others from the cache, or asked for and put there.
    fn fetch_cached(&mut self, job: &Job, cache: &Cache) -> Result<Payload, Stop> {
        if let Some(mut found) = cache.find(&job.digest, job.size) {
            if trust::digest_matches(&job.digest, &mut found)? {
                return Ok(found);
            }
            cache.forget(&job.digest);
        }
        self.uplink.send(&FromStub::NeedPayload).map_err(Lost::from)?;
        let mut incoming = cache.receive(&job.digest)?;
        self.receive_bytes(job.size, |piece| incoming.write(piece))?;
        Ok(incoming.finish()?)
    }

    fn receive_bytes(
        &mut self,
        size: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Stop> {
        let mut missing = size;
        while missing > 0 {
            let piece = match self.receive(PIECE_WITHIN)? {
                ToStub::Payload(piece) => piece,
                ToStub::Cancel => return Err(Stop::Cancelled),
                _ => return Err(Stop::Lost),
            };
            missing = missing.checked_sub(piece.len() as u64).ok_or(Stop::Lost)?;
            take(&piece)?;
        }
        Ok(())
    }

    /// Waits for the script's end, its deadline, the operator's word or the operator's loss.
    fn supervise(
        &mut self,
        script: Script,
        tunnel: &Arc<Tunnel>,
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

        // One beyond the reach of the clock is none.
        let mut deadline = timeout.and_then(|timeout| begun.checked_add(timeout));
        let (mut end, mut exit, mut pumping, mut held) = (None, None, 2, false);
        while exit.is_none() || pumping > 0 {
            match next(&self.events, deadline) {
                Some(Event::Exited(status, leftovers)) => {
                    // A finished run leaves nothing behind: services are for the host's own manager.
                    if leftovers == Leftovers::Some {
                        process_tree::end(grace.min(LEFTOVERS_GRACE));
                    }
                    exit = Some(exit_of(status));
                    deadline = None;
                    ended_writer = None;
                }
                Some(Event::Pumped(PumpEnd::OperatorGone) | Event::Gone) => return Err(Lost),
                Some(Event::Pumped(PumpEnd::Whole)) => pumping -= 1,
                Some(Event::Pumped(PumpEnd::Held)) => {
                    pumping -= 1;
                    // It may hold both streams; once is enough.
                    if !std::mem::replace(&mut held, true) {
                        let message =
                            "a background process outlives the script; its output is not waited for".into();
                        self.uplink.send(&FromStub::Warning { message })?;
                    }
                }
                Some(Event::Down(ToStub::TunnelOpen { port })) => tunnel.opened(port),
                Some(Event::Down(ToStub::TunnelRefused { reason })) => tunnel.refused(reason),
                Some(Event::Down(ToStub::Cancel)) if exit.is_none() => {
                    end.get_or_insert(End::Cancelled);
                    process_tree::end(grace);
                }
                Some(Event::Down(_)) => {}
                None => {
                    deadline = None;
                    end.get_or_insert(End::TimedOut { after_ms: begun.elapsed().as_millis() as u64 });
                    process_tree::end(grace);
                }
            }
        }
        drop(ended_writer);
        Ok(end.or(exit).expect("the loop ends with the script"))
    }
}

/// The next event; `None` at the deadline.
fn next(events: &Receiver<Event>, deadline: Option<Instant>) -> Option<Event> {
    let event = match deadline {
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
    };
    match event {
        Ok(event) => Some(event),
        Err(RecvTimeoutError::Timeout) => None,
        // We hold a sender ourselves.
        Err(RecvTimeoutError::Disconnected) => Some(Event::Gone),
    }
}

/// Reaps every descendant that ends below us and tells of the script's own end.
fn reap(script: rustix::process::Pid, sender: SyncSender<Event>) -> io::Result<()> {
    spawn(move || {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == script => {
                    let _ = sender.send(Event::Exited(status, leftovers()));
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leftovers {
    None,
    Some,
}

/// Whether descendants are left. All are below a child of ours, as orphans become ours.
fn leftovers() -> Leftovers {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Leftovers::Some,
            Err(_) => return Leftovers::None,
        }
    }
}

/// As `thread::spawn`, which panics where the user may start no more: a script may have taken them all.
pub fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Boxed, so that what starts a thread is in the program once.
    let run: Box<dyn FnOnce() + Send> = Box::new(run);
    thread::Builder::new().spawn(run).map(drop)
}

/// A run and a digest name files of ours. They lead nowhere else, as a pinned key must hold
/// against the operator too.
fn plain_name(name: &str) -> Result<(), Refusal> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match name.len() {
        1..=64 if is_plain => Ok(()),
        _ => Err(Refusal::new("verify", "job", format!("'{name}' is no name of a run or payload"))),
    }
}

fn broken(error: ArchiveError) -> Refusal {
    match error {
        ArchiveError::Write { path, error } => Refusal::folder("unpack", &path, &error),
        error => Refusal::new("verify", "archive", "the payload breaks the rules of payloads")
            .because(error)
            .hint("cronium-run inspect PAYLOAD"),
    }
}

fn exit_of(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (_, Some(signal)) => End::Signalled { signal },
        (code, None) => End::Exited { code: code.unwrap_or(0) },
    }
}

fn finished(end: End) -> Finished {
    Finished { end, cpu_ms: None, max_rss_kb: None, helpers: None, condition: None }
}
