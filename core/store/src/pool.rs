//! The connections of a process.

use crate::url::Target;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, Database};
use std::time::Duration;

/// How long a query waits for a connection of the pool, a new one included.
const ACQUIRE_MAX: Duration = Duration::from_secs(3);
/// How long a connection that was idle may take to say that it still is one.
const PROOF_MAX: Duration = Duration::from_millis(500);
/// A connection that was idle for less is trusted: if it is gone nevertheless, one query says so.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// An idle connection is closed after this time.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// The connections of a process to one database.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    /// A pool that connects when it is asked to.
    pub(crate) fn lazy(target: &Target, connections_max: u32) -> Self {
        match target {
            Target::Sqlite(options) => Self::Sqlite(
                SqlitePoolOptions::new()
                    .max_connections(connections_max)
                    .acquire_timeout(ACQUIRE_MAX)
                    .idle_timeout(IDLE_MAX)
                    .connect_lazy_with(options.clone()),
            ),
            Target::Postgres(options) => Self::Postgres(
                PgPoolOptions::new()
                    .max_connections(connections_max)
                    .acquire_timeout(ACQUIRE_MAX)
                    .idle_timeout(IDLE_MAX)
                    .test_before_acquire(false)
                    .before_acquire(|connection, meta| {
                        Box::pin(async move {
                            if meta.idle_for < TRUSTED_FOR {
                                return Ok(true);
                            }
                            proof(connection).await.map(|()| true)
                        })
                    })
                    .connect_lazy_with(options.clone()),
            ),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Open connections, and the idle ones among them.
    pub(crate) fn sizes(&self) -> (u32, u32) {
        match self {
            Self::Sqlite(pool) => (pool.size(), pool.num_idle() as u32),
            Self::Postgres(pool) => (pool.size(), pool.num_idle() as u32),
        }
    }
}

/// Asks the other end whether it is there. An error makes the pool drop the connection without a
/// farewell, which would wait for an answer too.
async fn proof<C: Connection>(connection: &mut C) -> Result<(), sqlx::Error>
where
    C::Database: Database,
{
    match tokio::time::timeout(PROOF_MAX, connection.ping()).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
