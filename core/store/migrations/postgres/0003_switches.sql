-- Numbers that only grow, one a name. A transaction that takes one holds the row until it commits.
CREATE TABLE counters (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT  NOT NULL
);

INSERT INTO counters (name, value) VALUES ('switches', 0);

-- What an operator said of a member or an endpoint while it ran. Rows are never deleted: a switch
-- that is back at its configuration has NULL in `enabled`, so that whoever polls hears of it.
CREATE TABLE switches (
    kind             TEXT COLLATE "C" NOT NULL,
    name             TEXT COLLATE "C" NOT NULL,
    enabled          BOOLEAN,
    -- Requests at once, where it is limited.
    limit_to         BIGINT,
    -- How long one of them may hold its slot, in milliseconds.
    slot_ms          BIGINT,
    -- The revision of the last wish for a restart, 0 before the first.
    restart_revision BIGINT  NOT NULL,
    who              TEXT    NOT NULL,
    why              TEXT,
    at               BIGINT  NOT NULL,
    revision         BIGINT  NOT NULL UNIQUE,
    PRIMARY KEY (kind, name)
);

CREATE TABLE audit (
    id      BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at      BIGINT  NOT NULL,
    who     TEXT    NOT NULL,
    what    TEXT    NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    -- JSON.
    detail  TEXT,
    why     TEXT,
    -- The id of the process that took the change.
    process TEXT,
    source  TEXT    NOT NULL
);

CREATE INDEX audit_by_time ON audit (at);
