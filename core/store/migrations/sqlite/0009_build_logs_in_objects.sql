-- A chunk is numbered by the bytes of the log up to its end, so that a repeated or resumed request finds its place.
-- Its text is in the row, or in an object of the bucket.
ALTER TABLE build_logs ADD COLUMN object TEXT;
ALTER TABLE build_logs ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
-- Parts of inputs and outputs too.
ALTER TABLE build_files ADD COLUMN object TEXT;
-- What the task has used, as JSON that the worker writes and its readers know.
ALTER TABLE builds ADD COLUMN usage TEXT;
-- Whether objects of the build may be in the bucket.
ALTER TABLE builds ADD COLUMN has_objects INTEGER NOT NULL DEFAULT FALSE;
