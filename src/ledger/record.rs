//! What an event changes in the tables.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::blob;
use super::fault::Fault;
use super::run::{NewRun, RunStatus};
use crate::event::{Event, EventKind, HostResult, HostState, PayloadInfo, Stream, Summary};

/// What `events.data` keeps of a `host_output`: where in the stream its bytes are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) kind: String,
    pub(super) host: String,
    pub(super) stream: Stream,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// RFC 3339 UTC with milliseconds, so that texts sort as times do.
pub(super) fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The run's row and one row for each host, `queued`.
pub(super) fn begin(connection: &Connection, run: &NewRun) -> Result<(), Fault> {
    let payload = run.payload.as_ref();
    let started_at = stamp(run.started_at);
    connection.execute(
        "INSERT INTO runs (id, command, started_at, status, payload_digest, payload_name, release,
                           signer, git_sha, operator, plan)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            run.id,
            run.command,
            started_at,
            RunStatus::Running.as_str(),
            payload.map(|payload| &payload.digest),
            payload.map(|payload| &payload.name),
            payload.and_then(|payload| payload.release).map(u64::cast_signed),
            payload.and_then(|payload| payload.signer.as_ref()),
            run.git_sha,
            run.operator,
            run.plan.to_string(),
        ],
    )?;
    let mut host_row = connection
        .prepare_cached("INSERT INTO results (run_id, host, attempt, status) VALUES (?1, ?2, 1, ?3)")?;
    for host in &run.hosts {
        host_row.execute(params![run.id, host, HostState::Queued.as_str()])?;
    }
    if let Some(payload) = payload {
        use_payload(connection, payload, &started_at)?;
    }
    Ok(())
}

fn use_payload(connection: &Connection, payload: &PayloadInfo, at: &str) -> Result<(), Fault> {
    connection.execute(
        "INSERT INTO payloads (digest, name, release, bytes, signer, first_used_at, last_used_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
         ON CONFLICT (digest) DO UPDATE SET
             name = excluded.name, release = excluded.release, last_used_at = excluded.last_used_at,
             signer = coalesce(excluded.signer, signer)",
        params![
            payload.digest,
            payload.name,
            payload.release.map(u64::cast_signed),
            payload.bytes.cast_signed(),
            payload.signer,
            at,
        ],
    )?;
    Ok(())
}

/// Records an event and what it means. `offset` is where a `host_output` begins in its stream.
pub(super) fn event(connection: &Connection, run: &str, event: &Event, offset: u64) -> Result<(), Fault> {
    let seq = event.seq.cast_signed();
    let data = match &event.kind {
        EventKind::HostOutput { host, stream, data } => {
            blob::append(connection, run, host, *stream, seq, &data.0)?;
            serde_json::to_string(&Place {
                kind: event.kind.name().to_owned(),
                host: host.clone(),
                stream: *stream,
                offset,
                bytes: data.0.len() as u64,
            })?
        }
        kind => serde_json::to_string(kind)?,
    };
    connection
        .prepare_cached("INSERT INTO events (run_id, seq, at, kind, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
        // All nine digits: what is read back is what was told.
        .execute(params![run, seq, format!("{:.9}", event.at), event.kind.name(), data])?;
    match &event.kind {
        EventKind::HostState { host, state } => host_state(connection, run, host, *state, event.at),
        EventKind::HostArtifact { host, path, digest, bytes, mode } => {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO artifacts (run_id, host, path, digest, bytes, mode)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![run, host, path, digest, bytes.cast_signed(), mode])?;
            Ok(())
        }
        EventKind::HostFinished { host, result } => host_finished(connection, run, host, result),
        EventKind::RunFinished { summary } => run_finished(connection, run, summary, event.at),
        _ => Ok(()),
    }
}

fn host_state(
    connection: &Connection,
    run: &str,
    host: &str,
    state: HostState,
    at: Timestamp,
) -> Result<(), Fault> {
    let started_at = match state {
        HostState::Queued => None,
        // The outcome says it better, a moment later.
        HostState::Ended => return Ok(()),
        _ => Some(stamp(at)),
    };
    connection
        .prepare_cached(
            "UPDATE results SET status = ?3, started_at = coalesce(started_at, ?4)
             WHERE run_id = ?1 AND host = ?2 AND finished_at IS NULL",
        )?
        .execute(params![run, host, state.as_str(), started_at])?;
    Ok(())
}

fn host_finished(connection: &Connection, run: &str, host: &str, result: &HostResult) -> Result<(), Fault> {
    blob::seal(connection, run, host, Stream::Stdout, result.stdout_bytes)?;
    blob::seal(connection, run, host, Stream::Stderr, result.stderr_bytes)?;
    let conflicts = match result.conflicts.as_slice() {
        [] => None,
        conflicts => Some(serde_json::to_string(conflicts)?),
    };
    let columns = params![
        run,
        host,
        result.attempt,
        result.outcome.as_str(),
        result.exit_code,
        result.signal,
        result.failure.as_ref().map(|failure| failure.phase.as_str()),
        result.failure.as_ref().map(|failure| &failure.message),
        result.started_at.map(stamp),
        stamp(result.finished_at),
        result.duration_ms.cast_signed(),
        serde_json::to_string(&result.timings)?,
        result.cpu_ms.map(u64::cast_signed),
        result.max_rss_kb.map(u64::cast_signed),
        result.helper_mode.map(|mode| mode.as_str()),
        result.trust.map(|trust| trust.as_str()),
        result.stub_digest,
        result.output.as_ref().map(ToString::to_string),
        result.helper_reason,
        conflicts,
        result.condition,
    ];
    let known = connection
        .prepare_cached(
            "UPDATE results SET
                 attempt = ?3, status = ?4, exit_code = ?5, signal = ?6, phase = ?7, error = ?8,
                 started_at = ?9, finished_at = ?10, duration_ms = ?11, timings = ?12, cpu_ms = ?13,
                 max_rss_kb = ?14, helper_mode = ?15, trust = ?16, stub_digest = ?17, output = ?18,
                 helper_reason = ?19, conflicts = ?20, condition = ?21
             WHERE run_id = ?1 AND host = ?2 AND finished_at IS NULL",
        )?
        .execute(columns)?;
    if known == 0 {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO results
                     (run_id, host, attempt, status, exit_code, signal, phase, error, started_at,
                      finished_at, duration_ms, timings, cpu_ms, max_rss_kb, helper_mode, trust,
                      stub_digest, output, helper_reason, conflicts, condition)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                         ?19, ?20, ?21)",
            )?
            .execute(columns)?;
    }
    if let Some(digest) = &result.stub_digest {
        connection
            .prepare_cached(
                "INSERT INTO deployments (host, stub_digest, arch, deployed_at, last_used_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (host, stub_digest) DO UPDATE SET
                     arch = coalesce(excluded.arch, arch), last_used_at = excluded.last_used_at",
            )?
            .execute(params![
                host,
                digest,
                result.arch,
                stamp(result.started_at.unwrap_or(result.finished_at)),
                stamp(result.finished_at),
            ])?;
    }
    Ok(())
}

fn run_finished(connection: &Connection, run: &str, summary: &Summary, at: Timestamp) -> Result<(), Fault> {
    let code = summary.exit_code();
    connection.execute(
        "UPDATE runs SET finished_at = ?2, status = ?3, exit_code = ?4 WHERE id = ?1",
        params![run, stamp(at), RunStatus::of(code).as_str(), code as u8],
    )?;
    Ok(())
}
