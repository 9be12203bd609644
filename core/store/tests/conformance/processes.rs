//! Starts, reports and ends of processes.

use crate::backend::{Database, fast_clock, slow_clock};
use davy_base::Clock;
use davy_store::{NewProcess, ProcessRow, Store};
use std::time::Duration;
use ulid::Ulid;

/// Longer than any check takes.
const SILENCE: Duration = Duration::from_mins(1);

fn process(id: u128) -> NewProcess {
    NewProcess {
        id: Ulid(id),
        kind: "quickstart".to_owned(),
        host: "host".to_owned(),
        pid: 7,
        version: "0.1.0".to_owned(),
        parent: None,
        debug: None,
    }
}

fn id(id: u128) -> String {
    Ulid(id).to_string()
}

/// Moves the last sign of life of a process back in time by more than [`SILENCE`].
async fn silence(database: &Database, process: u128) {
    let millis = SILENCE.as_millis() + 1;
    let id = id(process);
    let sql = format!("UPDATE processes SET seen_at = seen_at - {millis} WHERE id = '{id}'");
    database.execute(&sql).await;
}

async fn live(store: &Store) -> Vec<ProcessRow> {
    store.live_processes(SILENCE).await.unwrap()
}

fn ids(rows: &[ProcessRow]) -> Vec<&str> {
    rows.iter().map(|row| &*row.id).collect()
}

pub(crate) async fn start_returns_the_previous_process_that_did_not_stop(database: Database) {
    let store = database.store().await;
    let first = store.process_started(&process(1)).await.unwrap();
    assert_eq!(first, None);
    store.close().await;

    let store = database.store().await;
    let previous = store.process_started(&process(2)).await.unwrap();
    let previous = previous.expect("the first process never stopped");
    assert_eq!((&*previous.id, previous.pid), (&*id(1), 7));
    assert_eq!(previous.seen_at, previous.started_at);
    store.process_stopped(&id(2), "drained").await.unwrap();
    let previous = store.process_started(&process(3)).await.unwrap();
    assert_eq!(previous, None, "the second process stopped");
    let newest = store.processes(2).await.unwrap();
    assert_eq!(ids(&newest), [id(3), id(2)]);
    assert_eq!(newest[1].stopped_at, Some(newest[1].seen_at));
    assert_eq!(newest[1].ending.as_deref(), Some("drained"));
}

pub(crate) async fn concurrent_starts_are_all_recorded(database: Database) {
    const EACH: u128 = 20;
    let stores = [database.store().await, database.store().await];
    let starting: Vec<_> = (0..4)
        .map(|starter| {
            let store = stores[starter as usize % 2].clone();
            tokio::spawn(async move {
                for start in 0..EACH {
                    let process = process(starter * EACH + start);
                    store.process_started(&process).await.expect("no conflict");
                }
            })
        })
        .collect();
    for started in starting {
        started.await.expect("no panic");
    }
    assert_eq!(stores[0].processes(1_000).await.unwrap().len(), 80);
}

pub(crate) async fn live_processes_reported_recently_and_did_not_stop(database: Database) {
    let store = database.store().await;
    for number in 1..=4 {
        let mut start = process(number);
        start.parent = (number == 4).then(|| id(1));
        start.debug = Some(format!("127.0.0.1:{number}"));
        store.process_started(&start).await.unwrap();
        silence(&database, number).await;
    }
    assert_eq!(live(&store).await, []);
    let report = format!("{{\"members\":\"{}\"}}", "ä".repeat(100_000));
    for number in [2, 3, 4] {
        assert!(store.process_report(&id(number), &report).await.unwrap());
    }
    silence(&database, 2).await;
    let rows = live(&store).await;
    assert_eq!(ids(&rows), [id(3), id(4)]);
    assert_eq!(rows[0].report.as_deref(), Some(&*report));
    assert_eq!(rows[1].parent, Some(id(1)));
    assert_eq!(rows[1].debug.as_deref(), Some("127.0.0.1:4"));
    store.process_stopped(&id(4), "drained").await.unwrap();
    assert_eq!(ids(&live(&store).await), [id(3)]);

    let listed = store.processes(10).await.unwrap();
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().all(|process| process.report.is_none()));
}

pub(crate) async fn liveness_does_not_depend_on_the_clocks_of_hosts(database: Database) {
    let accurate = database.store_on(Clock::system()).await;
    let slow = database.store_on(slow_clock()).await;
    let fast = database.store_on(fast_clock()).await;
    slow.process_started(&process(1)).await.unwrap();
    fast.process_started(&process(2)).await.unwrap();
    for store in [&accurate, &slow, &fast] {
        assert_eq!(ids(&live(store).await), [id(1), id(2)], "both just started");
    }
    silence(&database, 1).await;
    silence(&database, 2).await;
    for store in [&accurate, &slow, &fast] {
        assert_eq!(live(store).await, [], "both are silent");
    }
    assert!(slow.process_report(&id(1), "{}").await.unwrap());
    assert_eq!(ids(&live(&fast).await), [id(1)]);
    assert_eq!(fast.delete_silent_processes(SILENCE).await.unwrap(), 1);
    assert_eq!(ids(&accurate.processes(10).await.unwrap()), [id(1)]);
}

pub(crate) async fn report_of_an_unknown_process_is_rejected(database: Database) {
    let store = database.store().await;
    assert!(!store.process_report("unknown", "{}").await.unwrap());
}

pub(crate) async fn processes_silent_for_longest_are_deleted(database: Database) {
    let store = database.store().await;
    store.process_started(&process(1)).await.unwrap();
    database
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10005)
             INSERT INTO processes (id, kind, host, pid, version, started_at, seen_at)
             SELECT 'p' || i, 'k', 'h', 1, 'v', i, i FROM n",
        )
        .await;
    store.process_started(&process(2)).await.unwrap();
    let kept = store.processes(20_000).await.unwrap();
    assert_eq!(kept.len(), 10_000);
    assert!(kept.iter().any(|process| process.id == id(1)));
    assert!(kept.iter().all(|process| process.id != "p2"));

    let deleted = store.delete_silent_processes(SILENCE).await.unwrap();
    assert_eq!(deleted, 9_998);
    assert_eq!(store.processes(10).await.unwrap().len(), 2);
}
