-- A chunk is numbered by the bytes of the log up to its end, so that a repeated or resumed request finds its place.
-- Its text is in the row, or in an object of the bucket.
ALTER TABLE build_logs ADD COLUMN object TEXT;
ALTER TABLE build_logs ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
-- Parts of inputs and outputs too.
ALTER TABLE build_files ADD COLUMN object TEXT;
-- What the task has used, as JSON that the worker writes and its readers know.
ALTER TABLE builds ADD COLUMN usage TEXT;
-- Whether objects of the build may be in the bucket.
ALTER TABLE builds ADD COLUMN has_objects BOOLEAN NOT NULL DEFAULT FALSE;

-- Terminals in containers. Both sides fetch what the other one has sent; a worker opens every connection.
CREATE TABLE terminals (
    id           TEXT COLLATE "C" PRIMARY KEY,
    build        BIGINT NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    worker       TEXT   NOT NULL,
    container    TEXT   NOT NULL,
    -- JSON array; empty for a shell.
    command      TEXT   NOT NULL,
    -- waiting, open, closed
    state        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT   NOT NULL,
    -- The last request of the person.
    seen_at      BIGINT NOT NULL,
    width        BIGINT NOT NULL,
    height       BIGINT NOT NULL,
    inputs       BIGINT NOT NULL DEFAULT 0,
    output_bytes BIGINT NOT NULL DEFAULT 0,
    -- What the person has read of the output, in bytes.
    read_bytes   BIGINT NOT NULL DEFAULT 0,
    exit_code    BIGINT,
    error        TEXT
);

CREATE INDEX terminals_waiting ON terminals (id) WHERE state = 'waiting';
CREATE INDEX terminals_by_build ON terminals (build);
CREATE INDEX terminals_seen ON terminals (seen_at);

CREATE TABLE terminal_chunks (
    terminal  TEXT COLLATE "C" NOT NULL REFERENCES terminals (id) ON DELETE CASCADE,
    -- input or output
    direction TEXT    NOT NULL,
    -- Of inputs: counted from 1. Of outputs: the number of bytes up to the end.
    number    BIGINT  NOT NULL,
    bytes     BYTEA   NOT NULL,
    PRIMARY KEY (terminal, direction, number)
);
