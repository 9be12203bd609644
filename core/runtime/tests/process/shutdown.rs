//! Stopping a process: deadlines, hung members, forced stops.

use crate::{Log, TIMEOUT, clock, ended, healthy, logging, process, spawn, until, until_it};
use davy_runtime::{Context, Ending, Member, MemberKind, State, Stop};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

fn hanging(name: &str) -> Member {
    Member::new(name, MemberKind::Loop, |context: Context| async move {
        context.ready();
        std::future::pending::<()>().await;
        Ok(())
    })
    .stop_deadline(Duration::from_secs(3))
}

#[tokio::test(start_paused = true)]
async fn member_that_does_not_stop_is_cut_off_at_its_deadline_and_others_stop_in_order() {
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(hanging("hanging").after(["database"]))
        .member(logging("api", &log).after(["hanging"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    log.take();
    let clock = clock();
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(clock.monotonic().as_secs(), 3);
    assert_eq!(
        trace.to_string(),
        "api drained; then hanging did not stop within 3 s and was aborted; then database drained"
    );
    assert_eq!(
        trace.cause().map(|end| end.member.as_str()),
        Some("hanging")
    );
    assert_eq!(log.take(), ["api stops", "database stops"]);
}

/// A member that blocks its thread when it is asked to end, until the test drops the sender.
fn blocking() -> (mpsc::Sender<()>, Member) {
    blocking_from(false)
}

fn blocking_from(is_immediate: bool) -> (mpsc::Sender<()>, Member) {
    let (release, blocked) = mpsc::channel();
    let blocked = Arc::new(Mutex::new(blocked));
    let member = Member::new("blocking", MemberKind::Loop, move |context: Context| {
        let blocked = blocked.clone();
        async move {
            context.ready();
            if !is_immediate {
                context.draining().await;
            }
            let _ = blocked.lock().expect("not poisoned").recv();
            Ok(())
        }
    });
    (release, member.stop_deadline(Duration::from_millis(20)))
}

/// Runs a test on two threads and in real time, because one thread will be blocked.
fn on_threads<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let limited = async { clock().timeout(Duration::from_secs(20), test).await };
    runtime.block_on(limited).expect("the test ends in time")
}

#[test]
fn member_that_blocks_its_thread_is_hung_and_others_still_stop() {
    let (release, blocking) = blocking();
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(blocking.after(["database"]))
        .build()
        .expect("valid members");
    let (stop, states) = (Stop::new(), built.states());
    let trace = on_threads(async {
        let (stopper, watched) = (stop.clone(), states.clone());
        tokio::spawn(async move {
            until(&watched, "blocking", State::Ready).await;
            stopper.drain();
        });
        let trace = built.run(stop).await;
        drop(release);
        trace
    });
    assert_eq!(
        trace.to_string(),
        "blocking is hung: it did not stop after it was aborted; then database drained"
    );
    assert_eq!(states.get("blocking").map(|m| m.state), Some(State::Failed));
    assert_eq!(log.take(), ["database starts", "database stops"]);
}

#[test]
fn member_on_the_supervisor_runtime_restarts_while_every_worker_is_blocked() {
    let (release, blocking) = blocking_from(true);
    let log = Log::default();
    let workers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let built = process()
        .workers(workers.handle().clone())
        .member(logging("debug", &log).on_supervisor_runtime())
        .member(blocking)
        .build()
        .expect("valid members");
    let (operator, stop, states) = (built.handle(), Stop::new(), built.states());
    let supervisor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let trace = supervisor.block_on(async {
        let (stopper, watched) = (stop.clone(), states.clone());
        tokio::spawn(async move {
            until(&watched, "blocking", State::Ready).await;
            // The only worker thread is blocked; a member on the supervisor's runtime can still restart.
            operator
                .restart("debug", "requested")
                .expect("a known member");
            until_it(&watched, "debug", |m| {
                m.restarts == 1 && m.state == State::Ready
            })
            .await;
            stopper.drain();
        });
        clock()
            .timeout(Duration::from_secs(20), built.run(stop))
            .await
    });
    drop(release);
    let trace = trace.expect("the process ends in time");
    workers.shutdown_timeout(TIMEOUT);
    assert!(
        trace.to_string().contains("blocking is hung"),
        "its deadline passed: {trace}"
    );
    assert_eq!(
        log.take(),
        ["debug starts", "debug stops", "debug starts", "debug stops"]
    );
}

#[test]
fn hung_member_is_restarted_only_after_its_run_has_ended() {
    let (release, blocking) = blocking();
    on_threads(async {
        let built = process().member(blocking).build().expect("valid members");
        let (handle, stop) = (built.handle(), Stop::new());
        let (operator, stopper) = (handle.clone(), stop.clone());
        let operate = tokio::spawn(async move {
            let states = operator.states();
            until(&states, "blocking", State::Ready).await;
            operator
                .set_enabled("blocking", false, "off")
                .expect("a known member");
            until(&states, "blocking", State::Failed).await;
            operator
                .set_enabled("blocking", true, "on")
                .expect("a known member");
            until_it(&states, "blocking", |m| m.enabled).await;
            let hung = states.get("blocking").expect("a known member");
            assert_eq!(hung.state, State::Failed, "its first run still blocks");
            drop(release);
            until(&states, "blocking", State::Ready).await;
            stopper.drain();
        });
        let trace = built.run(stop).await;
        operate.await.expect("no panic");
        assert_eq!(trace.ends()[0].ending, Ending::Hung);
        assert_eq!(trace.ends()[1].to_string(), "blocking drained");
    });
}

#[tokio::test(start_paused = true)]
async fn forced_stop_cuts_off_all_members_immediately() {
    let built = process()
        .member(healthy("database"))
        .member(
            hanging("hanging")
                .after(["database"])
                .stop_deadline(Duration::from_hours(1)),
        )
        .member(
            hanging("too")
                .after(["hanging"])
                .stop_deadline(Duration::from_hours(1)),
        );
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "too", State::Ready).await;
    let clock = clock();
    stop.drain();
    until(&handle.states(), "too", State::Draining).await;
    stop.force();
    let trace = ended(running).await;
    assert_eq!(clock.monotonic(), Duration::ZERO, "no deadline passed");
    for name in ["hanging", "too"] {
        let end = trace.ends().iter().find(|end| end.member == name);
        assert_eq!(end.map(|end| &end.ending), Some(&Ending::Forced), "{trace}");
    }
    assert_eq!(trace.ends().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn second_drain_does_not_shorten_the_stop() {
    let slow = Member::new("slow", MemberKind::Loop, |context: Context| async move {
        context.ready();
        context.draining().await;
        clock().sleep(Duration::from_secs(5)).await;
        Ok(())
    });
    let (handle, stop, running) = spawn(process().member(slow));
    until(&handle.states(), "slow", State::Ready).await;
    let clock = clock();
    stop.drain();
    until(&handle.states(), "slow", State::Draining).await;
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(clock.monotonic().as_secs(), 5);
    assert_eq!(trace.to_string(), "slow drained");
}

#[tokio::test(start_paused = true)]
async fn stop_ends_members_that_are_starting_waiting_or_backing_off() {
    let starting = Member::new(
        "starting",
        MemberKind::Loop,
        |context: Context| async move {
            context.draining().await;
            Ok(())
        },
    );
    let failing = Member::new("failing", MemberKind::Loop, |_| async { Err("no".into()) });
    let log = Log::default();
    let built = process()
        .member(starting)
        .member(failing)
        .member(logging("waiting", &log).after(["starting"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "failing", State::BackingOff).await;
    stop.drain();
    let trace = ended(running).await;
    assert!(trace.is_clean(), "{trace}");
    assert_eq!(
        trace.to_string(),
        "failing failed: no (restarted); then starting drained"
    );
    let stopped = |m: &davy_runtime::MemberState| m.state == State::Stopped;
    assert!(handle.states().all().iter().all(stopped));
    assert!(log.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn member_that_fails_while_it_drains_is_recorded_and_others_drain() {
    let fails = Member::new("fails", MemberKind::Loop, |context: Context| async move {
        context.ready();
        context.draining().await;
        Err("the last flush was refused".into())
    });
    let (handle, stop, running) = spawn(
        process()
            .member(healthy("database"))
            .member(fails.after(["database"])),
    );
    until(&handle.states(), "fails", State::Ready).await;
    stop.drain();
    assert_eq!(
        ended(running).await.to_string(),
        "fails failed: the last flush was refused; then database drained"
    );
}
