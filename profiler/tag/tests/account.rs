//! Compares usage with the kernel's CPU clock of each thread.

use davy_tag::{POLL_BOUNDS_SECONDS, Tag, Usage, start_accounting, usage};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure outlives the call.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn thread_cpu() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Uses at least `span` of CPU time. Returns the exact amount.
fn burn(span: Duration) -> Duration {
    let begin = thread_cpu();
    while thread_cpu().saturating_sub(begin) < span {
        (0..1_000).for_each(|i| {
            black_box(i);
        });
    }
    thread_cpu().saturating_sub(begin)
}

fn usage_of(tag: Tag) -> Usage {
    let found = usage().into_iter().find(|usage| usage.tag == tag);
    found.unwrap_or_else(|| panic!("{tag:?} has no usage"))
}

fn assert_close(shown: u64, truth: Duration, within: f64) {
    let ratio = shown as f64 / truth.as_nanos() as f64;
    assert!((ratio - 1.0).abs() < within, "{shown} ns of {truth:?}");
}

/// Polls a future that is pending once.
fn poll_twice<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is pending twice"),
    }
}

async fn yield_once() {
    let mut is_first = true;
    std::future::poll_fn(|_| {
        if std::mem::take(&mut is_first) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

#[test]
fn usage_of_busy_members_is_the_cpu_time_of_their_threads() {
    start_accounting();
    let members = ["even", "odd"].map(|name| Tag::new("busy", name));
    let spent: Vec<[Duration; 2]> = std::thread::scope(|scope| {
        // More threads than processors, so that some are preempted; segments of 20 us to 2 ms.
        let threads = (1..=5u32).map(|thread| {
            scope.spawn(move || {
                let mut spent = [Duration::ZERO; 2];
                for round in 0..400u32 {
                    let which = (round % 2) as usize;
                    let span = if round % 16 < 2 { 2_000 } else { 20 * thread };
                    let guard = members[which].enter();
                    spent[which] += burn(Duration::from_micros(u64::from(span)));
                    drop(guard);
                }
                spent
            })
        });
        let threads: Vec<_> = threads.collect();
        let spent = threads.into_iter().map(|t| t.join().expect("no panic"));
        spent.collect()
    });
    for (which, tag) in members.into_iter().enumerate() {
        let truth = spent.iter().map(|spent| spent[which]).sum();
        assert_close(usage_of(tag).cpu_nanos, truth, 0.05);
    }
}

#[test]
fn segment_with_a_wait_is_charged_its_cpu_time_only() {
    start_accounting();
    let tag = Tag::new("waits", "often");
    let truth: Duration = std::thread::spawn(move || {
        let (sender, receiver) = mpsc::channel::<()>();
        let mut truth = Duration::ZERO;
        for _ in 0..20 {
            let _guard = tag.enter();
            truth += burn(Duration::from_millis(1));
            let _ = receiver.recv_timeout(Duration::from_millis(10));
        }
        drop(sender);
        truth
    })
    .join()
    .expect("no panic");
    assert_close(usage_of(tag).cpu_nanos, truth, 0.15);
}

#[test]
fn untagged_cpu_time_is_not_charged_to_a_tag() {
    start_accounting();
    let (_sender, receiver) = mpsc::channel::<()>();
    for micros in [400, 700, 1_500] {
        let tag = Tag::new("sleeps", &format!("after {micros} us"));
        let mut truth = Duration::ZERO;
        for _ in 0..50 {
            burn(Duration::from_micros(micros));
            let _guard = tag.enter();
            truth += burn(Duration::from_micros(100));
            let _ = receiver.recv_timeout(Duration::from_millis(1));
        }
        // `truth` does not include the CPU time of the wait itself.
        let (charged, untagged) = (usage_of(tag).cpu_nanos, 50 * micros * 1_000);
        assert!(
            charged > truth.as_nanos() as u64 * 9 / 10,
            "{micros}: {charged}"
        );
        assert!(
            charged < truth.as_nanos() as u64 + untagged / 4,
            "{micros}: {charged}"
        );
    }
}

#[test]
fn untagged_cpu_time_is_reported_and_never_decreases() {
    start_accounting();
    let untagged = || davy_tag::untagged_cpu_nanos(&usage());
    let tag = Tag::new("beyond", "tags");
    let (before, process) = (untagged(), clock(libc::CLOCK_PROCESS_CPUTIME_ID));
    let truth = burn(Duration::from_millis(60));
    let guard = tag.enter();
    burn(Duration::from_millis(60));
    drop(guard);
    let (after, used) = (
        untagged(),
        clock(libc::CLOCK_PROCESS_CPUTIME_ID).saturating_sub(process),
    );
    // Other tests in this process add to both.
    let reported = after - before;
    assert!(
        reported as f64 > truth.as_nanos() as f64 * 0.95,
        "{reported}"
    );
    let most = used.as_nanos() as f64 - 0.95 * 60e6;
    assert!((reported as f64) < most, "{reported} of {used:?}");
    assert!(untagged() >= after);
}

// Other systems have no rseq, so a short wait cannot be distinguished from work.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn short_waits_between_polls_do_not_reduce_the_usage_of_a_long_one() {
    start_accounting();
    let tag = Tag::new("waits", "shortly");
    // SAFETY: sets this thread's timer slack to 1 ns; the default lets waits end 50 us late.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
    let (_sender, receiver) = mpsc::channel::<()>();
    let mut truth = Duration::ZERO;
    for _ in 0..10 {
        for _ in 0..50 {
            let _ = receiver.recv_timeout(Duration::from_micros(20));
            let _guard = tag.enter();
            truth += burn(Duration::from_micros(10));
        }
        let _guard = tag.enter();
        truth += burn(Duration::from_millis(2));
    }
    assert_close(usage_of(tag).cpu_nanos, truth, 0.1);
}

#[test]
fn nested_tag_is_not_charged_to_the_outer_tag() {
    start_accounting();
    let (outer, inner) = (Tag::new("nest", "outer"), Tag::new("nest", "inner"));
    let (mut outer_truth, mut inner_truth) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..10 {
        let _outer = outer.enter();
        outer_truth += burn(Duration::from_millis(1));
        let _inner = inner.enter();
        inner_truth += burn(Duration::from_millis(4));
    }
    assert_close(usage_of(outer).cpu_nanos, outer_truth, 0.1);
    assert_close(usage_of(inner).cpu_nanos, inner_truth, 0.1);
}

#[test]
fn segment_in_progress_counts_and_is_kept_after_its_thread_exits() {
    start_accounting();
    let tag = Tag::new("long", "loop");
    let (begun, has_begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _guard = tag.enter();
        begun
            .send(burn(Duration::from_millis(30)))
            .expect("send to the test");
        goes_on.recv().expect("receive from the test");
        burn(Duration::from_millis(10))
    });
    let first = has_begun.recv().expect("receive from the thread");
    let in_progress = usage_of(tag).cpu_nanos;
    assert_close(in_progress, first, 0.1);
    go_on.send(()).expect("send to the thread");
    let second = thread.join().expect("no panic");
    assert_close(usage_of(tag).cpu_nanos, first + second, 0.1);
}

#[test]
fn polls_are_counted_by_their_duration() {
    start_accounting();
    let tag = Tag::new("polls", "op");
    let wait = |millis| {
        let (_sender, receiver) = mpsc::channel::<()>();
        let _ = receiver.recv_timeout(Duration::from_millis(millis));
    };
    poll_twice(tag.wrap(async {
        wait(2);
        // Nested in a poll of the same tag, so not counted.
        poll_twice(tag.wrap(yield_once()));
        yield_once().await;
        wait(20);
    }));
    let usage = usage_of(tag);
    assert_eq!(usage.polls, 2);
    assert_eq!(usage.poll_buckets.iter().sum::<u64>(), 2);
    let below = POLL_BOUNDS_SECONDS
        .iter()
        .take_while(|bound| **bound <= 1e-3);
    let above_one_milli = below.count();
    assert_eq!(usage.poll_buckets[above_one_milli..].iter().sum::<u64>(), 2);
    assert!(usage.poll_nanos >= 22_000_000, "{usage:?}");
    assert!(
        usage.cpu_nanos < 10_000_000,
        "waiting is not CPU time: {usage:?}"
    );
}

#[test]
fn task_counts_from_creation_to_drop() {
    let tag = Tag::new("tasks", "op");
    let (first, second) = (tag.task(yield_once()), tag.task(yield_once()));
    let counts = || (usage_of(tag).tasks, usage_of(tag).tasks_total);
    assert_eq!(counts(), (2, 2));
    poll_twice(first);
    assert_eq!(counts(), (1, 2));
    drop(second);
    assert_eq!(counts(), (0, 2));
}

#[test]
fn forked_child_continues_accounting() {
    start_accounting();
    let tag = Tag::new("forked", "child");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::spawn(move || drop(Tag::new("forked", "storm").enter()))
                    .join()
                    .expect("no panic");
            }
        });
        for _ in 0..50 {
            // SAFETY: the child computes, reads its usage and exits.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let begin = usage().iter().map(|b| b.cpu_nanos).sum::<u64>();
                for _ in 0..4 {
                    let _guard = tag.enter();
                    burn(Duration::from_micros(500));
                }
                let end = usage().iter().map(|b| b.cpu_nanos).sum::<u64>();
                // SAFETY: exits the child.
                unsafe { libc::_exit(i32::from(end <= begin)) };
            }
            let mut status = 0;
            // SAFETY: waits for the child.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn guards_may_be_dropped_in_thread_local_destructors() {
    start_accounting();
    struct Late(Tag);
    impl Drop for Late {
        fn drop(&mut self) {
            drop(self.0.enter());
        }
    }
    thread_local! {
        static LATE: Late = Late(Tag::new("late", "thread-local"));
    }
    for is_late_first in [true, false] {
        std::thread::spawn(move || {
            if is_late_first {
                LATE.with(|_| ());
            }
            drop(Tag::new("late", "work").enter());
            LATE.with(|_| ());
        })
        .join()
        .expect("no panic");
    }
}

#[test]
fn thread_usage_includes_waits_in_elapsed_time() {
    start_accounting();
    let tag = Tag::new("thread", "waits");
    let (asked, ask) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _guard = tag.enter();
        burn(Duration::from_millis(5));
        // SAFETY: gettid only returns a number.
        begun
            .send(unsafe { libc::gettid() })
            .expect("send to the test");
        let _ = ask.recv();
    });
    let id = has_begun.recv().expect("receive from the thread");
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(Duration::from_millis(20));
    let threads = davy_tag::threads();
    let usage = threads.iter().find(|usage| usage.thread == Some(id));
    let usage = usage.expect("the thread has a usage");
    assert_eq!(usage.tag, tag);
    let time = usage.times.iter().find(|time| time.tag == tag);
    let time = time.expect("the thread has time of the tag");
    assert!(time.wall_nanos >= 24_000_000, "{time:?}");
    assert!(
        (4_000_000..15_000_000).contains(&time.cpu_nanos),
        "{time:?}"
    );
    drop(asked);
    thread.join().expect("no panic");
}
