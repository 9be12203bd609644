//! Stops: bounded, never early, never taken for a member's end.

use crate::{Log, PATIENCE, ended, good, logging, process, spawn, until, until_it};
use davy_runtime::{Context, Ending, Kind, Member, State, Stop};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::time::Instant;

fn hanging(name: &str) -> Member {
    Member::new(name, Kind::Loop, |context: Context| async move {
        context.ready();
        std::future::pending::<()>().await;
        Ok(())
    })
    .stop_deadline(Duration::from_secs(3))
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_on_stop_is_cut_off_at_its_deadline_and_the_others_stop_in_order() {
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(hanging("hanging").after(["database"]))
        .member(logging("api", &log).after(["hanging"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "api", State::Ready).await;
    log.take();
    let before = Instant::now();
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(before.elapsed().as_secs(), 3);
    assert_eq!(
        trace.to_string(),
        "api drained; then hanging did not stop within 3s and was cut off; then database drained"
    );
    assert_eq!(
        trace.culprit().map(|end| end.member.as_str()),
        Some("hanging")
    );
    assert_eq!(log.take(), ["api stops", "database stops"]);
}

/// Blocks its thread when it is told to end, until the test drops the sender.
fn blocking() -> (mpsc::Sender<()>, Member) {
    blocking_from(false)
}

fn blocking_from(the_start: bool) -> (mpsc::Sender<()>, Member) {
    let (release, blocked) = mpsc::channel();
    let blocked = Arc::new(Mutex::new(blocked));
    let member = Member::new("blocking", Kind::Loop, move |context: Context| {
        let blocked = blocked.clone();
        async move {
            context.ready();
            if !the_start {
                context.draining().await;
            }
            let _ = blocked.lock().expect("nobody else has it").recv();
            Ok(())
        }
    });
    (release, member.stop_deadline(Duration::from_millis(20)))
}

/// What blocks a thread needs another one to be noticed by, and real time.
fn on_threads<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let bounded = async { tokio::time::timeout(Duration::from_secs(20), test).await };
    runtime.block_on(bounded).expect("it ends")
}

#[test]
fn one_that_does_not_even_yield_is_named_hung_and_the_process_goes_on_stopping() {
    let (release, blocking) = blocking();
    let log = Log::default();
    let built = process()
        .member(logging("database", &log))
        .member(blocking.after(["database"]))
        .build()
        .expect("well-formed");
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
        "blocking is hung: it went on although it was cut off; then database drained"
    );
    assert_eq!(states.get("blocking").map(|m| m.state), Some(State::Failed));
    assert_eq!(log.take(), ["database starts", "database stops"]);
}

#[test]
fn what_stands_beside_the_supervisor_works_while_every_worker_hangs() {
    let (release, blocking) = blocking_from(true);
    let log = Log::default();
    let workers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let built = process()
        .workers(workers.handle().clone())
        .member(logging("debug", &log).beside_supervisor())
        .member(blocking)
        .build()
        .expect("well-formed");
    let (operator, stop, states) = (built.handle(), Stop::new(), built.states());
    let alone = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let trace = alone.block_on(async {
        let (stopper, watched) = (stop.clone(), states.clone());
        tokio::spawn(async move {
            until(&watched, "blocking", State::Ready).await;
            // The one worker is gone; what is beside the supervisor can still be started again.
            operator.restart("debug", "asked for").expect("known");
            until_it(&watched, "debug", |m| {
                m.restarts == 1 && m.state == State::Ready
            })
            .await;
            stopper.drain();
        });
        tokio::time::timeout(Duration::from_secs(20), built.run(stop)).await
    });
    drop(release);
    let trace = trace.expect("it ends");
    workers.shutdown_timeout(PATIENCE);
    assert!(
        trace.to_string().contains("blocking is hung"),
        "its deadline was seen: {trace}"
    );
    assert_eq!(
        log.take(),
        ["debug starts", "debug stops", "debug starts", "debug stops"]
    );
}

#[test]
fn a_hung_run_is_never_joined_by_a_second_one_and_is_followed_when_it_ends() {
    let (release, blocking) = blocking();
    on_threads(async {
        let built = process().member(blocking).build().expect("well-formed");
        let (handle, stop) = (built.handle(), Stop::new());
        let (operator, stopper) = (handle.clone(), stop.clone());
        let operate = tokio::spawn(async move {
            let states = operator.states();
            until(&states, "blocking", State::Ready).await;
            operator
                .set_enabled("blocking", false, "off")
                .expect("known");
            until(&states, "blocking", State::Failed).await;
            operator.set_enabled("blocking", true, "on").expect("known");
            until_it(&states, "blocking", |m| m.enabled).await;
            let hung = states.get("blocking").expect("known");
            assert_eq!(hung.state, State::Failed, "its first run still blocks");
            drop(release);
            until(&states, "blocking", State::Ready).await;
            stopper.drain();
        });
        let trace = built.run(stop).await;
        operate.await.expect("the operator is content");
        assert_eq!(trace.ends()[0].ending, Ending::Hung);
        assert_eq!(trace.ends()[1].to_string(), "blocking drained");
    });
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_cuts_everything_off_at_once() {
    let built = process()
        .member(good("database"))
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
    let before = Instant::now();
    stop.drain();
    until(&handle.states(), "too", State::Draining).await;
    stop.hurry();
    let trace = ended(running).await;
    assert!(before.elapsed() < Duration::from_millis(100));
    for name in ["hanging", "too"] {
        let end = trace.ends().iter().find(|end| end.member == name);
        assert_eq!(
            end.map(|end| &end.ending),
            Some(&Ending::Hurried),
            "{trace}"
        );
    }
    assert_eq!(trace.ends().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_asked_for_twice_is_one_stop_and_returns_no_earlier() {
    let slow = Member::new("slow", Kind::Loop, |context: Context| async move {
        context.ready();
        context.draining().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    });
    let (handle, stop, running) = spawn(process().member(slow));
    until(&handle.states(), "slow", State::Ready).await;
    let before = Instant::now();
    stop.drain();
    until(&handle.states(), "slow", State::Draining).await;
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(before.elapsed().as_secs(), 5);
    assert_eq!(trace.to_string(), "slow drained");
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_starts_and_backoffs_leaves_nobody_behind() {
    let starting = Member::new("starting", Kind::Loop, |context: Context| async move {
        context.draining().await;
        Ok(())
    });
    let falls = Member::new("falls", Kind::Loop, |_| async { Err("no".into()) });
    let log = Log::default();
    let built = process()
        .member(starting)
        .member(falls)
        .member(logging("waiting", &log).after(["starting"]));
    let (handle, stop, running) = spawn(built);
    until(&handle.states(), "falls", State::BackingOff).await;
    stop.drain();
    let trace = ended(running).await;
    assert!(trace.is_clean(), "{trace}");
    assert_eq!(
        trace.to_string(),
        "falls failed: no (restarted); then starting drained"
    );
    let stopped = |m: &davy_runtime::MemberState| m.state == State::Stopped;
    assert!(handle.states().all().iter().all(stopped));
    assert!(log.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_while_it_stops_is_named_and_the_rest_drains() {
    let fails = Member::new("fails", Kind::Loop, |context: Context| async move {
        context.ready();
        context.draining().await;
        Err("the last flush was refused".into())
    });
    let (handle, stop, running) = spawn(
        process()
            .member(good("database"))
            .member(fails.after(["database"])),
    );
    until(&handle.states(), "fails", State::Ready).await;
    stop.drain();
    assert_eq!(
        ended(running).await.to_string(),
        "fails failed: the last flush was refused; then database drained"
    );
}
