//! What follows when a member ends untold.

use crate::{Log, ended, falling, good, logging, name_of, process, spawn, until};
use davy_runtime::{Context, Ending, Error, Kind, Member, Next, State};
use std::time::Duration;
use tokio::time::Instant;

/// Falls in its first run as `fall` says, then is good.
fn once<F, R>(fall: F) -> Member
where
    F: Fn(Context) -> R + Send + Sync + Clone + 'static,
    R: Future<Output = Result<(), Error>> + Send,
{
    Member::new("m", Kind::Listener, move |context: Context| {
        let fall = fall.clone();
        async move {
            if context.run_number() == 1 {
                return fall(context).await;
            }
            context.ready();
            context.draining().await;
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn whatever_way_a_member_falls_it_is_named_and_started_again() {
    let check = async |broken: Member, expected: &str| {
        let log = Log::default();
        let (handle, stop, running) =
            spawn(process().member(logging("other", &log)).member(broken));
        until(&handle.states(), "m", State::BackingOff).await;
        let error = handle.states().get("m").and_then(|m| m.error);
        until(&handle.states(), "m", State::Ready).await;
        let m = handle.states().get("m").expect("it is known");
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
        "ended though nobody had told it to",
    )
    .await;
    let before_any_await = Member::new("m", Kind::Loop, |context: Context| {
        assert!(context.run_number() > 1, "not even a future");
        async move {
            context.ready();
            context.draining().await;
            Ok(())
        }
    });
    check(before_any_await, "panicked: not even a future").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_died_before_it_was_ready_becomes_ready_and_its_dependents_wait_for_it() {
    let log = Log::default();
    let built = process()
        .member(falling("database", Kind::Loop, 3))
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
    let (fall, falls) = tokio::sync::watch::channel(false);
    let database = Member::new("database", Kind::Loop, move |context: Context| {
        let mut falls = falls.clone();
        async move {
            context.ready();
            if context.run_number() == 1 {
                falls.changed().await?;
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
    fall.send_replace(true);
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
async fn a_panic_loop_is_given_up_and_only_that_member_fails() {
    let log = Log::default();
    let panics = Member::new("m", Kind::Loop, |_| async { panic!("again") });
    let built = process()
        .member(logging("other", &log))
        .member(panics)
        .member(good("after").after(["m"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "m", State::Failed).await;
    let m = handle.states().get("m").expect("it is known");
    assert_eq!(
        (m.restarts, m.error.as_deref()),
        (10, Some("panicked: again"))
    );
    tokio::time::sleep(Duration::from_hours(24)).await;
    assert_eq!(log.take(), ["other starts"]);
    assert_eq!(
        handle.states().get("after").map(|m| m.state),
        Some(State::Waiting)
    );
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.restarts(), 10);
    let culprit = trace.culprit().expect("it stayed down").to_string();
    assert_eq!(culprit, "m panicked: again (given up at its run 11)");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_given_up_stops_the_process_and_the_trace_says_so() {
    let built = process()
        .member(good("database"))
        .member(falling("api", Kind::Listener, u64::MAX).after(["database"]));
    let (_, _, running) = spawn(built);
    let trace = ended(running).await;
    assert_eq!(trace.restarts(), 5);
    let culprit = trace.culprit().expect("it was api");
    assert_eq!(
        (culprit.next, &culprit.ending),
        (
            Next::StoppedProcess,
            &Ending::Failed("run 6 is too early".to_owned())
        )
    );
    assert!(trace.to_string().ends_with(
        "api failed: run 6 is too early (stopped the process at its run 6); then database drained"
    ));
}

#[tokio::test(start_paused = true)]
async fn backoffs_grow_and_falls_that_are_far_apart_do_not_add_up() {
    let built = process().member(falling("m", Kind::Loop, 8));
    let before = Instant::now();
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "m", State::Ready).await;
    // 0.1 + 0.2 + 0.4 + ... + 6.4 + 10 s, of which up to a half is taken off.
    let waited = before.elapsed().as_secs_f64();
    assert!((11.0..=23.0).contains(&waited), "{waited}");
    stop.drain();
    ended(running).await;

    let hourly = Member::new("hourly", Kind::Loop, |context: Context| async move {
        context.ready();
        tokio::time::sleep(Duration::from_hours(1)).await;
        Err("the hour is over".into())
    });
    let (handle, stop, running) = spawn(process().member(hourly));
    tokio::time::sleep(Duration::from_hours(100)).await;
    let hourly = handle.states().get("hourly").expect("it is known");
    assert!(hourly.restarts >= 99, "{hourly:?}");
    assert_ne!(hourly.state, State::Failed);
    stop.drain();
    ended(running).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_becomes_ready_is_stopped_named_and_given_up_in_the_end() {
    let never = Member::new("never", Kind::Loop, |context: Context| async move {
        context.draining().await;
        Ok(())
    })
    .ready_deadline(Duration::from_secs(7));
    let before = Instant::now();
    let (handle, stop, running) = spawn(process().member(good("other")).member(never));
    until(&handle.states(), "never", State::BackingOff).await;
    assert_eq!(before.elapsed().as_secs(), 7);
    let state = handle.states().get("never").expect("it is known");
    assert_eq!(state.error.as_deref(), Some("was not ready within 7s"));
    until(&handle.states(), "never", State::Failed).await;
    assert_eq!(
        handle.states().get("other").map(|m| m.state),
        Some(State::Ready)
    );
    stop.drain();
    let trace = ended(running).await;
    let culprit = trace.culprit().expect("it stayed down").to_string();
    assert_eq!(
        culprit,
        "never was not ready within 7s (given up at its run 11)"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_done_once_is_tried_again_until_it_is_done() {
    let migrate = Member::new("migrate", Kind::Once, |context: Context| async move {
        if context.run_number() < 3 {
            return Err("the database is away".into());
        }
        Ok(())
    });
    let (handle, stop, running) = spawn(
        process()
            .member(migrate)
            .member(good("api").after(["migrate"])),
    );
    until(&handle.states(), "api", State::Ready).await;
    assert!(handle.states().unready().is_empty());
    stop.drain();
    let trace = ended(running).await;
    assert!(trace.is_clean(), "{trace}");
    assert_eq!(trace.ends()[2].to_string(), "migrate was done");
}
