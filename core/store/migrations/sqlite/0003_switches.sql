-- Numbers that only grow, one a name. A transaction that takes one holds the row until it commits.
CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO counters (name, value) VALUES ('switches', 0);

-- What an operator said of a member or an endpoint while it ran. Rows are never deleted: a switch
-- that is back at its configuration has NULL in `enabled`, so that whoever polls hears of it.
CREATE TABLE switches (
    kind             TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    enabled          INTEGER,
    -- Requests at once, where it is limited.
    limit_to         INTEGER,
    -- How long one of them may hold its slot, in milliseconds.
    slot_ms          INTEGER,
    -- The revision of the last wish for a restart, 0 before the first.
    restart_revision INTEGER NOT NULL,
    who              TEXT    NOT NULL,
    why              TEXT,
    at               INTEGER NOT NULL,
    revision         INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (kind, name)
) STRICT;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    -- JSON.
    detail  TEXT,
    why     TEXT,
    -- The id of the process that took the change.
    process TEXT,
    source  TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_by_time ON audit (at);
