//! Starts, reports and ends.

use crate::backend::Database;
use davy_base::Timestamp;
use davy_store::ProcessRow;
use ulid::Ulid;

fn row(id: u128, at: i64) -> ProcessRow {
    ProcessRow::new(
        Ulid(id),
        "quickstart",
        "host",
        7,
        "0.1.0",
        Timestamp::from_millis(at),
    )
}

pub(crate) async fn a_start_tells_of_the_one_before_that_never_ended(database: Database) {
    let store = database.store().await;
    assert_eq!(store.process_started(&row(1, 10)).await.unwrap(), None);
    store.close().await;

    let store = database.store().await;
    let before = store.process_started(&row(2, 20)).await.unwrap();
    assert_eq!(before, Some(row(1, 10)));
    store
        .process_stopped(&Ulid(2).to_string(), Timestamp::from_millis(30), "drained")
        .await
        .unwrap();
    assert_eq!(store.process_started(&row(3, 40)).await.unwrap(), None);
    let newest = store.processes(2).await.unwrap();
    assert_eq!(newest[0], row(3, 40));
    assert_eq!(newest[1].stopped_at, Some(30));
    assert_eq!(newest[1].ending.as_deref(), Some("drained"));
    assert_eq!(newest.len(), 2);
}

pub(crate) async fn processes_that_start_at_once_are_all_remembered(database: Database) {
    const EACH: u128 = 20;
    let stores = [database.store().await, database.store().await];
    let starting: Vec<_> = (0..4)
        .map(|process| {
            let store = stores[process as usize % 2].clone();
            tokio::spawn(async move {
                for start in 0..EACH {
                    let row = row(process * EACH + start, start as i64);
                    store
                        .process_started(&row)
                        .await
                        .expect("nobody is in the way");
                }
            })
        })
        .collect();
    for started in starting {
        started.await.expect("all were remembered");
    }
    assert_eq!(stores[0].processes(1_000).await.unwrap().len(), 80);
}

pub(crate) async fn live_processes_are_those_heard_of_lately(database: Database) {
    let store = database.store().await;
    for id in 1..=4 {
        let mut start = row(id, id as i64);
        start.parent = (id == 4).then(|| Ulid(1).to_string());
        start.debug = Some(format!("127.0.0.1:{id}"));
        store.process_started(&start).await.unwrap();
    }
    let report = format!("{{\"members\":\"{}\"}}", "ä".repeat(100_000));
    for (id, at) in [(2, 1_000), (3, 2_000), (4, 2_001)] {
        let id = Ulid(id).to_string();
        assert!(store.process_report(&id, at, &report).await.unwrap());
    }
    let stopped = Ulid(4).to_string();
    let live = store.live_processes(2_000).await.unwrap();
    assert_eq!(live.len(), 2);
    assert_eq!(live[0].report.as_deref(), Some(&*report));
    assert_eq!(live[1].parent, Some(Ulid(1).to_string()));
    assert_eq!(live[1].debug.as_deref(), Some("127.0.0.1:4"));
    store
        .process_stopped(&stopped, Timestamp::from_millis(3_000), "drained")
        .await
        .unwrap();
    let live = store.live_processes(2_000).await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(
        (live[0].id.as_str(), live[0].seen_at),
        (&*Ulid(3).to_string(), 2_000)
    );

    let listed = store.processes(10).await.unwrap();
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().all(|process| process.report.is_none()));
}

pub(crate) async fn a_report_of_an_unknown_process_is_refused(database: Database) {
    let store = database.store().await;
    assert!(!store.process_report("nobody", 1, "{}").await.unwrap());
}

pub(crate) async fn processes_heard_of_least_recently_are_forgotten(database: Database) {
    let store = database.store().await;
    // The oldest start of all, but heard of last.
    store.process_started(&row(1, 1)).await.unwrap();
    let first = Ulid(1).to_string();
    store.process_report(&first, 100_000, "{}").await.unwrap();
    database
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10005)
             INSERT INTO processes (id, kind, host, pid, version, started_at, seen_at)
             SELECT 'p' || i, 'k', 'h', 1, 'v', i, i FROM n",
        )
        .await;
    store.process_started(&row(2, 50_000)).await.unwrap();
    let kept = store.processes(20_000).await.unwrap();
    assert_eq!(kept.len(), 10_000);
    assert!(kept.iter().any(|process| process.id == first));
    assert!(kept.iter().all(|process| process.id != "p2"));

    assert_eq!(store.forget_processes(50_000).await.unwrap(), 9_998);
    assert_eq!(store.processes(10).await.unwrap().len(), 2);
}
