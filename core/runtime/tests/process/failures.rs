//! Restarts after failures, and giving up.

use crate::{Log, clock, ended, failing, healthy, logging, name_of, process, spawn, until};
use davy_runtime::{Context, Ending, Error, Member, MemberKind, Next, State};
use std::time::Duration;

/// A member whose first run is `first`, and that is healthy afterwards.
fn once<F, R>(first: F) -> Member
where
    F: Fn(Context) -> R + Send + Sync + Clone + 'static,
    R: Future<Output = Result<(), Error>> + Send,
{
    Member::new("m", MemberKind::Listener, move |context: Context| {
        let first = first.clone();
        async move {
            if context.run_number() == 1 {
                return first(context).await;
            }
            context.ready();
            context.draining().await;
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn failed_member_is_named_and_restarted_however_it_failed() {
    let check = async |broken: Member, expected: &str| {
        let log = Log::default();
        let (handle, stop, running) =
            spawn(process().member(logging("other", &log)).member(broken));
        until(&handle.states(), "m", State::BackingOff).await;
        let error = handle.states().get("m").and_then(|m| m.error);
        until(&handle.states(), "m", State::Ready).await;
        let m = handle.states().get("m").expect("a known member");
        assert_eq!((m.restarts, m.error), (1, None));
        stop.drain();
        let trace = ended(running).await;
        let first = &trace.ends()[0];
        assert_eq!(first.to_string(), format!("m {expected} (restarted)"));
        assert_eq!(error.as_deref(), Some(expected));
        assert!(trace.is_clean(), "{trace}");
        assert_eq!(log.take(), ["other starts", "other stops"]);
    };
    check(
        once(async |_| Err("the disk is gone".into())),
        "failed: the disk is gone",
    )
    .await;
    check(
        once(async |_| panic!("index {} out of range", 7)),
        "panicked: index 7 out of range",
    )
    .await;
    check(
        once(async |context: Context| {
            context.ready();
            Ok(())
        }),
        "ended unexpectedly",
    )
    .await;
    let before_any_await = Member::new("m", MemberKind::Loop, |context: Context| {
        assert!(context.run_number() > 1, "before the first await");
        async move {
            context.ready();
            context.draining().await;
            Ok(())
        }
    });
    check(before_any_await, "panicked: before the first await").await;
}

#[tokio::test(start_paused = true)]
async fn dependents_wait_for_a_member_that_failed_before_it_was_ready() {
    let log = Log::default();
    let built = process()
        .member(failing("database", MemberKind::Loop, 3))
        .member(logging("api", &log).after(["database"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "database", State::BackingOff).await;
    let unready = handle.states().unready();
    assert_eq!(
        unready.iter().map(name_of).collect::<Vec<_>>(),
        ["api", "database"]
    );
    assert!(log.take().is_empty());
    until(&handle.states(), "api", State::Ready).await;
    assert!(handle.states().unready().is_empty());
    assert_eq!(handle.states().get("database").map(|m| m.restarts), Some(3));
    stop.drain();
    let trace = ended(running).await;
    assert_eq!((trace.restarts(), trace.is_clean()), (3, true));
}

#[tokio::test(start_paused = true)]
async fn dependents_stay_up_while_a_ready_member_restarts() {
    let log = Log::default();
    let (fail, failures) = tokio::sync::watch::channel(false);
    let database = Member::new("database", MemberKind::Loop, move |context: Context| {
        let mut failures = failures.clone();
        async move {
            context.ready();
            if context.run_number() == 1 {
                failures.changed().await?;
                return Err("the disk is gone".into());
            }
            context.draining().await;
            Ok(())
        }
    });
    let built = process()
        .member(database)
        .member(logging("api", &log).after(["database"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    fail.send_replace(true);
    until(&handle.states(), "database", State::BackingOff).await;
    assert_eq!(
        handle
            .states()
            .unready()
            .iter()
            .map(name_of)
            .collect::<Vec<_>>(),
        ["database"],
        "readiness names the one that backs off"
    );
    until(&handle.states(), "database", State::Ready).await;
    assert_eq!(log.take(), ["api starts"]);
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn member_that_keeps_panicking_is_given_up_and_others_keep_running() {
    let log = Log::default();
    let panics = Member::new("m", MemberKind::Loop, |_| async { panic!("again") });
    let built = process()
        .member(logging("other", &log))
        .member(panics)
        .member(healthy("after").after(["m"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "m", State::Failed).await;
    let m = handle.states().get("m").expect("a known member");
    assert_eq!(
        (m.restarts, m.error.as_deref()),
        (10, Some("panicked: again"))
    );
    clock().sleep(Duration::from_hours(24)).await;
    assert_eq!(log.take(), ["other starts"]);
    assert_eq!(
        handle.states().get("after").map(|m| m.state),
        Some(State::Waiting)
    );
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.restarts(), 10);
    let cause = trace.cause().expect("it was given up").to_string();
    assert_eq!(cause, "m panicked: again (given up after run 11)");
}

#[tokio::test(start_paused = true)]
async fn listener_that_is_given_up_stops_the_process() {
    let built = process()
        .member(healthy("database"))
        .member(failing("api", MemberKind::Listener, u64::MAX).after(["database"]));
    let (_, _, running) = spawn(built);
    let trace = ended(running).await;
    assert_eq!(trace.restarts(), 5);
    let cause = trace.cause().expect("api failed");
    assert_eq!(
        (cause.next, &cause.ending),
        (
            Next::StoppedProcess,
            &Ending::Failed("run 6 fails".to_owned())
        )
    );
    assert!(trace.to_string().ends_with(
        "api failed: run 6 fails (stopped the process after run 6); then database drained"
    ));
}

#[tokio::test(start_paused = true)]
async fn backoffs_grow_and_failures_outside_the_window_do_not_count() {
    let built = process().member(failing("m", MemberKind::Loop, 8));
    let clock = clock();
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "m", State::Ready).await;
    // 0.1 + 0.2 + 0.4 + ... + 6.4 + 10 s, each reduced by up to a half.
    let waited = clock.monotonic().as_secs_f64();
    assert!((11.0..=23.0).contains(&waited), "{waited}");
    stop.drain();
    ended(running).await;

    let hourly = Member::new("hourly", MemberKind::Loop, |context: Context| async move {
        context.ready();
        crate::clock().sleep(Duration::from_hours(1)).await;
        Err("an hour has passed".into())
    });
    let (handle, stop, running) = spawn(process().member(hourly));
    clock.sleep(Duration::from_hours(100)).await;
    let hourly = handle.states().get("hourly").expect("a known member");
    assert!(hourly.restarts >= 99, "{hourly:?}");
    assert_ne!(hourly.state, State::Failed);
    stop.drain();
    ended(running).await;
}

#[tokio::test(start_paused = true)]
async fn member_that_never_becomes_ready_is_restarted_and_given_up() {
    let never = Member::new("never", MemberKind::Loop, |context: Context| async move {
        context.draining().await;
        Ok(())
    })
    .ready_deadline(Duration::from_secs(7));
    let clock = clock();
    let (handle, stop, running) = spawn(process().member(healthy("other")).member(never));
    until(&handle.states(), "never", State::BackingOff).await;
    assert_eq!(clock.monotonic().as_secs(), 7);
    let state = handle.states().get("never").expect("a known member");
    assert_eq!(state.error.as_deref(), Some("was not ready within 7 s"));
    until(&handle.states(), "never", State::Failed).await;
    assert_eq!(
        handle.states().get("other").map(|m| m.state),
        Some(State::Ready)
    );
    stop.drain();
    let trace = ended(running).await;
    let cause = trace.cause().expect("it was given up").to_string();
    assert_eq!(
        cause,
        "never was not ready within 7 s (given up after run 11)"
    );
}

#[tokio::test(start_paused = true)]
async fn member_of_kind_once_is_retried_until_it_succeeds() {
    let migrate = Member::new("migrate", MemberKind::Once, |context: Context| async move {
        if context.run_number() < 3 {
            return Err("the database is unreachable".into());
        }
        Ok(())
    });
    let (handle, stop, running) = spawn(
        process()
            .member(migrate)
            .member(healthy("api").after(["migrate"])),
    );
    until(&handle.states(), "api", State::Ready).await;
    assert!(handle.states().unready().is_empty());
    stop.drain();
    let trace = ended(running).await;
    assert!(trace.is_clean(), "{trace}");
    assert_eq!(trace.ends()[2].to_string(), "migrate completed");
}
