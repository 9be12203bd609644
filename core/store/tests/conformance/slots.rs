//! Limits across the fleet.

use crate::backend::{Database, fast_clock};
use davy_base::Clock;
use davy_store::Store;
use std::time::Duration;

/// Longer than any check takes.
const HOLD: Duration = Duration::from_mins(1);

async fn take(store: &Store, id: &str) -> bool {
    store.take_slot("List", 1, id, "p", HOLD).await.unwrap()
}

/// Moves all slots back in time by [`HOLD`], so that they have expired.
async fn expire(database: &Database) {
    let sql = format!("UPDATE slots SET until = until - {}", HOLD.as_millis());
    database.execute(&sql).await;
}

pub(crate) async fn concurrent_requests_never_exceed_the_limit(database: Database) {
    const LIMIT: u32 = 3;
    let stores = [database.store().await, database.store().await];
    for round in 0..20 {
        let op = format!("List{round}");
        let requests: Vec<_> = (0..8)
            .map(|id| {
                let (store, op) = (stores[id % 2].clone(), op.clone());
                tokio::spawn(async move {
                    store
                        .take_slot(&op, LIMIT, &id.to_string(), "p", HOLD)
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut taken = 0;
        for request in requests {
            taken += u32::from(request.await.expect("no panic"));
        }
        assert_eq!(taken, LIMIT, "round {round}");
        let count = stores[0].slots().await.unwrap();
        assert!(count.contains(&(op, LIMIT.into())));
    }
}

pub(crate) async fn expired_slots_are_free(database: Database) {
    let store = database.store().await;
    assert!(take(&store, "a").await);
    assert!(!take(&store, "b").await);
    expire(&database).await;
    assert_eq!(store.slots().await.unwrap(), []);
    assert!(take(&store, "b").await);
    // The slot of `a` has expired, so this must not release that of `b`.
    store.release_slot("List", "a").await.unwrap();
    assert!(!take(&store, "c").await);
    store.release_slot("List", "b").await.unwrap();
    assert!(take(&store, "c").await);
    let other = store.take_slot("Other", 1, "d", "p", HOLD).await;
    assert!(other.unwrap());
    let none = store.take_slot("None", 0, "e", "p", HOLD).await;
    assert!(!none.unwrap());
}

pub(crate) async fn request_keeps_its_slot_when_it_takes_it_again(database: Database) {
    let store = database.store().await;
    let short = store.take_slot("List", 1, "a", "p", HOLD).await;
    assert!(short.unwrap());
    let longer = store.take_slot("List", 1, "a", "p", HOLD * 2).await;
    assert!(longer.unwrap());
    expire(&database).await;
    assert!(!take(&store, "b").await);
    assert_eq!(store.slots().await.unwrap(), [("List".to_owned(), 1)]);
}

pub(crate) async fn fast_clock_of_a_host_frees_no_live_slot(database: Database) {
    let accurate = database.store_on(Clock::system()).await;
    let fast = database.store_on(fast_clock()).await;
    assert!(take(&accurate, "a").await);
    assert!(!take(&fast, "b").await, "the slot is live");
    assert!(!take(&accurate, "c").await, "the slot was not deleted");
    assert_eq!(fast.slots().await.unwrap(), [("List".to_owned(), 1)]);
}

pub(crate) async fn slot_expires_on_time_even_if_the_clock_of_its_host_is_wrong(
    database: Database,
) {
    let accurate = database.store_on(Clock::system()).await;
    let fast = database.store_on(fast_clock()).await;
    assert!(take(&fast, "a").await);
    expire(&database).await;
    assert_eq!(accurate.slots().await.unwrap(), []);
    assert!(take(&accurate, "b").await);
}
