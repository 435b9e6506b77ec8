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
/// Of a blob that more comes behind.
const PIECE: usize = 64 << 10;

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

/// Counts what the host printed and did not keep.
pub(super) fn cut(
    connection: &Connection,
    run: &str,
    host: &str,
    stream: Stream,
    bytes: u64,
) -> Result<(), Fault> {
    let digest = hex(&Sha256::digest([]));
    store(connection, &digest, 0, |_| Ok(()))?;
    connection
        .prepare_cached(
            "INSERT INTO outputs (run_id, host, stream, blob, bytes, truncated, cut)
             VALUES (?1, ?2, ?3, ?4, 0, 1, ?5)
             ON CONFLICT DO UPDATE SET truncated = 1, cut = cut + excluded.cut",
        )?
        .execute(params![run, host, stream.as_str(), digest, bytes.cast_signed()])?;
    Ok(())
}

/// Moves the pieces of a stream into a blob, behind what was moved there before, unless one with the
/// same bytes is there already. `printed` is what the host says that it printed: more than is here
/// means truncated. Only one piece is in memory at a time, and the compressed blob.
pub(super) fn seal(
    connection: &Connection,
    run: &str,
    host: &str,
    stream: Stream,
    printed: u64,
) -> Result<(), Fault> {
    let key = params![run, host, stream.as_str()];
    let has_pieces = connection
        .prepare_cached("SELECT 1 FROM chunks WHERE run_id = ?1 AND host = ?2 AND stream = ?3")?
        .exists(key)?;
    let sealed: Option<String> = connection
        .prepare_cached("SELECT blob FROM outputs WHERE run_id = ?1 AND host = ?2 AND stream = ?3")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    if !has_pieces && sealed.is_some() {
        connection
            .prepare_cached(
                "UPDATE outputs SET truncated = cut > 0 OR ?4 > bytes
                 WHERE run_id = ?1 AND host = ?2 AND stream = ?3",
            )?
            .execute(params![run, host, stream.as_str(), printed.cast_signed()])?;
        return Ok(());
    }
    if !has_pieces && printed == 0 {
        return Ok(());
    }
    let each = |take: &mut dyn FnMut(&[u8]) -> io::Result<()>| -> Result<(), Fault> {
        if let Some(mut before) = unseal(connection, run, host, stream)? {
            let mut piece = vec![0; PIECE];
            loop {
                match before.read(&mut piece)? {
                    0 => break,
                    count => take(&piece[..count])?,
                }
            }
        }
        each_piece(connection, key, take)
    };
    let (mut hash, mut bytes) = (Sha256::new(), 0u64);
    each(&mut |piece| {
        hash.update(piece);
        bytes += piece.len() as u64;
        Ok(())
    })?;
    let digest = hex(&hash.finalize());
    store(connection, &digest, bytes, each)?;
    connection
        .prepare_cached(
            "INSERT INTO outputs (run_id, host, stream, blob, bytes, truncated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET
                 blob = excluded.blob, bytes = excluded.bytes, truncated = cut > 0 OR excluded.truncated",
        )?
        .execute(params![run, host, stream.as_str(), digest, bytes.cast_signed(), printed > bytes])?;
    if let Some(before) = sealed.filter(|before| *before != digest) {
        connection
            .prepare_cached(
                "DELETE FROM blobs WHERE digest = ?1
                 AND NOT EXISTS (SELECT 1 FROM outputs WHERE blob = ?1)",
            )?
            .execute([before])?;
    }
    connection
        .prepare_cached("DELETE FROM chunks WHERE run_id = ?1 AND host = ?2 AND stream = ?3")?
        .execute(key)?;
    Ok(())
}

/// Compresses what `each` hands out into a blob, if there is none with that digest.
fn store(
    connection: &Connection,
    digest: &str,
    bytes: u64,
    each: impl Fn(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if connection.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")?.exists([digest])? {
        return Ok(());
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.set_pledged_src_size(Some(bytes))?;
    encoder.include_checksum(true)?;
    encoder.window_log(WINDOW_LOG)?;
    each(&mut |piece| encoder.write_all(piece))?;
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
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
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
    cut: u64,
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
        let cut: Option<i64> = connection
            .prepare_cached("SELECT cut FROM outputs WHERE run_id = ?1 AND host = ?2 AND stream = ?3")?
            .query_row(params![run, host, stream.as_str()], |row| row.get(0))
            .optional()?;
        let cut = cut.unwrap_or(0).cast_unsigned();
        let pieces = Pieces { connection, run: run.to_owned(), host: host.to_owned(), stream, last: -1 };
        Ok(Self { sealed, pieces, piece: io::Cursor::default(), cut, _snapshot: snapshot })
    }

    /// Bytes that the host printed and did not keep (`--max-output`, or its disk): they are missing
    /// between those that are here.
    pub fn cut(&self) -> u64 {
        self.cut
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
