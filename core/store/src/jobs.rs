//! Jobs of pipelines.

use crate::args::{Value, args};
use crate::{Error, Store};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// A job that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// The team that owns the pipeline.
    pub team: String,
    /// The pipeline.
    pub pipeline: String,
    /// The job's name within the pipeline.
    pub name: String,
    /// Whether it is paused.
    pub paused: bool,
    /// Its configuration, as JSON.
    pub config: String,
    /// Its last build, as JSON.
    pub last_build: Option<String>,
    /// Its next build, as JSON.
    pub next_build: Option<String>,
}

/// A job that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Job {
    /// Its id, given by the database.
    pub id: i64,
    /// The team that owns the pipeline.
    pub team: String,
    /// The pipeline.
    pub pipeline: String,
    /// The job's name within the pipeline.
    pub name: String,
    /// Whether it is paused.
    pub paused: bool,
    /// Its configuration, as JSON.
    pub config: String,
    /// Its last build, as JSON.
    pub last_build: Option<String>,
    /// Its next build, as JSON.
    pub next_build: Option<String>,
}

/// Jobs a transaction: some 20 ms of SQLite's only writer, so that nobody waits long behind a load.
const CHUNK: usize = 500;
/// Columns that a job binds.
const COLUMNS: usize = 7;

impl Store {
    /// Stores jobs; one that is there already (same team, pipeline and name) is replaced and keeps
    /// its id, and of two in `jobs` the last counts. Gives how many were stored.
    ///
    /// They go in chunks, each of them whole or not at all. After an error the chunks before it are
    /// there; loading all of them again is harmless.
    pub async fn load_jobs(&self, jobs: impl IntoIterator<Item = NewJob>) -> Result<u64, Error> {
        let mut jobs = jobs.into_iter();
        let mut stored = 0;
        loop {
            let chunk: Vec<NewJob> = jobs.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return Ok(stored);
            }
            stored += self.load_chunk(&chunk).await?;
        }
    }

    /// One statement, which is a transaction of its own.
    async fn load_chunk(&self, chunk: &[NewJob]) -> Result<u64, Error> {
        // Postgres refuses a statement that replaces a row twice.
        let chunk: BTreeMap<(&str, &str, &str), &NewJob> = chunk
            .iter()
            .map(|job| ((&*job.team, &*job.pipeline, &*job.name), job))
            .collect();
        let args: Vec<Value<'_>> = chunk
            .values()
            .flat_map(|job| -> [Value<'_>; COLUMNS] {
                [
                    (&job.team).into(),
                    (&job.pipeline).into(),
                    (&job.name).into(),
                    job.paused.into(),
                    (&job.config).into(),
                    (&job.last_build).into(),
                    (&job.next_build).into(),
                ]
            })
            .collect();
        self.session()
            .await?
            .execute(AssertSqlSafe(insert(chunk.len())), &args)
            .await
    }

    /// All jobs, by team, pipeline and id.
    ///
    /// There is no bound on how many those are; whoever calls it answers for the memory.
    pub async fn jobs(&self) -> Result<Vec<Job>, Error> {
        self.session()
            .await?
            .all(
                "SELECT id, team, pipeline, name, paused, config, last_build, next_build
                 FROM jobs ORDER BY team, pipeline, id",
                args![],
            )
            .await
    }

    /// How many jobs there are.
    pub async fn jobs_count(&self) -> Result<i64, Error> {
        let (count,): (i64,) = self
            .session()
            .await?
            .one("SELECT COUNT(*) FROM jobs", args![])
            .await?;
        Ok(count)
    }

    /// Deletes the jobs of a team; gives how many those were.
    pub async fn delete_jobs(&self, team: &str) -> Result<u64, Error> {
        self.session()
            .await?
            .execute("DELETE FROM jobs WHERE team = $1", args![team])
            .await
    }
}

/// Stores so many jobs. Made of numbers only, so nothing can be injected.
fn insert(jobs: usize) -> String {
    let rows: Vec<String> = (0..jobs)
        .map(|job| {
            let columns: Vec<String> = (1..=COLUMNS)
                .map(|column| format!("${}", job * COLUMNS + column))
                .collect();
            format!("({})", columns.join(", "))
        })
        .collect();
    format!(
        "INSERT INTO jobs (team, pipeline, name, paused, config, last_build, next_build)
         VALUES {}
         ON CONFLICT (team, pipeline, name) DO UPDATE SET
            paused = excluded.paused, config = excluded.config,
            last_build = excluded.last_build, next_build = excluded.next_build",
        rows.join(", ")
    )
}
