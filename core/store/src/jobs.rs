//! Jobs of pipelines.

use crate::args::{Value, args};
use crate::{Error, Store};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// A job to be stored by [`Store::load_jobs`].
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

/// A stored job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Job {
    /// Assigned by the database.
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

/// Jobs per transaction. SQLite has one writer at a time; a chunk occupies it for about 20 ms.
const CHUNK: usize = 500;
/// Arguments per job.
const COLUMNS: usize = 7;

impl Store {
    /// Inserts jobs, and returns how many were stored. An existing job with the same team, pipeline and
    /// name is replaced and keeps its id. If `jobs` contains a job twice, the last one is stored.
    ///
    /// Jobs are stored in chunks, each in a transaction. After an error the chunks before it are
    /// stored; loading all jobs again is safe.
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

    /// Stores a chunk in one statement, which is a transaction.
    async fn load_chunk(&self, chunk: &[NewJob]) -> Result<u64, Error> {
        // Postgres rejects a statement that replaces the same row twice.
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

    /// All jobs, sorted by team, pipeline and id. Their number, and so the memory used, is not limited.
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

    /// The number of jobs.
    pub async fn jobs_count(&self) -> Result<i64, Error> {
        let (count,): (i64,) = self
            .session()
            .await?
            .one("SELECT COUNT(*) FROM jobs", args![])
            .await?;
        Ok(count)
    }

    /// Deletes the jobs of a team; returns their number.
    pub async fn delete_jobs(&self, team: &str) -> Result<u64, Error> {
        self.session()
            .await?
            .execute("DELETE FROM jobs WHERE team = $1", args![team])
            .await
    }
}

/// The statement that stores `jobs` jobs. It contains no text from outside, so nothing can be injected.
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
