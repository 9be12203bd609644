//! Work of threads without a tag is attributed to the tagged future that waited for it.

mod work;

use davy_tag::{Origin, Tag, tagged, usage};
use std::future::Future;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;
use work::burn;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn cpu_of(tag: Tag) -> Duration {
    let usage = usage().into_iter().find(|usage| usage.tag == tag);
    Duration::from_nanos(usage.map_or(0, |usage| usage.cpu_nanos))
}

#[track_caller]
fn check(tag: Tag, expected: Duration) {
    let (cpu, expected) = (cpu_of(tag).as_secs_f64(), expected.as_secs_f64());
    assert!(
        (cpu - expected).abs() < expected * 0.1 + 0.002,
        "{tag:?}: {cpu} s, expected {expected} s"
    );
}

/// A library that knows no tags.
mod library {
    pub(super) async fn work(span: std::time::Duration) {
        let work = tokio::task::spawn_blocking(move || super::burn(span));
        work.await.expect("no panic");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("threads can be started")
}

#[test]
fn blocking_work_of_a_library_counts_for_the_future_that_awaits_it() {
    davy_tag::start_accounting();
    let (large, small) = (Tag::new("claims", "large"), Tag::new("claims", "small"));
    runtime().block_on(async {
        let tasks = [(large, 9), (small, 3)].map(|(tag, span)| {
            tokio::spawn(tag.wrap(async move {
                for _ in 0..20 {
                    library::work(millis(span)).await;
                }
            }))
        });
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    check(large, millis(180));
    check(small, millis(60));
}

#[test]
fn worker_thread_works_for_the_future_that_it_responds_to() {
    davy_tag::start_accounting();
    type Job = (Duration, tokio::sync::oneshot::Sender<Origin>);
    let (jobs, queue) = mpsc::channel::<Job>();
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while let Ok((span, reply)) = queue.lock().expect("one thread").recv() {
                burn(span);
                let _ = reply.send(Origin::of_this_thread());
            }
        });
        let ask = async |op: &'static str, span| {
            let jobs = jobs.clone();
            let ask = tagged("worker", op, async move {
                let (reply, answer) = tokio::sync::oneshot::channel();
                jobs.send((span, reply)).expect("the thread is running");
                answer.await.expect("an answer")
            });
            (Tag::new("worker", op), ask.await)
        };
        runtime().block_on(async {
            let mut origins = Vec::new();
            for _ in 0..10 {
                origins.push(ask("first", millis(6)).await);
                origins.push(ask("second", millis(2)).await);
            }
            // The worker claims after it has woken the future.
            let _ = ask("last", Duration::ZERO).await;
            for (tag, origin) in origins {
                assert_eq!(origin.tag(), Some(tag));
            }
        });
        drop(jobs);
    });
    check(Tag::new("worker", "first"), millis(60));
    check(Tag::new("worker", "second"), millis(20));
}

#[test]
fn thread_that_polls_futures_claims_nothing_for_those_that_it_wakes() {
    davy_tag::start_accounting();
    let (waiting, working) = (Tag::new("executor", "waits"), Tag::new("executor", "works"));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let waiter = tokio::spawn(waiting.wrap(answer));
        let worker = tokio::spawn(async move {
            working.wrap(tokio::task::yield_now()).await;
            burn(millis(20));
            let _ = reply.send(());
        });
        worker.await.expect("no panic");
        waiter.await.expect("no panic").expect("an answer");
    });
    assert!(cpu_of(waiting) < millis(2), "{:?}", cpu_of(waiting));
}

#[test]
fn claim_attributes_work_since_the_last_tag() {
    davy_tag::start_accounting();
    let (job, housekeeping) = (Tag::new("own", "job"), Tag::new("own", "housekeeping"));
    let thread = std::thread::spawn(move || {
        burn(millis(10));
        let first = Origin::of_this_thread();
        job.claim();
        {
            let _guard = housekeeping.enter();
            housekeeping.claim();
            burn(millis(5));
        }
        burn(millis(10));
        job.claim();
        burn(millis(10));
        assert_eq!(first.tag(), Some(job));
        Origin::of_this_thread()
    });
    let unclaimed = thread.join().expect("no panic");
    assert_eq!(unclaimed.tag(), None);
    assert_eq!(unclaimed.tag_or_default(), Tag::UNTAGGED);
    check(job, millis(20));
    check(housekeeping, millis(5));
}

#[test]
fn parks_count_for_the_next_tagged_poll_and_untagged_tasks_do_not() {
    davy_tag::start_accounting();
    let tag = Tag::new("parking", "task");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        tag.wrap(tokio::task::yield_now()).await;
        let before = cpu_of(tag);
        davy_tag::thread_parks();
        burn(millis(10));
        let origin = Origin::of_this_thread();
        davy_tag::thread_unparks();
        burn(millis(30));
        let untagged = Origin::of_this_thread();
        assert_eq!(origin.tag(), None);
        tag.wrap(std::future::ready(())).await;
        assert_eq!(origin.tag(), Some(tag));
        assert_eq!(untagged.tag(), None);
        let used = cpu_of(tag).saturating_sub(before);
        assert!(used > millis(9) && used < millis(15), "{used:?}");
    });
}

#[test]
fn short_work_of_the_executor_around_a_park_counts_for_the_next_tagged_poll() {
    davy_tag::start_accounting();
    let tag = Tag::new("parking", "around");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let (span, rounds, mut attributed) = (Duration::from_micros(10), 1_000, 0);
        tag.wrap(tokio::task::yield_now()).await;
        let before = cpu_of(tag);
        for _ in 0..rounds {
            burn(span);
            davy_tag::thread_parks();
            davy_tag::thread_unparks();
            burn(span);
            let origin = Origin::of_this_thread();
            assert_eq!(origin.tag(), None);
            tag.wrap(std::future::ready(())).await;
            attributed += u32::from(origin.tag() == Some(tag));
        }
        // Work during which the thread was preempted is not short.
        assert!(attributed > rounds / 2, "{attributed} samples");
        let used = cpu_of(tag).saturating_sub(before);
        assert!(used > span * rounds, "{used:?}");
    });
}

#[test]
fn finished_and_cancelled_futures_release_their_wakers() {
    struct Wakes;
    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {}
    }
    davy_tag::start_accounting();
    let wakes = Arc::new(Wakes);
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);
    for is_cancelled in [false, true] {
        let (reply, answer) = tokio::sync::oneshot::channel::<()>();
        let mut future = Box::pin(tagged("wakers", "outer", tagged("wakers", "inner", answer)));
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(Arc::strong_count(&wakes) > 2, "waits");
        if !is_cancelled {
            reply.send(()).expect("waits");
            assert!(future.as_mut().poll(&mut context).is_ready());
        }
        drop(future);
        assert_eq!(Arc::strong_count(&wakes), 2);
    }
}
