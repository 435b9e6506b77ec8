-- Times are RFC 3339 UTC. JSON is text. Digests are SHA-256, lower-case hex.

CREATE TABLE runs (
    id             TEXT NOT NULL PRIMARY KEY,
    command        TEXT NOT NULL,
    started_at     TEXT NOT NULL,
    finished_at    TEXT,
    status         TEXT NOT NULL,   -- running, then succeeded failed stopped unknown interrupted
    exit_code      INTEGER,
    payload_digest TEXT,
    payload_name   TEXT,
    release        INTEGER,
    signer         TEXT,
    git_sha        TEXT,
    operator       TEXT,
    plan           TEXT NOT NULL    -- JSON
);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_open ON runs (id) WHERE status = 'running';

-- In the plan's order (rowid).
CREATE TABLE results (
    run_id      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    host        TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    status      TEXT NOT NULL,      -- the state the host was last seen in, then its outcome
    exit_code   INTEGER,
    signal      INTEGER,
    phase       TEXT,               -- of the failure
    error       TEXT,
    started_at  TEXT,
    finished_at TEXT,               -- NULL: not ended as far as is known
    duration_ms INTEGER,
    timings     TEXT,               -- JSON: state -> milliseconds
    cpu_ms      INTEGER,
    max_rss_kb  INTEGER,
    helper_mode TEXT,
    trust       TEXT,
    stub_digest TEXT,
    output      TEXT,               -- JSON
    PRIMARY KEY (run_id, host, attempt)
);
CREATE INDEX results_by_host ON results (host);

CREATE TABLE blobs (
    digest TEXT NOT NULL PRIMARY KEY,   -- of the bytes before compression
    bytes  INTEGER NOT NULL,            -- before compression
    data   BLOB NOT NULL                -- zstd
);

CREATE TABLE outputs (
    run_id    TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    host      TEXT NOT NULL,
    stream    TEXT NOT NULL,            -- stdout stderr
    blob      TEXT NOT NULL REFERENCES blobs (digest),
    bytes     INTEGER NOT NULL,
    truncated INTEGER NOT NULL,         -- 1: the host printed more than is kept
    PRIMARY KEY (run_id, host, stream)
) WITHOUT ROWID;
CREATE INDEX outputs_by_blob ON outputs (blob);

-- Output of hosts that have not ended yet; moved into a blob at their end.
CREATE TABLE chunks (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    host   TEXT NOT NULL,
    stream TEXT NOT NULL,
    seq    INTEGER NOT NULL,            -- of the event that brought it
    data   BLOB NOT NULL,
    PRIMARY KEY (run_id, host, stream, seq)
);

-- `data` is the event as JSON without seq and at. A host_output has its offset and length in the
-- stream instead of the bytes.
CREATE TABLE events (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq    INTEGER NOT NULL,
    at     TEXT NOT NULL,
    kind   TEXT NOT NULL,
    data   TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;

CREATE TABLE variables (
    scope      TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,           -- JSON
    version    INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;

-- One row a write. The row of a removal has the version that was removed.
CREATE TABLE variable_history (
    id      INTEGER PRIMARY KEY,
    scope   TEXT NOT NULL,
    key     TEXT NOT NULL,
    version INTEGER NOT NULL,
    op      TEXT NOT NULL,              -- set remove
    value   TEXT,                       -- JSON; NULL for a removal
    at      TEXT NOT NULL,
    "by"    TEXT NOT NULL
);
CREATE INDEX variable_history_by_key ON variable_history (scope, key, version);

CREATE TABLE payloads (
    digest        TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL,
    release       INTEGER,
    bytes         INTEGER NOT NULL,
    signer        TEXT,
    first_used_at TEXT NOT NULL,
    last_used_at  TEXT NOT NULL
);

CREATE TABLE deployments (
    host         TEXT NOT NULL,
    stub_digest  TEXT NOT NULL,
    arch         TEXT,
    deployed_at  TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    PRIMARY KEY (host, stub_digest)
) WITHOUT ROWID;

-- Files collected from hosts.
CREATE TABLE artifacts (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    host   TEXT NOT NULL,
    path   TEXT NOT NULL,
    blob   TEXT NOT NULL REFERENCES blobs (digest),
    bytes  INTEGER NOT NULL,
    mode   INTEGER NOT NULL,
    PRIMARY KEY (run_id, host, path)
) WITHOUT ROWID;
CREATE INDEX artifacts_by_blob ON artifacts (blob);
