//! Brings the tables to this version's shape.

use crate::Error;
use crate::url::Target;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use std::future::Future;
use std::time::Duration;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long others are waited for who migrate the same database, and a migration may take.
const MIGRATE_MAX: Duration = Duration::from_mins(1);

/// On a connection of its own, which is closed whatever happens: that frees every lock.
pub(crate) async fn run(target: &Target, name: &str) -> Result<(), Error> {
    match target {
        Target::Sqlite(options) => within(MIGRATE_MAX, name, sqlite(options, name)).await,
        Target::Postgres(options) => within(MIGRATE_MAX, name, postgres(options, name)).await,
    }
}

/// One transaction around all migrations. SQLite lets one process at a time write, so beginning one
/// is the lock, it holds between processes, and a kill in the middle leaves the tables as they were.
async fn sqlite(options: &SqliteConnectOptions, name: &str) -> Result<(), Error> {
    // Making the file and turning on its log can meet another who does the same; SQLite refuses
    // that at once instead of waiting.
    let options = options.clone().busy_timeout(MIGRATE_MAX);
    let mut connection = loop {
        match options.connect().await {
            Ok(connection) => break connection,
            Err(error) => match Error::of_opening(name, error) {
                error if error.is_unreachable() => tokio::time::sleep(RETRY).await,
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

/// Between two attempts to open a file that another is making.
const RETRY: Duration = Duration::from_millis(20);

/// Under the advisory lock of sqlx's migrator, which the end of the connection frees.
async fn postgres(options: &PgConnectOptions, name: &str) -> Result<(), Error> {
    let mut connection = within(CONNECT_MAX, name, async {
        options
            .connect()
            .await
            .map_err(|error| Error::of_opening(name, error))
    })
    .await?;
    // The wait for the lock and the migration itself may take longer than a query.
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
    bound: Duration,
    name: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(bound, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout {
            database: name.to_owned(),
            seconds: bound.as_secs(),
        }),
    }
}
