-- Values may be large. In a table WITHOUT ROWID they stand in the primary key's tree, and every
-- look-up reads those it passes to their end. Here the tree has the names alone, and a value comes
-- last in its row, where nobody reads it who does not ask for it.
CREATE TABLE moved_variables (
    scope      TEXT NOT NULL,
    key        TEXT NOT NULL,
    version    INTEGER NOT NULL,
    secret     INTEGER NOT NULL DEFAULT 0,  -- 1: the value is sealed, {"sealed": base64}
    updated_at TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    value      TEXT NOT NULL,               -- JSON
    PRIMARY KEY (scope, key)
);
INSERT INTO moved_variables (scope, key, version, secret, updated_at, updated_by, value)
    SELECT scope, key, version, secret, updated_at, updated_by, value FROM variables ORDER BY scope, key;
DROP TABLE variables;
ALTER TABLE moved_variables RENAME TO variables;
