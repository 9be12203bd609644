//! Stacks of waiting tasks. In a process of its own, because the source of stacks is global.

use davy_tag::{Tag, TaskSnapshot, ask_tasks, for_each_task, set_stack_source, start_accounting};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Mutex, MutexGuard};

async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

static CAPTURED: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of the capture instead of a stack.
fn number(below: usize, frames: &mut [u64]) -> usize {
    let here = std::ptr::from_ref(&below) as usize;
    assert!(
        here < below && below - here < 1 << 20,
        "a frame of this stack"
    );
    frames[0] = CAPTURED.fetch_add(1, Ordering::Relaxed) as u64 + 1;
    frames[1] = 77;
    2
}

fn tasks_of(tag: Tag) -> Vec<(u64, bool, Vec<u64>)> {
    let mut found = Vec::new();
    for_each_task(|task: &TaskSnapshot<'_>| {
        if task.tag == tag {
            found.push((task.polls, task.is_outdated, task.frames.to_vec()));
        }
    });
    found
}

#[tokio::test]
async fn task_records_its_stack_at_its_first_poll_and_on_request() {
    let _turn = turn().await;
    set_stack_source(number);
    start_accounting();
    let tag = Tag::new("waits", "here");
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<()>(1);
    let task = tokio::spawn(tag.task(async move { while receiver.recv().await.is_some() {} }));
    let settle = || async {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    };
    settle().await;
    let first = tasks_of(tag);
    assert_eq!(first.len(), 1);
    let (polls, is_outdated, frames) = &first[0];
    assert_eq!((*polls, *is_outdated, frames[1]), (1, false, 77));

    sender.send(()).await.expect("the task receives");
    settle().await;
    let again = tasks_of(tag);
    assert!(again[0].0 > 1 && again[0].1, "polled since: {again:?}");
    assert_eq!(again[0].2, *frames, "not recorded without a request");

    ask_tasks();
    sender.send(()).await.expect("the task receives");
    settle().await;
    let asked = tasks_of(tag);
    assert!(!asked[0].1 && asked[0].2[0] > frames[0], "{asked:?}");

    drop(sender);
    task.await.expect("the task panicked");
    assert_eq!(tasks_of(tag), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_existing_task_is_listed_once() {
    let _turn = turn().await;
    set_stack_source(number);
    start_accounting();
    let tag = Tag::new("many", "tasks");
    for round in 0..20 {
        let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let gate = gate.clone();
                tokio::spawn(tag.task(async move { gate.acquire().await.map(drop) }))
            })
            .collect();
        if round % 2 == 0 {
            assert_eq!(tasks_of(tag).len(), 500);
        }
        gate.add_permits(1);
        for task in tasks {
            task.await
                .expect("no panic")
                .expect("the semaphore is open");
        }
        assert_eq!(tasks_of(tag).len(), 0);
    }
}
