//! Callers that are cancelled in the middle of a call.

use crate::backend::{Database, until};
use crate::toggles::change;
use davy_store::{Action, Store, StoreOptions};
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Polls a future `times` times and drops it. Returns whether it completed.
async fn polled<F: Future>(times: usize, future: F) -> bool {
    let mut future = pin!(future);
    let mut left = times;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

/// A store with two connections, so that a leaked one is noticed.
async fn two_connections(database: &Database) -> Store {
    let store = Store::new(StoreOptions {
        connections_max: 2,
        ..StoreOptions::new(&database.url)
    })
    .expect("a valid URL");
    store.migrate().await.expect("the migration succeeds");
    store
}

pub(crate) async fn change_dropped_at_any_point_is_atomic(database: Database) {
    let store = two_connections(&database).await;
    let (mut done, mut dropped) = (0, 0);
    // Until the change has completed several times, so that it was dropped at every possible point.
    for times in 0..200 {
        let name = times.to_string();
        if polled(times, store.set_toggle(&change(&name, Action::Disable))).await {
            done += 1;
        } else {
            dropped += 1;
        }
        if done > 10 {
            break;
        }
    }
    assert!(done > 10 && dropped > 3, "{done} done, {dropped} dropped");
    // A change that was dropped during its commit may still be in progress.
    until("another change succeeds", async || {
        store
            .set_toggle(&change("last", Action::Enable))
            .await
            .is_ok()
    })
    .await;
    let (revision, toggles) = store.toggles().await.unwrap();
    let audit = store.audit(1_000, None).await.unwrap();
    let mut names: Vec<&str> = toggles.iter().map(|toggle| &*toggle.name).collect();
    let mut audited: Vec<&str> = audit.iter().map(|row| &*row.name).collect();
    names.sort_unstable();
    audited.sort_unstable();
    assert_eq!(names, audited);
    assert!(names.len() > done, "completed changes are stored");
    assert_eq!(revision, toggles.len() as i64, "no revision is missing");
}

pub(crate) async fn claims_dropped_at_any_point_leak_no_connection(database: Database) {
    let store = two_connections(&database).await;
    for times in 0..60 {
        let name = times.to_string();
        polled(times % 12, store.claim(&name, "a", 0, 10, 10)).await;
        let hold = Duration::from_millis(10);
        polled(times % 12, store.take_slot(&name, 1, "a", "p", hold)).await;
    }
    until("both connections are free", async || {
        let (first, second) = tokio::join!(store.ticks(), store.slots());
        first.is_ok() && second.is_ok()
    })
    .await;
    let stats = store.stats();
    assert!(stats.connections <= 2, "{stats:?}");
    assert!(stats.budgets.iter().all(|budget| budget.in_use == 0));
}
