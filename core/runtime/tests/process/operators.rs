//! What operators can do to a process that runs.

use crate::{Log, ended, falling, good, logging, process, spawn, until, until_it};
use davy_runtime::{Context, Kind, Member, MemberState, Refused, State};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn one_that_is_disabled_drains_and_its_dependents_stay() {
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(logging("api", &log).after(["database"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    handle
        .set_enabled("database", false, "it eats memory")
        .expect("it is known");
    until(&handle.states(), "database", State::Off).await;
    let database = handle.states().get("database").expect("it is known");
    assert_eq!(
        (database.enabled, database.why.as_deref()),
        (false, Some("it eats memory"))
    );
    assert!(
        handle.states().unready().is_empty(),
        "off is what is wanted"
    );
    handle
        .set_enabled("database", true, "mended")
        .expect("it is known");
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
async fn one_that_is_off_before_the_start_is_not_started_and_holds_nobody_up() {
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(logging("api", &log).after(["database"]))
        .build()
        .expect("well-formed");
    let (handle, stop) = (built.handle(), davy_runtime::Stop::new());
    handle
        .set_enabled("database", false, "davy.toml")
        .expect("it is known");
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
async fn one_that_waits_or_backs_off_can_be_disabled_and_on() {
    let never = Member::new("never", Kind::Loop, |context: Context| async move {
        context.draining().await;
        Ok(())
    });
    let built = process()
        .member(never)
        .member(good("waits").after(["never"]))
        .member(falling("falls", Kind::Loop, 2));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "falls", State::BackingOff).await;
    for name in ["falls", "waits"] {
        handle
            .set_enabled(name, false, "not now")
            .expect("it is known");
        until(&handle.states(), name, State::Off).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let falls = handle.states().get("falls").expect("it is known");
    assert_eq!(
        (falls.state, falls.restarts),
        (State::Off, 1),
        "its timer is gone"
    );
    handle
        .set_enabled("falls", true, "now")
        .expect("it is known");
    handle
        .set_enabled("waits", true, "now")
        .expect("it is known");
    until(&handle.states(), "falls", State::Ready).await;
    until(&handle.states(), "waits", State::Waiting).await;
    handle.restart("waits", "in vain").expect("it is on");
    handle
        .set_enabled("waits", true, "still")
        .expect("it is known");
    handle.insert(good("last")).expect("its name is free");
    until(&handle.states(), "last", State::Ready).await;
    let waits = handle.states().get("waits").expect("it is known");
    assert_eq!(waits.why.as_deref(), Some("waits for never"));
    handle
        .set_enabled("never", false, "hopeless")
        .expect("it is known");
    until(&handle.states(), "waits", State::Ready).await;
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_restart_drains_and_starts_again_is_counted_and_leaves_others_alone() {
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(logging("api", &log).after(["database"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    log.take();
    handle
        .restart("database", "new certificates")
        .expect("it is on");
    let again = |m: &MemberState| m.restarts == 1 && m.state == State::Ready;
    until_it(&handle.states(), "database", again).await;
    assert_eq!(log.take(), ["database stops", "database starts"]);
    handle.restart("api", "because").expect("it is on");
    handle
        .set_enabled("api", false, "no, rather off")
        .expect("it is known");
    until(&handle.states(), "api", State::Off).await;
    assert_eq!(
        handle
            .restart("api", "why not")
            .expect_err("it is off")
            .to_string(),
        r#""api" is disabled; toggle it on instead of restarting it"#
    );
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_enabled_while_it_drains_is_started_again() {
    let slow = Member::new("slow", Kind::Loop, |context: Context| async move {
        context.ready();
        context.draining().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    });
    let (handle, stop, running) = spawn(process().member(slow));
    until(&handle.states(), "slow", State::Ready).await;
    handle
        .set_enabled("slow", false, "off")
        .expect("it is known");
    until(&handle.states(), "slow", State::Draining).await;
    handle.set_enabled("slow", true, "on").expect("it is known");
    until(&handle.states(), "slow", State::Ready).await;
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.to_string(), "slow drained; then slow drained");
}

#[tokio::test(start_paused = true)]
async fn a_served_member_only_changes_its_state() {
    let (handle, stop, running) = spawn(process().member(Member::served("ui")));
    until(&handle.states(), "ui", State::Ready).await;
    handle
        .set_enabled("ui", false, "nobody looks")
        .expect("it is known");
    until(&handle.states(), "ui", State::Off).await;
    handle
        .set_enabled("ui", true, "somebody does")
        .expect("it is known");
    until(&handle.states(), "ui", State::Ready).await;
    handle.restart("ui", "because").expect("it is on");
    until_it(&handle.states(), "ui", |ui| ui.restarts == 1).await;
    stop.drain();
    let trace = ended(running).await;
    assert!(trace.ends().is_empty(), "nothing ran: {trace}");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_given_up_can_be_started_again_with_a_clean_record() {
    let (handle, stop, running) = spawn(process().member(falling("m", Kind::Loop, 16)));
    until(&handle.states(), "m", State::Failed).await;
    handle.restart("m", "mended").expect("it is on");
    until(&handle.states(), "m", State::Ready).await;
    assert_eq!(handle.states().get("m").map(|m| m.restarts), Some(16));
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_member_is_inserted_while_the_process_runs() {
    let log = Log::default();
    let (handle, stop, running) = spawn(process().member(logging("database", &log)));
    until(&handle.states(), "database", State::Ready).await;
    let late = logging("late", &log).after(["database"]);
    handle.insert(late).expect("its name is free");
    assert!(handle.is_known("late"));
    handle
        .insert(logging("later", &log).after(["late"]))
        .expect("its name is free");
    until(&handle.states(), "later", State::Ready).await;
    let refused = handle.insert(good("late")).expect_err("it is there");
    assert_eq!(refused, Refused::Duplicate("late".to_owned()));
    assert!(handle.insert(good("x").after(["nobody"])).is_err());
    assert!(!handle.is_known("x"));
    log.take();
    stop.drain();
    assert!(ended(running).await.is_clean());
    assert_eq!(log.take(), ["later stops", "late stops", "database stops"]);
    assert_eq!(handle.insert(good("y")), Err(Refused::Stopped));
    assert_eq!(handle.restart("late", ""), Err(Refused::Stopped));
}

#[tokio::test]
async fn unknown_names_are_refused_with_the_nearest_and_wishes_are_bounded() {
    let process = process()
        .member(good("archive.compactor"))
        .build()
        .expect("well-formed");
    let handle = process.handle();
    let refused = handle
        .set_enabled("archive.compacter", false, "")
        .expect_err("unknown");
    assert_eq!(
        refused.to_string(),
        r#"there is no member "archive.compacter"; did you mean "archive.compactor"?"#
    );
    let wish = || handle.set_enabled("archive.compactor", false, "");
    let taken = (0..10_000).take_while(|_| wish().is_ok()).count();
    assert_eq!((taken, wish()), (1_024, Err(Refused::Busy)));
}
