-- Periodic work that runs once in the fleet.
CREATE TABLE ticks (
    name        TEXT COLLATE "C" PRIMARY KEY,
    -- 0 until somebody claims it for the first time.
    interval_ms BIGINT  NOT NULL,
    -- The first claim; staleness counts from here until the first success.
    known_since BIGINT,
    -- Who has it, or had it last.
    holder      TEXT,
    -- Grows at every claim; what is written under an older one is refused.
    fence       BIGINT  NOT NULL,
    -- NULL while nobody runs it.
    lease_until BIGINT,
    started_at  BIGINT,
    -- NULL while it runs, and after a run that was cut off: such a tick is due again.
    finished_at BIGINT,
    -- The end of the last success.
    last_run    BIGINT,
    outcome     TEXT,
    error       TEXT,
    duration_ms BIGINT,
    -- Somebody wants a run before the interval is over.
    woken       BOOLEAN NOT NULL
);
