//! What an event changes in the tables.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::blob;
use super::fault::Fault;
use super::orders::SealedOrder;
use super::run::{NewRun, RunStatus, SignedPayload};
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
                           signer, git_sha, operator, plan, rerun_of)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
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
            run.rerun_of,
        ],
    )?;
    queue(connection, &run.id, &run.hosts)?;
    if let Some(payload) = payload {
        use_payload(connection, payload, &started_at)?;
        if let Some(signed) = &run.signed {
            keep_payload(connection, payload, signed)?;
        }
    }
    keep_order(connection, &run.id, run.order.as_ref())
}

/// A row for each host, behind those that are there.
pub(super) fn queue(connection: &Connection, run: &str, hosts: &[String]) -> Result<(), Fault> {
    let mut row = connection
        .prepare_cached("INSERT INTO results (run_id, host, attempt, status) VALUES (?1, ?2, 1, ?3)")?;
    for host in hosts {
        row.execute(params![run, host, HostState::Queued.as_str()])?;
    }
    Ok(())
}

/// In place of one that there is.
pub(super) fn keep_order(
    connection: &Connection,
    run: &str,
    order: Option<&SealedOrder>,
) -> Result<(), Fault> {
    if let Some(SealedOrder(sealed)) = order {
        let keep = "INSERT OR REPLACE INTO orders (run_id, sealed) VALUES (?1, ?2)";
        connection.execute(keep, params![run, sealed])?;
    }
    Ok(())
}

/// The bytes once, however many runs use them; a signature for each who signed them.
fn keep_payload(connection: &Connection, payload: &PayloadInfo, signed: &SignedPayload) -> Result<(), Fault> {
    let SignedPayload { bytes, signature, public_key } = signed;
    connection.execute(
        "INSERT OR IGNORE INTO payload_bytes (digest, data) VALUES (?1, ?2)",
        params![payload.digest, bytes],
    )?;
    connection.execute(
        "INSERT OR IGNORE INTO signatures (digest, signer, public_key, signature) VALUES (?1, ?2, ?3, ?4)",
        params![payload.digest, payload.signer.as_deref().unwrap_or_default(), public_key, signature],
    )?;
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
        EventKind::HostOutputCut { host, stream, bytes } => blob::cut(connection, run, host, *stream, *bytes),
        EventKind::HostFinished { host, result } => host_finished(connection, run, host, result, seq),
        EventKind::RunResumed { .. } => run_resumed(connection, run),
        EventKind::RunFinished { summary } => run_finished(connection, run, summary, event.at),
        _ => Ok(()),
    }
}

/// How far a host's own account is recorded.
pub(super) fn mark(connection: &Connection, run: &str, host: &str, mark: u64) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE results SET mark = ?3, is_kept = (is_gone = 0) WHERE run_id = ?1 AND host = ?2",
        )?
        .execute(params![run, host, mark.cast_signed()])?;
    Ok(())
}

pub(super) fn forgotten(connection: &Connection, run: &str, hosts: &[String]) -> Result<(), Fault> {
    let mut row =
        connection.prepare_cached("UPDATE results SET is_kept = 0 WHERE run_id = ?1 AND host = ?2")?;
    for host in hosts {
        row.execute(params![run, host])?;
    }
    Ok(())
}

/// A host that was left open goes through its states once more.
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
            "UPDATE results SET status = ?3, started_at = coalesce(started_at, ?4), finished_at = NULL,
                 is_gone = 0
             WHERE run_id = ?1 AND host = ?2
               AND (finished_at IS NULL OR status IN ('unknown', 'detached'))",
        )?
        .execute(params![run, host, state.as_str(), started_at])?;
    Ok(())
}

fn host_finished(
    connection: &Connection,
    run: &str,
    host: &str,
    result: &HostResult,
    seq: i64,
) -> Result<(), Fault> {
    let result = &match earlier(connection, run, host, seq)? {
        Some(earlier) => earlier.settled_by(result.clone()),
        None => result.clone(),
    };
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
             WHERE run_id = ?1 AND host = ?2",
        )?
        .execute(columns)?;
    if known == 0 {
        connection
            .prepare_cached(
                "INSERT INTO results
                     (run_id, host, attempt, status, exit_code, signal, phase, error, started_at,
                      finished_at, duration_ms, timings, cpu_ms, max_rss_kb, helper_mode, trust,
                      stub_digest, output, helper_reason, conflicts, condition)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                         ?19, ?20, ?21)",
            )?
            .execute(columns)?;
    }
    if result.is_gone() {
        connection
            .prepare_cached("UPDATE results SET is_gone = 1, is_kept = 0 WHERE run_id = ?1 AND host = ?2")?
            .execute(params![run, host])?;
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

/// Left to itself, SQLite reads all events of the run, which may be millions.
pub(super) const ENDS_OF_HOST: &str = "SELECT data FROM events INDEXED BY events_by_end
    WHERE run_id = ?1 AND json_extract(data, '$.host') = ?2 AND kind = 'host_finished' AND seq < ?3
    ORDER BY seq";

/// How a host stood before the event `seq`, where it had ended before.
pub(super) fn earlier(
    connection: &Connection,
    run: &str,
    host: &str,
    seq: i64,
) -> Result<Option<HostResult>, Fault> {
    let had_ended = connection
        .prepare_cached("SELECT 1 FROM results WHERE run_id = ?1 AND host = ?2 AND duration_ms IS NOT NULL")?
        .exists(params![run, host])?;
    if !had_ended {
        return Ok(None);
    }
    let mut ends = connection.prepare_cached(ENDS_OF_HOST)?;
    let mut rows = ends.query(params![run, host, seq])?;
    let mut known: Option<HostResult> = None;
    while let Some(row) = rows.next()? {
        if let EventKind::HostFinished { result, .. } = serde_json::from_str(row.get_ref(0)?.as_str()?)? {
            known = Some(match known {
                Some(known) => known.settled_by(*result),
                None => *result,
            });
        }
    }
    Ok(known)
}

/// It goes on: whoever looks sees that, and that its end is still to come.
fn run_resumed(connection: &Connection, run: &str) -> Result<(), Fault> {
    connection.execute(
        "UPDATE runs SET status = ?2, finished_at = NULL, exit_code = NULL, duration_ms = NULL
         WHERE id = ?1",
        params![run, RunStatus::Running.as_str()],
    )?;
    Ok(())
}

fn run_finished(connection: &Connection, run: &str, summary: &Summary, at: Timestamp) -> Result<(), Fault> {
    // One that was resumed took longer than its last sitting.
    connection.execute(
        "UPDATE runs SET finished_at = ?2, status = ?3, exit_code = ?4,
             duration_ms = CASE WHEN EXISTS (SELECT 1 FROM events WHERE run_id = ?1 AND kind = 'run_resumed')
                                THEN NULL ELSE ?5 END
         WHERE id = ?1",
        params![
            run,
            stamp(at),
            RunStatus::of(summary).as_str(),
            summary.exit_code() as u8,
            summary.duration_ms.cast_signed(),
        ],
    )?;
    Ok(())
}
