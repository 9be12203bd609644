-- Saved views of profiles: links with a title and a note.
CREATE TABLE views (
    id       TEXT   PRIMARY KEY,
    tenant   TEXT   NOT NULL,
    title    TEXT   NOT NULL,
    note     TEXT   NOT NULL,
    link     TEXT   NOT NULL,
    operator TEXT   NOT NULL,
    at       BIGINT NOT NULL
);
CREATE INDEX views_by_tenant ON views (tenant, id);
