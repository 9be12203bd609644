-- Periodic work that runs once in the fleet.
CREATE TABLE ticks (
    name        TEXT    PRIMARY KEY,
    -- 0 until somebody claims it for the first time.
    interval_ms INTEGER NOT NULL,
    -- The first claim; staleness counts from here until the first success.
    known_since INTEGER,
    -- Who has it, or had it last.
    holder      TEXT,
    -- Grows at every claim; what is written under an older one is refused.
    fence       INTEGER NOT NULL,
    -- NULL while nobody runs it.
    lease_until INTEGER,
    started_at  INTEGER,
    -- NULL while it runs, and after a run that was cut off: such a tick is due again.
    finished_at INTEGER,
    -- The end of the last success.
    last_run    INTEGER,
    outcome     TEXT,
    error       TEXT,
    duration_ms INTEGER,
    -- Somebody wants a run before the interval is over.
    woken       INTEGER NOT NULL
) STRICT;
