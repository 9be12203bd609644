//! Budgets of connections, and statistics by member and operation.

use crate::backend::{Database, until};
use crate::toggles::change;
use davy_store::{Action, BudgetStats, Error, Store};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

/// Blocks all changes of toggles until it is dropped.
enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    async fn new(database: &Database) -> Self {
        if database.is_postgres() {
            let mut raw = PgConnection::connect(&database.url).await.unwrap();
            raw.execute("BEGIN").await.unwrap();
            raw.execute("LOCK TABLE counters IN ACCESS EXCLUSIVE MODE")
                .await
                .unwrap();
            Self::Postgres(raw)
        } else {
            let mut raw = SqliteConnection::connect(&database.url).await.unwrap();
            raw.execute("BEGIN IMMEDIATE").await.unwrap();
            Self::Sqlite(raw)
        }
    }

    async fn release(self) {
        match self {
            Self::Sqlite(raw) => raw.close().await.unwrap(),
            Self::Postgres(raw) => raw.close().await.unwrap(),
        }
    }
}

fn budget(store: &Store, member: &str) -> BudgetStats {
    store
        .stats()
        .budgets
        .into_iter()
        .find(|budget| budget.member == member)
        .expect("the member has a budget")
}

pub(crate) async fn member_uses_at_most_its_budget(database: Database) {
    let store = database.store().await;
    let (greedy, modest) = (store.member("greedy", 2), store.member("modest", 1));
    let lock = Lock::new(&database).await;
    let changes: Vec<_> = (0..5)
        .map(|number| {
            let store = greedy.clone();
            tokio::spawn(async move {
                let disable = change(&number.to_string(), Action::Disable);
                store.set_toggle(&disable).await
            })
        })
        .collect();
    until(
        "two connections are in use and three queries wait",
        async || {
            let stats = budget(&store, "greedy");
            assert!(stats.in_use <= 2, "{stats:?}");
            (stats.in_use, stats.waiting) == (2, 3)
        },
    )
    .await;
    // Other members are not affected.
    assert!(modest.ticks().await.unwrap().is_empty());
    store.ping().await.unwrap();
    lock.release().await;
    for change in changes {
        change
            .await
            .expect("no panic")
            .expect("the lock was released");
    }
    let stats = budget(&store, "greedy");
    assert_eq!((stats.in_use, stats.waiting, stats.refused), (0, 0, 0));

    // Handles of the same member share its budget.
    let held = Lock::new(&database).await;
    let first = {
        let store = store.member("modest", 1);
        tokio::spawn(async move { store.set_toggle(&change("x", Action::Enable)).await })
    };
    until("the only connection is in use", async || {
        budget(&store, "modest").in_use == 1
    })
    .await;
    let refused = store.member("modest", 1).ticks().await;
    held.release().await;
    match refused {
        Err(Error::Budget {
            member,
            connections,
            ..
        }) => assert_eq!((&*member, connections), ("modest", 1)),
        // SQLite's own time limit for a lock is just as long, and may pass first.
        Ok(_) if !database.is_postgres() => {}
        other => panic!("{other:?}"),
    }
    if let Err(error) = first.await.expect("no panic") {
        assert!(error.is_transient() && !database.is_postgres(), "{error}");
    }
}

pub(crate) async fn stats_separate_members_and_operations(database: Database) {
    let store = database.store().await;
    let scanner = store.member("scanner", 2);
    davy_tag::tagged("ignored", "Scan", async {
        scanner.ticks().await.unwrap();
        scanner.ticks().await.unwrap();
    })
    .await;
    davy_tag::tagged("api", "List", store.jobs()).await.unwrap();
    database.execute("DROP TABLE slots").await;
    scanner
        .release_slot("List", "a")
        .await
        .expect_err("no such table");
    let stats = store.stats();
    let rows: Vec<_> = stats
        .queries
        .iter()
        .map(|row| (&*row.member, &*row.op, row.queries, row.errors))
        .collect();
    assert_eq!(
        rows,
        [
            ("api", "List", 1, 0),
            ("scanner", "", 1, 1),
            ("scanner", "Scan", 2, 0)
        ]
    );
    let scans = &stats.queries[2];
    assert_eq!(scans.buckets.iter().sum::<u64>(), 2);
    assert!(scans.seconds > 0.0);
    assert_eq!(stats.connections_max, 10);
    assert!(stats.connections >= 1);
}
