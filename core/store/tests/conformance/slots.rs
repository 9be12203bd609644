//! Limits across the fleet.

use crate::backend::Database;

pub(crate) async fn the_last_slot_goes_to_one(database: Database) {
    const LIMIT: u32 = 3;
    let stores = [database.store().await, database.store().await];
    for round in 0..20 {
        let op = format!("List{round}");
        let asked: Vec<_> = (0..8)
            .map(|id| {
                let (store, op) = (stores[id % 2].clone(), op.clone());
                tokio::spawn(async move {
                    store
                        .take_slot(&op, LIMIT, &id.to_string(), "p", 0, 100)
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut taken = 0;
        for asked in asked {
            taken += u32::from(asked.await.expect("it was answered"));
        }
        assert_eq!(taken, LIMIT, "round {round}");
        let count = stores[0].slots(0).await.unwrap();
        assert!(count.contains(&(op, LIMIT.into())));
    }
}

pub(crate) async fn slots_whose_time_is_over_are_free(database: Database) {
    let store = database.store().await;
    let take = async |id: &str, now: i64| {
        store
            .take_slot("List", 1, id, "p", now, now + 100)
            .await
            .unwrap()
    };
    assert!(take("a", 0).await);
    assert!(!take("b", 99).await);
    assert_eq!(store.slots(100).await.unwrap(), []);
    assert!(take("b", 100).await);
    // Too late: the slot is b's.
    store.give_slot("List", "a").await.unwrap();
    assert!(!take("c", 101).await);
    store.give_slot("List", "b").await.unwrap();
    assert!(take("c", 102).await);
    assert!(
        store
            .take_slot("Other", 1, "d", "p", 102, 200)
            .await
            .unwrap()
    );
    assert!(
        !store
            .take_slot("None", 0, "e", "p", 102, 200)
            .await
            .unwrap()
    );
}

pub(crate) async fn a_request_keeps_the_slot_that_it_has(database: Database) {
    let store = database.store().await;
    assert!(store.take_slot("List", 1, "a", "p", 0, 100).await.unwrap());
    assert!(store.take_slot("List", 1, "a", "p", 50, 150).await.unwrap());
    assert!(
        !store
            .take_slot("List", 1, "b", "p", 120, 220)
            .await
            .unwrap()
    );
    assert_eq!(store.slots(120).await.unwrap(), [("List".to_owned(), 1)]);
}
