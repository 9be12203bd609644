//! Tasks that outlive the run that spawned them.

use crate::{TIMEOUT, clock, ended, process, spawn, until, until_it};
use davy_runtime::{Context, Member, MemberKind, State};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Counts that it was dropped.
struct Canary(watch::Sender<u32>);

impl Drop for Canary {
    fn drop(&mut self) {
        self.0.send_modify(|dropped| *dropped += 1);
    }
}

async fn until_dropped(dropped: &watch::Sender<u32>, enough: impl FnMut(&u32) -> bool) {
    let mut dropped = dropped.subscribe();
    let waited = clock().timeout(TIMEOUT, dropped.wait_for(enough)).await;
    assert!(waited.is_ok(), "tasks were not cancelled");
}

#[tokio::test(start_paused = true)]
async fn tasks_that_outlive_their_run_are_cancelled_and_counted() {
    let dropped = watch::Sender::new(0);
    let canary = dropped.clone();
    let leaking = Member::new("leaking", MemberKind::Loop, move |context: Context| {
        let canary = canary.clone();
        async move {
            context.spawn("short", async {}).await?;
            for _ in 0..3 {
                let canary = Canary(canary.clone());
                context.spawn("endless", async move {
                    let _canary = canary;
                    std::future::pending::<()>().await;
                });
            }
            context.ready();
            context.draining().await;
            Ok(())
        }
    });
    let (handle, stop, running) = spawn(process().member(leaking));
    until(&handle.states(), "leaking", State::Ready).await;
    assert_eq!(*dropped.borrow(), 0);
    stop.drain();
    let trace = ended(running).await;
    assert_eq!(trace.to_string(), "leaking drained, leaking 3 tasks");
    assert_eq!(trace.leaked(), 3);
    assert_eq!(handle.states().get("leaking").map(|m| m.leaked), Some(3));
    until_dropped(&dropped, |dropped| *dropped == 3).await;
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_failed_run_are_cancelled_before_the_next() {
    let dropped = watch::Sender::new(0);
    let canary = dropped.clone();
    let panics = Member::new("panics", MemberKind::Loop, move |context: Context| {
        let canary = Canary(canary.clone());
        async move {
            assert!(context.run_number() < 3, "only the first two runs panic");
            context.spawn("endless", async move {
                let _canary = canary;
                std::future::pending::<()>().await;
            });
            panic!("run {}", context.run_number());
        }
    });
    let (handle, stop, running) = spawn(process().member(panics));
    until_it(&handle.states(), "panics", |m| m.leaked == 2).await;
    until_dropped(&dropped, |dropped| *dropped >= 2).await;
    stop.force();
    let trace = ended(running).await;
    assert_eq!(
        trace.ends()[0].to_string(),
        "panics panicked: run 1, leaking 1 task (restarted)"
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_spawned_by_a_context_after_its_run_are_cancelled() {
    let kept: Arc<Mutex<Option<Context>>> = Arc::default();
    let keep = kept.clone();
    let member = Member::new("m", MemberKind::Loop, move |context: Context| {
        *keep.lock().expect("not poisoned") = Some(context.clone());
        async move {
            context.ready();
            context.draining().await;
            Ok(())
        }
    });
    let (handle, stop, running) = spawn(process().member(member));
    until(&handle.states(), "m", State::Ready).await;
    stop.drain();
    ended(running).await;
    let context = kept.lock().expect("not poisoned").take().expect("it ran");
    let late = context.spawn("late", std::future::pending::<()>());
    assert!(late.await.expect_err("it was cancelled").is_cancelled());
}

#[tokio::test]
async fn blocking_work_that_outlives_its_run_is_counted() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let member = Member::new("m", MemberKind::Loop, move |context: Context| {
        let blocked = blocked.clone();
        async move {
            let (begun, has_begun) = tokio::sync::oneshot::channel();
            context.spawn_blocking("hash", move || {
                let _ = begun.send(());
                let _ = blocked.lock().expect("not poisoned").recv();
            });
            has_begun.await?;
            context.ready();
            context.draining().await;
            Ok(())
        }
    });
    let (handle, stop, running) = spawn(process().member(member));
    until(&handle.states(), "m", State::Ready).await;
    stop.drain();
    assert_eq!(
        ended(running).await.to_string(),
        "m drained, leaking 1 task"
    );
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn dropped_supervisor_cancels_all_tasks() {
    let dropped = watch::Sender::new(0);
    let canary = dropped.clone();
    let member = Member::new("m", MemberKind::Loop, move |context: Context| {
        let (own, spawned) = (Canary(canary.clone()), Canary(canary.clone()));
        async move {
            let _own = own;
            context.spawn("endless", async move {
                let _spawned = spawned;
                std::future::pending::<()>().await;
            });
            context.ready();
            std::future::pending::<()>().await;
            Ok(())
        }
    });
    let (handle, _stop, running) = spawn(process().member(member));
    until(&handle.states(), "m", State::Ready).await;
    running.abort();
    until_dropped(&dropped, |dropped| *dropped == 2).await;
}
