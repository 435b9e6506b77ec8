//! Opens the file with the right modes and settings.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use super::schema::{self, BUSY, Contents};
use crate::error::Error;

/// Opens for writing; makes the file (0600), its folder (0700) and the tables where they are not.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, Fault> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // SQLite gives its -wal and -shm files the mode of this one.
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    drop(file);
    let mut connection = open(path)?;
    schema::migrate(&mut connection, path)?;
    // A committed transaction survives a power cut, not only our own death.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -8 * 1024)?;
    // What becomes secret is not to be read from where it stood.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

/// Moves all that is committed into the file and empties the `-wal` beside it. `false` where
/// somebody still reads an older state.
pub(super) fn empty_log(path: &Path) -> Result<bool, Fault> {
    let connection = open(path)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(!is_busy)
}

/// Opens for queries. Never makes a ledger; one of an older cronium-run is brought up to date.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Fault> {
    let missing = || {
        Error::failure(format!("there is no ledger at {}: nothing has been run yet", path.display()))
            .hint("cronium-run exec HOSTS -- COMMAND")
    };
    if !path.exists() {
        return Err(missing().into());
    }
    let opened = open(path).and_then(|connection| {
        let contents = schema::inspect(&connection, path)?;
        Ok((connection, contents))
    });
    let (mut connection, contents) = match opened {
        Err(fault) if fault.is_read_only() && is_at_rest(path) => {
            let connection = open_at_rest(path)?;
            let contents = schema::inspect(&connection, path)?;
            (connection, contents)
        }
        opened => opened?,
    };
    match contents {
        Contents::Empty => return Err(missing().into()),
        Contents::Old => schema::migrate(&mut connection, path)?,
        Contents::Current => {}
    }
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Whether nobody has it open, and nothing of it stands beside it.
fn is_at_rest(path: &Path) -> bool {
    ["-wal", "-shm", "-journal"].iter().all(|ending| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(ending);
        !Path::new(&beside).exists()
    })
}

/// Where nothing can be written, as on a read-only file system: SQLite must not even try.
fn open_at_rest(path: &Path) -> Result<Connection, Fault> {
    let path = path.to_str().ok_or_else(|| Error::failure("its path is not UTF-8"))?;
    let encoded = utf8_percent_encode(path, NON_ALPHANUMERIC).to_string().replace("%2F", "/");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{encoded}?immutable=1"), flags)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn open(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
