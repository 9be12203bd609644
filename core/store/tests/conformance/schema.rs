//! Migrations, the fleet's clock and closed stores.

use crate::backend::{Database, fast_clock};
use davy_base::Clock;
use davy_store::{Error, ErrorKind};
use std::time::Duration;

pub(crate) async fn concurrent_migrations_create_one_schema(database: Database) {
    let migrating: Vec<_> = (0..8)
        .map(|_| {
            let store = database.unmigrated();
            tokio::spawn(async move { store.migrate().await })
        })
        .collect();
    for migrated in migrating {
        migrated
            .await
            .expect("no panic")
            .expect("the migration succeeds");
    }
    let store = database.store().await;
    assert_eq!(store.toggles().await.unwrap(), (0, Vec::new()));
    store.ping().await.unwrap();
}

pub(crate) async fn newer_schema_is_rejected(database: Database) {
    let store = database.store().await;
    let now = if database.is_postgres() {
        "now(), TRUE, ''::bytea"
    } else {
        "'', TRUE, x''"
    };
    database
        .execute(&format!(
            "INSERT INTO _sqlx_migrations
                (version, description, installed_on, success, checksum, execution_time)
             VALUES (9999, 'later', {now}, 0)"
        ))
        .await;
    let error = store.migrate().await.expect_err("the schema is newer");
    assert!(
        matches!(error, Error::Newer { version: 9999, .. }),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains(store.name()), "{error}");
}

pub(crate) async fn unmigrated_database_rejects_queries(database: Database) {
    let store = database.unmigrated();
    store.ping().await.expect("the database responds");
    let error = store.jobs_count().await.expect_err("no such table");
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    store.migrate().await.expect("the migration succeeds");
    assert_eq!(store.jobs_count().await.unwrap(), 0);
}

pub(crate) async fn fleet_clock_advances_and_ignores_the_host(database: Database) {
    let accurate = database.store_on(Clock::system()).await;
    let fast = database.store_on(fast_clock()).await;
    let first = fast.now().await.unwrap();
    let second = accurate.now().await.unwrap();
    let third = fast.now().await.unwrap();
    assert!(first <= second && second <= third);
    // The server and this test run on the same machine.
    let host = Clock::system().now();
    let minute = Duration::from_mins(1);
    assert!(host.minus(minute) < first && third < host.plus(minute));
}

pub(crate) async fn closed_store_is_unreachable(database: Database) {
    let store = database.store().await;
    store.close().await;
    let error = store.ticks().await.expect_err("the store is closed");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(store.ping().await.is_err());
}
