-- Requests in flight of endpoints that are limited across the fleet.
CREATE TABLE slots (
    op      TEXT COLLATE "C" NOT NULL,
    id      TEXT    NOT NULL,
    process TEXT    NOT NULL,
    -- From then on the slot is free, whether it was given back or not.
    until   BIGINT  NOT NULL,
    PRIMARY KEY (op, id)
);
