//! An empty database for each check, gone when the check is.

use davy_base::{Clock, Random};
use davy_store::{Options, Store};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use std::future::Future;
use std::time::Duration;
use tokio::task::LocalSet;
use ulid::Ulid;

/// A database that nobody else uses.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Database {
    /// Another process's view of it: a store of its own, migrated.
    pub(crate) async fn store(&self) -> Store {
        let store = self.unmigrated();
        store.migrate().await.expect("it migrates");
        store
    }

    pub(crate) fn unmigrated(&self) -> Store {
        Store::new(Options::new(&self.url)).expect("the URL is understood")
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres:")
    }

    /// Runs statements past the store.
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
        done.expect("the statement is right");
    }
}

/// Runs a check on a fresh file.
pub(crate) async fn on_sqlite<F>(check: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().expect("a scratch folder");
    let url = format!("sqlite:{}", folder.path().join("davy.db").display());
    check(Database { url }).await;
}

/// Runs a check on a fresh database of the server that `ops/dev/postgres` started.
pub(crate) async fn on_postgres<F>(check: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let server = server();
    let id = Ulid::from_parts(
        Clock::system().now().millis() as u64,
        Random::system().next_u128(),
    );
    let name = format!("davy_{id}").to_lowercase();
    admin(&server, &format!("CREATE DATABASE {name}")).await;
    let base = server
        .rsplit_once('/')
        .expect("a URL of a server ends in a database")
        .0;
    let url = format!("{base}/{name}");
    // In a task of its own, so that the database is dropped after a failure too.
    let tasks = LocalSet::new();
    let check = tasks.spawn_local(check(Database { url }));
    let result = tasks.run_until(check).await;
    admin(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(error) = result {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// The URL of the server.
pub(crate) fn server() -> String {
    std::env::var("DEV_POSTGRES").unwrap_or_else(|_| {
        panic!(
            "this test needs a Postgres, whose URL is in DEV_POSTGRES: \
             run it by `ops/dev/postgres run cargo nextest run -p davy-store`"
        )
    })
}

async fn admin(server: &str, sql: &str) {
    let mut raw = PgConnection::connect(server)
        .await
        .expect("the server of DEV_POSTGRES answers");
    raw.execute(AssertSqlSafe(sql.to_owned()))
        .await
        .expect("databases can be made and dropped");
}

/// Waits until something has come about; fails after ten seconds.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let mut interval = tokio::time::interval(Duration::from_millis(5));
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !is_so().await {
            interval.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "it never came about that {what}");
}
