-- What a live process says of itself: when it was last heard, who started it, where it answers.
ALTER TABLE processes ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
-- The id of the process that started it, for a child.
ALTER TABLE processes ADD COLUMN parent TEXT;
-- The address of its debug port.
ALTER TABLE processes ADD COLUMN debug TEXT;
-- JSON that the process writes and its readers know; nothing here looks into it.
ALTER TABLE processes ADD COLUMN report TEXT;

UPDATE processes SET seen_at = COALESCE(stopped_at, started_at);

CREATE INDEX processes_by_seen ON processes (seen_at DESC);
