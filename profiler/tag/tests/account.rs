//! What usages promise, against the kernel's own clock of each thread.

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
    // SAFETY: the time lives through the call.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn thread_cpu() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Uses this much CPU time; answers how much it was.
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
    found.unwrap_or_else(|| panic!("{tag:?} has a usage"))
}

fn assert_close(shown: u64, truth: Duration, within: f64) {
    let ratio = shown as f64 / truth.as_nanos() as f64;
    assert!((ratio - 1.0).abs() < within, "{shown} ns of {truth:?}");
}

/// A future that is pending once, and works before and after.
fn poll_twice<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("pending once only"),
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
fn the_usage_of_busy_members_are_the_cpu_time_that_their_threads_used() {
    start_accounting();
    let members = ["even", "odd"].map(|name| Tag::new("busy", name));
    let spent: Vec<[Duration; 2]> = std::thread::scope(|scope| {
        // More threads than processors, so that some are preempted; segments from 20 us to 2 ms.
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
fn a_segment_that_waits_costs_what_it_computes() {
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
fn what_a_thread_computes_without_a_tag_is_on_nobodys_usage() {
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
        // What the wait itself computes is not in the truth.
        let (charged, computed) = (usage_of(tag).cpu_nanos, 50 * micros * 1_000);
        assert!(
            charged > truth.as_nanos() as u64 * 9 / 10,
            "{micros}: {charged}"
        );
        assert!(
            charged < truth.as_nanos() as u64 + computed / 4,
            "{micros}: {charged}"
        );
    }
}

#[test]
fn cpu_time_beyond_all_tags_is_told_and_only_grows() {
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
    // Tests beside this one in the process have their share of both.
    let told = after - before;
    assert!(told as f64 > truth.as_nanos() as f64 * 0.95, "{told}");
    let most = used.as_nanos() as f64 - 0.95 * 60e6;
    assert!((told as f64) < most, "{told} of {used:?}");
    assert!(untagged() >= after);
}

// Elsewhere the kernel does not tell a short wait from work.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn short_waits_between_polls_do_not_lessen_the_usage_of_a_long_one() {
    start_accounting();
    let tag = Tag::new("waits", "shortly");
    // SAFETY: has the kernel end this thread's waits when they are over, and not 50 us later.
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
fn a_nested_tag_pays_for_itself_and_the_outer_one_does_not() {
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
fn work_under_way_is_on_the_usage_and_stays_there_when_its_thread_has_ended() {
    start_accounting();
    let tag = Tag::new("long", "loop");
    let (begun, has_begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _guard = tag.enter();
        begun.send(burn(Duration::from_millis(30))).expect("asked");
        goes_on.recv().expect("told");
        burn(Duration::from_millis(10))
    });
    let first = has_begun.recv().expect("begun");
    let under_way = usage_of(tag).cpu_nanos;
    assert_close(under_way, first, 0.1);
    go_on.send(()).expect("it waits");
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
        // Within a poll of its own tag: a part of it.
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
    assert!(usage.cpu_nanos < 10_000_000, "it waited: {usage:?}");
}

#[test]
fn a_task_lives_from_its_making_to_its_drop() {
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
fn a_forked_child_can_go_on_counting() {
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
            // SAFETY: the child computes, reads what it counted and ends.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let begin = usage().iter().map(|b| b.cpu_nanos).sum::<u64>();
                for _ in 0..4 {
                    let _guard = tag.enter();
                    burn(Duration::from_micros(500));
                }
                let end = usage().iter().map(|b| b.cpu_nanos).sum::<u64>();
                // SAFETY: ends the child.
                unsafe { libc::_exit(i32::from(end <= begin)) };
            }
            let mut status = 0;
            // SAFETY: waits for the child that was just made.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn tags_that_are_dropped_while_their_thread_ends_do_no_harm() {
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
fn a_thread_tells_what_it_spent_on_a_tag_waits_included() {
    start_accounting();
    let tag = Tag::new("thread", "waits");
    let (asked, ask) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _guard = tag.enter();
        burn(Duration::from_millis(5));
        // SAFETY: asks for a number.
        begun.send(unsafe { libc::gettid() }).expect("asked");
        let _ = ask.recv();
    });
    let id = has_begun.recv().expect("begun");
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(Duration::from_millis(20));
    let usages = davy_tag::threads();
    let usage = usages.iter().find(|usage| usage.thread == Some(id));
    let usage = usage.expect("the thread has a usage");
    assert_eq!(usage.tag, tag);
    let time = usage.times.iter().find(|time| time.tag == tag);
    let time = time.expect("the tag had the thread");
    assert!(time.wall_nanos >= 24_000_000, "{time:?}");
    assert!(
        (4_000_000..15_000_000).contains(&time.cpu_nanos),
        "{time:?}"
    );
    drop(asked);
    thread.join().expect("no panic");
}
