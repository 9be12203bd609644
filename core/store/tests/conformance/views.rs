//! Saved views.

use crate::backend::Database;
use davy_store::{NewView, Store};

async fn save(store: &Store, tenant: &str, number: u32, max: u32) -> bool {
    let view = NewView {
        id: format!("{number:026}"),
        tenant: tenant.to_owned(),
        title: format!("view {number}"),
        note: "the heap's \u{1f525} \"growth\"".to_owned(),
        link: "explore?type=cpu#zoom=1".to_owned(),
        operator: "ada".to_owned(),
    };
    store.add_view(&view, max).await.unwrap()
}

async fn titles(store: &Store, tenant: &str) -> Vec<String> {
    let views = store.views(tenant, 10).await.unwrap();
    views.into_iter().map(|view| view.title).collect()
}

pub(crate) async fn views_of_a_tenant_are_listed_newest_first(database: Database) {
    let store = database.store().await;
    for (tenant, number) in [("a", 1), ("b", 2), ("a", 3)] {
        assert!(save(&store, tenant, number, 10).await);
    }
    assert_eq!(titles(&store, "a").await, ["view 3", "view 1"]);
    assert_eq!(titles(&store, "b").await, ["view 2"]);
    let newest = store.views("a", 1).await.unwrap();
    assert_eq!(newest[0].note, "the heap's \u{1f525} \"growth\"");
    assert_eq!(newest[0].link, "explore?type=cpu#zoom=1");
    assert!(newest[0].at > 1_600_000_000_000);
}

pub(crate) async fn number_of_views_of_a_tenant_is_limited(database: Database) {
    let store = database.store().await;
    assert!(save(&store, "a", 1, 2).await);
    assert!(save(&store, "a", 2, 2).await);
    assert!(!save(&store, "a", 3, 2).await);
    assert!(save(&store, "b", 4, 2).await);
    assert_eq!(titles(&store, "a").await, ["view 2", "view 1"]);
}

pub(crate) async fn view_is_deleted_by_its_tenant_only(database: Database) {
    let store = database.store().await;
    save(&store, "a", 1, 10).await;
    let id = format!("{:026}", 1);
    assert_eq!(store.delete_view("b", &id).await.unwrap(), None);
    assert_eq!(titles(&store, "a").await, ["view 1"]);
    let title = store.delete_view("a", &id).await.unwrap();
    assert_eq!(title.as_deref(), Some("view 1"));
    assert_eq!(store.delete_view("a", &id).await.unwrap(), None);
    assert!(titles(&store, "a").await.is_empty());
}
