-- Helpers: secret variables, writes that are made once, what the script told, files it left.

-- 1: the value is sealed, {"sealed": base64}.
ALTER TABLE variables ADD COLUMN secret INTEGER NOT NULL DEFAULT 0;

-- Of a script's write: where it ran, and the id that makes it once. NULL for operators.
ALTER TABLE variable_history ADD COLUMN run_id TEXT;
ALTER TABLE variable_history ADD COLUMN host TEXT;
ALTER TABLE variable_history ADD COLUMN write_id TEXT;
ALTER TABLE variable_history ADD COLUMN secret INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX variable_history_by_write ON variable_history (run_id, host, write_id)
    WHERE write_id IS NOT NULL;

-- Why the helper mode is not `api`; writes that were not made, JSON; 0 or 1.
ALTER TABLE results ADD COLUMN helper_reason TEXT;
ALTER TABLE results ADD COLUMN conflicts TEXT;
ALTER TABLE results ADD COLUMN condition INTEGER;

-- Never written so far. Contents are files beside the ledger, named by their digest.
DROP TABLE artifacts;
CREATE TABLE artifacts (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    host   TEXT NOT NULL,
    path   TEXT NOT NULL,           -- as the script left it, relative
    digest TEXT NOT NULL,
    bytes  INTEGER NOT NULL,
    mode   INTEGER NOT NULL,        -- permission bits
    PRIMARY KEY (run_id, host, path)
) WITHOUT ROWID;
CREATE INDEX artifacts_by_digest ON artifacts (digest);

-- Writes of scripts that were not made: whoever repeats one is answered as the first time. Those that
-- were made stand in variable_history.
CREATE TABLE refused_writes (
    run_id   TEXT NOT NULL,
    host     TEXT NOT NULL,
    write_id TEXT NOT NULL,
    answer   TEXT NOT NULL,         -- JSON: {"conflict":{"current":3}} "missing" {"no_number":{"reason":…}}
    PRIMARY KEY (run_id, host, write_id)
) WITHOUT ROWID;
