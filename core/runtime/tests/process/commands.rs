//! Commands of operators to a running process.

use crate::{Log, clock, ended, failing, healthy, logging, process, spawn, until, until_it};
use davy_runtime::{Context, Member, MemberKind, MemberState, State, SupervisorError};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn disabled_member_drains_and_its_dependents_keep_running() {
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(logging("api", &log).after(["database"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    handle
        .set_enabled("database", false, "uses too much memory")
        .expect("a known member");
    until(&handle.states(), "database", State::Off).await;
    let database = handle.states().get("database").expect("a known member");
    assert_eq!(
        (database.enabled, database.why.as_deref()),
        (false, Some("uses too much memory"))
    );
    assert!(
        handle.states().unready().is_empty(),
        "a disabled member is healthy"
    );
    handle
        .set_enabled("database", true, "fixed")
        .expect("a known member");
    until(&handle.states(), "database", State::Ready).await;
    assert_eq!(
        log.take(),
        [
            "database starts",
            "api starts",
            "database stops",
            "database starts"
        ]
    );
    assert_eq!(
        handle
            .states()
            .get("database")
            .map(|m| (m.enabled, m.restarts)),
        Some((true, 0))
    );
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn member_disabled_before_the_start_is_not_started_and_blocks_no_dependent() {
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(logging("api", &log).after(["database"]))
        .build()
        .expect("valid members");
    let (handle, stop) = (built.handle(), davy_runtime::Stop::new());
    handle
        .set_enabled("database", false, "davy.toml")
        .expect("a known member");
    let running = tokio::spawn(built.run(stop.clone()));
    until(&handle.states(), "api", State::Ready).await;
    assert_eq!(
        handle.states().get("database").map(|m| m.state),
        Some(State::Off)
    );
    assert_eq!(log.take(), ["api starts"]);
    stop.drain();
    assert!(ended(running).await.is_clean());
    assert_eq!(
        handle.states().get("database").map(|m| m.state),
        Some(State::Off)
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_and_failed_members_can_be_disabled_and_enabled() {
    let never = Member::new("never", MemberKind::Loop, |context: Context| async move {
        context.draining().await;
        Ok(())
    });
    let built = process()
        .member(never)
        .member(healthy("waits").after(["never"]))
        .member(failing("failing", MemberKind::Loop, 2));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "failing", State::BackingOff).await;
    for name in ["failing", "waits"] {
        handle
            .set_enabled(name, false, "not now")
            .expect("a known member");
        until(&handle.states(), name, State::Off).await;
    }
    clock().sleep(Duration::from_secs(20)).await;
    let failing = handle.states().get("failing").expect("a known member");
    assert_eq!(
        (failing.state, failing.restarts),
        (State::Off, 1),
        "its timer was removed"
    );
    handle
        .set_enabled("failing", true, "now")
        .expect("a known member");
    handle
        .set_enabled("waits", true, "now")
        .expect("a known member");
    until(&handle.states(), "failing", State::Ready).await;
    until(&handle.states(), "waits", State::Waiting).await;
    handle
        .restart("waits", "while it waits")
        .expect("an enabled member");
    handle
        .set_enabled("waits", true, "still")
        .expect("a known member");
    handle.insert(healthy("last")).expect("an unused name");
    until(&handle.states(), "last", State::Ready).await;
    let waits = handle.states().get("waits").expect("a known member");
    assert_eq!(waits.why.as_deref(), Some("waits for never"));
    handle
        .set_enabled("never", false, "not needed")
        .expect("a known member");
    until(&handle.states(), "waits", State::Ready).await;
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn restart_drains_and_starts_only_that_member() {
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(logging("api", &log).after(["database"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    log.take();
    handle
        .restart("database", "new certificates")
        .expect("an enabled member");
    let again = |m: &MemberState| m.restarts == 1 && m.state == State::Ready;
    until_it(&handle.states(), "database", again).await;
    assert_eq!(log.take(), ["database stops", "database starts"]);
    handle.restart("api", "because").expect("an enabled member");
    handle
        .set_enabled("api", false, "disabled instead")
        .expect("a known member");
    until(&handle.states(), "api", State::Off).await;
    assert_eq!(
        handle
            .restart("api", "while disabled")
            .expect_err("it is off")
            .to_string(),
        r#"member "api" is disabled; enable it instead of restarting it"#
    );
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn member_enabled_while_it_drains_is_started_again() {
    let slow = Member::new("slow", MemberKind::Loop, |context: Context| async move {
        context.ready();
        context.draining().await;
        clock().sleep(Duration::from_secs(2)).await;
        Ok(())
    });
    let (handle, stop, running) = spawn(process().member(slow));
    until(&handle.states(), "slow", State::Ready).await;
    handle
        .set_enabled("slow", false, "off")
        .expect("a known member");
    until(&handle.states(), "slow", State::Draining).await;
    handle
        .set_enabled("slow", true, "on")
        .expect("a known member");
    until(&handle.states(), "slow", State::Ready).await;
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.to_string(), "slow drained; then slow drained");
}

#[tokio::test(start_paused = true)]
async fn served_member_changes_its_state_without_a_run() {
    let (handle, stop, running) = spawn(process().member(Member::served("ui")));
    until(&handle.states(), "ui", State::Ready).await;
    handle
        .set_enabled("ui", false, "unused")
        .expect("a known member");
    until(&handle.states(), "ui", State::Off).await;
    handle
        .set_enabled("ui", true, "used again")
        .expect("a known member");
    until(&handle.states(), "ui", State::Ready).await;
    handle.restart("ui", "because").expect("an enabled member");
    until_it(&handle.states(), "ui", |ui| ui.restarts == 1).await;
    stop.drain();
    let trace = ended(running).await;
    assert!(trace.ends().is_empty(), "no run ended: {trace}");
}

#[tokio::test(start_paused = true)]
async fn member_that_was_given_up_restarts_with_a_clean_record() {
    let (handle, stop, running) = spawn(process().member(failing("m", MemberKind::Loop, 16)));
    until(&handle.states(), "m", State::Failed).await;
    handle.restart("m", "fixed").expect("an enabled member");
    until(&handle.states(), "m", State::Ready).await;
    assert_eq!(handle.states().get("m").map(|m| m.restarts), Some(16));
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn member_can_be_inserted_while_the_process_runs() {
    let log = Log::default();
    let (handle, stop, running) = spawn(process().member(logging("database", &log)));
    until(&handle.states(), "database", State::Ready).await;
    let late = logging("late", &log).after(["database"]);
    handle.insert(late).expect("an unused name");
    assert!(handle.contains("late"));
    handle
        .insert(logging("later", &log).after(["late"]))
        .expect("an unused name");
    until(&handle.states(), "later", State::Ready).await;
    let error = handle.insert(healthy("late")).expect_err("a duplicate");
    assert_eq!(error, SupervisorError::Duplicate("late".to_owned()));
    assert!(handle.insert(healthy("x").after(["missing"])).is_err());
    assert!(!handle.contains("x"));
    log.take();
    stop.drain();
    assert!(ended(running).await.is_clean());
    assert_eq!(log.take(), ["later stops", "late stops", "database stops"]);
    assert_eq!(handle.insert(healthy("y")), Err(SupervisorError::Stopped));
    assert_eq!(handle.restart("late", ""), Err(SupervisorError::Stopped));
}

#[tokio::test]
async fn unknown_name_is_rejected_with_the_nearest_and_the_queue_is_bounded() {
    let process = process()
        .member(healthy("archive.compactor"))
        .build()
        .expect("valid members");
    let handle = process.handle();
    let error = handle
        .set_enabled("archive.compacter", false, "")
        .expect_err("an unknown member");
    assert_eq!(
        error.to_string(),
        r#"unknown member "archive.compacter"; did you mean "archive.compactor"?"#
    );
    let disable = || handle.set_enabled("archive.compactor", false, "");
    let taken = (0..10_000).take_while(|_| disable().is_ok()).count();
    assert_eq!((taken, disable()), (1_024, Err(SupervisorError::QueueFull)));
}
