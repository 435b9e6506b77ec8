//! The tables and how an older ledger gets them.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::fault::Fault;
use crate::error::Error;

/// By number from 1, each in one transaction. Never edited once released: only added to.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_runs.sql"),
    include_str!("migrations/0002_helpers.sql"),
    include_str!("migrations/0003_variables.sql"),
    include_str!("migrations/0004_resumed.sql"),
];

/// `CRRN`: marks the file as ours among SQLite files.
const APPLICATION_ID: i64 = 0x4352_524e;

/// How long another process may hold the file before we give up.
pub(super) const BUSY: Duration = Duration::from_secs(30);

/// What a file holds, by its header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Nothing yet.
    Empty,
    /// A ledger of an older cronium-run.
    Old,
    Current,
}

/// Looks without changing anything; refuses other programs' files and newer ledgers.
pub(super) fn inspect(connection: &Connection, path: &Path) -> Result<Contents, Fault> {
    // One snapshot for all questions: another process may be making the tables between two of them.
    let snapshot = connection.unchecked_transaction()?;
    let number = |name: &str| snapshot.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let newest = MIGRATIONS.len() as i64;
    if application == 0 && version == 0 {
        let tables: i64 = snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(Contents::Empty);
        }
    }
    if application != APPLICATION_ID {
        let message = format!("{} is a SQLite file of another program", path.display());
        return Err(Error::failure(message).hint("name another file with --ledger FILE").into());
    }
    if version > newest {
        let message = format!(
            "the ledger {} has schema {version}, this cronium-run knows {newest} and older",
            path.display()
        );
        return Err(Error::failure(message)
            .cause("it was written by a newer cronium-run")
            .hint("use that newer cronium-run, or another ledger: --ledger FILE")
            .into());
    }
    Ok(if version == newest { Contents::Current } else { Contents::Old })
}

/// Brings the file to the newest schema. Safe where several processes do it at once.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Fault> {
    match inspect(connection, path)? {
        Contents::Current => return Ok(()),
        Contents::Old => {}
        // Both must be said before the first table.
        Contents::Empty => {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            write_ahead(connection)?;
        }
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (sql, number) in MIGRATIONS.iter().zip(1..) {
        if number > version {
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", number)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    Ok(())
}

/// Switches to WAL. SQLite does not wait by itself where two processes switch at once.
fn write_ahead(connection: &Connection) -> Result<(), Fault> {
    let deadline = Instant::now() + BUSY;
    loop {
        // The answer is the mode in force; a file system without shared memory keeps `delete`,
        // which is correct as well, only slower.
        match connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// Released migrations are law: ledgers that have run them will not run them again. Add a
    /// file and a line.
    #[test]
    fn migrations_are_never_edited() {
        // The first 16 digits of sha256sum.
        const DIGESTS: &[&str] =
            &["6705cf0de8968c92", "86947f5989653884", "04095cd6fc04e9dd", "9a8acdb86bfa9ed7"];
        let digest = |sql: &&str| {
            let digest = Sha256::digest(sql);
            digest[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let digests: Vec<String> = MIGRATIONS.iter().map(digest).collect();
        assert_eq!(digests, DIGESTS);
    }

    #[test]
    fn an_older_ledger_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let mut connection = Connection::open(&path).unwrap();
        assert_eq!(inspect(&connection, &path).unwrap(), Contents::Empty);
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        assert_eq!(inspect(&connection, &path).unwrap(), Contents::Old);
        migrate(&mut connection, &path).unwrap();
        assert_eq!(inspect(&connection, &path).unwrap(), Contents::Current);
        migrate(&mut connection, &path).unwrap();
    }
}
