CREATE TABLE jobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    team       TEXT    NOT NULL,
    pipeline   TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    paused     INTEGER NOT NULL,
    -- JSON.
    config     TEXT    NOT NULL,
    -- JSON.
    last_build TEXT,
    -- JSON.
    next_build TEXT,
    UNIQUE (team, pipeline, name)
) STRICT;

CREATE INDEX jobs_in_order ON jobs (team, pipeline, id);
