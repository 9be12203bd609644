//! Callers that go away in the middle.

use crate::backend::{Database, until};
use crate::toggles::change;
use davy_store::{Action, Options, Store};
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// Polls a future so many times and drops it before the next; whether it was done by then.
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

/// Two connections: one that is lost for good is missed soon.
async fn narrow(database: &Database) -> Store {
    let store = Store::new(Options {
        connections_max: 2,
        ..Options::new(&database.url)
    })
    .expect("the URL is understood");
    store.migrate().await.expect("it migrates");
    store
}

pub(crate) async fn a_change_dropped_at_any_point_happens_whole_or_not_at_all(database: Database) {
    let store = narrow(&database).await;
    let (mut done, mut dropped) = (0, 0);
    // Until it is done several times over, so that no point in between was left out.
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
    // What was dropped while it was being committed may still be happening.
    until("the last change can be made", async || {
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
    assert!(names.len() > done, "what was done is there");
    assert_eq!(revision, toggles.len() as i64, "no revision was left out");
}

pub(crate) async fn claims_dropped_at_any_point_leave_the_pool_whole(database: Database) {
    let store = narrow(&database).await;
    for times in 0..60 {
        let name = times.to_string();
        polled(times % 12, store.claim(&name, "a", 0, 10, 10)).await;
        polled(times % 12, store.take_slot(&name, 1, "a", "p", 0, 10)).await;
    }
    until("both connections are free", async || {
        let (first, second) = tokio::join!(store.ticks(), store.slots(0));
        first.is_ok() && second.is_ok()
    })
    .await;
    let figures = store.figures();
    assert!(figures.connections <= 2, "{figures:?}");
    assert!(figures.budgets.iter().all(|budget| budget.in_use == 0));
}
