-- The keys of workers. A key acts for its worker only.
CREATE TABLE worker_keys (
    worker        TEXT COLLATE "C" PRIMARY KEY,
    -- Ed25519, in hexadecimal.
    public_key    TEXT    NOT NULL,
    created_at    BIGINT NOT NULL,
    created_by    TEXT    NOT NULL,
    revoked_at    BIGINT,
    -- What the next registration has to sign.
    challenge     TEXT,
    challenge_at  BIGINT,
    -- Grows with every registration, also after the worker was removed.
    registrations BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE workers (
    name            TEXT COLLATE "C" PRIMARY KEY,
    state           TEXT    NOT NULL,
    since           BIGINT NOT NULL,
    -- The last report or registration.
    heartbeat_at    BIGINT NOT NULL,
    -- The last accepted report; the registration before the first one.
    synced_at       BIGINT NOT NULL,
    registration    BIGINT NOT NULL,
    -- The registration in the upper 32 bits, the number of the last accepted report in the lower ones.
    generation      BIGINT NOT NULL,
    -- What the requests of this registration sign; NULL after the key was revoked.
    nonce           TEXT,
    is_ephemeral    BOOLEAN NOT NULL,
    platform        TEXT COLLATE "C" NOT NULL,
    -- JSON array.
    tags            TEXT    NOT NULL,
    -- Containers at the same time, at most.
    capacity        BIGINT NOT NULL,
    version         TEXT    NOT NULL,
    -- JSON that the worker writes and its readers know.
    status          TEXT,
    -- JSON array of the first handles of other workers in the last report.
    foreign_handles TEXT    NOT NULL DEFAULT '[]'
);

CREATE TABLE builds (
    id                 BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    state              TEXT    NOT NULL,
    since              BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    created_by         TEXT    NOT NULL,
    -- JSON.
    task               TEXT    NOT NULL,
    platform           TEXT COLLATE "C" NOT NULL,
    -- Whether its inputs are uploaded.
    is_ready           BOOLEAN NOT NULL,
    worker             TEXT COLLATE "C" ,
    -- The registration of the worker that claimed it; 0 before.
    fence              BIGINT NOT NULL DEFAULT 0,
    lease_until        BIGINT NOT NULL DEFAULT 0,
    is_abort_requested BOOLEAN NOT NULL DEFAULT FALSE,
    started_at         BIGINT,
    exit_code          BIGINT,
    error              TEXT,
    log_bytes          BIGINT NOT NULL DEFAULT 0,
    -- Whether it is over and has no container that is not doomed.
    is_released        BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE INDEX builds_pending ON builds (platform, id) WHERE state = 'pending';
CREATE INDEX builds_started ON builds (worker) WHERE state = 'started';
CREATE INDEX builds_unreleased ON builds (id) WHERE NOT is_released;
CREATE INDEX builds_released ON builds (since) WHERE is_released;

-- The output of tasks. A chunk is written once; readers continue after its number.
CREATE TABLE build_logs (
    build  BIGINT NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    text   TEXT    NOT NULL,
    PRIMARY KEY (build, number)
);

-- Inputs and outputs of builds as compressed tar files, in numbered parts.
CREATE TABLE build_files (
    build BIGINT NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    kind  TEXT NOT NULL,
    name  TEXT COLLATE "C" NOT NULL,
    part  BIGINT NOT NULL,
    size  BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (build, kind, name, part)
);

-- Containers and volumes.
CREATE TABLE handles (
    handle        TEXT COLLATE "C" PRIMARY KEY,
    worker        TEXT COLLATE "C" NOT NULL,
    kind          TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    since         BIGINT NOT NULL,
    -- The first report without it since the last one with it.
    missing_since BIGINT,
    -- The last use of the container's terminal.
    terminal_at   BIGINT,
    -- The build of a container.
    build         BIGINT REFERENCES builds (id) ON DELETE SET NULL,
    -- The container that uses a volume.
    container     TEXT COLLATE "C" REFERENCES handles (handle) ON DELETE SET NULL,
    -- The volume that a volume is a copy of.
    parent        TEXT COLLATE "C" REFERENCES handles (handle) ON DELETE SET NULL
);

CREATE INDEX handles_by_worker ON handles (worker);
CREATE INDEX handles_by_build ON handles (build) WHERE build IS NOT NULL;
CREATE INDEX handles_by_container ON handles (container) WHERE container IS NOT NULL;
CREATE INDEX handles_by_parent ON handles (parent) WHERE parent IS NOT NULL;
CREATE INDEX handles_unsettled ON handles (kind, state, since) WHERE state <> 'created';
CREATE INDEX handles_missing ON handles (missing_since) WHERE missing_since IS NOT NULL;
CREATE INDEX handles_unused ON handles (kind, handle) WHERE build IS NULL AND container IS NULL;
