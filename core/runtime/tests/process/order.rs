//! Starts and stops in the order of the dependencies.

use crate::{Log, ended, good, logging, process, spawn, until};
use davy_runtime::{Context, Group, Kind, Member, State};

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
async fn a_member_waits_for_those_it_comes_after_and_says_for_whom() {
    let log = Log::default();
    let slow = Member::new("slow", Kind::Loop, |context: Context| async move {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        context.ready();
        context.draining().await;
        Ok(())
    });
    let built = process()
        .member(logging("after", &log).after(["quick", "slow"]))
        .member(logging("beside", &log))
        .member(good("quick"))
        .member(slow);
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "quick", State::Ready).await;
    until(&handle.states(), "slow", State::Starting).await;
    until(&handle.states(), "beside", State::Ready).await;
    let after = handle.states().get("after").expect("it is known");
    assert_eq!(
        (after.state, after.why.as_deref()),
        (State::Waiting, Some("waits for slow"))
    );
    assert_eq!(log.take(), ["beside starts"]);
    until(&handle.states(), "after", State::Ready).await;
    assert_eq!(
        handle.states().get("after").and_then(|after| after.why),
        None
    );
    stop.drain();
    assert!(ended(running).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn independent_members_stop_at_the_same_time() {
    let slow_to_stop = |name: &str| {
        Member::new(name, Kind::Loop, |context: Context| async move {
            context.ready();
            context.draining().await;
            tokio::time::sleep(std::time::Duration::from_secs(4)).await;
            Ok(())
        })
    };
    let group = Group::parallel(["a", "b", "c"].map(slow_to_stop));
    let (handle, stop, running) = spawn(process().group(group));
    for name in ["a", "b", "c"] {
        until(&handle.states(), name, State::Ready).await;
    }
    let before = tokio::time::Instant::now();
    stop.drain();
    assert!(ended(running).await.is_clean());
    assert_eq!(before.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_order_of_the_stop_holds_across_a_member_that_is_down() {
    let log = Log::default();
    let once = Member::new("migrate", Kind::Once, |_| async { Ok(()) });
    let built = process()
        .member(logging("database", &log))
        .member(once.after(["database"]))
        .member(Member::served("ui").after(["migrate"]))
        .member(logging("api", &log).after(["ui"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    assert!(handle.states().unready().is_empty(), "what is done is well");
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
        "migrate was done; then api drained; then database drained"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_start_starts_nobody() {
    let log = Log::default();
    let built = process().member(logging("a", &log)).build().expect("fine");
    let stop = davy_runtime::Stop::new();
    stop.drain();
    let trace = built.run(stop).await;
    assert!(trace.ends().is_empty() && log.take().is_empty());
}

#[tokio::test]
async fn every_poll_of_a_member_and_of_its_tasks_is_tagged() {
    let tagged = Member::new("tagged", Kind::Loop, |context: Context| async move {
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
