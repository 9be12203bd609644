//! Switches and their revisions.

use crate::backend::Database;
use davy_store::{Action, Error, Source, SwitchChange, SwitchKind};
use std::collections::BTreeSet;

pub(crate) fn change(name: &str, action: Action) -> SwitchChange {
    SwitchChange {
        kind: SwitchKind::Endpoint,
        name: name.to_owned(),
        action,
        who: "ada".to_owned(),
        why: Some("it eats memory".to_owned()),
        at: 1_000,
        process: Some("p1".to_owned()),
        source: Source::Cli,
    }
}

pub(crate) async fn a_switch_and_its_audit_row_are_written_together(database: Database) {
    let store = database.store().await;
    let check = async |action: Action, enabled, limit_to, slot_ms, what: &str| {
        let switch = store.set_switch(&change("List", action)).await.unwrap();
        assert_eq!(
            (switch.enabled, switch.limit_to, switch.slot_ms),
            (enabled, limit_to, slot_ms)
        );
        assert_eq!(switch.why.as_deref(), Some("it eats memory"));
        let row = store.audit(1, None).await.unwrap().remove(0);
        assert_eq!((&*row.what, &*row.name, &*row.who), (what, "List", "ada"));
        assert_eq!((row.at, &*row.source), (1_000, "cli"));
        assert_eq!(row.process.as_deref(), Some("p1"));
        let detail: serde_json::Value =
            serde_json::from_str(&row.detail.expect("a detail")).expect("it is JSON");
        assert_eq!(detail["revision"], switch.revision);
        assert_eq!(detail["limit_to"], serde_json::json!(limit_to));
        switch
    };
    check(Action::Disable, Some(false), None, None, "endpoint.disable").await;
    let limit = Action::Limit {
        to: 5,
        slot_ms: Some(250),
    };
    check(limit, Some(true), Some(5), Some(250), "endpoint.limit").await;
    let last = check(Action::Enable, Some(true), None, None, "endpoint.enable").await;
    assert_eq!(store.switches().await.unwrap(), (3, vec![last]));
    assert_eq!(store.audit(10, None).await.unwrap().len(), 3);
}

pub(crate) async fn a_change_whose_audit_row_is_refused_does_not_happen(database: Database) {
    let store = database.store().await;
    let mut refused = change("List", Action::Disable);
    // Only the audit row has it.
    refused.process = Some("p\0".to_owned());
    let error = store.set_switch(&refused).await.expect_err("a zero byte");
    assert!(matches!(error, Error::ZeroByte { at: 1 }), "{error}");
    assert_eq!(store.switches().await.unwrap(), (0, Vec::new()));
    assert!(store.audit(10, None).await.unwrap().is_empty());
    let switch = store.set_switch(&change("List", Action::Disable)).await;
    assert_eq!(switch.unwrap().revision, 1);
}

pub(crate) async fn a_restart_leaves_a_switch_as_it_is(database: Database) {
    let store = database.store().await;
    let off = store
        .set_switch(&change("gc", Action::Disable))
        .await
        .unwrap();
    let mut restart = change("gc", Action::Restart);
    restart.who = String::from("bob");
    let switch = store.set_switch(&restart).await.unwrap();
    assert_eq!((switch.enabled, &*switch.who), (Some(false), "ada"));
    assert_eq!(switch.restart_revision, switch.revision);
    assert!(switch.revision > off.revision);
    let switch = store
        .set_switch(&change("gc", Action::Enable))
        .await
        .unwrap();
    assert_eq!(switch.restart_revision, 2);
    assert_eq!(switch.revision, 3);

    let fresh = store
        .set_switch(&change("new", Action::Restart))
        .await
        .unwrap();
    assert_eq!((fresh.enabled, fresh.restart_revision), (None, 4));
}

pub(crate) async fn a_cleared_switch_is_seen_by_those_who_poll(database: Database) {
    let (writer, reader) = (database.store().await, database.store().await);
    for (name, kind) in [("a", SwitchKind::Endpoint), ("a", SwitchKind::Member)] {
        let mut off = change(name, Action::Disable);
        off.kind = kind;
        writer.set_switch(&off).await.unwrap();
    }
    let (revision, switches) = reader.switches().await.unwrap();
    assert_eq!((revision, switches.len()), (2, 2));
    assert_eq!(reader.switches_since(2).await.unwrap(), (2, Vec::new()));
    writer
        .set_switch(&change("a", Action::Clear))
        .await
        .unwrap();
    let (revision, switches) = reader.switches_since(revision).await.unwrap();
    assert_eq!((revision, switches.len()), (3, 1));
    assert_eq!(switches[0].kind, SwitchKind::Endpoint);
    assert_eq!((switches[0].enabled, switches[0].limit_to), (None, None));
}

pub(crate) async fn a_poll_misses_no_change_of_concurrent_writers(database: Database) {
    const WRITERS: i64 = 8;
    const CHANGES: i64 = 25;
    let stores = [database.store().await, database.store().await];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = stores[writer as usize % 2].clone();
            tokio::spawn(async move {
                for number in 0..CHANGES {
                    let name = format!("{writer}-{number}");
                    let wish = change(&name, Action::Disable);
                    // Eight writers of SQLite may outwait one of them; it asks again, as a caller does.
                    while let Err(error) = store.set_switch(&wish).await {
                        assert!(error.is_unreachable(), "{error}");
                    }
                }
            })
        })
        .collect();
    let reader = database.store().await;
    let (mut revision, mut seen) = (0, BTreeSet::new());
    while revision < WRITERS * CHANGES {
        let (latest, switches) = reader.switches_since(revision).await.unwrap();
        assert!(latest >= revision);
        seen.extend(switches.into_iter().map(|switch| switch.name));
        revision = latest;
    }
    for writer in writers {
        writer.await.expect("the writer is done");
    }
    assert_eq!(seen.len() as i64, WRITERS * CHANGES);
    assert_eq!(reader.audit(1_000, None).await.unwrap().len(), seen.len());
}
