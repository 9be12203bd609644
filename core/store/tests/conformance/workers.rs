//! Keys and registrations of workers.

use crate::backend::Database;
use davy_model::sync::generation;
use davy_model::{HandleKind, Report};
use davy_store::{NewWorker, Store, SyncOutcome};

/// The description of a worker that has signed `challenge`.
pub(crate) fn new_worker(name: &str, challenge: &str) -> NewWorker {
    NewWorker {
        name: name.to_owned(),
        challenge: challenge.to_owned(),
        public_key: "key".to_owned(),
        is_ephemeral: false,
        platform: "linux".to_owned(),
        tags: "[]".to_owned(),
        capacity: 250,
        version: "0".to_owned(),
        builds: Vec::new(),
    }
}

/// Registers a worker; returns the number of its registration.
pub(crate) async fn register(store: &Store, name: &str) -> i64 {
    let challenge = challenge(store, name).await;
    let registered = store.register_worker(&new_worker(name, &challenge)).await;
    registered.unwrap().expect("the challenge is new")
}

/// Registers a worker that still has the tasks of builds.
pub(crate) async fn register_with(store: &Store, name: &str, builds: &[i64]) -> i64 {
    let challenge = challenge(store, name).await;
    let new = NewWorker {
        builds: builds.to_vec(),
        ..new_worker(name, &challenge)
    };
    let registered = store.register_worker(&new).await;
    registered.unwrap().expect("the challenge is new")
}

async fn challenge(store: &Store, name: &str) -> String {
    let known = store.worker_keys().await.unwrap();
    let is_known = |row: &davy_store::WorkerKeyRow| row.worker == name && row.revoked_at.is_none();
    if !known.iter().any(is_known) {
        store.put_worker_key(name, "key", "alice").await.unwrap();
    }
    let fresh = format!("{name}-{}", davy_base::Random::system().next_u64());
    let challenge = store.worker_challenge(name, &fresh).await.unwrap();
    challenge.expect("it has a key").0
}

/// A report of containers.
pub(crate) fn report(generation: i64, handles: &[&str]) -> Report {
    let handles = handles.iter();
    Report {
        generation,
        handles: handles
            .map(|name| ((*name).to_owned(), HandleKind::Container))
            .collect(),
        part: None,
    }
}

pub(crate) async fn challenge_is_answered_once_and_only_with_the_current_key(database: Database) {
    let store = database.store().await;
    assert_eq!(store.worker_challenge("w", "c").await.unwrap(), None);
    let first = challenge(&store, "w").await;
    // A stranger who asks does not invalidate it.
    assert_eq!(challenge(&store, "w").await, first);
    let wrong_key = NewWorker {
        public_key: "another".to_owned(),
        ..new_worker("w", &first)
    };
    assert_eq!(store.register_worker(&wrong_key).await.unwrap(), None);
    let other_worker = NewWorker {
        name: "x".to_owned(),
        ..new_worker("w", &first)
    };
    assert_eq!(store.register_worker(&other_worker).await.unwrap(), None);
    let new = new_worker("w", &first);
    assert_eq!(store.register_worker(&new).await.unwrap(), Some(1));
    assert_eq!(store.register_worker(&new).await.unwrap(), None, "replayed");
    let session = store
        .worker_session("w")
        .await
        .unwrap()
        .expect("registered");
    assert_eq!((session.registration, &session.nonce), (1, &first));

    let second = challenge(&store, "w").await;
    assert_ne!(second, first);
    database
        .execute("UPDATE worker_keys SET challenge_at = challenge_at - 60000")
        .await;
    let late = store.register_worker(&new_worker("w", &second)).await;
    assert_eq!(late.unwrap(), None, "too late");
}

pub(crate) async fn later_registration_replaces_the_earlier_one(database: Database) {
    let store = database.store().await;
    let first = register(&store, "w").await;
    let first_report = report(generation(first, 1), &[]);
    let one = store.sync_worker("w", &first_report, None);
    assert!(matches!(one.await.unwrap(), SyncOutcome::Accepted { .. }));
    let second = register(&store, "w").await;
    assert_eq!(second, first + 1);
    // The first process, whose disk was cloned, for example, has counted on.
    let clone = report(generation(first, 7_000), &["a"]);
    let stale = store.sync_worker("w", &clone, None).await.unwrap();
    let current = generation(second, 0);
    assert_eq!(
        stale,
        SyncOutcome::Stale {
            generation: current
        }
    );
    // A generation of a registration that never happened does not lock out later ones.
    let future = report(generation(second + 5, 1), &["a"]);
    let refused = store.sync_worker("w", &future, None).await.unwrap();
    assert_eq!(
        refused,
        SyncOutcome::Stale {
            generation: current
        }
    );
    let first_report = report(generation(second, 1), &[]);
    let two = store.sync_worker("w", &first_report, None);
    assert!(matches!(two.await.unwrap(), SyncOutcome::Accepted { .. }));
    // The number keeps growing when the worker was removed in between.
    database.execute("DELETE FROM workers").await;
    assert_eq!(register(&store, "w").await, second + 1);
}

pub(crate) async fn revoked_key_ends_the_session(database: Database) {
    let (store, other) = (database.store().await, database.store().await);
    let registration = register(&store, "w").await;
    register(&store, "v").await;
    assert!(other.revoke_worker_key("w").await.unwrap());
    assert!(!other.revoke_worker_key("w").await.unwrap());
    assert_eq!(store.worker_session("w").await.unwrap(), None);
    assert!(store.worker_session("v").await.unwrap().is_some());
    assert_eq!(store.worker_challenge("w", "c").await.unwrap(), None);
    let first_report = report(generation(registration, 1), &[]);
    let late = store.sync_worker("w", &first_report, None);
    assert_eq!(late.await.unwrap(), SyncOutcome::UnknownWorker);
    let keys = store.worker_keys().await.unwrap();
    let revoked: Vec<_> = keys
        .iter()
        .map(|row| (&*row.worker, row.revoked_at.is_some()))
        .collect();
    assert_eq!(revoked, [("v", false), ("w", true)]);
}

pub(crate) async fn workers_land_and_retire(database: Database) {
    let store = database.store().await;
    register(&store, "a").await;
    register(&store, "b").await;
    assert!(store.land_worker("a").await.unwrap());
    assert!(!store.land_worker("a").await.unwrap(), "not running");
    assert!(store.retire_worker("b").await.unwrap());
    assert!(!store.retire_worker("b").await.unwrap(), "retires already");
    assert!(!store.retire_worker("c").await.unwrap(), "unknown");
    let states = async || -> Vec<(String, String)> {
        let workers = store.workers("", 10).await.unwrap();
        workers
            .into_iter()
            .map(|row| (row.name, row.state))
            .collect()
    };
    let row = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(states().await, [row("a", "landing"), row("b", "retiring")]);
    store.mark_workers(10).await.unwrap();
    assert_eq!(states().await, [row("a", "landed")]);
    register(&store, "a").await;
    assert_eq!(states().await, [row("a", "running")]);
}
