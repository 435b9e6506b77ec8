-- Runs that are asked for again, and run again.

-- Frames of the host's own account that are recorded: an attach goes on from there.
ALTER TABLE results ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
-- 1: as far as is known, the host keeps its account until it hears that it is recorded here.
ALTER TABLE results ADD COLUMN is_kept INTEGER NOT NULL DEFAULT 0;
-- 1: the host has answered that it has nothing of the run (any more): how it ended stays unknown.
ALTER TABLE results ADD COLUMN is_gone INTEGER NOT NULL DEFAULT 0;
-- Nobody counted frames before. 0 says that nothing ever came of a host, and one of which that is said
-- and that knows nothing of the run answers that nothing ran: not so where older runs were left open.
UPDATE results SET mark = 1 WHERE finished_at IS NULL OR status = 'unknown';
-- Hosts that `collect` asks: those that may have more to tell, or keep what they told.
CREATE INDEX results_open ON results (run_id)
    WHERE is_gone = 0 AND (is_kept = 1 OR finished_at IS NULL OR status IN ('unknown', 'detached'));

-- Bytes that the host printed and did not keep, between those that are here.
ALTER TABLE outputs ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;

-- The run whose hosts this one runs on again.
ALTER TABLE runs ADD COLUMN rerun_of TEXT;
-- By a clock that nobody sets; NULL where a run was resumed.
ALTER TABLE runs ADD COLUMN duration_ms INTEGER;
CREATE INDEX runs_by_origin ON runs (rerun_of) WHERE rerun_of IS NOT NULL;

-- Apart from payloads, whose rows are written anew with each run.
CREATE TABLE payload_bytes (
    digest TEXT NOT NULL PRIMARY KEY,
    data   BLOB NOT NULL               -- the tar.gz
);
CREATE TABLE signatures (
    digest     TEXT NOT NULL,          -- of the payload
    signer     TEXT NOT NULL,          -- as in runs
    public_key TEXT NOT NULL,          -- PEM
    signature  BLOB NOT NULL,          -- DER
    PRIMARY KEY (digest, signer)
) WITHOUT ROWID;

-- What was asked for: hosts and how they are reached, arguments, environment, input, limits. A nonce of
-- 24 bytes and XSalsa20-Poly1305 over zstd of JSON, by the key that seals secret variables.
CREATE TABLE orders (
    run_id TEXT NOT NULL PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    sealed BLOB NOT NULL
);

-- How each host ended, every time it did.
CREATE INDEX events_by_end ON events (run_id, json_extract(data, '$.host'), seq) WHERE kind = 'host_finished';
