//! What the members `gc.*` mark, compared with the model.

use crate::backend::Database;
use crate::worker_sync::insert;
use crate::workers::{register, report};
use davy_base::Random;
use davy_model::build::{LEASE, OVER_KEPT, PENDING_MAX};
use davy_model::handle::{CREATING_MAX, HandleFacts, MISSING_MAX, TERMINAL_KEPT};
use davy_model::sync::generation;
use davy_model::worker::{ABSENT_KEPT, HEARTBEAT_MAX, WorkerFacts};
use davy_model::{
    Build, BuildState, Handle, HandleEvent, HandleKind, HandleState, Millis, Worker, WorkerState,
};
use davy_store::{ClaimHandles, HandleRow, Store};
use std::collections::BTreeMap;

const BATCH: u32 = 10_000;

/// Half or twice a limit ago, so that no check depends on how long it takes.
fn ago(random: &mut Random, limit: Millis) -> Millis {
    if random.below(2) == 0 {
        limit / 2
    } else {
        limit * 2
    }
}

/// What the model needs to know about a handle.
#[derive(Clone, Debug)]
struct Known {
    handle: Handle,
    build_is_running: bool,
    container: Option<String>,
    parent: Option<String>,
    is_worker_stalled: bool,
    worker_synced_at: Millis,
}

type All = BTreeMap<String, Known>;

/// Marks handles of a kind as the collector should: first what has expired, then the rest.
fn mark(all: &mut All, kind: HandleKind, now: Millis) {
    let due = |known: &Known, children: u64| {
        let is_used = match kind {
            HandleKind::Container => known.build_is_running,
            HandleKind::Volume => known.container.is_some(),
        };
        let facts = HandleFacts {
            is_used,
            children,
            is_worker_stalled: known.is_worker_stalled,
            worker_synced_at: known.worker_synced_at,
        };
        known.handle.due(facts, now)
    };
    let of_kind = |known: &&Known| known.handle.kind == kind;
    let is_expired = |known: &Known| matches!(due(known, 0), Some(HandleEvent::Expired { .. }));
    let expired: Vec<String> = all
        .iter()
        .filter(|(_, known)| of_kind(known) && is_expired(known))
        .map(|(name, _)| name.clone())
        .collect();
    for name in expired {
        all.remove(&name);
        for known in all.values_mut() {
            known.container = known
                .container
                .take()
                .filter(|container| *container != name);
            known.parent = known.parent.take().filter(|parent| *parent != name);
        }
    }
    let before = all.clone();
    for (name, known) in all
        .iter_mut()
        .filter(|(_, known)| known.handle.kind == kind)
    {
        let is_child = |other: &&Known| other.parent.as_deref() == Some(name);
        let children = before.values().filter(is_child).count() as u64;
        if let Some(event) = due(known, children) {
            let next = known.handle.apply(event, now).expect("legal");
            known.handle = next.expect("only expiry removes");
        }
    }
}

async fn stored(store: &Store) -> BTreeMap<String, String> {
    let mut stored = BTreeMap::new();
    for kind in HandleKind::ALL {
        let rows = store.handles(*kind, "", "", BATCH).await.unwrap();
        stored.extend(
            rows.into_iter()
                .map(|row: HandleRow| (row.handle, row.state)),
        );
    }
    stored
}

fn states(all: &All) -> BTreeMap<String, String> {
    all.iter()
        .map(|(name, known)| (name.clone(), known.handle.state.to_string()))
        .collect()
}

pub(crate) async fn marks_of_containers_and_volumes_agree_with_the_model(database: Database) {
    let store = database.store().await;
    let mut random = Random::seeded(4);
    let now = store.now().await.unwrap().millis();
    let mut sql = Vec::new();
    let mut synced = Vec::new();
    for (number, state) in ["running", "stalled", "landing", "retiring"]
        .iter()
        .enumerate()
    {
        register(&store, &format!("w{number}")).await;
        let synced_at = now - 10_000;
        synced.push((synced_at, *state == "stalled"));
        sql.push(format!(
            "UPDATE workers SET state = '{state}', synced_at = {synced_at} WHERE name = 'w{number}'"
        ));
    }
    let mut all = All::new();
    for number in 0..400 {
        let kind = HandleKind::ALL[usize::from(number >= 200)];
        let state = HandleState::ALL[random.below(4) as usize];
        let worker = random.below(4) as usize;
        let (worker_synced_at, is_worker_stalled) = synced[worker];
        let mut handle = Handle::new(state, now - ago(&mut random, CREATING_MAX));
        handle.kind = kind;
        if state == HandleState::Created && random.below(2) == 0 {
            handle.missing_since = Some(worker_synced_at - ago(&mut random, MISSING_MAX));
        }
        let is_container = kind == HandleKind::Container;
        if is_container && random.below(3) == 0 {
            handle.terminal_at = Some(now - ago(&mut random, TERMINAL_KEPT));
        }
        let build_state = BuildState::ALL[random.below(6) as usize];
        let has_build = is_container && random.below(5) > 0;
        // Volumes belong to containers, and are copies of other volumes.
        let container =
            (!is_container && random.below(2) == 0).then(|| format!("h{}", random.below(200)));
        let parent =
            (number > 300 && random.below(2) == 0).then(|| format!("h{}", 200 + random.below(100)));
        let text = |value: &Option<String>| {
            value
                .as_ref()
                .map_or("NULL".to_owned(), |v| format!("'{v}'"))
        };
        let int = |value: Option<i64>| value.map_or("NULL".to_owned(), |v| v.to_string());
        if has_build {
            sql.push(format!(
                "INSERT INTO builds (state, since, created_at, created_by, task, platform, is_ready)
                 VALUES ('{build_state}', {now}, {now}, 'a', '{{}}', 'linux', TRUE)"
            ));
        }
        let build = if has_build {
            "(SELECT MAX(id) FROM builds)"
        } else {
            "NULL"
        };
        sql.push(format!(
            "INSERT INTO handles (handle, worker, kind, state, since, missing_since, terminal_at, build, container, parent)
             VALUES ('h{number}', 'w{worker}', '{kind}', '{state}', {}, {}, {}, {build}, {}, {})",
            handle.since, int(handle.missing_since), int(handle.terminal_at), text(&container), text(&parent)
        ));
        let known = Known {
            handle,
            build_is_running: has_build && !build_state.is_over(),
            container,
            parent,
            is_worker_stalled,
            worker_synced_at,
        };
        all.insert(format!("h{number}"), known);
    }
    database.execute(&sql.join(";\n")).await;
    assert_eq!(stored(&store).await, states(&all));
    for _ in 0..4 {
        store.mark_containers(BATCH).await.unwrap();
        mark(&mut all, HandleKind::Container, now);
        assert_eq!(stored(&store).await, states(&all));
        store.mark_volumes(BATCH).await.unwrap();
        mark(&mut all, HandleKind::Volume, now);
        assert_eq!(stored(&store).await, states(&all));
    }
}

pub(crate) async fn marks_of_workers_agree_with_the_model(database: Database) {
    let store = database.store().await;
    let now = store.now().await.unwrap().millis();
    let (mut expected, mut sql) = (Vec::new(), Vec::new());
    for number in 0..160usize {
        let bit = |shift: u32| (number >> shift) & 1 == 1;
        let state = WorkerState::ALL[number / 32];
        let (silent, has_build, has_handle, old, is_ephemeral) =
            (bit(0), bit(1), bit(2), bit(3), bit(4));
        let name = format!("w{number:03}");
        let worker = Worker {
            state,
            since: if old { now - 2 * ABSENT_KEPT } else { now },
            heartbeat_at: if silent { now - 2 * HEARTBEAT_MAX } else { now },
            is_ephemeral,
        };
        sql.push(format!(
            "INSERT INTO workers (name, state, since, heartbeat_at, synced_at, registration, generation,
                is_ephemeral, platform, tags, capacity, version)
             VALUES ('{name}', '{state}', {}, {}, {now}, 1, 1, {is_ephemeral}, 'linux', '[]', 250, '0')",
            worker.since, worker.heartbeat_at
        ));
        if has_build {
            sql.push(format!(
                "INSERT INTO builds (state, since, created_at, created_by, task, platform, is_ready, worker)
                 VALUES ('started', {now}, {now}, 'a', '{{}}', 'linux', TRUE, '{name}')"
            ));
        }
        if has_handle {
            sql.push(format!(
                "INSERT INTO handles (handle, worker, kind, state, since)
                 VALUES ('h{number}', '{name}', 'volume', 'created', {now})"
            ));
        }
        let facts = WorkerFacts {
            builds: has_build.into(),
            handles: has_handle.into(),
        };
        let next = match worker.due(facts, now) {
            Some(event) => worker.apply(event, now).expect("legal"),
            None => Some(worker),
        };
        expected.extend(next.map(|worker| (name, worker.state.to_string(), i64::from(has_handle))));
    }
    database.execute(&sql.join(";\n")).await;
    store.mark_workers(BATCH).await.unwrap();
    let workers = store.workers("", BATCH).await.unwrap();
    let found: Vec<_> = workers
        .into_iter()
        .map(|row| (row.name, row.state, row.volumes))
        .collect();
    assert_eq!(found, expected);
    let orphans = store
        .handles(HandleKind::Volume, "", "", BATCH)
        .await
        .unwrap();
    let kept: i64 = expected.iter().map(|(_, _, volumes)| volumes).sum();
    assert_eq!(
        orphans.len() as i64,
        kept,
        "handles are removed with their worker"
    );
}

pub(crate) async fn marks_of_builds_agree_with_the_model(database: Database) {
    let store = database.store().await;
    let now = store.now().await.unwrap().millis();
    let (mut expected, mut sql) = (BTreeMap::new(), Vec::new());
    for (number, state) in BuildState::ALL.iter().cycle().take(24).enumerate() {
        let old = number >= 12;
        let is_abort_requested = number % 12 >= 6;
        let build = Build {
            state: *state,
            since: now
                - if old {
                    2 * OVER_KEPT.max(PENDING_MAX)
                } else {
                    0
                },
            fence: 1,
            lease_until: if old { now - LEASE } else { now + LEASE },
            is_abort_requested,
        };
        sql.push(format!(
            "INSERT INTO builds (state, since, created_at, created_by, task, platform, is_ready, worker, fence,
                lease_until, is_abort_requested)
             VALUES ('{state}', {}, {now}, 'a', '{number}', 'linux', TRUE, 'w', 1, {}, {is_abort_requested})",
            build.since, build.lease_until
        ));
        let next = match build.due(now) {
            Some(event) => build.apply(event, now).expect("legal"),
            None => Some(build),
        };
        if let Some(next) = next {
            expected.insert(number.to_string(), next.state.to_string());
        }
    }
    database.execute(&sql.join(";\n")).await;
    store.mark_builds(BATCH).await.unwrap();
    let builds = store.builds(None, BATCH).await.unwrap();
    let found: BTreeMap<_, _> = builds
        .into_iter()
        .map(|row| (row.task, row.state))
        .collect();
    assert_eq!(found, expected);
}

pub(crate) async fn batches_are_bounded(database: Database) {
    let store = database.store().await;
    register(&store, "w").await;
    for number in 0..10 {
        insert(
            &database,
            &format!("c{number}"),
            "w",
            "'container', 'created', 5, NULL",
        )
        .await;
        insert(
            &database,
            &format!("v{number}"),
            "w",
            "'volume', 'failed', 5, NULL",
        )
        .await;
    }
    for left in [6, 2, 0] {
        let containers = store.mark_containers(4).await.unwrap();
        let volumes = store.mark_volumes(4).await.unwrap();
        assert_eq!(containers, volumes);
        assert_eq!(containers.doomed, if left == 0 { 2 } else { 4 });
        let states = stored(&store).await;
        let undoomed = states.values().filter(|state| *state != "destroying");
        assert_eq!(undoomed.count(), 2 * left);
    }
    assert!(store.mark_containers(4).await.unwrap().is_empty());
}

pub(crate) async fn marking_advances_past_builds_that_it_has_marked(database: Database) {
    let store = database.store().await;
    let fence = register(&store, "w").await;
    let task = r#"{"run": {"path": "true"}}"#;
    for number in 0..10 {
        let id = store.create_build("alice", task, "linux", true).await;
        let (container, volume) = (format!("c{number}"), format!("v{number}"));
        let handles = ClaimHandles {
            container: &container,
            volume: &volume,
        };
        let claimed = store.claim_build("w", fence, handles).await.unwrap();
        assert_eq!(claimed.map(|build| build.id), Some(id.unwrap()));
        store.created_handle("w", &container, true).await.unwrap();
    }
    database
        .execute("UPDATE builds SET state = 'succeeded' WHERE id > 1")
        .await;
    // The first build runs, and is not in the way.
    for left in [7, 5, 3, 1, 0] {
        let marked = store.mark_containers(2).await.unwrap();
        let expected = if left == 0 { 1 } else { 2 };
        assert_eq!((marked.doomed, marked.moved), (expected, expected));
        let rows = store.handles(HandleKind::Container, "w", "", 99).await;
        let rows = rows.unwrap().into_iter();
        let live = rows.filter(|row| row.state == "created").count();
        assert_eq!(live, left + 1);
    }
    assert!(store.mark_containers(2).await.unwrap().is_empty());
}

pub(crate) async fn concurrent_markers_and_reports_do_not_fail(database: Database) {
    let stores = [database.store().await, database.store().await];
    let registration = register(&stores[0], "w").await;
    let names: Vec<String> = (0..300).map(|number| format!("h{number}")).collect();
    let values: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let kind = HandleKind::ALL[at % 2];
            let container = if at % 2 == 1 {
                format!("'h{}'", at - 1)
            } else {
                "NULL".to_owned()
            };
            format!("('{name}', 'w', '{kind}', 'created', 5, {container})")
        })
        .collect();
    database
        .execute(&format!(
            "INSERT INTO handles (handle, worker, kind, state, since, container) VALUES {}",
            values.join(",")
        ))
        .await;
    let markers: Vec<_> = (0..4)
        .map(|marker| {
            let store = stores[marker % 2].clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    store.mark_containers(7).await.unwrap();
                    store.mark_volumes(7).await.unwrap();
                    store.mark_workers(7).await.unwrap();
                    store.mark_builds(7).await.unwrap();
                }
            })
        })
        .collect();
    // The worker destroys what it is told to, and reports.
    let mut has: Vec<String> = names;
    let mut sequence = 0;
    while !has.is_empty() {
        sequence += 1;
        let handles: Vec<&str> = has.iter().map(String::as_str).collect();
        let report = report(generation(registration, sequence), &handles);
        let outcome = stores[0].sync_worker("w", &report, None).await.unwrap();
        let davy_store::SyncOutcome::Accepted { doomed, .. } = outcome else {
            panic!("expected an accepted report, got {outcome:?}");
        };
        has.retain(|name| !doomed.iter().any(|(handle, _)| handle == name));
        if doomed.is_empty() {
            stores[1].mark_containers(50).await.unwrap();
            stores[1].mark_volumes(50).await.unwrap();
        }
    }
    for marker in markers {
        marker.await.expect("no panic");
    }
    let last = report(generation(registration, sequence + 1), &[]);
    stores[0].sync_worker("w", &last, None).await.unwrap();
    assert_eq!(stored(&stores[0]).await, BTreeMap::new());
}

pub(crate) async fn marking_makes_no_claim_of_a_build_wait_for_a_lock(database: Database) {
    const GARBAGE: u32 = 15_000;
    const CLAIMS_MAX: u32 = 100;
    // SQLite has one writer at a time.
    if !database.is_postgres() {
        return;
    }
    let name = database.url.rsplit('/').next().expect("a name").to_owned();
    // The server itself ends a statement that waits for longer.
    let limit = format!("ALTER DATABASE {name} SET lock_timeout = '50ms'");
    database.execute(&limit).await;
    let (store, marker) = (database.store().await, database.store().await);
    let fence = register(&store, "w").await;
    register(&store, "old").await;
    let task = r#"{"run": {"path": "true"}}"#;
    store
        .create_build("alice", task, "linux", true)
        .await
        .unwrap();
    for sql in [
        format!(
            "INSERT INTO builds (state, since, created_at, created_by, task, platform, is_ready, worker)
             SELECT 'succeeded', 5, 5, 'alice', '{task}', 'linux', TRUE, 'old' FROM generate_series(1, {GARBAGE})"
        ),
        "INSERT INTO handles (handle, worker, kind, state, since, build)
         SELECT 'c' || id, 'old', 'container', 'created', 5, id FROM builds WHERE worker = 'old'"
            .to_owned(),
        "INSERT INTO handles (handle, worker, kind, state, since)
         SELECT 'v' || id, 'old', 'volume', 'created', 5 FROM builds WHERE worker = 'old'"
            .to_owned(),
        "ANALYZE".to_owned(),
    ] {
        database.execute(&sql).await;
    }
    let marking = tokio::spawn(async move {
        let mut doomed = 0;
        loop {
            let containers = marker.mark_containers(5_000).await.unwrap();
            let volumes = marker.mark_volumes(5_000).await.unwrap();
            marker.mark_workers(5_000).await.unwrap();
            marker.mark_builds(5_000).await.unwrap();
            if containers.is_empty() && volumes.is_empty() {
                return doomed;
            }
            doomed += containers.doomed + volumes.doomed;
        }
    });
    let mut claims = 0;
    while !marking.is_finished() && claims < CLAIMS_MAX {
        if claims > 0 {
            store
                .create_build("alice", task, "linux", true)
                .await
                .unwrap();
        }
        let (container, volume) = (format!("own-c{claims}"), format!("own-v{claims}"));
        let handles = ClaimHandles {
            container: &container,
            volume: &volume,
        };
        let claimed = store.claim_build("w", fence, handles).await.unwrap();
        let id = claimed.expect("a free place").id;
        // Its containers are garbage of the worker that claims.
        let over = format!("UPDATE builds SET state = 'succeeded' WHERE id = {id}");
        database.execute(&over).await;
        claims += 1;
    }
    assert!(claims > 0);
    let doomed = marking.await.expect("no panic");
    assert!(doomed >= 2 * u64::from(GARBAGE), "{doomed}");
}
