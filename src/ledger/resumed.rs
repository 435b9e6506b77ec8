use rusqlite::{Connection, OptionalExtension as _, params};

use super::fault::Fault;
use super::orders::SealedOrder;
use super::record::{self, earlier};
use super::run::Known;
use super::run_recorder::RunRecorder;
use crate::error::{Error, Result};
use crate::event::{EventKind, StopReason, Stream};

/// A run that is taken up again: nobody else can, until the recorder is dropped.
pub struct Resumed {
    pub recorder: RunRecorder,
}

/// Where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoesOn {
    /// The number of the next event.
    pub next_seq: u64,
    /// How far each of the asked-for hosts is known, in their order.
    pub known: Vec<Known>,
    /// Why the run started no further host, where that was the run's own affair: a limit or a gate.
    pub stopped: Option<StopReason>,
}

impl Resumed {
    /// Further hosts of a run that another ledger began, with the order that names them all.
    pub fn join(&self, hosts: Vec<String>, order: Option<SealedOrder>) -> Result<()> {
        let run = self.recorder.run().to_owned();
        self.recorder.ledger().call(move |connection| {
            record::queue(connection, &run, &hosts)?;
            record::keep_order(connection, &run, order.as_ref())
        })
    }

    /// `hosts` are those that will be asked.
    pub fn place(&mut self, hosts: &[String]) -> Result<GoesOn> {
        let (run, names) = (self.recorder.run().to_owned(), hosts.to_vec());
        let place = self.recorder.ledger().call(move |connection| place(connection, &run, &names))?;
        self.recorder.go_on(&place.known);
        Ok(place)
    }
}

fn place(connection: &Connection, run: &str, hosts: &[String]) -> Result<GoesOn, Fault> {
    let next: i64 = connection.query_row(
        "SELECT coalesce(max(seq) + 1, 0) FROM events WHERE run_id = ?1",
        [run],
        |row| row.get(0),
    )?;
    let known = hosts.iter().map(|host| known(connection, run, host)).collect::<Result<_, _>>()?;
    Ok(GoesOn { next_seq: next.cast_unsigned(), known, stopped: stopped(connection, run)? })
}

/// Also of a run that died before it could say how it ended.
fn stopped(connection: &Connection, run: &str) -> Result<Option<StopReason>, Fault> {
    let mut told = connection
        .prepare_cached("SELECT data FROM events WHERE run_id = ?1 AND kind = 'run_stopping' ORDER BY seq")?;
    let mut told = told.query([run])?;
    while let Some(row) = told.next()? {
        if let EventKind::RunStopping { reason: reason @ (StopReason::Limit | StopReason::Gate) } =
            serde_json::from_str(row.get_ref(0)?.as_str()?)?
        {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

fn known(connection: &Connection, run: &str, host: &str) -> Result<Known, Fault> {
    let row: Option<(i64, u32, Option<String>)> = connection
        .prepare_cached("SELECT mark, attempt, started_at FROM results WHERE run_id = ?1 AND host = ?2")?
        .query_row(params![run, host], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((mark, attempt, started_at)) = row else {
        return Err(Error::failure(format!("run {run} has no host {host}")).into());
    };
    let mut bytes = [0; Stream::ALL.len()];
    for stream in Stream::ALL {
        // In a blob where the host has ended once, in pieces since.
        let sum: i64 = connection
            .prepare_cached(
                "SELECT coalesce((SELECT bytes FROM outputs WHERE run_id = ?1 AND host = ?2 AND stream = ?3), 0)
                      + (SELECT coalesce(sum(length(data)), 0) FROM chunks
                         WHERE run_id = ?1 AND host = ?2 AND stream = ?3)",
            )?
            .query_row(params![run, host, stream.as_str()], |row| row.get(0))?;
        bytes[stream as usize] = sum.cast_unsigned();
    }
    let started_at = started_at.map(|at| at.parse()).transpose()?;
    let outcome = earlier(connection, run, host, i64::MAX)?.map(|result| result.outcome);
    Ok(Known { host: host.to_owned(), mark: mark.cast_unsigned(), bytes, attempt, started_at, outcome })
}
