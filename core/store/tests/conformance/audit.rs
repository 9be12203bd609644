//! The audit log.

use crate::backend::Database;
use davy_store::{NewAudit, Source, Store};
use std::time::Duration;

/// Adds rows, each an hour younger than the one before; the last is an hour old.
async fn fill(store: &Store, rows: u64) -> Vec<i64> {
    let mut ids = Vec::new();
    for hours in (1..=rows).rev() {
        let row = NewAudit {
            age: Duration::from_hours(hours),
            operator: "file".to_owned(),
            what: "member.disable".to_owned(),
            name: "gc".to_owned(),
            detail: None,
            why: None,
            process: None,
            source: Source::Sighup,
        };
        ids.push(store.add_audit(&row).await.unwrap());
    }
    ids
}

pub(crate) async fn audit_rows_are_paged_newest_first(database: Database) {
    let store = database.store().await;
    let ids = fill(&store, 5).await;
    let page = async |before| -> Vec<i64> {
        let rows = store.audit(2, before).await.unwrap();
        assert!(rows.iter().all(|row| row.source == "sighup"));
        rows.into_iter().map(|row| row.id).collect()
    };
    assert_eq!(page(None).await, [ids[4], ids[3]]);
    assert_eq!(page(Some(ids[3])).await, [ids[2], ids[1]]);
    assert_eq!(page(Some(ids[1])).await, [ids[0]]);
    assert!(page(Some(ids[0])).await.is_empty());
}

pub(crate) async fn old_audit_rows_are_deleted(database: Database) {
    let store = database.store().await;
    let ids = fill(&store, 5).await;
    let retention = Duration::from_mins(150);
    assert_eq!(store.delete_old_audit(retention).await.unwrap(), 3);
    let kept = store.audit(10, None).await.unwrap();
    assert_eq!(
        kept.iter().map(|row| row.id).collect::<Vec<_>>(),
        [ids[4], ids[3]]
    );
    // Ids are never reused, so the cursor of a reader stays valid.
    assert_eq!(store.delete_old_audit(Duration::ZERO).await.unwrap(), 2);
    assert!(fill(&store, 1).await[0] > ids[4]);
}
