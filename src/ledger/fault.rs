use std::path::Path;
use std::{fmt, io};

use rusqlite::ErrorCode;

use crate::error::Error;

/// What went wrong inside the ledger, before it is worded for people.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Io(io::Error),
    Json(serde_json::Error),
    Time(jiff::Error),
    /// Already worded.
    Worded(Error),
}

impl Fault {
    /// The error for people; `doing` is `open`, `read` or `write`.
    pub(super) fn on(self, path: &Path, doing: &str) -> Error {
        let error = Error::failure(format!("cannot {doing} the ledger {}", path.display()));
        let (error, code) = match self {
            Self::Sql(cause) => {
                let code = cause.sqlite_error_code();
                // The causes beneath repeat it with SQLite's number.
                (error.cause(cause.to_string()), code)
            }
            Self::Io(cause) => (error.because(cause), None),
            Self::Json(cause) => (error.because(cause), Some(ErrorCode::DatabaseCorrupt)),
            Self::Time(cause) => (error.because(cause), Some(ErrorCode::DatabaseCorrupt)),
            Self::Worded(error) => return error,
        };
        hints(code, path).into_iter().fold(error, Error::hint)
    }

    /// Whether SQLite would have to write where it cannot, only to read.
    pub(super) fn is_read_only(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
    }
}

fn hints(code: Option<ErrorCode>, path: &Path) -> Vec<String> {
    let quoted = |path: &Path| {
        let text = path.to_string_lossy();
        shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned())
    };
    let (file, folder) = (quoted(path), quoted(path.parent().unwrap_or(Path::new("."))));
    // With what stands beside it: it is worth nothing without that, and in the way of the next one.
    let aside = |name: &str| {
        format!("mkdir {folder}/{name} && mv {file}* {folder}/{name}/  and the next run begins a new one")
    };
    match code {
        Some(ErrorCode::DiskFull) => vec![format!("df -h {folder}")],
        // Also what SQLite says where there is no room for its -shm.
        Some(ErrorCode::SystemIoFailure) => {
            vec![format!("df -h {folder}"), format!("ls -ld {folder} {file}")]
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            vec![format!("see who holds it: fuser -v {file}")]
        }
        Some(ErrorCode::DatabaseCorrupt) => vec![
            format!("sqlite3 {file} .recover | sqlite3 {file}.saved  saves what can be read"),
            aside("damaged"),
        ],
        Some(ErrorCode::NotADatabase) => {
            vec!["name another file with --ledger FILE".to_owned(), aside("damaged")]
        }
        _ => vec![format!("ls -ld {folder} {file}")],
    }
}

/// The same error once more, for everyone who asks why nothing is written any longer.
pub(super) fn again(error: &Error) -> Error {
    Error {
        code: error.code,
        message: error.message.clone(),
        causes: error.causes.clone(),
        hints: error.hints.clone(),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Json(error) => error.fmt(f),
            Self::Time(error) => error.fmt(f),
            Self::Worded(error) => f.write_str(&error.message),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<rusqlite::types::FromSqlError> for Fault {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sql(error.into())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl From<jiff::Error> for Fault {
    fn from(error: jiff::Error) -> Self {
        Self::Time(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Worded(error)
    }
}
