//! Toggles, their revisions and their audit rows.

use crate::backend::{Database, fast_clock};
use davy_store::{Action, Error, Source, ToggleChange, ToggleKind};
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) fn change(name: &str, action: Action) -> ToggleChange {
    ToggleChange {
        kind: ToggleKind::Endpoint,
        name: name.to_owned(),
        action,
        operator: "ada".to_owned(),
        why: Some("uses too much memory".to_owned()),
        age: Duration::ZERO,
        process: Some("p1".to_owned()),
        source: Source::Cli,
    }
}

pub(crate) async fn toggle_and_audit_row_are_written_together(database: Database) {
    let store = database.store().await;
    let check = async |action: Action, enabled, limit_to, slot_ms, what: &str| {
        let toggle = store.set_toggle(&change("List", action)).await.unwrap();
        assert_eq!(
            (toggle.enabled, toggle.limit_to, toggle.slot_ms),
            (enabled, limit_to, slot_ms)
        );
        assert_eq!(toggle.why.as_deref(), Some("uses too much memory"));
        let row = store.audit(1, None).await.unwrap().remove(0);
        assert_eq!(
            (&*row.what, &*row.name, &*row.operator),
            (what, "List", "ada")
        );
        assert_eq!(&*row.source, "cli");
        assert_eq!(row.process.as_deref(), Some("p1"));
        let detail: serde_json::Value =
            serde_json::from_str(&row.detail.expect("a detail")).expect("JSON");
        assert_eq!(detail["revision"], toggle.revision);
        assert_eq!(detail["limit_to"], serde_json::json!(limit_to));
        toggle
    };
    check(Action::Disable, Some(false), None, None, "endpoint.disable").await;
    let limit = Action::Limit {
        to: 5,
        slot_ms: Some(250),
    };
    check(limit, Some(true), Some(5), Some(250), "endpoint.limit").await;
    let last = check(Action::Enable, Some(true), None, None, "endpoint.enable").await;
    assert_eq!(store.toggles().await.unwrap(), (3, vec![last]));
    assert_eq!(store.audit(10, None).await.unwrap().len(), 3);
}

pub(crate) async fn change_has_the_time_of_the_database_minus_its_age(database: Database) {
    let store = database.store_on(fast_clock()).await;
    for age in [Duration::ZERO, Duration::from_secs(90)] {
        let mut change = change("List", Action::Disable);
        change.age = age;
        let made = async || store.now().await.unwrap().minus(age).millis();
        let earliest = made().await;
        let toggle = store.set_toggle(&change).await.unwrap();
        let row = store.audit(1, None).await.unwrap().remove(0);
        let latest = made().await;
        for at in [toggle.at, row.at] {
            assert!(
                (earliest..=latest).contains(&at),
                "{earliest} {at} {latest}"
            );
        }
    }
}

pub(crate) async fn toggle_is_rolled_back_if_its_audit_row_is_rejected(database: Database) {
    let store = database.store().await;
    let mut invalid = change("List", Action::Disable);
    // Only the audit row contains the id of the process.
    invalid.process = Some("p\0".to_owned());
    let error = store.set_toggle(&invalid).await.expect_err("a zero byte");
    assert!(matches!(error, Error::ZeroByte { at: 1 }), "{error}");
    assert_eq!(store.toggles().await.unwrap(), (0, Vec::new()));
    assert!(store.audit(10, None).await.unwrap().is_empty());
    let toggle = store.set_toggle(&change("List", Action::Disable)).await;
    assert_eq!(toggle.unwrap().revision, 1);
}

pub(crate) async fn restart_does_not_change_the_toggle(database: Database) {
    let store = database.store().await;
    let disabled = store
        .set_toggle(&change("gc", Action::Disable))
        .await
        .unwrap();
    let mut restart = change("gc", Action::Restart);
    restart.operator = String::from("bob");
    let toggle = store.set_toggle(&restart).await.unwrap();
    assert_eq!((toggle.enabled, &*toggle.operator), (Some(false), "ada"));
    assert_eq!(toggle.restart_revision, toggle.revision);
    assert!(toggle.revision > disabled.revision);
    let toggle = store
        .set_toggle(&change("gc", Action::Enable))
        .await
        .unwrap();
    assert_eq!(toggle.restart_revision, 2);
    assert_eq!(toggle.revision, 3);

    let restarted = store
        .set_toggle(&change("new", Action::Restart))
        .await
        .unwrap();
    assert_eq!((restarted.enabled, restarted.restart_revision), (None, 4));
}

pub(crate) async fn poll_returns_cleared_toggles(database: Database) {
    let (writer, reader) = (database.store().await, database.store().await);
    for (name, kind) in [("a", ToggleKind::Endpoint), ("a", ToggleKind::Member)] {
        let mut disable = change(name, Action::Disable);
        disable.kind = kind;
        writer.set_toggle(&disable).await.unwrap();
    }
    let (revision, toggles) = reader.toggles().await.unwrap();
    assert_eq!((revision, toggles.len()), (2, 2));
    assert_eq!(reader.toggles_since(2).await.unwrap(), (2, Vec::new()));
    writer
        .set_toggle(&change("a", Action::Clear))
        .await
        .unwrap();
    let (revision, toggles) = reader.toggles_since(revision).await.unwrap();
    assert_eq!((revision, toggles.len()), (3, 1));
    assert_eq!(toggles[0].kind, ToggleKind::Endpoint);
    assert_eq!((toggles[0].enabled, toggles[0].limit_to), (None, None));
}

pub(crate) async fn poll_misses_no_change_of_concurrent_writers(database: Database) {
    const WRITERS: i64 = 8;
    const CHANGES: i64 = 25;
    let stores = [database.store().await, database.store().await];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = stores[writer as usize % 2].clone();
            tokio::spawn(async move {
                for number in 0..CHANGES {
                    let name = format!("{writer}-{number}");
                    let disable = change(&name, Action::Disable);
                    // With eight writers, SQLite may exceed the time limit of one, which then retries.
                    while let Err(error) = store.set_toggle(&disable).await {
                        assert!(error.is_transient(), "{error}");
                    }
                }
            })
        })
        .collect();
    let reader = database.store().await;
    let (mut revision, mut seen) = (0, BTreeSet::new());
    while revision < WRITERS * CHANGES {
        let (latest, toggles) = reader.toggles_since(revision).await.unwrap();
        assert!(latest >= revision);
        seen.extend(toggles.into_iter().map(|toggle| toggle.name));
        revision = latest;
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert_eq!(seen.len() as i64, WRITERS * CHANGES);
    assert_eq!(reader.audit(1_000, None).await.unwrap().len(), seen.len());
}
