//! What a host's runner has told of its run, whichever connection brought it.

use std::sync::Arc;

use cronium_wire::message::{Finished, FromStub, Told};

use super::artifacts::Receiver;
use super::{Fleet, Reports, told};
use crate::event::{Bytes, EventKind, Stream, Trust};
use crate::helper_api::{Journal, JournalFault};
use crate::plan::{Standing, Task};
use crate::transport::Fault;

/// Bytes of all warnings of a runner: they are kept until the run's end.
const WARNINGS: usize = 1 << 20;
/// What a stream may hold beyond what is kept of it: what was under way when it was cut.
const OUTPUT_OVER: u64 = 1 << 20;

/// Takes the numbered frames of one host, each once and in order, and reports them.
pub struct Account {
    index: usize,
    name: String,
    reports: Reports,
    /// The number of the next frame.
    next: u64,
    /// What is told now may say how far the account is known.
    is_marked: bool,
    /// The host keeps it until it is acknowledged.
    is_spooled: bool,
    /// Something was not told, so nothing behind it says how far the account is known.
    has_gap: bool,
    warned: usize,
    /// Bytes of each stream that may come.
    max_output: u64,
    /// Its frame has come.
    saw_start: bool,
    /// Its script has.
    pub started: bool,
    pub bytes: [u64; 2],
    pub trust: Option<Trust>,
    pub condition: Option<bool>,
    pub journal: Journal,
    artifacts: Receiver,
    pub finished: Option<Finished>,
}

/// What a frame says of the work of a host that is later than its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing, as far as we know.
    None,
    Started,
    /// There is an end to it: the rest of the output, or of the journal.
    Rest,
    /// The script has ended, and its files come.
    Files,
    Finished,
}

impl Account {
    pub fn new(fleet: &Fleet, index: usize, reports: Reports, standing: Option<&Standing>) -> Self {
        let name = fleet.plan.targets[index].name.clone();
        let kept = fleet.plan.run().map_or(u64::MAX, |run| run.max_output);
        Self {
            index,
            artifacts: Receiver::new(fleet, &name),
            name,
            reports,
            next: standing.map_or(0, |standing| standing.mark),
            is_marked: standing.is_some(),
            is_spooled: !matches!(fleet.plan.task, Task::Deploy { .. }),
            has_gap: false,
            warned: 0,
            max_output: kept.saturating_add(OUTPUT_OVER),
            saw_start: false,
            started: false,
            bytes: standing.map_or([0; 2], |standing| standing.bytes),
            trust: None,
            condition: None,
            journal: Journal::default(),
            finished: None,
        }
    }

    /// Another conversation begins, of which the host keeps nothing: `deploy` has several.
    pub fn begin(&mut self) {
        (self.saw_start, self.started) = (false, false);
    }

    /// The number of the next frame: a new connection is to begin with it.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the first frame that is not known whole: what another process would go on with.
    /// `None` in the middle of something that takes several frames, and before the first.
    pub fn mark(&self) -> Option<u64> {
        let is_partial = self.journal.is_partial() || self.artifacts.is_partial();
        (self.is_marked && !is_partial && !self.has_gap).then_some(self.next)
    }

    /// The mark of the host's end, which alone says that its last frame is known: it would never come
    /// again.
    pub fn last_mark(&self) -> Option<u64> {
        match &self.finished {
            Some(_) => (self.is_spooled && !self.has_gap).then_some(self.next),
            None => self.mark(),
        }
    }

    /// Takes the frame, which brings the account up to `next`. An error where no runner of ours says
    /// such a thing, or what it brings cannot be kept: the frame is not known then, nor is what follows.
    pub async fn take(
        &mut self,
        fleet: &Arc<Fleet>,
        message: FromStub,
        next: u64,
    ) -> Result<Progress, Fault> {
        let taken = self.take_next(fleet, message, next).await;
        self.has_gap |= taken.is_err();
        taken
    }

    async fn take_next(
        &mut self,
        fleet: &Arc<Fleet>,
        message: FromStub,
        next: u64,
    ) -> Result<Progress, Fault> {
        let lost = next.saturating_sub(self.next + 1);
        self.next = next;
        self.is_marked = self.is_spooled;
        // Only in front of the run's end, where the host went down (`transport::Link`).
        if lost > 0 && self.is_spooled {
            self.warn(format!("the host lost {lost} messages of this run when it went down")).await?;
        }
        match message {
            FromStub::Started(_) if self.saw_start => return Err(Fault::foreign("the runner started twice")),
            FromStub::Started(word) => {
                (self.saw_start, self.started) = (true, true);
                self.trust = Some(if word.pinned { Trust::Pinned } else { Trust::Session });
                return Ok(Progress::Started);
            }
            FromStub::Stdout(data) => return self.output(Stream::Stdout, data).await,
            FromStub::Stderr(data) => return self.output(Stream::Stderr, data).await,
            FromStub::Cut { stderr, bytes } => {
                let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
                let host = self.name.clone();
                self.report(EventKind::HostOutputCut { host, stream, bytes }).await;
            }
            FromStub::Warning { message } => self.warn(message).await?,
            FromStub::Told(told) => {
                if let Told::Condition { condition } = told {
                    self.condition = Some(condition);
                }
                self.report(told::event(&self.name, told)?).await;
            }
            FromStub::Journal(bytes) => {
                let merged = self.journal.push(&fleet.api, &self.name, &bytes).await;
                merged.map_err(cut_off)?;
                return Ok(Progress::Rest);
            }
            message @ (FromStub::Artifact(_) | FromStub::ArtifactPiece(_) | FromStub::ArtifactEnd { .. }) => {
                if !self.started {
                    return Err(Fault::foreign("the runner sent artifacts of no script"));
                }
                if let Some(told) = self.artifacts.take(message).await? {
                    self.report(told).await;
                }
                return Ok(Progress::Files);
            }
            FromStub::Finished(finished) => {
                // Until the host's end is told, which says it.
                self.is_marked = false;
                if let Some(told) = self.artifacts.close() {
                    self.report(told).await;
                }
                self.condition = self.condition.or(finished.condition);
                let pinned = |pinned| if pinned { Trust::Pinned } else { Trust::Session };
                self.trust = self.trust.or(finished.pinned.map(pinned));
                self.finished = Some(finished);
                return Ok(Progress::Finished);
            }
            FromStub::Hello(_)
            | FromStub::NeedPayload
            | FromStub::NeedFile { .. }
            | FromStub::OpenTunnel { .. }
            | FromStub::Attached(_)
            | FromStub::Superseded
            | FromStub::Alive => return Err(Fault::foreign("the runner numbers what has no number")),
        }
        Ok(Progress::None)
    }

    async fn output(&mut self, stream: Stream, data: Vec<u8>) -> Result<Progress, Fault> {
        let bytes = &mut self.bytes[stream as usize];
        *bytes += data.len() as u64;
        if *bytes > self.max_output {
            return Err(Fault::foreign("the runner sent more output than it was to keep"));
        }
        self.report(EventKind::HostOutput { host: self.name.clone(), stream, data: Bytes(data) }).await;
        Ok(Progress::Rest)
    }

    /// Something a person should know; not without end.
    async fn warn(&mut self, message: String) -> Result<(), Fault> {
        self.warned += message.len();
        if self.warned > WARNINGS {
            return Err(Fault::foreign("the runner sent warnings without end"));
        }
        self.report(EventKind::HostWarning { host: self.name.clone(), message }).await;
        Ok(())
    }

    /// Tells of the host, with how far its account is known.
    pub async fn report(&mut self, kind: EventKind) {
        self.has_gap |= !self.reports.host(self.index, kind, self.mark()).await;
    }
}

pub fn cut_off(fault: JournalFault) -> Fault {
    Fault::foreign("the runner's journal of helper calls is no journal").because(&fault)
}

#[cfg(test)]
mod tests {
    use cronium_wire::message::{Artifact, End, Started};
    use serde_json::Value;
    use tokio::sync::watch;

    use super::*;
    use crate::fleet::{Report, Stop, sample};

    fn text(bytes: &[u8]) -> FromStub {
        FromStub::Stdout(bytes.to_vec())
    }

    fn finished() -> FromStub {
        let end = End::Exited { code: 0 };
        FromStub::Finished(Finished {
            end,
            cpu_ms: None,
            max_rss_kb: None,
            helpers: None,
            condition: Some(true),
            wall_ms: Some(5),
            pinned: Some(false),
        })
    }

    /// What came, and each event that it became with its mark.
    async fn told(task: Task, standing: Option<Standing>, frames: Vec<FromStub>) -> (Account, Vec<String>) {
        let (fleet, reports, mut inbox) = sample::fleet(sample::plan(&["a"], task));
        let mut account = Account::new(&fleet, 0, reports, standing.as_ref());
        let mut next = account.next();
        for frame in frames {
            next += 1;
            account.take(&fleet, frame, next).await.unwrap();
        }
        let mut told = Vec::new();
        while let Ok(Report::Host { kind, mark, .. }) = inbox.try_recv() {
            told.push(format!("{} {mark:?}", kind.name()));
        }
        (account, told)
    }

    fn run() -> Task {
        Task::Run(Box::new(sample::run(Value::Null)))
    }

    #[tokio::test]
    async fn an_event_says_how_far_its_host_is_known() {
        let digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881".to_owned();
        let frames = vec![
            FromStub::Started(Started { pid: 1, pinned: true }),
            text(b"one"),
            FromStub::Journal(b"{\"id\":\"1\",".to_vec()),
            // No runner of ours says this here: nothing may hide that the line is not over.
            FromStub::Warning { message: "w".into() },
            FromStub::Journal(b"\"op\":{\"output\":{\"value\":1}}}\n".to_vec()),
            text(b"two"),
            FromStub::Artifact(Artifact { path: "a".into(), size: 1, mode: 0o644 }),
            FromStub::ArtifactPiece(b"x".to_vec()),
            FromStub::ArtifactEnd { digest },
            FromStub::Cut { stderr: true, bytes: 7 },
            finished(),
        ];
        let (account, told) = told(run(), None, frames).await;
        assert_eq!(
            told,
            [
                "host_output Some(2)",
                "host_warning None",
                "host_output Some(6)",
                "host_artifact Some(9)",
                "host_output_cut Some(10)",
            ]
        );
        // Only the host's end says that its last frame is known.
        assert_eq!((account.next(), account.mark(), account.last_mark()), (11, None, Some(11)));
        assert_eq!(
            (account.bytes, account.trust, account.condition),
            ([6, 0], Some(Trust::Pinned), Some(true))
        );
    }

    #[tokio::test]
    async fn an_account_goes_on_where_another_process_left_it() {
        let standing = Standing { mark: 7, bytes: [100, 5], ..Standing::default() };
        let (account, told) = told(run(), Some(standing), vec![text(b"more")]).await;
        assert_eq!((told, account.next(), account.mark()), (vec!["host_output Some(8)".into()], 8, Some(8)));
        assert_eq!(account.bytes, [104, 5]);
    }

    #[tokio::test]
    async fn what_a_host_lost_in_a_crash_is_said() {
        let (fleet, reports, mut inbox) = sample::fleet(sample::plan(&["a"], run()));
        let standing = Standing { mark: 7, ..Standing::default() };
        let mut account = Account::new(&fleet, 0, reports, Some(&standing));
        account.take(&fleet, finished(), 12).await.unwrap();
        let Ok(Report::Host { kind, .. }) = inbox.try_recv() else { panic!("a warning") };
        let message = "the host lost 4 messages of this run when it went down".to_owned();
        assert_eq!(*kind, EventKind::HostWarning { host: "a".into(), message });
    }

    /// Its `Started` was seen by a process that is gone.
    #[tokio::test]
    async fn the_end_says_whose_key_it_was() {
        let standing = Standing { mark: 7, ..Standing::default() };
        let (account, _) = told(run(), Some(standing), vec![finished()]).await;
        assert_eq!((account.trust, account.last_mark()), (Some(Trust::Session), Some(8)));
    }

    /// Who leaves does not wait until there is room: what is dropped then is not known, nor is what follows.
    #[tokio::test]
    async fn what_is_not_told_is_not_known() {
        let (stop, stopped) = watch::channel(Stop::No);
        let (fleet, reports, mut inbox) = sample::stopped_by(sample::plan(&["a"], run()), 1, stopped);
        let mut account = Account::new(&fleet, 0, reports, None);
        account.take(&fleet, FromStub::Started(Started { pid: 1, pinned: true }), 1).await.unwrap();
        account.take(&fleet, text(b"one"), 2).await.unwrap();
        stop.send_replace(Stop::Leave);
        account.take(&fleet, text(b"two"), 3).await.unwrap();
        let Ok(Report::Host { mark: Some(2), .. }) = inbox.try_recv() else { panic!("the first was told") };
        account.take(&fleet, text(b"three"), 4).await.unwrap();
        let Ok(Report::Host { mark: None, .. }) = inbox.try_recv() else { panic!("there was room again") };
        account.take(&fleet, finished(), 5).await.unwrap();
        assert_eq!((account.mark(), account.last_mark()), (None, None));
    }

    #[tokio::test]
    async fn what_is_not_spooled_has_no_mark() {
        let task = Task::Deploy { payloads: Vec::new(), trust: Vec::new() };
        let (account, told) = told(task, None, vec![FromStub::Warning { message: "w".into() }]).await;
        assert_eq!((told, account.mark()), (vec!["host_warning None".into()], None));
    }

    #[tokio::test]
    async fn what_no_runner_of_ours_says() {
        let started = || FromStub::Started(Started { pid: 1, pinned: true });
        let mut small = sample::run(Value::Null);
        small.max_output = 0;
        let table: Vec<(Task, Vec<FromStub>, &str)> = vec![
            (run(), vec![started(), started()], "started twice"),
            (run(), vec![FromStub::ArtifactEnd { digest: String::new() }], "artifacts of no script"),
            (run(), vec![FromStub::Superseded], "numbers what has no number"),
            (run(), vec![FromStub::Journal(b"{}\n".to_vec())], "no journal"),
            (run(), vec![FromStub::Warning { message: "w".repeat(WARNINGS + 1) }], "warnings without end"),
            (
                Task::Run(Box::new(small)),
                vec![text(&vec![0; OUTPUT_OVER as usize + 1])],
                "more output than it was to keep",
            ),
        ];
        for (task, frames, want) in table {
            let (fleet, reports, _inbox) = sample::fleet(sample::plan(&["a"], task));
            let mut account = Account::new(&fleet, 0, reports, None);
            let mut last = Ok(Progress::None);
            for (at, frame) in frames.into_iter().enumerate() {
                last = account.take(&fleet, frame, at as u64 + 1).await;
            }
            let fault = last.unwrap_err();
            assert!(fault.message.contains(want), "{want}: {fault:?}");
            assert!(!fault.is_broken_link(), "{want}: it is not asked again");
            assert_eq!(account.mark(), None, "{want}: the frame is not known");
        }
    }
}
