//! What the page Fleet and the metrics show.

use crate::backend::Database;
use crate::workers::{register, report};
use davy_model::sync::generation;
use davy_model::{BuildState, HandleKind, HandleState, WorkerState};
use davy_store::{Backlog, Store, WorkerUsage};

async fn insert(database: &Database, handle: &str, kind: &str, state: &str, container: &str) {
    database
        .execute(&format!(
            "INSERT INTO handles (handle, worker, kind, state, since, container)
             VALUES ('{handle}', 'a', '{kind}', '{state}', 5, {container})"
        ))
        .await;
}

pub(crate) async fn backlog_counts_what_collectors_and_workers_have_to_do(database: Database) {
    let store = database.store().await;
    register(&store, "a").await;
    let counts = async |backlog: Result<Backlog, davy_store::Error>| {
        let Backlog {
            due,
            doomed,
            doomed_since,
        } = backlog.unwrap();
        (due, doomed, doomed_since)
    };
    assert_eq!(counts(store.container_backlog().await).await, (0, 0, None));
    insert(&database, "c1", "container", "created", "NULL").await;
    insert(&database, "c2", "container", "failed", "NULL").await;
    insert(&database, "c3", "container", "destroying", "NULL").await;
    insert(&database, "v1", "volume", "created", "'c1'").await;
    insert(&database, "v2", "volume", "created", "NULL").await;
    insert(&database, "v3", "volume", "destroying", "NULL").await;
    assert_eq!(
        counts(store.container_backlog().await).await,
        (2, 1, Some(5))
    );
    assert_eq!(counts(store.volume_backlog().await).await, (1, 1, Some(5)));
    // What the backlog counts as due is what the next run changes.
    assert_eq!(store.mark_containers(9).await.unwrap().doomed, 2);
    assert_eq!(store.mark_volumes(9).await.unwrap().doomed, 1);
    assert_eq!(
        counts(store.container_backlog().await).await,
        (0, 3, Some(5))
    );
    assert_eq!(counts(store.build_backlog().await).await, (0, 0, None));
    store.land_worker("a").await.unwrap();
    assert_eq!(counts(store.worker_backlog().await).await, (1, 0, None));
    assert_eq!(store.mark_workers(9).await.unwrap().moved, 1);
    assert_eq!(counts(store.worker_backlog().await).await, (0, 0, None));
}

pub(crate) async fn lists_are_filtered_by_state_and_worker(database: Database) {
    let store = database.store().await;
    for name in ["a", "b", "c"] {
        register(&store, name).await;
    }
    store.land_worker("b").await.unwrap();
    let names = async |state, after: &str| -> Vec<String> {
        let rows = store.workers_in(state, after, 9).await.unwrap();
        rows.into_iter().map(|row| row.name).collect()
    };
    assert_eq!(names(None, "a").await, ["b", "c"]);
    assert_eq!(names(Some(WorkerState::Running), "").await, ["a", "c"]);
    assert_eq!(names(Some(WorkerState::Landing), "").await, ["b"]);
    insert(&database, "c1", "container", "created", "NULL").await;
    insert(&database, "c2", "container", "failed", "NULL").await;
    let failed = Some(HandleState::Failed);
    let rows = store.handles_in(HandleKind::Container, failed, "a", "", 9);
    assert_eq!(rows.await.unwrap()[0].handle, "c2");
    let first = store
        .create_build("eve", "{}", "linux", true)
        .await
        .unwrap();
    let second = store
        .create_build("eve", "{}", "linux", true)
        .await
        .unwrap();
    store.abort_build(first).await.unwrap();
    let ids = async |state, worker: &str| -> Vec<i64> {
        let rows = store.builds_in(state, worker, None, 9).await.unwrap();
        rows.into_iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(None, "").await, [second, first]);
    assert_eq!(ids(Some(BuildState::Aborted), "").await, [first]);
    assert_eq!(ids(None, "a").await, [0; 0]);
    let sums = store.build_sums().await.unwrap();
    assert_eq!((sums.pending, sums.started), (1, 0));
}

pub(crate) async fn sums_are_of_the_last_reports(database: Database) {
    let store = database.store().await;
    for name in ["a", "b"] {
        let registration = register(&store, name).await;
        let handles = [format!("{name}1"), format!("{name}2")];
        let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
        let report = report(generation(registration, 1), &handles);
        store.sync_worker(name, &report, None).await.unwrap();
    }
    let sums = store.worker_sums().await.unwrap();
    assert_eq!(sums.len(), 1);
    let sum = &sums[0];
    assert_eq!((&*sum.state, sum.workers), ("running", 2));
    assert_eq!((sum.capacity, sum.containers, sum.volumes), (500, 4, 0));
    let fullest = store.fullest_workers(1).await.unwrap();
    assert_eq!((fullest.len(), fullest[0].containers), (1, 2));
}

pub(crate) async fn container_has_the_figures_of_the_last_report(database: Database) {
    let store = database.store().await;
    let registration = register(&store, "a").await;
    insert(&database, "c1", "container", "created", "NULL").await;
    insert(&database, "c2", "container", "created", "NULL").await;
    insert(&database, "v1", "volume", "created", "'c1'").await;
    let figures = async |kind| {
        let rows = store.handles_in(kind, None, "", "", 9).await.unwrap();
        let rows = rows.into_iter().map(|row| {
            let value = row.figures.map(|text| serde_json::from_str(&text).unwrap());
            (row.handle, value)
        });
        rows.collect::<Vec<(String, Option<serde_json::Value>)>>()
    };
    let none = |handle: &str| (handle.to_owned(), None);
    let containers = figures(HandleKind::Container).await;
    assert_eq!(containers, [none("c1"), none("c2")], "no report yet");
    let report = report(generation(registration, 1), &["c1", "c2"]);
    let status = r#"{"containers": {"c1": {"pids": 3, "pressure": {"cpu_some": 7}}}}"#;
    let synced = store.sync_worker("a", &report, Some(status)).await;
    synced.unwrap();
    let c1 = serde_json::json!({"pids": 3, "pressure": {"cpu_some": 7}});
    let containers = figures(HandleKind::Container).await;
    assert_eq!(containers, [("c1".to_owned(), Some(c1)), none("c2")]);
    assert_eq!(figures(HandleKind::Volume).await, [none("v1")]);
}

fn usage<'a>(process: &'a str, report: &'a str) -> WorkerUsage<'a> {
    WorkerUsage {
        process,
        host: "h",
        pid: 7,
        version: "0",
        report,
        disk_bytes: Some(100),
        disk_free_bytes: Some(40),
    }
}

async fn reports(store: &Store) -> Vec<(String, Option<String>)> {
    let rows = store
        .live_processes(std::time::Duration::from_mins(1))
        .await;
    let rows = rows.unwrap().into_iter();
    rows.map(|row| (row.kind, row.report)).collect()
}

pub(crate) async fn usage_of_a_worker_never_replaces_another_process(database: Database) {
    let store = database.store().await;
    let registration = register(&store, "a").await;
    let other = register(&store, "b").await;
    let stored = async |worker: &str, registration, process: &str, report: &str| {
        let usage = usage(process, report);
        let stored = store.worker_usage(worker, registration, usage);
        stored.await.unwrap()
    };
    assert!(stored("a", registration, "p1", "1").await);
    assert!(stored("a", registration, "p1", "2").await);
    assert!(!stored("a", registration + 1, "p1", "3").await, "replaced");
    assert!(!stored("b", other, "p1", "4").await, "of another worker");
    let expected = ("worker/a".to_owned(), Some("2".to_owned()));
    assert_eq!(reports(&store).await, [expected]);
    let rows = store.workers("", 9).await.unwrap();
    assert_eq!(rows[0].process.as_deref(), Some("p1"));
    assert_eq!(rows[0].disk_free_bytes, Some(40));
    assert_eq!(rows[1].process, None);
}
