-- A collector looks at the first builds that are over and not released, whatever the number of those that run.
DROP INDEX builds_unreleased;
CREATE INDEX builds_over ON builds (id)
    WHERE NOT is_released AND state IN ('succeeded', 'failed', 'errored', 'aborted');
