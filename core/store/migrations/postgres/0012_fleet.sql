-- What the page Fleet and the metrics show of a worker without counting its handles.

-- The handles in the last accepted report.
ALTER TABLE workers ADD COLUMN reported_containers BIGINT NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN reported_volumes    BIGINT NOT NULL DEFAULT 0;
-- The file system of the worker's folder, as the worker last said.
ALTER TABLE workers ADD COLUMN disk_bytes      BIGINT;
ALTER TABLE workers ADD COLUMN disk_free_bytes BIGINT;
-- The row of its process in the table processes.
ALTER TABLE workers ADD COLUMN process TEXT;
-- Handles in the last accepted report that no row named, and when a report last had some.
ALTER TABLE workers ADD COLUMN unknown_handles BIGINT NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN unknown_at      BIGINT;
