//! An empty database for each check, dropped after it.

use davy_base::{Clock, Random};
use davy_store::{Store, StoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::LocalSet;
use ulid::Ulid;

/// By how much the clocks of two hosts differ.
const SKEW: Duration = Duration::from_mins(10);

/// A database for one check.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
    hosts: Arc<AtomicUsize>,
}

impl Database {
    fn new(url: String) -> Self {
        Self {
            url,
            hosts: Arc::default(),
        }
    }

    /// A migrated store, as if opened on another host: the clocks of two stores opened one after the
    /// other differ by ten minutes.
    pub(crate) async fn store(&self) -> Store {
        if self.hosts.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            self.store_on(Clock::system()).await
        } else {
            self.store_on(fast_clock()).await
        }
    }

    /// A migrated store on a host with this clock.
    pub(crate) async fn store_on(&self, clock: Clock) -> Store {
        let store = Store::new(StoreOptions {
            clock,
            ..StoreOptions::new(&self.url)
        })
        .expect("a valid URL");
        store.migrate().await.expect("the migration succeeds");
        store
    }

    pub(crate) fn unmigrated(&self) -> Store {
        Store::new(StoreOptions::new(&self.url)).expect("a valid URL")
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres:")
    }

    /// Runs SQL without the store.
    pub(crate) async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        let done = if self.is_postgres() {
            let mut raw = PgConnection::connect(&self.url)
                .await
                .expect("a connection");
            raw.execute(sql).await.map(|_| ())
        } else {
            let mut raw = SqliteConnection::connect(&self.url)
                .await
                .expect("a connection");
            raw.execute(sql).await.map(|_| ())
        };
        done.expect("valid SQL");
    }
}

/// The clock of a host, ten minutes ahead of this machine's.
pub(crate) fn fast_clock() -> Clock {
    Clock::tokio(Clock::system().now().plus(SKEW))
}

/// The clock of a host, ten minutes behind this machine's.
pub(crate) fn slow_clock() -> Clock {
    Clock::tokio(Clock::system().now().minus(SKEW))
}

/// Runs a check on a new SQLite file.
pub(crate) async fn on_sqlite<F>(check: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("davy.db").display());
    check(Database::new(url)).await;
}

/// Runs a check on a new database of the server that `ops/dev/postgres` started.
pub(crate) async fn on_postgres<F>(check: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let Some(server) = server() else {
        return;
    };
    let id = Ulid::from_parts(
        Clock::system().now().millis() as u64,
        Random::system().next_u128(),
    );
    let name = format!("davy_{id}").to_lowercase();
    admin(&server, &format!("CREATE DATABASE {name}")).await;
    let base = server
        .rsplit_once('/')
        .expect("the server's URL ends with a database")
        .0;
    let url = format!("{base}/{name}");
    // In a separate task, so that the database is dropped after a failed check too.
    let tasks = LocalSet::new();
    let check = tasks.spawn_local(check(Database::new(url)));
    let result = tasks.run_until(check).await;
    admin(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(error) = result {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// The URL of the Postgres server. Without one, reports the calling test as skipped.
pub(crate) fn server() -> Option<String> {
    let url = std::env::var("DEV_POSTGRES").ok();
    if url.is_none() {
        davy_test_support::skip(
            "no Postgres server: run `ops/dev/postgres run cargo nextest run -p davy-store`",
        );
    }
    url
}

async fn admin(server: &str, sql: &str) {
    let mut raw = PgConnection::connect(server)
        .await
        .expect("the server of DEV_POSTGRES responds");
    raw.execute(AssertSqlSafe(sql.to_owned()))
        .await
        .expect("the user may create and drop databases");
}

/// Waits until a condition holds; fails after ten seconds.
pub(crate) async fn until(condition: &str, mut holds: impl AsyncFnMut() -> bool) {
    let clock = Clock::system();
    let mut interval = clock.interval(Duration::from_millis(5));
    let polling = Box::pin(async {
        while !holds().await {
            interval.tick().await;
        }
    });
    let waited = clock.timeout(Duration::from_secs(10), polling).await;
    assert!(waited.is_ok(), "timed out waiting until {condition}");
}
