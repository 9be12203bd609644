//! Migrations, and the store before and after its life.

use crate::backend::Database;
use davy_store::{Error, Kind};

pub(crate) async fn eight_who_migrate_at_once_make_one_schema(database: Database) {
    let migrating: Vec<_> = (0..8)
        .map(|_| {
            let store = database.unmigrated();
            tokio::spawn(async move { store.migrate().await })
        })
        .collect();
    for migrated in migrating {
        migrated.await.expect("it ended").expect("it migrated");
    }
    let store = database.store().await;
    assert_eq!(store.toggles().await.unwrap(), (0, Vec::new()));
    store.ping().await.unwrap();
}

pub(crate) async fn a_newer_schema_is_refused(database: Database) {
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
    let error = store.migrate().await.expect_err("it is newer");
    assert!(
        matches!(error, Error::Newer { version: 9999, .. }),
        "{error}"
    );
    assert_eq!(error.kind(), Kind::Settings);
    assert!(error.to_string().contains(store.name()), "{error}");
}

pub(crate) async fn a_database_that_was_not_migrated_refuses_queries_for_good(database: Database) {
    let store = database.unmigrated();
    store.ping().await.expect("it is there");
    let error = store.jobs_count().await.expect_err("there is no table");
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    store.migrate().await.expect("it migrates");
    assert_eq!(store.jobs_count().await.unwrap(), 0);
}

pub(crate) async fn the_clock_of_the_fleet_goes(database: Database) {
    let store = database.store().await;
    let first = store.now().await.unwrap();
    let second = store.now().await.unwrap();
    assert!(first <= second && first.millis() > 1_700_000_000_000);
}

pub(crate) async fn a_closed_store_is_unreachable(database: Database) {
    let store = database.store().await;
    store.close().await;
    let error = store.ticks().await.expect_err("it is closed");
    assert!(error.is_unreachable(), "{error}");
    assert!(store.ping().await.is_err());
}
