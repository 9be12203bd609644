-- The keys of workers. A key acts for its worker only.
CREATE TABLE worker_keys (
    worker        TEXT    PRIMARY KEY,
    -- Ed25519, in hexadecimal.
    public_key    TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    created_by    TEXT    NOT NULL,
    revoked_at    INTEGER,
    -- What the next registration has to sign.
    challenge     TEXT,
    challenge_at  INTEGER,
    -- Grows with every registration, also after the worker was removed.
    registrations INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE workers (
    name            TEXT    PRIMARY KEY,
    state           TEXT    NOT NULL,
    since           INTEGER NOT NULL,
    -- The last report or registration.
    heartbeat_at    INTEGER NOT NULL,
    -- The last accepted report; the registration before the first one.
    synced_at       INTEGER NOT NULL,
    registration    INTEGER NOT NULL,
    -- The registration in the upper 32 bits, the number of the last accepted report in the lower ones.
    generation      INTEGER NOT NULL,
    -- What the requests of this registration sign; NULL after the key was revoked.
    nonce           TEXT,
    is_ephemeral    INTEGER NOT NULL,
    platform        TEXT    NOT NULL,
    -- JSON array.
    tags            TEXT    NOT NULL,
    -- Containers at the same time, at most.
    capacity        INTEGER NOT NULL,
    version         TEXT    NOT NULL,
    -- JSON that the worker writes and its readers know.
    status          TEXT,
    -- JSON array of the first handles of other workers in the last report.
    foreign_handles TEXT    NOT NULL DEFAULT '[]'
) STRICT;

CREATE TABLE builds (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    state              TEXT    NOT NULL,
    since              INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    created_by         TEXT    NOT NULL,
    -- JSON.
    task               TEXT    NOT NULL,
    platform           TEXT    NOT NULL,
    -- Whether its inputs are uploaded.
    is_ready           INTEGER NOT NULL,
    worker             TEXT,
    -- The registration of the worker that claimed it; 0 before.
    fence              INTEGER NOT NULL DEFAULT 0,
    lease_until        INTEGER NOT NULL DEFAULT 0,
    is_abort_requested INTEGER NOT NULL DEFAULT FALSE,
    started_at         INTEGER,
    exit_code          INTEGER,
    error              TEXT,
    log_bytes          INTEGER NOT NULL DEFAULT 0,
    -- Whether it is over and has no container that is not doomed.
    is_released        INTEGER NOT NULL DEFAULT FALSE
) STRICT;

CREATE INDEX builds_pending ON builds (platform, id) WHERE state = 'pending';
CREATE INDEX builds_started ON builds (worker) WHERE state = 'started';
CREATE INDEX builds_unreleased ON builds (id) WHERE NOT is_released;
CREATE INDEX builds_released ON builds (since) WHERE is_released;

-- The output of tasks. A chunk is written once; readers continue after its number.
CREATE TABLE build_logs (
    build  INTEGER NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    text   TEXT    NOT NULL,
    PRIMARY KEY (build, number)
) STRICT;

-- Inputs and outputs of builds as compressed tar files, in numbered parts.
CREATE TABLE build_files (
    build INTEGER NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    kind  TEXT NOT NULL,
    name  TEXT NOT NULL,
    part  INTEGER NOT NULL,
    size  INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (build, kind, name, part)
) STRICT;

-- Containers and volumes.
CREATE TABLE handles (
    handle        TEXT    PRIMARY KEY,
    worker        TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    since         INTEGER NOT NULL,
    -- The first report without it since the last one with it.
    missing_since INTEGER,
    -- The last use of the container's terminal.
    terminal_at   INTEGER,
    -- The build of a container.
    build         INTEGER REFERENCES builds (id) ON DELETE SET NULL,
    -- The container that uses a volume.
    container     TEXT    REFERENCES handles (handle) ON DELETE SET NULL,
    -- The volume that a volume is a copy of.
    parent        TEXT    REFERENCES handles (handle) ON DELETE SET NULL
) STRICT;

CREATE INDEX handles_by_worker ON handles (worker);
CREATE INDEX handles_by_build ON handles (build) WHERE build IS NOT NULL;
CREATE INDEX handles_by_container ON handles (container) WHERE container IS NOT NULL;
CREATE INDEX handles_by_parent ON handles (parent) WHERE parent IS NOT NULL;
CREATE INDEX handles_unsettled ON handles (kind, state, since) WHERE state <> 'created';
CREATE INDEX handles_missing ON handles (missing_since) WHERE missing_since IS NOT NULL;
CREATE INDEX handles_unused ON handles (kind, handle) WHERE build IS NULL AND container IS NULL;
