//! The connection pool.

use crate::url::Target;
use davy_base::Clock;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, Database};
use std::time::Duration;

/// Time limit for acquiring a connection, including the time to open one.
const ACQUIRE_MAX: Duration = Duration::from_secs(3);
/// Time limit for the ping of an idle connection.
const PING_MAX: Duration = Duration::from_millis(500);
/// A connection that was idle for less than this is used without a ping. If it is lost nevertheless,
/// one query fails.
const UNCHECKED_FOR: Duration = Duration::from_secs(1);
/// Idle connections are closed after this time.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// The pool of connections to one database.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    /// A pool that opens connections when they are needed.
    pub(crate) fn lazy(target: &Target, connections_max: u32, clock: &Clock) -> Self {
        let clock = clock.clone();
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
                    .before_acquire(move |connection, meta| {
                        let clock = clock.clone();
                        Box::pin(async move {
                            if meta.idle_for < UNCHECKED_FOR {
                                return Ok(true);
                            }
                            ping(connection, &clock).await.map(|()| true)
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

    /// The number of open connections, and how many of them are idle.
    pub(crate) fn sizes(&self) -> (u32, u32) {
        match self {
            Self::Sqlite(pool) => (pool.size(), pool.num_idle() as u32),
            Self::Postgres(pool) => (pool.size(), pool.num_idle() as u32),
        }
    }
}

/// Checks that the server responds. On an error the pool drops the connection without closing it
/// properly, which would wait for a response again.
async fn ping<C: Connection>(connection: &mut C, clock: &Clock) -> Result<(), sqlx::Error>
where
    C::Database: Database,
{
    match clock.timeout(PING_MAX, connection.ping()).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
