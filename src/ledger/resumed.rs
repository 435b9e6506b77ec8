use rusqlite::{Connection, OptionalExtension as _, params};

use super::fault::Fault;
use super::run::Known;
use super::run_recorder::RunRecorder;
use crate::error::{Error, Result};
use crate::event::Stream;

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
}

impl Resumed {
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
    Ok(GoesOn { next_seq: next.cast_unsigned(), known })
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
    Ok(Known { host: host.to_owned(), mark: mark.cast_unsigned(), bytes, attempt, started_at })
}
