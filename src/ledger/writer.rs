//! The one thread that writes. Everyone else sends it work; it groups what has come into
//! transactions, so that a thousand hosts cost a few commits, not thousands.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::backlog::Backlog;
use super::fault::{Fault, again};
use super::record;
use super::run_lock::RunLock;
use super::schema::BUSY;
use crate::error::Error;
use crate::event::{Event, EventKind, Kept};

/// How many messages may wait; the [`Backlog`] says how many bytes of events.
pub(super) const QUEUE: usize = 128;
/// An event waits at most this long for others to share its transaction.
const WINDOW: Duration = Duration::from_millis(25);
/// A transaction is closed once it holds this many messages or bytes of events.
const BATCH: usize = 1000;
const BATCH_BYTES: usize = 1 << 20;

/// In place of [`BUSY`] once another process has held the file for that long.
const BUSY_AGAIN: Duration = Duration::from_secs(1);

pub(super) enum Message {
    Event {
        run: Arc<str>,
        event: Box<Event>,
        /// Where a `host_output` begins in its stream.
        offset: u64,
        /// What it takes of the [`Backlog`].
        weight: usize,
    },
    /// Someone waits for the answer.
    Call(Call),
    /// Called once all events before it are committed; dropped where they are not.
    Keep(Kept),
    /// Nobody records the run any longer.
    Release { run: Arc<str> },
}

/// Works in a transaction, or is told why there is none.
pub(super) type Call = Box<dyn FnOnce(Result<&Connection, &Error>) -> Answer + Send>;

pub(super) struct Answer {
    /// Whether to keep what was written.
    pub(super) keep: bool,
    /// Called once the transaction is committed, or with the reason why it is not.
    pub(super) tell: Tell,
}

pub(super) type Tell = Box<dyn FnOnce(Result<(), &Error>)>;

/// What the writer shares with the handles.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    /// Why events are no longer recorded: a gap would make the rest worthless.
    pub(super) failed: OnceLock<Error>,
    /// Of the runs that this process records.
    pub(super) locks: Mutex<HashMap<String, RunLock>>,
    pub(super) backlog: Backlog,
}

impl Shared {
    pub(super) fn release(&self, run: &str) {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
    }

    fn fail(&self, fault: Fault) -> &Error {
        let error = fault.on(&self.path, "write");
        self.failed.get_or_init(|| error)
    }
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) queue: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
}

impl Writer {
    /// Until every handle is gone and the queue is empty.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.queue.recv() {
            let (batch, bytes) = self.collect(first);
            self.write(batch);
            self.shared.backlog.leave(bytes);
        }
    }

    /// Takes what else is there, and says how many bytes of events that is. Waits for more only
    /// while nobody waits for an answer.
    fn collect(&self, first: Message) -> (Vec<Message>, usize) {
        let deadline = Instant::now() + WINDOW;
        let (mut batch, mut bytes, mut awaited) = (Vec::new(), 0, false);
        let mut next = Some(first);
        while let Some(message) = next {
            match &message {
                Message::Event { weight, .. } => bytes += weight,
                Message::Call(_) | Message::Keep(_) => awaited = true,
                Message::Release { .. } => {}
            }
            batch.push(message);
            next = if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                None
            } else if awaited {
                self.queue.try_recv().map_err(|_: TryRecvError| ()).ok()
            } else {
                let left = deadline.saturating_duration_since(Instant::now());
                self.queue.recv_timeout(left).map_err(|_: RecvTimeoutError| ()).ok()
            };
        }
        (batch, bytes)
    }

    /// One transaction for the batch. A call that fails is undone alone; an event that fails ends
    /// the recording of events.
    fn write(&mut self, batch: Vec<Message>) {
        let is_awaited = batch.iter().any(|message| matches!(message, Message::Call(_)));
        if let Some(error) = self.shared.failed.get().filter(|_| !is_awaited) {
            return refuse(batch, &self.shared, error);
        }
        let (mut answers, mut over, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let mut marks = Marks::default();
        let mut recorded = false;
        let shared = &self.shared;
        // Nobody else has this connection.
        let begun = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let mut transaction = match begun {
            Ok(transaction) => transaction,
            Err(error) => {
                // Whoever holds it that long is not waited for as long by each who comes next.
                let _ = self.connection.busy_timeout(BUSY_AGAIN);
                return refuse(batch, shared, &Fault::from(error).on(&shared.path, "write"));
            }
        };
        for message in batch {
            match message {
                Message::Event { run, event, offset, .. } => {
                    if shared.failed.get().is_some() {
                        continue;
                    }
                    let written = transaction.savepoint().map_err(Fault::from).and_then(|savepoint| {
                        record::event(&savepoint, &run, &event, offset)?;
                        Ok(savepoint.commit()?)
                    });
                    match written {
                        Ok(()) => {
                            recorded = true;
                            marks.note(&run, &event);
                        }
                        Err(fault) => _ = shared.fail(fault),
                    }
                    if matches!(event.kind, EventKind::RunFinished { .. }) {
                        over.push(run);
                    }
                }
                Message::Call(call) => match transaction.savepoint() {
                    Ok(savepoint) => {
                        let answer = call(Ok(&savepoint));
                        // A savepoint that is dropped is rolled back; an error shows at the commit.
                        if answer.keep {
                            let _ = savepoint.commit();
                        }
                        answers.push(answer);
                    }
                    Err(error) => {
                        let error = Fault::from(error).on(&shared.path, "write");
                        answers.push(call(Err(&error)));
                    }
                },
                // What an event before it left undone is not kept.
                Message::Keep(call) if shared.failed.get().is_none() => kept.push(call),
                Message::Keep(_) => {}
                Message::Release { run } => over.push(run),
            }
        }
        // Events without their marks would be told twice by an attach: rolled back, as it is dropped.
        let committed = marks.write(&transaction).and_then(|()| Ok(transaction.commit()?));
        let committed = committed.map_err(|fault| fault.on(&shared.path, "write"));
        if let Err(error) = &committed
            && recorded
        {
            _ = shared.failed.set(again(error));
        }
        if committed.is_ok() {
            let _ = self.connection.busy_timeout(BUSY);
            kept.into_iter().for_each(|call| call());
        }
        over.iter().for_each(|run| shared.release(run));
        for answer in answers {
            (answer.tell)(committed.as_ref().copied());
        }
    }
}

/// The last mark of each host of a batch: one row is written for it, whatever it printed.
#[derive(Default)]
struct Marks(HashMap<(Arc<str>, String), u64>);

impl Marks {
    fn note(&mut self, run: &Arc<str>, event: &Event) {
        if let (Some(mark), Some(host)) = (event.mark, event.kind.host()) {
            self.0.insert((Arc::clone(run), host.to_owned()), mark);
        }
    }

    fn write(self, connection: &Connection) -> Result<(), Fault> {
        self.0.into_iter().try_for_each(|((run, host), mark)| record::mark(connection, &run, &host, mark))
    }
}

impl Drop for Writer {
    /// However it ends, nobody waits for it.
    fn drop(&mut self) {
        self.shared.backlog.end();
    }
}

/// Nothing could be written: whoever waits is told, and recording ends if there was an event.
fn refuse(batch: Vec<Message>, shared: &Shared, error: &Error) {
    for message in batch {
        match message {
            Message::Event { .. } => _ = shared.failed.set(again(error)),
            Message::Call(call) => (call(Err(error)).tell)(Err(error)),
            Message::Keep(_) => {}
            Message::Release { run } => shared.release(&run),
        }
    }
}
