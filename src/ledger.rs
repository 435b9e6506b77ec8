//! The SQLite ledger: every run, host, event and byte of output, and the variables. The only room
//! that names SQLite. Table and column names (`ledger/migrations`) are a contract.
//!
//! **While a run goes on.** [`Ledger::begin_run`] commits the run's row (`running`) and a row for
//! each host (`queued`) before any host is touched. Each `host_state` then moves
//! `results.status` through `connecting`, `authenticating`, `bootstrapping`, `running` and
//! `collecting`; output goes piece by piece to `chunks`. `host_finished` replaces the state by
//! the outcome, sets `finished_at` and moves the pieces into a blob. A process that is killed thus
//! leaves what was known up to some 25 ms before; the run is then shown as `interrupted`.
//!
//! **Who is alive** is known by a lock on a file beside the ledger that the kernel lets go with the
//! process ([`run_lock`]), so that a run of another process, container or user is never taken for
//! dead.
//!
//! **Threads.** One thread of each process writes; handles are cheap to clone and block until
//! their work is committed ([`RunRecorder`] only until there is room in its queue). Several
//! processes may share a ledger: WAL, and `BEGIN IMMEDIATE` for each transaction.

use std::collections::HashMap;
use std::path::{self, Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use crate::error::{Error, OrFail as _, Result};

mod artifacts;
mod backlog;
mod blob;
mod connection;
mod fault;
mod hex;
mod orders;
mod reader;
mod record;
mod replay;
mod resumed;
mod run;
mod run_lock;
mod run_recorder;
mod schema;
mod snapshot;
mod variables;
mod writer;

#[cfg(test)]
mod tests;

pub use artifacts::{Artifacts, Content, NewArtifact};
pub use blob::Output;
pub use orders::{Orders, SealedOrder};
pub use reader::{Artifact, PastWrite, Reader, Shown, Stored};
pub use replay::Events;
pub use resumed::{GoesOn, Resumed};
pub use run::{HostRow, Known, NewRun, Run, RunFilter, RunStatus, SignedPayload};
pub use run_recorder::RunRecorder;
pub use variables::{Act, Author, Bulk, Listed, Unread, Variable, Variables, Write, Written};

use backlog::Backlog;
use fault::{Fault, again};
use run_lock::RunLock;
use writer::{Answer, Message, Shared, Writer};

/// A ledger open for writing. Cheap to clone; the last handle waits until all is on disk.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` only while dropping.
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Ledger {
    /// Opens or makes the ledger (0600, in a folder that is made 0700), brings it to the newest
    /// schema, and marks runs of processes that died as `interrupted`. Refuses a newer schema.
    pub fn open(path: &Path) -> Result<Self> {
        // The lock files must be found after a change of folder, too.
        let path = path::absolute(path).or_fail(|| format!("cannot find the ledger {}", path.display()))?;
        let open = || {
            let connection = connection::open_for_writing(&path)?;
            close_abandoned(&connection, &path)?;
            Ok(connection)
        };
        let connection = open().map_err(|fault: Fault| fault.on(&path, "open"))?;
        let (queue, messages) = mpsc::sync_channel(writer::QUEUE);
        let shared = Arc::new(Shared {
            path,
            failed: OnceLock::new(),
            locks: Mutex::new(HashMap::new()),
            backlog: Backlog::default(),
        });
        let writer = Writer { connection, queue: messages, shared: shared.clone() };
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run())
            .or_fail(|| "cannot start the ledger's thread")?;
        Ok(Self { inner: Arc::new(Inner { queue: Some(queue), thread: Some(thread), shared }) })
    }

    /// Opens for queries. A ledger that is not there is an error, never made.
    pub fn open_read(path: &Path) -> Result<Reader> {
        Reader::open(path)
    }

    /// Queries beside the writing: see all that is committed.
    pub fn reader(&self) -> Result<Reader> {
        Reader::open(&self.inner.shared.path)
    }

    /// Commits the run's row and one for each host, before any host is touched.
    pub fn begin_run(&self, run: NewRun) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if run.id.is_empty() || run.id == "last" || !run.id.chars().all(plain) {
            return Err(Error::failure(format!("`{}` cannot name a run", run.id)));
        }
        let shared = &self.inner.shared;
        // Before the row: whoever sees the row sees the lock.
        let lock = RunLock::take(&shared.path, &run.id).map_err(|fault| fault.on(&shared.path, "write"))?;
        let id = run.id.clone();
        self.call(move |connection| record::begin(connection, &run))?;
        shared.locks.lock().unwrap_or_else(PoisonError::into_inner).insert(id, lock);
        Ok(())
    }

    /// Takes up a run that has begun before and that nobody else works on. Nothing is written before its
    /// first event.
    pub fn resume_run(&self, run: &str) -> Result<Resumed> {
        let shared = &self.inner.shared;
        let lock = RunLock::take(&shared.path, run).map_err(|fault| fault.on(&shared.path, "write"))?;
        shared.locks.lock().unwrap_or_else(PoisonError::into_inner).insert(run.to_owned(), lock);
        Ok(Resumed { recorder: self.recorder(run) })
    }

    /// As if it had never been: for a run that turns out to be none. Nobody records it any more.
    pub fn remove_run(&self, run: &str) -> Result<()> {
        let run = run.to_owned();
        self.call(move |connection| {
            connection.execute("DELETE FROM runs WHERE id = ?1", [run])?;
            Ok(())
        })
    }

    /// `key_file` is that of [`Ledger::variables`].
    pub fn orders(&self, key_file: PathBuf) -> Orders {
        Orders::new(self.clone(), key_file)
    }

    /// Hosts of a run that need not be told any more that their results are recorded.
    pub fn forgotten(&self, run: &str, hosts: Vec<String>) -> Result<()> {
        let run = run.to_owned();
        self.call(move |connection| record::forgotten(connection, &run, &hosts))
    }

    /// Where the events of a run that has begun go. One recorder a run.
    pub fn recorder(&self, run: &str) -> RunRecorder {
        RunRecorder::new(self.clone(), run)
    }

    /// `key_file` is the key of secret variables: read once one is met, and made for the ledger's
    /// first one. Missing later it is an error, never made again.
    pub fn variables(&self, key_file: PathBuf) -> Variables {
        Variables::new(self.clone(), key_file)
    }

    /// Makes the disk forget what was overwritten: until then it stands in the `-wal` beside the
    /// ledger. `false` where another process still reads an older state; it then stands there until
    /// that ends.
    pub fn forget_overwritten(&self) -> Result<bool> {
        let path = &self.inner.shared.path;
        connection::empty_log(path).map_err(|fault| fault.on(path, "write"))
    }

    /// The contents of files that scripts left.
    pub fn artifacts(&self) -> Artifacts {
        let artifacts = Artifacts::beside(&self.inner.shared.path);
        artifacts.sweep();
        artifacts
    }

    /// Has the writer do `work` and waits until it is committed.
    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = mpsc::sync_channel(1);
        let shared = self.inner.shared.clone();
        self.send(Message::Call(Box::new(move |connection| {
            let done = match connection {
                Ok(connection) => work(connection).map_err(|fault| fault.on(&shared.path, "write")),
                Err(error) => Err(again(error)),
            };
            Answer {
                keep: done.is_ok(),
                tell: Box::new(move |committed| {
                    let _ = reply.send(committed.map_err(again).and(done));
                }),
            }
        })))?;
        answer.recv().map_err(|_| self.gone())?
    }

    fn send(&self, message: Message) -> Result<()> {
        let queue = self.inner.queue.as_ref().expect("it is there until the last handle is dropped");
        queue.send(message).map_err(|_| self.gone())
    }

    fn gone(&self) -> Error {
        Error::failure(format!("the writer of the ledger {} has died", self.inner.shared.path.display()))
            .hint("this is a fault of cronium-run: please report it")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Marks runs whose process died: `interrupted`, without an end or an exit code.
fn close_abandoned(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let mut open = connection.prepare("SELECT id FROM runs WHERE status = 'running'")?;
    let open: Vec<String> = open.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for run in open.iter().filter(|run| run_lock::is_abandoned(path, run)) {
        // A run that has ended since has its status already.
        connection
            .execute("UPDATE runs SET status = 'interrupted' WHERE id = ?1 AND status = 'running'", [run])?;
        run_lock::sweep(path, run);
    }
    Ok(())
}
