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
        match self {
            Self::Sql(cause) => {
                let code = cause.sqlite_error_code();
                // The causes beneath repeat it with SQLite's number.
                error.cause(cause.to_string()).hint(hint(code, path))
            }
            Self::Io(cause) => error.because(cause).hint(hint(None, path)),
            Self::Json(cause) => error.because(cause).hint(hint(Some(ErrorCode::DatabaseCorrupt), path)),
            Self::Time(cause) => error.because(cause).hint(hint(Some(ErrorCode::DatabaseCorrupt), path)),
            Self::Worded(error) => error,
        }
    }
}

fn hint(code: Option<ErrorCode>, path: &Path) -> String {
    let (file, folder) = (path.display(), path.parent().unwrap_or(Path::new(".")).display());
    match code {
        Some(ErrorCode::DiskFull) => format!("df -h {folder}"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("see who holds it: fuser -v {file}")
        }
        Some(ErrorCode::DatabaseCorrupt) => format!("sqlite3 {file} 'PRAGMA integrity_check'"),
        Some(ErrorCode::NotADatabase) => "name another file with --ledger FILE".to_owned(),
        _ => format!("ls -ld {folder} {file}"),
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
