use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::blob;
use super::fault::Fault;
use super::record::Place;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::event::{Bytes, Event, EventKind, Stream};

/// How many events are read at once.
const PAGE: i64 = 256;

/// The events of a run, in order, exactly as they were told.
///
/// Reads one state of the ledger however long it takes. Memory: a page of events, and a decoder
/// (some 400 KiB) for each stream that has begun and not ended.
pub struct Events<'c> {
    // Declared before the snapshot, so dropped before it.
    streams: HashMap<(String, Stream), Sealed<'c>>,
    page: VecDeque<Row>,
    last: i64,
    run: String,
    host: Option<String>,
    /// A list as JSON; `None` for all.
    kinds: Option<String>,
    connection: &'c Connection,
    path: PathBuf,
    done: bool,
    _snapshot: Snapshot<'c>,
}

struct Row {
    seq: i64,
    at: String,
    kind: String,
    data: String,
}

/// A stream that is read from its blob, front to back.
struct Sealed<'c> {
    read: Box<dyn Read + 'c>,
    at: u64,
}

impl<'c> Events<'c> {
    pub(super) fn open(
        snapshot: Snapshot<'c>,
        path: &Path,
        run: &str,
        host: Option<&str>,
        kinds: Option<&[&str]>,
    ) -> Result<Self, Fault> {
        Ok(Self {
            streams: HashMap::new(),
            page: VecDeque::new(),
            last: -1,
            run: run.to_owned(),
            host: host.map(str::to_owned),
            kinds: kinds.map(serde_json::to_string).transpose()?,
            connection: snapshot.connection(),
            path: path.to_owned(),
            done: false,
            _snapshot: snapshot,
        })
    }

    fn row(&mut self) -> Result<Option<Row>, Fault> {
        if self.page.is_empty() {
            let mut rows = self.connection.prepare_cached(
                "SELECT seq, at, kind, data FROM events
                 WHERE run_id = ?1 AND seq > ?2 AND (?3 IS NULL OR data ->> '$.host' = ?3)
                   AND (?5 IS NULL OR kind IN (SELECT value FROM json_each(?5)))
                 ORDER BY seq LIMIT ?4",
            )?;
            self.page = rows
                .query_map(params![self.run, self.last, self.host, PAGE, self.kinds], |row| {
                    Ok(Row { seq: row.get(0)?, at: row.get(1)?, kind: row.get(2)?, data: row.get(3)? })
                })?
                .collect::<Result<_, _>>()?;
        }
        let row = self.page.pop_front();
        self.last = row.as_ref().map_or(self.last, |row| row.seq);
        Ok(row)
    }

    fn event(&mut self, row: &Row) -> Result<Event, Fault> {
        let kind = match row.kind.as_str() {
            "host_output" => {
                let place: Place = serde_json::from_str(&row.data)?;
                let data = Bytes(self.output(row.seq, &place)?);
                EventKind::HostOutput { host: place.host, stream: place.stream, data }
            }
            _ => serde_json::from_str(&row.data)?,
        };
        Ok(Event { seq: row.seq.cast_unsigned(), at: row.at.parse()?, mark: None, kind })
    }

    /// The bytes of a `host_output`: a piece where its host has not ended, else out of the blob.
    fn output(&mut self, seq: i64, place: &Place) -> Result<Vec<u8>, Fault> {
        let (host, stream) = (&place.host, place.stream);
        let piece: Option<Vec<u8>> = self
            .connection
            .prepare_cached(
                "SELECT data FROM chunks WHERE run_id = ?1 AND host = ?2 AND stream = ?3 AND seq = ?4",
            )?
            .query_row(params![self.run, host, stream.as_str(), seq], |row| row.get(0))
            .optional()?;
        if let Some(piece) = piece {
            return Ok(piece);
        }
        if place.bytes == 0 {
            return Ok(Vec::new());
        }
        let missing = || {
            Error::failure(format!("output of host {host} is no longer in the ledger"))
                .hint("cronium-run runs")
        };
        let key = (host.clone(), stream);
        if !self.streams.contains_key(&key) {
            let read = blob::unseal(self.connection, &self.run, host, stream)?.ok_or_else(missing)?;
            self.streams.insert(key.clone(), Sealed { read: Box::new(read), at: 0 });
        }
        let sealed = self.streams.get_mut(&key).expect("it was just put there");
        // A host that was resumed: what it printed before was read, and its decoder let go.
        let behind = place.offset.checked_sub(sealed.at).ok_or_else(missing)?;
        if io::copy(&mut (&mut sealed.read).take(behind), &mut io::sink())? != behind {
            return Err(missing().into());
        }
        sealed.at = place.offset;
        let mut bytes = Vec::new();
        (&mut sealed.read).take(place.bytes).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != place.bytes {
            return Err(missing().into());
        }
        sealed.at += place.bytes;
        Ok(bytes)
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.row().and_then(|row| row.map(|row| self.event(&row)).transpose());
        self.done = !matches!(next, Ok(Some(_)));
        // A host prints nothing more once it has ended, unless the run is resumed: its decoders can go.
        if let Ok(Some(Event { kind: EventKind::HostFinished { host, .. }, .. })) = &next {
            self.streams.retain(|(name, _), _| name != host);
        }
        next.map_err(|fault| fault.on(&self.path, "read")).transpose()
    }
}
