//! One conversation with the operator: a job comes in, a result goes out.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cronium_wire::archive::{self, ArchiveError};
use cronium_wire::message::{Deploy, End, Finished, FromStub, Hello, Job, Started, ToStub};

use crate::about::About;
use crate::aside::Aside;
use crate::cgroup::Cgroup;
use crate::desk::Desk;
use crate::downlink::Downlink;
use crate::events::{Event, Events};
use crate::payload::{Cache, Payload};
use crate::refusal::Refusal;
use crate::run_folder::{RunFolder, random_word};
use crate::script::Script;
use crate::sdk::Sdk;
use crate::spool::Unsent;
use crate::tunnel::Tunnel;
use crate::uplink::Uplink;
use crate::watch::Watch;
use crate::{
    artifact, door, environment, helper_call, identity, inherited, peer, process_tree, relay, serve, stale,
    trust, usage,
};

mod inputs;
mod supervise;

use supervise::Limits;

/// An operator that connects must say what it wants.
const JOB_WITHIN: Duration = Duration::from_secs(60);
/// One that was started for a job to come waits for it this long, unless the connection ends.
const WAITING: Duration = Duration::from_secs(24 * 3600);
/// For the removal of all that the script left, on a disk that may be slow, or dead.
const CLEAN_UP_WITHIN: Duration = Duration::from_secs(60);
/// For looking after what others left: where nobody waits for our end, and where the operator does.
const COLLECT_WITHIN: Duration = Duration::from_secs(10);
const COLLECT_MORE: Duration = Duration::from_millis(300);
/// The longest pause between two pieces of a payload.
const PIECE_WITHIN: Duration = Duration::from_secs(120);

/// The operator is gone: there is nobody to tell.
pub struct Lost;

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

impl From<Unsent> for Lost {
    fn from(Unsent: Unsent) -> Self {
        Self
    }
}

/// Speaks on stdin and stdout. `words` of whoever started us: `checked`, the program is whole;
/// `temporary`, it lies in a folder made for this start alone; `waiting`, a job may come much later.
pub fn main(words: &[String]) -> ExitCode {
    inherited::shed();
    if let Err(error) = relay::split() {
        crate::tell(&format!("cannot start the supervisor: {error}"));
        return ExitCode::FAILURE;
    }
    let said = |word: &str| words.iter().any(|given| given == word);
    let _program = said("temporary").then(TemporaryProgram::ours);
    let Some(digest) = identity::digest(said("checked")) else {
        // Damaged in the cache: ask for a whole one.
        crate::print(&format!("cronium-run:need {}\n", std::env::consts::ARCH));
        return ExitCode::SUCCESS;
    };
    let job_within = if said("waiting") { WAITING } else { JOB_WITHIN };
    let hello = FromStub::Hello(Hello { stub_digest: digest, arch: identity::arch() });
    match Session::start(&hello, said("temporary")).and_then(|session| session.serve(job_within)) {
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

pub struct Session {
    pub(crate) uplink: Uplink,
    /// The first link.
    pub(crate) link: File,
    /// Over when the script starts.
    pub(crate) watch: Watch,
    pub(crate) events: Events,
}

impl Session {
    /// Takes over stdin and stdout, which are one socket.
    fn start(hello: &FromStub, is_temporary: bool) -> Result<Self, Lost> {
        let link = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(|_| Lost)?);
        inherited::silence(&[0, 1]);
        let watch = Watch::start(link.try_clone()?);
        if is_temporary {
            watch.leaves(|| drop(TemporaryProgram::ours()));
        }
        let (uplink, number) = Uplink::greet(link.try_clone()?, hello)?;
        let events = Events::default();
        let (heard, downlink) = (events.clone(), Downlink::new(link.try_clone()?));
        spawn(move || serve::hear(downlink, number, &heard))?;
        Ok(Self { uplink, link, watch, events })
    }

    fn serve(mut self, job_within: Duration) -> Result<(), Lost> {
        let served = match self.receive(job_within)? {
            ToStub::Job(mut job) => self.run(&mut job),
            ToStub::Deploy(deploy) => self.deploy(&deploy),
            ToStub::Attach(attach) => return self.attach(&attach),
            // Cancelled before it began.
            ToStub::Cancel => Err(Stop::Cancelled),
            _ => return Err(Lost),
        };
        let finished = match served {
            Ok(None) => return Ok(()),
            Ok(Some(end)) => finished(end),
            Err(Stop::Cancelled) => finished(End::Cancelled),
            Err(Stop::Refused(refusal)) => finished(refusal.into()),
            Err(Stop::Lost) => return Err(Lost),
        };
        self.uplink.send(&FromStub::Finished(finished))?;
        self.uplink.finish();
        Aside::start(stale::collect).wait(COLLECT_MORE);
        Ok(())
    }

    /// The next message from the operator, before anything runs.
    fn receive(&mut self, within: Duration) -> Result<ToStub, Lost> {
        match self.events.next(within) {
            Some(Event::Down(_, message)) => Ok(message),
            _ => Err(Lost),
        }
    }

    fn deploy(&mut self, deploy: &Deploy) -> Result<Option<End>, Stop> {
        if let Some(job) = &deploy.payload {
            plain_name(&job.digest)?;
            let cache = Cache::open()?;
            let mut payload = self.fetch_cached(job, &cache)?;
            trust::verify(job, &mut payload)
                .and_then(|_| archive::check_reader(&mut payload, job.size).map_err(broken))
                .inspect_err(|_| cache.forget(&job.digest))?;
        }
        let pinned = trust::pin(&deploy.trust)?;
        Ok(Some(End::Deployed { pinned }))
    }

    /// `None`: there is nothing left to tell.
    fn run(&mut self, job: &mut Job) -> Result<Option<End>, Stop> {
        plain_name(&job.run)?;
        plain_name(&job.digest)?;
        let input = self.receive_input(job)?;
        let mut payload = self.fetch(job)?;
        let pinned = trust::verify(job, &mut payload)?;
        let group = Cgroup::make();
        let about = About::new(&job.run, &job.host, group.as_ref().map(Cgroup::path));
        peer::become_supervisor();
        let (mut folder, control) = RunFolder::create(&job.run, &job.host, about)?;
        self.watch.leaves(folder.removal());
        if let Some(group) = &group {
            self.watch.leaves(group.removal());
        }
        let tunnel = Arc::new(Tunnel::new(job, self.uplink.clone(), folder.tunnel_socket()));
        if let Some(message) = stale::warning() {
            self.uplink.send(&FromStub::Warning { message }).map_err(Lost::from)?;
        }
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
        let spool = folder.spool();
        self.uplink.spool_to(&spool).map_err(|error| Refusal::folder("write", &spool, &error))?;
        // From here on the operator may go and come back.
        self.watch.over();
        let script = Script::start(&manifest, &sdk, &job.args, &environment, &folder.work(), group.as_ref())?;
        folder.stay();
        // The session that brought us here may end.
        inherited::silence(&[2]);
        let started = Started { pid: script.pid.as_raw_nonzero().get() as u32, pinned };
        let timeout = job.timeout_ms.map(Duration::from_millis).or(manifest.timeout);
        let grace = Duration::from_millis(job.grace_ms);
        self.uplink.send(&FromStub::Started(started)).map_err(Lost::from)?;
        // What fails here leaves a spool without an end: whoever asks for it is told so.
        let supervised =
            serve::admit(control, self.uplink.clone(), self.events.clone()).map_err(Lost::from).and_then(
                |()| self.supervise(script, Limits { job, timeout, grace, group, tunnel, folder: &folder }),
            );
        let (end, ran) = supervised.inspect_err(|Lost| process_tree::end(grace, None))?;
        let [least, most] = serve::STAY;
        let stays_until = Instant::now() + Duration::from_millis(job.lease_ms).clamp(least, most);
        let (cpu_ms, max_rss_kb) = usage::of_children().unzip();
        let (helpers, condition) = desk.close();
        if end != End::Cancelled {
            let stopped = self.cancellation();
            artifact::send_outputs(&folder, &manifest.artifacts, &self.uplink, stopped);
        }
        let folder = Arc::new(folder);
        let removing = Aside::start({
            let folder = Arc::clone(&folder);
            move || folder.clear()
        });
        let fault = match removing.wait(CLEAN_UP_WITHIN) {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some(format!("it took more than {} s", CLEAN_UP_WITHIN.as_secs())),
        };
        if let Some(fault) = fault {
            let message = format!("the run folder could not be removed: {fault}");
            self.uplink.send(&FromStub::Warning { message }).map_err(Lost::from)?;
        }
        desk.repeat_output();
        let (wall_ms, pinned) = (Some(ran.as_millis() as u64), Some(pinned));
        let finished = Finished { end, cpu_ms, max_rss_kb, helpers, condition, wall_ms, pinned };
        self.uplink.send(&FromStub::Finished(finished)).map_err(Lost::from)?;
        self.until_acknowledged(&folder, stays_until);
        Ok(None)
    }

    /// Whether the operator has cancelled a script that has ended already. Said once, it holds to the
    /// end.
    fn cancellation(&self) -> impl FnMut() -> bool + '_ {
        let mut told = false;
        move || {
            while let Some(event) = self.events.next(Duration::ZERO) {
                match event {
                    Event::Down(number, ToStub::Cancel) => told |= self.uplink.is_newest(number),
                    Event::Gone(number) => self.uplink.lose(number),
                    _ => {}
                }
            }
            told
        }
    }

    /// The run is over: it is there until the operator has all of it. Meanwhile we look after what
    /// others left. `until`: how long at most where the disk has no room for it.
    pub(crate) fn until_acknowledged(&self, folder: &RunFolder, until: Instant) {
        let mut collecting = Some(Aside::start(stale::collect));
        let mut collected = |within| collecting.take().map(|collecting| collecting.wait(within));
        loop {
            match serve::until_acknowledged(&self.events, &self.uplink, until) {
                serve::Parted::Acknowledged => {
                    folder.forget();
                    collected(COLLECT_MORE);
                    return;
                }
                // Whoever takes nothing is no more than nobody.
                serve::Parted::Silent => return folder.note_over(),
                serve::Parted::Gone => {
                    folder.note_over();
                    collected(COLLECT_WITHIN);
                    // Somebody may have come meanwhile.
                    if self.uplink.retire() {
                        return;
                    }
                }
            }
        }
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
}

/// As `thread::spawn`, which panics where the user may start no more: a script may have taken them all.
pub fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Boxed, so that what starts a thread is in the program once.
    let run: Box<dyn FnOnce() + Send> = Box::new(run);
    thread::Builder::new().spawn(run).map(drop)
}

/// A run and a digest name files of ours. They lead nowhere else, as a pinned key must hold
/// against the operator too.
pub fn plain_name(name: &str) -> Result<(), Refusal> {
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

pub fn finished(end: End) -> Finished {
    Finished {
        end,
        cpu_ms: None,
        max_rss_kb: None,
        helpers: None,
        condition: None,
        wall_ms: None,
        pinned: None,
    }
}
