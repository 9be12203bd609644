//! Members start and stop in the order of their dependencies.

use crate::{Log, clock, ended, healthy, logging, process, spawn, until};
use davy_runtime::{Context, Group, Member, MemberKind, State};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn members_start_in_order_and_stop_in_reverse() {
    let log = Log::default();
    let chain = Group::ordered(["a", "b", "c"].map(|name| logging(name, &log)));
    let (handle, stop, running) = spawn(process().group(chain));
    until(&handle.states(), "c", State::Ready).await;
    assert_eq!(log.take(), ["a starts", "b starts", "c starts"]);
    assert!(handle.states().unready().is_empty());
    stop.drain();
    let trace = ended(running).await;
    assert!(trace.is_clean(), "{trace}");
    assert_eq!(
        trace.to_string(),
        "c drained; then b drained; then a drained"
    );
    assert_eq!(log.take(), ["c stops", "b stops", "a stops"]);
    let stopped = |m: &davy_runtime::MemberState| m.state == State::Stopped;
    assert!(handle.states().all().iter().all(stopped));
}

#[tokio::test(start_paused = true)]
async fn member_waits_for_its_dependencies_and_names_the_first_missing_one() {
    let log = Log::default();
    let slow = Member::new("slow", MemberKind::Loop, |context: Context| async move {
        clock().sleep(Duration::from_secs(5)).await;
        context.ready();
        context.draining().await;
        Ok(())
    });
    let built = process()
        .member(logging("after", &log).after(["quick", "slow"]))
        .member(logging("independent", &log))
        .member(healthy("quick"))
        .member(slow);
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "quick", State::Ready).await;
    until(&handle.states(), "slow", State::Starting).await;
    until(&handle.states(), "independent", State::Ready).await;
    let after = handle.states().get("after").expect("a known member");
    assert_eq!(
        (after.state, after.why.as_deref()),
        (State::Waiting, Some("waits for slow"))
    );
    assert_eq!(log.take(), ["independent starts"]);
    until(&handle.states(), "after", State::Ready).await;
    assert_eq!(
        handle.states().get("after").and_then(|after| after.why),
        None
    );
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn independent_members_stop_concurrently() {
    let slow_to_stop = |name: &str| {
        Member::new(name, MemberKind::Loop, |context: Context| async move {
            context.ready();
            context.draining().await;
            clock().sleep(Duration::from_secs(4)).await;
            Ok(())
        })
    };
    let group = Group::parallel(["a", "b", "c"].map(slow_to_stop));
    let (handle, stop, running) = spawn(process().group(group));
    for name in ["a", "b", "c"] {
        until(&handle.states(), name, State::Ready).await;
    }
    let clock = clock();
    stop.drain();
    assert!(ended(running).await.is_clean());
    assert_eq!(clock.monotonic().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn stop_order_holds_across_members_that_are_not_running() {
    let log = Log::default();
    let once = Member::new("migrate", MemberKind::Once, |_| async { Ok(()) });
    let built = process()
        .member(logging("database", &log))
        .member(once.after(["database"]))
        .member(Member::served("ui").after(["migrate"]))
        .member(logging("api", &log).after(["ui"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    assert!(
        handle.states().unready().is_empty(),
        "a completed member is healthy"
    );
    stop.drain();
    let trace = ended(running).await;
    assert!(trace.is_clean(), "{trace}");
    assert_eq!(
        log.take(),
        [
            "database starts",
            "api starts",
            "api stops",
            "database stops"
        ]
    );
    assert_eq!(
        trace.to_string(),
        "migrate completed; then api drained; then database drained"
    );
}

#[tokio::test(start_paused = true)]
async fn stop_before_the_start_starts_no_member() {
    let log = Log::default();
    let built = process()
        .member(logging("a", &log))
        .build()
        .expect("valid members");
    let stop = davy_runtime::Stop::new();
    stop.drain();
    let trace = built.run(stop).await;
    assert!(trace.ends().is_empty() && log.take().is_empty());
}

#[tokio::test]
async fn members_and_their_tasks_are_tagged() {
    let tagged = Member::new("tagged", MemberKind::Loop, |context: Context| async move {
        let now = || (davy_tag::current().member(), davy_tag::current().op());
        assert_eq!(now(), ("tagged", "run"));
        let task = context.spawn("tick", async move { now() });
        assert_eq!(task.await?, ("tagged", "tick"));
        let work = context.spawn_blocking("hash", now);
        assert_eq!(work.await?, ("tagged", "hash"));
        context.ready();
        context.draining().await;
        Ok(())
    });
    let (handle, stop, running) = spawn(process().member(tagged));
    until(&handle.states(), "tagged", State::Ready).await;
    stop.drain();
    assert!(ended(running).await.is_clean());
}
