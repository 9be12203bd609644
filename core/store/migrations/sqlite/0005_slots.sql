-- Requests in flight of endpoints that are limited across the fleet.
CREATE TABLE slots (
    op      TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    process TEXT    NOT NULL,
    -- From then on the slot is free, whether it was given back or not.
    until   INTEGER NOT NULL,
    PRIMARY KEY (op, id)
) STRICT;
