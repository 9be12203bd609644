//! Reports of workers.

use crate::backend::Database;
use crate::workers::{register, report};
use davy_base::Random;
use davy_model::handle::MISSING_MAX;
use davy_model::sync::{Decision, HANDLES_MAX, Part, Row, Rows, generation, reconcile};
use davy_model::{Handle, HandleKind, HandleState, Report};
use davy_store::{Store, SyncOutcome};
use std::collections::BTreeMap;

/// Inserts a handle.
pub(crate) async fn insert(database: &Database, handle: &str, worker: &str, rest: &str) {
    let sql = format!(
        "INSERT INTO handles (handle, worker, kind, state, since, missing_since)
         VALUES ('{handle}', '{worker}', {rest})"
    );
    database.execute(&sql).await;
}

/// All handles; times are replaced by whether they are set.
async fn rows(store: &Store) -> Rows {
    let mut rows = Rows::new();
    for kind in HandleKind::ALL {
        for row in store.handles(*kind, "", "", 10_000).await.unwrap() {
            let mut handle = Handle::new(HandleState::parse(&row.state).expect("a state"), 0);
            handle.kind = *kind;
            handle.missing_since = row.missing_since.map(|_| 1);
            let worker = row.worker;
            rows.insert(row.handle, Row { worker, handle });
        }
    }
    rows
}

/// The rows of the model, with times as [`rows`] has them.
fn without_times(rows: &Rows) -> Rows {
    let mut rows = rows.clone();
    for row in rows.values_mut() {
        row.handle.since = 0;
        row.handle.missing_since = row.handle.missing_since.map(|_| 1);
    }
    rows
}

async fn accepted(store: &Store, worker: &str, report: &Report) -> (Vec<String>, Vec<String>) {
    match store.sync_worker(worker, report, None).await.unwrap() {
        SyncOutcome::Accepted {
            doomed, foreign, ..
        } => {
            let doomed = doomed.into_iter().map(|(handle, _)| handle).collect();
            (doomed, foreign)
        }
        other => panic!("expected an accepted report, got {other:?}"),
    }
}

pub(crate) async fn sync_agrees_with_the_model_in_random_histories(database: Database) {
    let store = database.store().await;
    let mut random = Random::seeded(17);
    let mut generations = [
        generation(register(&store, "a").await, 0),
        generation(register(&store, "b").await, 0),
    ];
    for number in 0..30 {
        let worker = if random.below(3) == 0 { "b" } else { "a" };
        let kind = HandleKind::ALL[number % 2];
        let state = HandleState::ALL[random.below(4) as usize];
        let is_missing = state == HandleState::Created && random.below(3) == 0;
        let missing = if is_missing { "5" } else { "NULL" };
        let rest = format!("'{kind}', '{state}', 5, {missing}");
        insert(&database, &format!("h{number}"), worker, &rest).await;
    }
    let mut model = rows(&store).await;
    for _ in 0..90 {
        let which = random.below(2) as usize;
        let worker = ["a", "b"][which];
        let is_stale = random.below(5) == 0;
        let handles = (0..35)
            .filter(|_| random.below(2) == 0)
            .map(|number| (format!("h{number}"), HandleKind::ALL[number % 2]))
            .collect();
        let mut report = Report {
            generation: generations[which] + i64::from(!is_stale),
            handles,
            part: None,
        };
        if random.below(3) == 0 {
            // Names of one and of two digits are between each other, as those of a part are.
            let [after, until] = [(); 2].map(|()| format!("h{}", random.below(35)));
            let part = Part {
                after,
                until: Some(until).filter(|_| random.below(2) == 0),
                ..Part::default()
            };
            report.handles.retain(|handle, _| part.covers(handle));
            report.part = Some(part);
        }
        let outcome = store.sync_worker(worker, &report, None).await.unwrap();
        match reconcile(worker, generations[which], &model, &report) {
            Decision::Stale { current } => {
                let generation = current;
                assert_eq!(outcome, SyncOutcome::Stale { generation });
            }
            Decision::Accepted(mut changes) => {
                let is_container =
                    |handle: &&String| model[*handle].handle.kind == HandleKind::Container;
                let containers = changes.removed.iter().filter(is_container).count();
                let swept = [containers, changes.removed.len() - containers];
                changes.apply(worker, &mut model, 9);
                changes.doomed.sort();
                changes.foreign.truncate(10);
                let expected = SyncOutcome::Accepted {
                    swept: swept.map(|rows| rows as u64),
                    doomed: changes.doomed,
                    foreign: changes.foreign,
                };
                assert_eq!(outcome, expected);
                generations[which] += 1;
            }
        }
        assert_eq!(rows(&store).await, without_times(&model));
        // Whatever has become settled is created again or doomed, so that the history does not end.
        let number = random.below(35);
        let state = HandleState::ALL[random.below(4) as usize];
        let change = format!(
            "UPDATE handles SET state = '{state}', missing_since = NULL WHERE handle = 'h{number}'"
        );
        database.execute(&change).await;
        if let Some(row) = model.get_mut(&format!("h{number}")) {
            row.handle.state = state;
            row.handle.missing_since = None;
        }
    }
}

pub(crate) async fn sync_takes_at_most_four_statements_whatever_the_number_of_handles(
    database: Database,
) {
    let store = database.store().await;
    let registration = register(&store, "w").await;
    let statements = || -> u64 { store.stats().queries.iter().map(|row| row.queries).sum() };
    // Unknown handles are added 20,000 at a time, so that no statement takes too long.
    let rounds = [
        (0, 0),
        (10, 10),
        (30_000, 20_010),
        (30_000, 30_000),
        (30_000, 30_000),
    ];
    let mut known = 0;
    for (sequence, (count, expected)) in (1..).zip(rounds) {
        let handles: Vec<String> = (0..count).map(|number| format!("h{number}")).collect();
        let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
        let report = report(generation(registration, sequence), &handles);
        let before = statements();
        let (doomed, _) = accepted(&store, "w", &report).await;
        assert_eq!(doomed.len(), expected);
        // BEGIN, three statements, one more if a report has unknown handles, COMMIT.
        let limit = 5 + u64::from(known < count);
        assert_eq!(statements() - before, limit, "{count} handles");
        known = expected;
    }
}

/// In a storm of garbage, the statistics of Postgres still say that hardly any row is doomed.
pub(crate) async fn report_does_not_read_the_doomed_rows_of_other_workers(database: Database) {
    if !database.is_postgres() {
        return;
    }
    let store = database.store().await;
    let registration = register(&store, "w").await;
    let doom = "INSERT INTO handles (handle, worker, kind, state, since)
            SELECT 'h' || n, 'w' || n % 200, 'container', 'created', 0 FROM generate_series(1, 20000) n;
        ANALYZE handles;
        UPDATE handles SET state = 'destroying'";
    database.execute(doom).await;
    for sequence in 1..=3 {
        let report = report(generation(registration, sequence), &["mine"]);
        accepted(&store, "w", &report).await;
    }
    store.close().await;
    // The server counts what a connection has read when the connection ends.
    let check = "DO $$ DECLARE read BIGINT; BEGIN
        WHILE (SELECT COUNT(*) FROM pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend') > 1
        LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP;
        PERFORM pg_stat_clear_snapshot();
        SELECT idx_tup_fetch INTO read FROM pg_stat_user_tables WHERE relname = 'handles';
        IF read > 1000 THEN RAISE EXCEPTION '% rows read', read; END IF;
        END $$";
    database.execute(check).await;
}

pub(crate) async fn stale_report_changes_nothing(database: Database) {
    let store = database.store().await;
    let registration = register(&store, "w").await;
    insert(&database, "live", "w", "'container', 'created', 5, NULL").await;
    insert(
        &database,
        "doomed",
        "w",
        "'container', 'destroying', 5, NULL",
    )
    .await;
    let newer = report(generation(registration, 2), &["live", "doomed"]);
    assert_eq!(accepted(&store, "w", &newer).await.0, ["doomed"]);
    let before = (rows(&store).await, store.workers("", 9).await.unwrap());
    for sequence in [0, 1, 2] {
        let late = report(generation(registration, sequence), &["unknown"]);
        let outcome = store.sync_worker("w", &late, Some("{}")).await.unwrap();
        let generation = newer.generation;
        assert_eq!(outcome, SyncOutcome::Stale { generation });
    }
    assert_eq!(
        (rows(&store).await, store.workers("", 9).await.unwrap()),
        before
    );
    let unknown = store.sync_worker("nobody", &newer, None).await.unwrap();
    assert_eq!(unknown, SyncOutcome::UnknownWorker);
}

pub(crate) async fn foreign_handles_are_named_and_untouched(database: Database) {
    let store = database.store().await;
    let liar = register(&store, "liar").await;
    register(&store, "honest").await;
    for number in 0..20 {
        let name = format!("honest-{number:02}");
        insert(
            &database,
            &name,
            "honest",
            "'container', 'created', 5, NULL",
        )
        .await;
    }
    insert(
        &database,
        "honest-doomed",
        "honest",
        "'volume', 'destroying', 5, NULL",
    )
    .await;
    let before = rows(&store).await;
    let names: Vec<String> = before.keys().cloned().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lie = report(generation(liar, 1), &names);
    let (doomed, foreign) = accepted(&store, "liar", &lie).await;
    assert_eq!((doomed.len(), foreign.len()), (0, 10));
    assert_eq!(foreign[0], "honest-00");
    assert_eq!(rows(&store).await, before);
    let workers = store.workers("", 10).await.unwrap();
    assert_eq!(workers[0].foreign_handles, "[]");
    assert!(workers[1].foreign_handles.contains("honest-00"));
    let truth = report(generation(liar, 2), &[]);
    accepted(&store, "liar", &truth).await;
    assert_eq!(
        store.workers("", 10).await.unwrap()[1].foreign_handles,
        "[]"
    );
}

pub(crate) async fn concurrent_reports_of_one_worker_follow_each_other(database: Database) {
    let stores = [database.store().await, database.store().await];
    let registration = register(&stores[0], "w").await;
    let reports: Vec<_> = (1..=16u32)
        .map(|sequence| {
            let store = stores[sequence as usize % 2].clone();
            tokio::spawn(async move {
                let handles = ["a", "b", &format!("c{sequence}")];
                let report = report(generation(registration, sequence), &handles);
                store.sync_worker("w", &report, None).await.unwrap()
            })
        })
        .collect();
    let mut accepted_count = 0;
    for report in reports {
        let outcome = report.await.expect("no panic");
        accepted_count += u32::from(matches!(outcome, SyncOutcome::Accepted { .. }));
    }
    assert!(accepted_count >= 1);
    // The latest generation is always accepted, and its handles are what is left.
    let names: Vec<String> = rows(&stores[0]).await.into_keys().collect();
    assert_eq!(names, ["a", "b", "c16"]);
}

pub(crate) async fn stalled_worker_returns_with_everything_that_it_has(database: Database) {
    let store = database.store().await;
    let registration = register(&store, "w").await;
    let state = async || store.workers("", 1).await.unwrap().remove(0).state;
    database
        .execute(
            "INSERT INTO builds (state, since, created_at, created_by, task, platform, is_ready)
             VALUES ('started', 5, 5, 'a', '{}', 'linux', TRUE)",
        )
        .await;
    database
        .execute(
            "INSERT INTO handles (handle, worker, kind, state, since, build)
             SELECT 'live', 'w', 'container', 'created', 5, id FROM builds",
        )
        .await;
    insert(&database, "gone", "w", "'container', 'created', 5, NULL").await;
    database
        .execute("UPDATE handles SET build = (SELECT id FROM builds)")
        .await;
    let live = |sequence: u32| report(generation(registration, sequence), &["live"]);
    accepted(&store, "w", &live(1)).await;
    // It is silent for an hour: the cable is cut.
    database
        .execute(
            "UPDATE workers SET heartbeat_at = heartbeat_at - 3600000, synced_at = synced_at - 3600000",
        )
        .await;
    database
        .execute("UPDATE handles SET missing_since = missing_since - 3600000 WHERE handle = 'gone'")
        .await;
    store.mark_workers(10).await.unwrap();
    assert_eq!(state().await, "stalled");
    store.mark_containers(10).await.unwrap();
    assert_eq!(rows(&store).await.len(), 2, "nothing expires on it");
    // It returns. What two reports an hour apart lack is gone; what lives is not touched.
    let (doomed, _) = accepted(&store, "w", &live(2)).await;
    assert_eq!((doomed, &*state().await), (vec![], "running"));
    const { assert!(MISSING_MAX < 3_600_000) };
    store.mark_containers(10).await.unwrap();
    let left: Vec<String> = rows(&store).await.into_keys().collect();
    assert_eq!(left, ["live"]);
}

pub(crate) async fn worker_with_more_handles_than_a_report_has_nothing_missing_and_is_swept(
    database: Database,
) {
    const MORE: usize = HANDLES_MAX + 1_000;
    let store = database.store().await;
    let registration = register(&store, "w").await;
    database
        .execute(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MORE} - 1)
             INSERT INTO handles (handle, worker, kind, state, since)
             SELECT 'v' || (1000000 + n), 'w', 'volume', CASE WHEN n % 5000 = 0 THEN 'destroying' ELSE 'created' END, 5 FROM numbers"
        ))
        .await;
    let mut handles: BTreeMap<String, HandleKind> = (0..MORE)
        .map(|number| (format!("v{}", 1_000_000 + number), HandleKind::Volume))
        .collect();
    let mut after = String::new();
    // Two parts: in the first round the worker learns what to destroy, in the second one the rows of that are removed.
    for sequence in 1..=4 {
        let report = Report::of(generation(registration, sequence), handles.clone(), &after);
        assert!(report.part.is_some());
        after = report.next().to_owned();
        let (doomed, _) = accepted(&store, "w", &report).await;
        for handle in &doomed {
            handles.remove(handle);
        }
        let worker = store.workers("", 10).await.unwrap().remove(0);
        assert_eq!((worker.missing, worker.unknown_handles), (0, 0));
        assert!(worker.reported_volumes >= HANDLES_MAX as i64);
    }
    let worker = store.workers("", 10).await.unwrap().remove(0);
    assert_eq!((worker.doomed, worker.volumes), (0, handles.len() as i64));
}
