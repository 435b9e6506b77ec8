use std::cell::Cell;

use rusqlite::Connection;

/// One state of the ledger, kept for as long as something is read piece by piece while the writer
/// goes on. All that are open on a connection share the state of the first.
pub(super) struct Snapshot<'c> {
    connection: &'c Connection,
    open: &'c Cell<usize>,
}

impl<'c> Snapshot<'c> {
    /// `open` counts the snapshots of this connection.
    pub(super) fn take(connection: &'c Connection, open: &'c Cell<usize>) -> rusqlite::Result<Self> {
        if open.get() == 0 {
            connection.execute_batch("BEGIN")?;
        }
        open.set(open.get() + 1);
        Ok(Self { connection, open })
    }

    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0 {
            // Nothing was written: there is nothing to lose.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}
