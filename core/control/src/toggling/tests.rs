use super::*;
use crate::test_control::control_on;
use davy_base::Clock;
use tempfile::TempDir;

/// A control on a database of its own.
async fn control(folder: &TempDir) -> Control {
    control_on(folder, Clock::manual(Timestamp::from_seconds(1_000))).await
}

fn command(action: Action) -> ToggleCommand {
    ToggleCommand {
        kind: ToggleKind::Endpoint,
        name: "ListAllJobs".to_owned(),
        action,
        operator: "alice".to_owned(),
        why: "test".to_owned(),
        source: Source::Api,
    }
}

#[tokio::test]
async fn change_without_effect_is_not_audited_and_names_the_state() {
    let folder = TempDir::new().expect("a scratch folder");
    let control = control(&folder).await;
    let limit = Action::Limit {
        to: 1,
        slot_ms: None,
    };
    let steps = [
        (Action::Clear, false, "already enabled; nothing changed"),
        (
            Action::Disable,
            true,
            "disabled; every process applies this within a second",
        ),
        (Action::Disable, false, "already disabled; nothing changed"),
        (
            limit,
            true,
            "limited to 1 concurrent request; every process applies this within a second",
        ),
        (
            limit,
            false,
            "already limited to 1 concurrent request; nothing changed",
        ),
        (
            Action::Clear,
            true,
            "enabled; every process applies this within a second",
        ),
        (Action::Clear, false, "already enabled; nothing changed"),
    ];
    let mut audited = 0;
    for (action, changed, detail) in steps {
        let outcome = control
            .toggle(command(action))
            .await
            .expect("a valid change");
        assert_eq!(
            (outcome.changed, outcome.detail.as_str()),
            (changed, detail)
        );
        assert_eq!(outcome.toggle.enabled, action != Action::Disable);
        audited += usize::from(changed);
        let entries = control.0.store.audit(100, None).await.expect("a database");
        assert_eq!(entries.len(), audited, "{action:?}");
    }
}

/// A change that another process made.
fn change() -> ToggleChange {
    ToggleChange {
        kind: ToggleKind::Endpoint,
        name: "ListAllJobs".to_owned(),
        action: Action::Disable,
        operator: "bob".to_owned(),
        why: None,
        age: Duration::ZERO,
        process: None,
        source: Source::Cli,
    }
}

#[tokio::test]
async fn change_is_written_if_another_process_has_changed_the_toggle_meanwhile() {
    let folder = TempDir::new().expect("a scratch folder");
    let control = control(&folder).await;
    let change = change();
    // This process has not read it yet, so for itself the endpoint is enabled.
    control
        .0
        .store
        .set_toggle(&change)
        .await
        .expect("a database");
    let outcome = control
        .toggle(command(Action::Clear))
        .await
        .expect("a valid change");
    assert!(outcome.changed, "{}", outcome.detail);
    let (_, toggles) = control.0.store.toggles_since(0).await.expect("a database");
    assert_eq!(toggles.last().map(|toggle| toggle.enabled), Some(None));
}

#[test]
fn change_that_waits_for_the_database_is_written_with_its_age() {
    let pending = Pending {
        change: change(),
        made: Duration::from_secs(5),
    };
    let written = pending.clone().change(Duration::from_secs(65));
    assert_eq!(written.age, Duration::from_mins(1));
    assert_eq!(pending.change(Duration::ZERO).age, Duration::ZERO);
}
