-- Marking looks for what is not doomed yet of builds that are over. Without the state it reads what it has doomed before,
-- again in each batch.
DROP INDEX handles_by_build;
CREATE INDEX handles_by_build ON handles (build, state) WHERE build IS NOT NULL;
