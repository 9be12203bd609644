#![doc = include_str!("../README.md")]

mod processes;

pub use processes::ProcessRow;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use std::str::FromStr;
use std::time::Duration;

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

/// Why the database did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no database that this build knows.
    #[error("database {url:?} is not understood: write sqlite:PATH")]
    Url {
        /// The URL as given.
        url: String,
    },
    /// It can't be opened.
    #[error("database {url} can't be opened: {source}")]
    Open {
        /// The URL as given.
        url: String,
        /// What the database says.
        source: sqlx::Error,
    },
    /// Its tables can't be brought to this version's shape.
    #[error("database {url} can't be migrated: {source}")]
    Migrate {
        /// The URL as given.
        url: String,
        /// What the migration says.
        source: sqlx::migrate::MigrateError,
    },
    /// A query failed.
    #[error("the database refused a query: {0}")]
    Query(#[from] sqlx::Error),
}

/// Connections at once. SQLite has one writer; readers pass it by through the write-ahead log.
const CONNECTIONS_MAX: u32 = 4;
/// How long a writer waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl Store {
    /// Opens `sqlite:PATH`, makes the file if it is not there, and migrates it.
    pub async fn open(url: &str) -> Result<Self, Error> {
        if !url.starts_with("sqlite:") {
            return Err(Error::Url {
                url: url.to_owned(),
            });
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|_| Error::Url {
                url: url.to_owned(),
            })?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .min_connections(0)
            .idle_timeout(Duration::from_mins(1))
            .connect_with(options)
            .await
            .map_err(|source| Error::Open {
                url: url.to_owned(),
                source,
            })?;
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|source| Error::Migrate {
                url: url.to_owned(),
                source,
            })?;
        Ok(Self { pool })
    }

    /// Closes all connections after the queries that run.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
