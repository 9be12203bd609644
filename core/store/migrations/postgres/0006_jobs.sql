CREATE TABLE jobs (
    id         BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    team       TEXT COLLATE "C" NOT NULL,
    pipeline   TEXT COLLATE "C" NOT NULL,
    name       TEXT    NOT NULL,
    paused     BOOLEAN NOT NULL,
    -- JSON.
    config     TEXT    NOT NULL,
    -- JSON.
    last_build TEXT,
    -- JSON.
    next_build TEXT,
    UNIQUE (team, pipeline, name)
);

CREATE INDEX jobs_in_order ON jobs (team, pipeline, id);
