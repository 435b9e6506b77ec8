//! Output of hosts: pieces while it comes, one compressed blob once the host has ended.

use std::io::{self, Read, Write as _};

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::fault::Fault;
use super::hex::hex;
use super::snapshot::Snapshot;
use crate::event::Stream;

/// zstd's window as a power of two: 256 KiB. What a decoder needs; a replay has one for each
/// stream that is being read.
const WINDOW_LOG: u32 = 18;
const LEVEL: i32 = 3;

/// Appends a piece to the output of a host that runs.
pub(super) fn append(
    connection: &Connection,
    run: &str,
    host: &str,
    stream: Stream,
    seq: i64,
    data: &[u8],
) -> Result<(), Fault> {
    connection
        .prepare_cached("INSERT INTO chunks (run_id, host, stream, seq, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![run, host, stream.as_str(), seq, data])?;
    Ok(())
}

/// Moves the pieces of a stream into a blob, unless one with the same bytes is there already.
/// `printed` is what the host says that it printed: more than is here means truncated.
/// Only one piece is in memory at a time, and the compressed blob.
pub(super) fn seal(
    connection: &Connection,
    run: &str,
    host: &str,
    stream: Stream,
    printed: u64,
) -> Result<(), Fault> {
    let key = params![run, host, stream.as_str()];
    let (mut hash, mut bytes) = (Sha256::new(), 0u64);
    each_piece(connection, key, |piece| {
        hash.update(piece);
        bytes += piece.len() as u64;
        Ok(())
    })?;
    // Output behind a host's end breaks the grammar of events; what came is kept as pieces.
    let sealed = connection
        .prepare_cached("SELECT 1 FROM outputs WHERE run_id = ?1 AND host = ?2 AND stream = ?3")?
        .exists(key)?;
    if sealed {
        return Ok(());
    }
    if bytes > 0 || printed > 0 {
        let digest = hex(&hash.finalize());
        store(connection, key, &digest, bytes)?;
        connection
            .prepare_cached(
                "INSERT INTO outputs (run_id, host, stream, blob, bytes, truncated)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![run, host, stream.as_str(), digest, bytes.cast_signed(), printed > bytes])?;
    }
    connection
        .prepare_cached("DELETE FROM chunks WHERE run_id = ?1 AND host = ?2 AND stream = ?3")?
        .execute(key)?;
    Ok(())
}

/// Compresses the pieces of a stream into a blob, if there is none with that digest.
fn store(connection: &Connection, key: Key, digest: &str, bytes: u64) -> Result<(), Fault> {
    if connection.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")?.exists([digest])? {
        return Ok(());
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.set_pledged_src_size(Some(bytes))?;
    encoder.include_checksum(true)?;
    encoder.window_log(WINDOW_LOG)?;
    each_piece(connection, key, |piece| encoder.write_all(piece))?;
    let data = encoder.finish()?;
    connection
        .prepare_cached("INSERT INTO blobs (digest, bytes, data) VALUES (?1, ?2, ?3)")?
        .execute(params![digest, bytes.cast_signed(), data])?;
    Ok(())
}

/// Run, host and stream, as SQL takes them.
type Key<'a> = &'a [&'a dyn rusqlite::ToSql];

fn each_piece(
    connection: &Connection,
    key: Key,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Fault> {
    let mut pieces = connection.prepare_cached(
        "SELECT data FROM chunks WHERE run_id = ?1 AND host = ?2 AND stream = ?3 ORDER BY seq",
    )?;
    let mut rows = pieces.query(key)?;
    while let Some(row) = rows.next()? {
        take(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
    }
    Ok(())
}

/// The bytes of a sealed output, decompressed as they are read; `None` where none is sealed.
pub(super) fn unseal<'c>(
    connection: &'c Connection,
    run: &str,
    host: &str,
    stream: Stream,
) -> Result<Option<impl Read + use<'c>>, Fault> {
    let row: Option<i64> = connection
        .prepare_cached(
            "SELECT blobs.rowid FROM outputs JOIN blobs ON blobs.digest = outputs.blob
             WHERE run_id = ?1 AND host = ?2 AND stream = ?3",
        )?
        .query_row(params![run, host, stream.as_str()], |row| row.get(0))
        .optional()?;
    Ok(match row {
        Some(row) => Some(zstd::Decoder::new(connection.blob_open("main", "blobs", "data", row, true)?)?),
        None => None,
    })
}

/// One stream of one host, whole, whether the host has ended or not: as it is when this is opened.
pub struct Output<'c> {
    // Declared before the snapshot, so dropped before it.
    sealed: Option<Box<dyn Read + 'c>>,
    pieces: Pieces<'c>,
    piece: io::Cursor<Vec<u8>>,
    _snapshot: Snapshot<'c>,
}

struct Pieces<'c> {
    connection: &'c Connection,
    run: String,
    host: String,
    stream: Stream,
    last: i64,
}

impl<'c> Output<'c> {
    pub(super) fn open(snapshot: Snapshot<'c>, run: &str, host: &str, stream: Stream) -> Result<Self, Fault> {
        let connection = snapshot.connection();
        let sealed = unseal(connection, run, host, stream)?.map(|read| Box::new(read) as Box<dyn Read>);
        let pieces = Pieces { connection, run: run.to_owned(), host: host.to_owned(), stream, last: -1 };
        Ok(Self { sealed, pieces, piece: io::Cursor::default(), _snapshot: snapshot })
    }
}

impl Pieces<'_> {
    fn next(&mut self) -> rusqlite::Result<Option<Vec<u8>>> {
        let found: Option<(i64, Vec<u8>)> = self
            .connection
            .prepare_cached(
                "SELECT seq, data FROM chunks
                 WHERE run_id = ?1 AND host = ?2 AND stream = ?3 AND seq > ?4 ORDER BY seq LIMIT 1",
            )?
            .query_row(params![self.run, self.host, self.stream.as_str(), self.last], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        Ok(found.map(|(seq, data)| {
            self.last = seq;
            data
        }))
    }
}

impl Read for Output<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(sealed) = &mut self.sealed {
            let read = sealed.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.sealed = None;
        }
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            match self.pieces.next().map_err(io::Error::other)? {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}
