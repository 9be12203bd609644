-- A row for each start of a unix process. Times are milliseconds since 1970 UTC.
CREATE TABLE processes (
    id         TEXT    PRIMARY KEY,
    kind       TEXT    NOT NULL,
    host       TEXT    NOT NULL,
    pid        INTEGER NOT NULL,
    version    TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    stopped_at INTEGER,
    -- How it ended: NULL while it runs, and for ever after a kill.
    ending     TEXT
) STRICT;

CREATE INDEX processes_by_start ON processes (started_at DESC);
