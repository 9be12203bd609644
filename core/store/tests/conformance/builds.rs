//! One-off builds and their logs.

use crate::backend::Database;
use crate::workers::{register, register_with, report};
use davy_model::HandleKind;
use davy_model::build::LOG_BYTES_MAX;
use davy_model::sync::generation;
use davy_store::{
    Appended, BuildEnd, ClaimHandles, ClaimedBuild, FILE_BYTES_MAX, FileBytes, FileKind, FilePart,
    LogText, Renewed, Store,
};

const TASK: &str = r#"{"run": {"path": "true"}}"#;

async fn create(store: &Store) -> i64 {
    let id = store.create_build("alice", TASK, "linux", true).await;
    id.unwrap()
}

async fn claim(store: &Store, worker: &str, fence: i64, suffix: &str) -> Option<ClaimedBuild> {
    let (container, volume) = (format!("c-{suffix}"), format!("v-{suffix}"));
    let handles = ClaimHandles {
        container: &container,
        volume: &volume,
    };
    store.claim_build(worker, fence, handles).await.unwrap()
}

async fn state(store: &Store, id: i64) -> String {
    store.build(id).await.unwrap().expect("it exists").state
}

pub(crate) async fn build_is_claimed_once_by_many_concurrent_workers(database: Database) {
    let stores = [database.store().await, database.store().await];
    let mut workers = Vec::new();
    for number in 0..6 {
        let name = format!("w{number}");
        workers.push((register(&stores[0], &name).await, name));
    }
    for round in 0..5 {
        let id = create(&stores[0]).await;
        let claims: Vec<_> = workers
            .iter()
            .cloned()
            .enumerate()
            .map(|(at, (fence, name))| {
                let store = stores[at % 2].clone();
                let suffix = format!("{round}-{at}");
                tokio::spawn(async move { claim(&store, &name, fence, &suffix).await })
            })
            .collect();
        let mut claimed = Vec::new();
        for claim in claims {
            claimed.extend(claim.await.expect("no panic").map(|build| build.id));
        }
        assert_eq!(claimed, [id]);
    }
}

pub(crate) async fn claim_respects_capacity_platform_and_tags(database: Database) {
    let store = database.store().await;
    let fence = register(&store, "w").await;
    database.execute("UPDATE workers SET capacity = 2").await;
    let tagged = r#"{"run": {"path": "true"}, "tags": ["gpu"]}"#;
    store
        .create_build("alice", tagged, "linux", true)
        .await
        .unwrap();
    store
        .create_build("alice", TASK, "darwin", true)
        .await
        .unwrap();
    let unready = store
        .create_build("alice", TASK, "linux", false)
        .await
        .unwrap();
    assert_eq!(claim(&store, "w", fence, "0").await, None);
    assert!(store.ready_build(unready).await.unwrap());
    let first = claim(&store, "w", fence, "1")
        .await
        .expect("it is ready now");
    assert_eq!((first.id, &*first.task), (unready, TASK));
    create(&store).await;
    create(&store).await;
    assert_eq!(
        claim(&store, "w", fence + 1, "2").await,
        None,
        "no such registration"
    );
    assert!(claim(&store, "w", fence, "2").await.is_some());
    assert_eq!(claim(&store, "w", fence, "3").await, None, "it is full");
    let containers = store
        .handles(HandleKind::Container, "w", "", 9)
        .await
        .unwrap();
    assert_eq!(containers.len(), 2);
    store.land_worker("w").await.unwrap();
    database.execute("UPDATE workers SET capacity = 20").await;
    assert_eq!(claim(&store, "w", fence, "4").await, None, "it lands");
}

pub(crate) async fn outdated_holder_cannot_change_a_build(database: Database) {
    let (store, other) = (database.store().await, database.store().await);
    let first = register(&store, "w").await;
    let id = create(&store).await;
    claim(&store, "w", first, "1").await.expect("pending");
    let done = BuildEnd::Exited { code: 0 };
    let wrong = store
        .finish_build(id, "x", first, &done, None)
        .await
        .unwrap();
    assert!(!wrong, "another worker");
    let renewed = Renewed {
        is_abort_requested: false,
        log_bytes: 0,
    };
    assert_eq!(
        store.renew_build(id, "w", first).await.unwrap(),
        Some(renewed)
    );
    // The worker restarts. Its first process may still be alive, and says that the task is done.
    register(&other, "w").await;
    assert_eq!(state(&store, id).await, "errored");
    assert!(
        !store
            .finish_build(id, "w", first, &done, None)
            .await
            .unwrap()
    );
    assert_eq!(store.renew_build(id, "w", first).await.unwrap(), None);
    let late = store
        .append_log(id, "w", first, 0, LogText::Row("late"))
        .await
        .unwrap();
    assert_eq!(late, Appended::Fenced);
    assert_eq!(state(&store, id).await, "errored");
    assert_eq!(
        other.latest_claimable_build().await.unwrap(),
        None,
        "never rerun"
    );
}

pub(crate) async fn log_chunks_are_stored_once_and_bounded(database: Database) {
    let store = database.store().await;
    let fence = register(&store, "w").await;
    let id = create(&store).await;
    claim(&store, "w", fence, "1").await.expect("pending");
    let stored = |position| Appended::Stored {
        is_abort_requested: false,
        position,
    };
    let append = async |position: i64, text: &str| {
        let appended = store.append_log(id, "w", fence, position, LogText::Row(text));
        appended.await.unwrap()
    };
    assert_eq!(append(0, "one\n").await, stored(4));
    assert_eq!(append(4, "zwei ä\n").await, stored(12));
    // Repeated, divided differently, and too far ahead: the worker learns where to go on.
    assert_eq!(append(0, "one\n").await, stored(12));
    assert_eq!(append(0, "one\nzwei ä\n").await, stored(12));
    assert_eq!(append(20, "later").await, stored(12));
    let text = async |after: i64| -> Vec<String> {
        let chunks = store.log_after(id, after, 10).await.unwrap();
        chunks.into_iter().map(|chunk| chunk.text).collect()
    };
    assert_eq!(text(0).await, ["one\n", "zwei ä\n"]);
    assert_eq!(text(4).await, ["zwei ä\n"]);
    assert_eq!(store.build(id).await.unwrap().unwrap().log_bytes, 12);
    let end = LOG_BYTES_MAX - 2;
    database
        .execute(&format!("UPDATE builds SET log_bytes = {end}"))
        .await;
    assert_eq!(append(end, "abc").await, Appended::TooLong);
    assert_eq!(text(12).await, Vec::<String>::new());
    assert_eq!(append(end, "ab").await, stored(LOG_BYTES_MAX));
}

pub(crate) async fn rows_of_a_log_are_folded_into_an_object_and_deleted_after_it(
    database: Database,
) {
    let store = database.store().await;
    let fence = register(&store, "w").await;
    let id = create(&store).await;
    claim(&store, "w", fence, "1").await.expect("pending");
    let append = async |position: i64, text: LogText<'_>| {
        let appended = store.append_log(id, "w", fence, position, text);
        appended.await.unwrap();
    };
    let object = LogText::Object {
        name: "large",
        bytes: 100,
    };
    append(0, LogText::Row("one\n")).await;
    append(4, LogText::Row("two\n")).await;
    append(8, object).await;
    append(108, LogText::Row("last")).await;
    let rows = store.log_in_rows(id, 9).await.unwrap();
    let ends: Vec<i64> = rows.iter().map(|row| row.number).collect();
    assert_eq!(ends, [4, 8, 112]);
    // Twice, as after a lost response.
    for _ in 0..2 {
        store.fold_log(id, 0, 8, "folded").await.unwrap();
    }
    let chunks = store.log_after(id, 4, 9).await.unwrap();
    let chunks: Vec<_> = chunks
        .iter()
        .map(|chunk| (chunk.number, chunk.size, chunk.object.as_deref()))
        .collect();
    let expected = [
        (8, 8, Some("folded")),
        (108, 100, Some("large")),
        (112, 4, None),
    ];
    assert_eq!(chunks, expected);
    // The build is removed only after its objects.
    let done = BuildEnd::Exited { code: 0 };
    store
        .finish_build(id, "w", fence, &done, None)
        .await
        .unwrap();
    let old = "UPDATE builds SET is_released = TRUE, since = since - 8 * 24 * 3600000";
    database.execute(old).await;
    store.mark_builds(10).await.unwrap();
    assert_eq!(store.expired_objects(9).await.unwrap(), [id]);
    store.deleted_objects(id).await.unwrap();
    assert!(store.expired_objects(9).await.unwrap().is_empty());
    store.mark_builds(10).await.unwrap();
    assert_eq!(store.build(id).await.unwrap(), None);
}

pub(crate) async fn restarted_worker_adopts_the_builds_whose_tasks_it_still_has(
    database: Database,
) {
    let store = database.store().await;
    let first = register(&store, "w").await;
    let (kept, lost) = (create(&store).await, create(&store).await);
    for handles in ["1", "2"] {
        claim(&store, "w", first, handles).await.expect("pending");
    }
    let foreign = register(&store, "v").await;
    let other = create(&store).await;
    claim(&store, "v", foreign, "3").await.expect("pending");
    let second = register_with(&store, "w", &[kept, other]).await;
    let states = async |id: i64| state(&store, id).await;
    assert_eq!(states(kept).await, "started");
    assert_eq!(states(lost).await, "errored");
    assert_eq!(states(other).await, "started");
    assert!(
        store
            .renew_build(other, "v", foreign)
            .await
            .unwrap()
            .is_some(),
        "a build of another worker is not adopted"
    );
    // The first process no longer holds it, the second one does.
    assert_eq!(store.renew_build(kept, "w", first).await.unwrap(), None);
    let done = BuildEnd::Exited { code: 0 };
    let usage = Some("{\"pids\":1}");
    let ended = store.finish_build(kept, "w", second, &done, usage).await;
    assert!(ended.unwrap());
    let row = store.build(kept).await.unwrap().unwrap();
    assert_eq!((&*row.state, row.usage.as_deref()), ("succeeded", usage));
}

pub(crate) async fn leaving_worker_gives_back_what_it_has_not_received(database: Database) {
    let store = database.store().await;
    let fence = register(&store, "w").await;
    let (running, assigned) = (create(&store).await, create(&store).await);
    for handles in ["1", "2"] {
        claim(&store, "w", fence, handles).await.expect("pending");
    }
    let third = create(&store).await;
    let stale = store.leave_worker("w", fence - 1, &[].into()).await;
    assert_eq!(stale.unwrap(), 0, "an earlier registration");
    let left = store.leave_worker("w", fence, &[running].into()).await;
    assert_eq!(left.unwrap(), 1);
    assert_eq!(state(&store, running).await, "started");
    assert_eq!(state(&store, assigned).await, "pending");
    let handles = store.handles(HandleKind::Volume, "w", "", 9).await.unwrap();
    assert_eq!(handles.len(), 1, "{handles:?}");
    assert_eq!(
        claim(&store, "w", fence, "3").await,
        None,
        "it gets no more"
    );
    let worker = async || store.workers("", 9).await.unwrap().remove(0).state;
    assert_eq!(worker().await, "running");
    let done = BuildEnd::Exited { code: 0 };
    let ended = store.finish_build(running, "w", fence, &done, None).await;
    assert!(ended.unwrap());
    store.leave_worker("w", fence, &[].into()).await.unwrap();
    assert_eq!(worker().await, "landed");
    // It comes back and gets what it has given back.
    let again = register(&store, "w").await;
    assert_eq!(worker().await, "running");
    let next = claim(&store, "w", again, "4").await.expect("pending");
    assert_eq!(next.id, assigned, "older than {third}");
}

pub(crate) async fn abort_reaches_pending_and_started_builds(database: Database) {
    let store = database.store().await;
    let fence = register(&store, "w").await;
    let pending = create(&store).await;
    assert!(store.abort_build(pending).await.unwrap());
    assert_eq!(state(&store, pending).await, "aborted");
    assert!(!store.abort_build(pending).await.unwrap(), "it is over");
    let started = create(&store).await;
    claim(&store, "w", fence, "1").await.expect("pending");
    let unasked = store.finish_build(started, "w", fence, &BuildEnd::Aborted, None);
    assert!(!unasked.await.unwrap(), "nobody has requested it");
    assert!(store.abort_build(started).await.unwrap());
    assert_eq!(state(&store, started).await, "started");
    let asked = store.renew_build(started, "w", fence).await.unwrap();
    assert!(asked.is_some_and(|held| held.is_abort_requested));
    let ended = store.finish_build(started, "w", fence, &BuildEnd::Aborted, None);
    assert!(ended.await.unwrap());
    assert_eq!(state(&store, started).await, "aborted");
}

pub(crate) async fn build_leaves_no_row_behind(database: Database) {
    let store = database.store().await;
    let fence = register(&store, "w").await;
    let id = create(&store).await;
    let build = claim(&store, "w", fence, "1").await.expect("pending");
    for handle in [&build.container, &build.volume] {
        assert!(store.created_handle("w", handle, true).await.unwrap());
        assert!(!store.created_handle("w", handle, true).await.unwrap());
    }
    let text = LogText::Row("hello");
    store.append_log(id, "w", fence, 0, text).await.unwrap();
    let failed = BuildEnd::Exited { code: 3 };
    assert!(
        store
            .finish_build(id, "w", fence, &failed, None)
            .await
            .unwrap()
    );
    let over = store.build(id).await.unwrap().unwrap();
    assert_eq!((&*over.state, over.exit_code), ("failed", Some(3)));
    let mark = async || {
        store.mark_containers(10).await.unwrap();
        store.mark_volumes(10).await.unwrap();
        store.mark_builds(10).await.unwrap();
    };
    // Containers first, their volumes with the report after they were destroyed.
    let mut has = vec![&*build.container, &*build.volume];
    for (sequence, expected) in [(1, &*build.container), (3, &*build.volume)] {
        mark().await;
        let with = report(generation(fence, sequence), &has);
        let outcome = store.sync_worker("w", &with, None).await.unwrap();
        let davy_store::SyncOutcome::Accepted { doomed, .. } = outcome else {
            panic!("expected an accepted report, got {outcome:?}");
        };
        let doomed: Vec<&str> = doomed.iter().map(|(handle, _)| &**handle).collect();
        assert_eq!(doomed, [expected]);
        has.retain(|handle| *handle != expected);
        let without = report(generation(fence, sequence + 1), &has);
        store.sync_worker("w", &without, None).await.unwrap();
    }
    for kind in HandleKind::ALL {
        assert_eq!(store.handles(*kind, "", "", 9).await.unwrap(), []);
    }
    mark().await;
    database
        .execute("UPDATE builds SET since = since - 8 * 24 * 3600000")
        .await;
    store.mark_builds(10).await.unwrap();
    assert_eq!(store.build(id).await.unwrap(), None);
    assert_eq!(store.log_after(id, 0, 9).await.unwrap(), []);
}

pub(crate) async fn files_are_read_back_and_bounded(database: Database) {
    let store = database.store().await;
    let id = create(&store).await;
    let part = vec![0, 1, 255, 0];
    for (kind, name, number) in [
        (FileKind::Input, "a", 1),
        (FileKind::Input, "a", 2),
        (FileKind::Output, "a", 1),
    ] {
        assert!(
            store
                .put_file_part(id, kind, name, number, FileBytes::Row(&part))
                .await
                .unwrap()
        );
    }
    let read = store.file_part(id, FileKind::Input, "a", 2).await.unwrap();
    let row = FilePart {
        bytes: part,
        object: None,
    };
    assert_eq!(read, Some(row));
    let object = FileBytes::Object { name: "o", size: 4 };
    let stored = store.put_file_part(id, FileKind::Input, "a", 2, object);
    assert!(stored.await.unwrap(), "it replaces the row");
    let read = store.file_part(id, FileKind::Input, "a", 2).await.unwrap();
    assert_eq!(read.unwrap().object.as_deref(), Some("o"));
    let read = store.file_part(id, FileKind::Output, "a", 2).await.unwrap();
    assert_eq!(read, None);
    // A repeated part is replaced and counted once.
    let large = vec![7; FILE_BYTES_MAX as usize - 8];
    for _ in 0..2 {
        assert!(
            store
                .put_file_part(id, FileKind::Input, "a", 1, FileBytes::Row(&large))
                .await
                .unwrap()
        );
    }
    let more = store
        .put_file_part(id, FileKind::Input, "b", 1, FileBytes::Row(b"x"))
        .await;
    assert!(!more.unwrap(), "over the limit");
    let absent = store.file_part(id, FileKind::Input, "b", 1).await.unwrap();
    assert_eq!(absent, None);
    assert!(
        !store
            .put_file_part(id + 1, FileKind::Input, "b", 1, FileBytes::Row(b"x"))
            .await
            .unwrap()
    );
}
