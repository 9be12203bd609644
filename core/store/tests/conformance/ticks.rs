//! Leases, fencing tokens and wakes.

use crate::backend::Database;
use davy_store::{Claim, Outcome, Store};

const INTERVAL: i64 = 1_000;
const LEASE: i64 = 300;

async fn claim(store: &Store, holder: &str, now: i64) -> Option<Claim> {
    store
        .claim("gc", holder, now, INTERVAL, LEASE)
        .await
        .unwrap()
}

async fn finish(store: &Store, claim: &Claim, now: i64, outcome: Outcome) -> bool {
    store
        .finish("gc", claim.fence, now, outcome, None)
        .await
        .unwrap()
}

pub(crate) async fn one_of_many_concurrent_claims_succeeds(database: Database) {
    let stores = [database.store().await, database.store().await];
    for round in 0..20 {
        let now = round * INTERVAL;
        let attempts: Vec<_> = (0..8)
            .map(|holder| {
                let store = stores[holder % 2].clone();
                tokio::spawn(async move { claim(&store, &holder.to_string(), now).await })
            })
            .collect();
        let mut claims = Vec::new();
        for attempt in attempts {
            claims.extend(attempt.await.expect("no panic"));
        }
        assert_eq!(claims.len(), 1, "round {round}: {claims:?}");
        assert_eq!(claims[0].fence, round + 1);
        assert!(finish(&stores[0], &claims[0], now + 1, Outcome::Done).await);
    }
}

pub(crate) async fn tick_is_due_after_its_interval(database: Database) {
    let store = database.store().await;
    let first = claim(&store, "a", 100).await.expect("it never ran");
    assert_eq!((first.fence, first.lease_until), (1, 400));
    assert_eq!(claim(&store, "b", 399).await, None, "`a` holds the lease");
    assert!(finish(&store, &first, 350, Outcome::Done).await);
    assert_eq!(claim(&store, "b", 1_099).await, None, "not due");
    let second = claim(&store, "b", 1_100).await.expect("due");
    assert_eq!(second.fence, 2);

    let tick = store.ticks().await.unwrap().remove(0);
    assert_eq!((&*tick.name, tick.holder.as_deref()), ("gc", Some("b")));
    assert_eq!((tick.interval_ms, tick.known_since), (INTERVAL, Some(100)));
    assert_eq!((tick.started_at, tick.finished_at), (Some(1_100), None));
    assert_eq!((tick.last_run, tick.duration_ms), (Some(350), Some(250)));
    assert_eq!(tick.outcome.as_deref(), Some("done"));
    assert!(!tick.is_stale(2_350) && tick.is_stale(2_351));
}

pub(crate) async fn expired_holder_cannot_renew_or_finish_after_another_claim(database: Database) {
    let (first, second) = (database.store().await, database.store().await);
    let expired = claim(&first, "a", 0).await.expect("it never ran");
    assert_eq!(claim(&second, "b", LEASE - 1).await, None);
    // Due although the interval has not passed, because the run never finished.
    let current = claim(&second, "b", LEASE)
        .await
        .expect("the lease has expired");
    assert!(current.fence > expired.fence);
    assert!(!first.renew("gc", expired.fence, 10_000).await.unwrap());
    assert!(!finish(&first, &expired, LEASE + 1, Outcome::Done).await);
    assert_eq!(second.ticks().await.unwrap()[0].last_run, None);
    assert!(second.renew("gc", current.fence, 900).await.unwrap());
    assert!(finish(&second, &current, 899, Outcome::Done).await);
    let tick = second.ticks().await.unwrap().remove(0);
    assert_eq!((tick.last_run, tick.duration_ms), (Some(899), Some(599)));
    assert!(!second.renew("gc", current.fence, 9_000).await.unwrap());
    assert!(!finish(&second, &current, 899, Outcome::Done).await);
}

pub(crate) async fn expired_holder_cannot_finish(database: Database) {
    let store = database.store().await;
    let expired = claim(&store, "a", 0).await.expect("it never ran");
    assert!(!finish(&store, &expired, LEASE, Outcome::Done).await);
    assert_eq!(store.ticks().await.unwrap()[0].last_run, None);
}

pub(crate) async fn expired_lease_can_be_renewed_if_unclaimed(database: Database) {
    let store = database.store().await;
    let expired = claim(&store, "a", 0).await.expect("it never ran");
    assert!(store.renew("gc", expired.fence, 1_000).await.unwrap());
    assert_eq!(claim(&store, "b", 999).await, None);
    assert!(finish(&store, &expired, 999, Outcome::Done).await);
}

pub(crate) async fn wake_during_a_run_causes_one_more_run(database: Database) {
    let (runner, other) = (database.store().await, database.store().await);
    let first = claim(&runner, "a", 0).await.expect("it never ran");
    other.wake("gc").await.unwrap();
    assert_eq!(claim(&other, "b", 10).await, None, "a run is in progress");
    assert!(finish(&runner, &first, 20, Outcome::Done).await);
    assert!(runner.ticks().await.unwrap()[0].woken);
    let second = claim(&other, "b", 21).await.expect("it was woken");
    assert!(!runner.ticks().await.unwrap()[0].woken);
    assert!(finish(&other, &second, 22, Outcome::Done).await);
    assert_eq!(claim(&runner, "a", 23).await, None, "only one more run");
    runner.wake("gc").await.unwrap();
    assert!(claim(&runner, "a", 24).await.is_some());
}

pub(crate) async fn wake_before_the_first_claim_is_kept(database: Database) {
    let store = database.store().await;
    store.wake("gc").await.unwrap();
    let tick = store.ticks().await.unwrap().remove(0);
    assert!(tick.woken && !tick.is_stale(i64::MAX));
    assert_eq!(claim(&store, "a", 5).await.expect("due").fence, 1);
    let tick = store.ticks().await.unwrap().remove(0);
    assert_eq!((tick.interval_ms, tick.known_since), (INTERVAL, Some(5)));
}

pub(crate) async fn failed_run_does_not_count_as_last_run(database: Database) {
    let store = database.store().await;
    let first = claim(&store, "a", 0).await.expect("it never ran");
    assert!(finish(&store, &first, 10, Outcome::Done).await);
    let second = claim(&store, "a", INTERVAL).await.expect("due");
    let written = store
        .finish(
            "gc",
            second.fence,
            1_200,
            Outcome::Failed,
            Some("no volume"),
        )
        .await;
    assert!(written.unwrap());
    let tick = store.ticks().await.unwrap().remove(0);
    assert_eq!(tick.outcome.as_deref(), Some("failed"));
    assert_eq!(tick.error.as_deref(), Some("no volume"));
    assert_eq!((tick.last_run, tick.finished_at), (Some(10), Some(1_200)));
    assert_eq!(claim(&store, "a", 1_999).await, None, "not due yet");
    let third = claim(&store, "a", 2_000).await.expect("due");
    assert!(finish(&store, &third, 2_001, Outcome::Done).await);
    assert_eq!(store.ticks().await.unwrap()[0].error, None);
}

pub(crate) async fn stopped_run_is_due_immediately(database: Database) {
    let store = database.store().await;
    let first = claim(&store, "a", 0).await.expect("it never ran");
    assert!(finish(&store, &first, 10, Outcome::Stopped).await);
    assert_eq!(claim(&store, "b", 11).await.expect("due").fence, 2);
}

pub(crate) async fn ticks_of_removed_members_are_deleted(database: Database) {
    let store = database.store().await;
    for (name, now) in [("old", 0), ("held", 0), ("new", 10_000)] {
        let lease = if name == "held" { 20_000 } else { LEASE };
        let claimed = store.claim(name, "a", now, INTERVAL, lease).await.unwrap();
        assert!(claimed.is_some());
    }
    assert_eq!(store.delete_ticks_before(10_000).await.unwrap(), 1);
    let names: Vec<String> = store
        .ticks()
        .await
        .unwrap()
        .into_iter()
        .map(|tick| tick.name)
        .collect();
    assert_eq!(names, ["held", "new"]);
}
