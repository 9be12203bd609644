//! Migrates the schema to this version.

use crate::Error;
use crate::url::Target;
use davy_base::Clock;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Time limit for connecting.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Time limit for a migration, including the wait for other processes that migrate the same database.
const MIGRATE_MAX: Duration = Duration::from_mins(1);

/// Migrates over a separate connection. Closing it, which also happens after an error, releases every
/// lock.
pub(crate) async fn run(target: &Target, name: &str, clock: &Clock) -> Result<(), Error> {
    // Boxed, because the state of connecting and migrating is large.
    let migration: BoxFuture<'_, Result<(), Error>> = match target {
        Target::Sqlite(options) => Box::pin(sqlite(options, name, clock)),
        Target::Postgres(options) => Box::pin(postgres(options, name, clock)),
    };
    within(clock, MIGRATE_MAX, name, migration).await
}

/// Runs all migrations in one transaction. SQLite has one writer at a time over all processes, so the
/// transaction is also the lock, and a process killed in the middle leaves the schema unchanged.
async fn sqlite(options: &SqliteConnectOptions, name: &str, clock: &Clock) -> Result<(), Error> {
    // If another process creates the file or enables its write-ahead log at the same moment, SQLite
    // fails immediately instead of waiting.
    let options = options.clone().busy_timeout(MIGRATE_MAX);
    let mut connection = loop {
        match options.connect().await {
            Ok(connection) => break connection,
            Err(error) => match Error::of_opening(name, error) {
                error if error.is_transient() => clock.sleep(RETRY).await,
                error => return Err(error),
            },
        }
    };
    let failed = |error| Error::of_query(name, error);
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed)?;
    SQLITE
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| Error::of_migration(name, error))?;
    transaction.commit().await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

/// The pause between attempts to open a file that another process is creating.
const RETRY: Duration = Duration::from_millis(20);

/// Runs the migrations under the advisory lock of sqlx's migrator, which is released when the
/// connection ends.
async fn postgres(options: &PgConnectOptions, name: &str, clock: &Clock) -> Result<(), Error> {
    let mut connection = within(clock, CONNECT_MAX, name, async {
        options
            .connect()
            .await
            .map_err(|error| Error::of_opening(name, error))
    })
    .await?;
    // Waiting for the lock, and the migration itself, may take longer than the limit of a query.
    connection
        .execute("SET statement_timeout = '60s'")
        .await
        .map_err(|error| Error::of_query(name, error))?;
    POSTGRES
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|error| Error::of_migration(name, error))?;
    connection
        .close()
        .await
        .map_err(|error| Error::of_query(name, error))
}

async fn within<T>(
    clock: &Clock,
    limit: Duration,
    name: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match clock.timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout {
            database: name.to_owned(),
            seconds: limit.as_secs(),
        }),
    }
}
