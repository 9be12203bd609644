//! Connections by member, and what is told of them.

use crate::backend::{Database, until};
use crate::toggles::change;
use davy_store::{Action, BudgetFigures, Error, Store};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

/// Keeps everybody from changing a toggle until it is dropped.
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

fn budget(store: &Store, member: &str) -> BudgetFigures {
    store
        .figures()
        .budgets
        .into_iter()
        .find(|budget| budget.member == member)
        .expect("the member has a budget")
}

pub(crate) async fn a_member_uses_no_more_than_its_budget(database: Database) {
    let store = database.store().await;
    let (greedy, modest) = (store.member("greedy", 2), store.member("modest", 1));
    let lock = Lock::new(&database).await;
    let changes: Vec<_> = (0..5)
        .map(|number| {
            let store = greedy.clone();
            tokio::spawn(async move {
                let wish = change(&number.to_string(), Action::Disable);
                store.set_toggle(&wish).await
            })
        })
        .collect();
    until(
        "two connections are used and three waited for",
        async || {
            let figures = budget(&store, "greedy");
            assert!(figures.in_use <= 2, "{figures:?}");
            (figures.in_use, figures.waiting) == (2, 3)
        },
    )
    .await;
    // Nobody else notices.
    assert!(modest.ticks().await.unwrap().is_empty());
    store.ping().await.unwrap();
    lock.release().await;
    for change in changes {
        change.await.expect("it ended").expect("it was made");
    }
    let figures = budget(&store, "greedy");
    assert_eq!((figures.in_use, figures.waiting), (0, 0));
    assert_eq!(figures.refused, 0);

    // Handles of one member share its budget.
    let held = Lock::new(&database).await;
    let first = {
        let store = store.member("modest", 1);
        tokio::spawn(async move { store.set_toggle(&change("x", Action::Enable)).await })
    };
    until("the only connection is used", async || {
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
        // SQLite's own bound on waiting for a writer is as long, and may come first.
        Ok(_) if !database.is_postgres() => {}
        other => panic!("{other:?}"),
    }
    if let Err(error) = first.await.expect("it ended") {
        assert!(error.is_unreachable() && !database.is_postgres(), "{error}");
    }
}

pub(crate) async fn figures_tell_member_and_operation_apart(database: Database) {
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
        .give_slot("List", "a")
        .await
        .expect_err("there is no such table");
    let figures = store.figures();
    let rows: Vec<_> = figures
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
    let scans = &figures.queries[2];
    assert_eq!(scans.buckets.iter().sum::<u64>(), 2);
    assert!(scans.seconds > 0.0);
    assert_eq!(figures.connections_max, 10);
    assert!(figures.connections >= 1);
}
