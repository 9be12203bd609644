//! Heap profiles, in a program whose allocator is jemalloc.

mod archiver;
mod work;

use archiver::Archiver;
use davy_profile::Profile;
use davy_profiler::{Builder, Filter};
use davy_tag::Tag;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use work::{label, stack, sum, turn};

davy_profiler::use_jemalloc!();

const RATE: f64 = 524_288.0;

/// Allocates about `total` bytes in pieces of many sizes. Returns the pieces and their exact sum.
#[inline(never)]
fn hoard(total: usize, seed: u64) -> (Vec<Vec<u8>>, usize) {
    let mut pieces = Vec::with_capacity(total / 2_048);
    let (mut sum, mut x) = (pieces.capacity() * size_of::<Vec<u8>>(), seed);
    while sum < total {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        // Size classes of jemalloc, so that nothing is rounded up.
        let size = 64usize << (x % 9);
        pieces.push(black_box(Vec::with_capacity(size)));
        sum += size;
    }
    (pieces, sum)
}

/// Four and a half standard errors of an estimate of `bytes`, relative to it: a correct estimate is farther off in
/// one run of 150,000. One standard error is sqrt(rate / bytes).
fn tolerance(bytes: usize) -> f64 {
    4.5 * (RATE / bytes as f64).sqrt()
}

fn assert_close(estimate: i64, truth: usize) {
    let error = estimate as f64 / truth as f64 - 1.0;
    println!(
        "estimate {estimate}, truth {truth}, error {:+.1} %",
        error * 100.0
    );
    assert!(error.abs() <= tolerance(truth), "{estimate} for {truth}");
}

fn of_member(profile: &Profile, kind: &str, name: &str) -> i64 {
    sum(profile, kind, |member, _| member == name)
}

#[test]
fn live_bytes_are_attributed_to_the_allocating_member_until_they_are_freed() {
    let _turn = turn();
    let profiler = Builder::new("heap").start().expect("profiler started");
    let handle = profiler.handle();
    assert_eq!(handle.stats().heap.disabled_reason, "");
    let (a, b) = (Tag::new("heap a", "hoard"), Tag::new("heap b", "hoard"));
    let kept_a = a.enter();
    let (pieces_a, bytes_a) = hoard(96 << 20, 1);
    drop(kept_a);
    let kept_b = b.enter();
    let (pieces_b, bytes_b) = hoard(32 << 20, 2);
    drop(kept_b);
    let live = |member: &str| {
        let live = handle.live_heap();
        let of = live.tags.iter().filter(|live| live.tag.member() == member);
        of.map(|live| live.bytes as i64).sum::<i64>()
    };
    assert_close(live("heap a"), bytes_a);
    let profile = handle.heap_profile(&Filter::default()).expect("a heap");
    assert_eq!(of_member(&profile, "inuse_space", "heap b"), live("heap b"));
    assert_close(of_member(&profile, "inuse_space", "heap a"), bytes_a);
    assert_close(of_member(&profile, "inuse_space", "heap b"), bytes_b);
    assert_close(of_member(&profile, "alloc_space", "heap a"), bytes_a);
    // A sampled allocation of 64 bytes stands for 8,192 objects, so the standard error is about 25 % and the
    // tail is long.
    let objects = of_member(&profile, "inuse_objects", "heap a") as f64;
    assert!(
        (objects / pieces_a.len() as f64 - 1.0).abs() < 1.3,
        "{objects}"
    );

    // Another thread with another tag frees them.
    std::thread::spawn(move || {
        let _guard = Tag::new("heap c", "release").enter();
        drop(pieces_a);
    })
    .join()
    .expect("no panic");
    let filter = Filter {
        member: Some("heap a".to_owned()),
        op: None,
    };
    let after = handle.heap_profile(&filter).expect("a heap");
    // The vector of vectors was freed, too.
    assert_eq!(of_member(&after, "inuse_space", "heap a"), 0);
    assert_eq!(live("heap a"), 0);
    assert_close(of_member(&after, "alloc_space", "heap a"), bytes_a);
    assert_eq!(
        of_member(&after, "alloc_space", "heap b"),
        0,
        "the filter excludes other members"
    );
    drop(pieces_b);
    profiler
        .shutdown(Duration::ZERO)
        .expect("there is nothing to deliver");
}

#[test]
fn live_bytes_that_a_blocking_thread_allocates_belong_to_the_future_that_waits_for_them() {
    let _turn = turn();
    let profiler = Builder::new("heap").start().expect("profiler started");
    let handle = profiler.handle();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    let kept: Vec<_> = runtime.block_on(async {
        let mut kept = Vec::new();
        for (member, megabytes) in [("heap x", 96), ("heap y", 32), ("heap x", 64)] {
            // A library starts the thread, so it has no tag.
            let read =
                async move { tokio::task::spawn_blocking(move || hoard(megabytes << 20, 3)).await };
            let task = davy_tag::spawn(davy_tag::tagged(member, "read", read));
            kept.push((member, task.await.expect("no panic").expect("no panic")));
        }
        kept
    });
    // The claims are filed when the blocking threads have ended.
    drop(runtime);
    let truth = |member: &str| -> usize {
        let of = kept.iter().filter(|(of, _)| *of == member);
        of.map(|(_, (_, bytes))| bytes).sum()
    };
    let profile = handle.heap_profile(&Filter::default()).expect("a heap");
    for member in ["heap x", "heap y"] {
        for kind in ["inuse_space", "alloc_space"] {
            assert_close(of_member(&profile, kind, member), truth(member));
        }
    }
    let is_hoard = |sample| {
        stack(&profile, sample)
            .iter()
            .any(|name| name.contains("hoard"))
    };
    let untagged = (0..profile.sample_count())
        .filter(|sample| label(&profile, *sample, "member").is_empty() && is_hoard(*sample));
    assert_eq!(
        untagged
            .map(|sample| profile.values(sample)[3])
            .sum::<i64>(),
        0
    );
    drop(kept);
    let after = handle.heap_profile(&Filter::default()).expect("a heap");
    assert_eq!(of_member(&after, "inuse_space", "heap x"), 0);
    profiler
        .shutdown(Duration::ZERO)
        .expect("there is nothing to deliver");
}

#[test]
fn stacks_are_complete_and_start_at_the_allocating_code() {
    let _turn = turn();
    let profiler = Builder::new("heap").start().expect("profiler started");
    let guard = Tag::new("heap stacks", "hoard").enter();
    let (pieces, _) = hoard(48 << 20, 3);
    drop(guard);
    let profile = profiler
        .handle()
        .heap_profile(&Filter::default())
        .expect("a heap");
    let mut seen = 0;
    for sample in 0..profile.sample_count() {
        if label(&profile, sample, "member") != "heap stacks" {
            continue;
        }
        let stack = stack(&profile, sample);
        seen += 1;
        assert!(
            stack
                .iter()
                .any(|name| name == "heap::hoard" || name == "hoard"),
            "{stack:?}"
        );
        assert!(
            stack.iter().any(|name| name.contains("thread_start")),
            "{stack:?}"
        );
        let noise = ["_rjem_", "prof_", "davy_profiler::heap"];
        let is_noise = |name: &&String| noise.iter().any(|noise| name.contains(noise));
        assert_eq!(stack.iter().find(is_noise), None, "{stack:?}");
    }
    assert!(seen > 0);
    drop(pieces);
}

#[test]
fn allocations_of_all_windows_add_up_to_the_total() {
    let _turn = turn();
    let archiver = Archiver::start();
    let profiler = Builder::new("heap")
        .window(Duration::from_secs(1))
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    let guard = Tag::new("heap delta", "churn").enter();
    let mut bytes = 0;
    let (mut windows, mut all) = (0, 0);
    while windows < 3 {
        let (pieces, sum) = hoard(16 << 20, 11 + bytes as u64);
        bytes += sum;
        drop(pieces);
        for push in archiver.all() {
            if push.label("__name__") == "memory" {
                windows += 1;
                all += of_member(&push.profile, "alloc_space", "heap delta");
            }
        }
    }
    drop(guard);
    profiler
        .shutdown(Duration::from_secs(20))
        .expect("delivered");
    for push in archiver.all() {
        if push.label("__name__") == "memory" {
            all += of_member(&push.profile, "alloc_space", "heap delta");
            assert_eq!(push.profile.text(push.profile.period_type.kind), "space");
        }
    }
    assert_close(all, bytes);
}

#[test]
fn allocated_bytes_of_a_usage_are_exact() {
    let _turn = turn();
    let profiler = Builder::new("heap").start().expect("profiler started");
    let tag = Tag::new("heap usage", "hoard");
    let bytes = std::thread::spawn(move || {
        let _guard = tag.enter();
        hoard(8 << 20, 5).1
    });
    let bytes = bytes.join().expect("no panic") as u64;
    let usage = davy_tag::usage().into_iter().find(|usage| usage.tag == tag);
    let allocated = usage.expect("a usage").allocated_bytes;
    // The vector of vectors is rounded up to a size class.
    assert!(
        (bytes..bytes + bytes / 50).contains(&allocated),
        "{allocated} of {bytes}"
    );
    drop(profiler);
}

#[test]
fn freed_memory_is_returned_to_the_kernel_in_an_idle_process() {
    let _turn = turn();
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
        let pages = statm.split(' ').nth(1).map(str::parse::<usize>);
        pages.expect("a second field").expect("a number") * 4_096
    };
    let before = resident();
    let pieces: Vec<Vec<u8>> = (0..1_000).map(|i| vec![i as u8; 64 << 10]).collect();
    assert!(resident() > before + (48 << 20));
    drop(pieces);
    let clock = davy_base::Clock::system();
    let begin = clock.monotonic();
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    while resident() > before + (16 << 20) {
        let waited = clock.monotonic().saturating_sub(begin);
        assert!(waited < Duration::from_secs(15), "{}", resident());
        let _ = receiver.recv_timeout(Duration::from_millis(50));
    }
}

#[test]
fn rate_change_keeps_the_weight_of_live_samples() {
    let _turn = turn();
    let profiler = Builder::new("heap").start().expect("profiler started");
    let handle = profiler.handle();
    let live = |op: &str| -> i64 {
        let live = handle.live_heap();
        let of = live.tags.iter().filter(|live| live.tag.op() == op);
        of.map(|live| live.bytes as i64).sum()
    };
    let keep = |op: &str, seed| {
        let _guard = Tag::new("heap rate", op).enter();
        hoard(48 << 20, seed)
    };
    let (coarse, coarse_bytes) = keep("coarse", 21);
    let before = live("coarse");
    handle
        .set_heap_rate(16 << 10)
        .expect("the profiler is running");
    assert_eq!(live("coarse"), before, "nothing was allocated or freed");
    let (fine, fine_bytes) = keep("fine", 22);
    assert_close(before, coarse_bytes);
    // The first sample has the weight of the old rate, so that rate adds one variance of its own.
    let deviation = (16_384.0 * fine_bytes as f64 + RATE * RATE).sqrt();
    let error = (live("fine") - fine_bytes as i64) as f64 / deviation;
    assert!(error.abs() <= 4.5, "{error} standard errors");
    let profile = handle.heap_profile(&Filter::default()).expect("a heap");
    assert_eq!(profile.period, 16 << 10);
    drop((coarse, fine));
    assert_eq!((live("coarse"), live("fine")), (0, 0));
    assert!(handle.set_heap_rate(1_000).is_err());
    handle
        .set_heap_rate(512 << 10)
        .expect("the profiler is running");
}

#[test]
fn first_sample_after_a_rate_change_has_the_weight_of_the_old_rate() {
    let _turn = turn();
    let profiler = Builder::new("heap").start().expect("profiler started");
    let handle = profiler.handle();
    handle
        .set_heap_rate(4 << 10)
        .expect("the profiler is running");
    let tag = Tag::new("heap rate", "phantom");
    // Half of the threads allocate at the first rate, too, and half only after the change.
    let (begun, changed) = (Barrier::new(33), Barrier::new(33));
    let (kept, done) = (Barrier::new(33), Barrier::new(33));
    std::thread::scope(|scope| {
        for thread in 0..32u64 {
            let (begun, changed, kept, done) = (&begun, &changed, &kept, &done);
            scope.spawn(move || {
                let _guard = tag.enter();
                let before = (thread % 2 == 0).then(|| hoard(64 << 10, thread + 1));
                begun.wait();
                changed.wait();
                let after = hoard(64 << 10, thread + 100);
                kept.wait();
                done.wait();
                drop((before, after));
            });
        }
        begun.wait();
        handle
            .set_heap_rate(1 << 30)
            .expect("the profiler is running");
        changed.wait();
        kept.wait();
        let live = handle.live_heap();
        let bytes = live.tags.iter().find(|live| live.tag == tag);
        let bytes = bytes.map_or(0, |live| live.bytes);
        done.wait();
        // With some luck, one sample is taken at the new rate, and then stands for 1 GiB. The first sample of every
        // second thread would stand for 16 GiB.
        assert!(
            bytes < 4 << 30,
            "{bytes} B, but only about 3 MiB are allocated"
        );
    });
    // A thread that starts later is sampled at the new rate.
    handle
        .set_heap_rate(512 << 10)
        .expect("the profiler is running");
    let tag = Tag::new("heap rate", "later");
    let bytes = std::thread::spawn(move || {
        let _guard = tag.enter();
        let (kept, bytes) = hoard(64 << 20, 7);
        (bytes, kept)
    });
    let (bytes, kept) = bytes.join().expect("no panic");
    let live = handle.live_heap();
    let later = live.tags.iter().find(|live| live.tag == tag);
    assert_close(later.map_or(0, |live| live.bytes as i64), bytes);
    drop(kept);
}

#[test]
fn thread_that_allocates_during_changes_of_the_rate_is_not_overestimated() {
    let _turn = turn();
    let profiler = Builder::new("heap").start().expect("profiler started");
    let handle = profiler.handle();
    let tag = Tag::new("heap rate", "during");
    let (begun, changed) = (Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let _guard = tag.enter();
            let (mut kept, mut bytes) = hoard(8 << 20, 1);
            begun.wait();
            // At least once more, after the changes.
            loop {
                let is_last = changed.load(Ordering::Acquire);
                let (pieces, sum) = hoard(1 << 20, 2);
                bytes += sum;
                kept.extend(pieces);
                if is_last {
                    return (kept, bytes);
                }
            }
        });
        begun.wait();
        for _ in 0..20 {
            for rate in [4 << 10, 512 << 10] {
                handle.set_heap_rate(rate).expect("the profiler is running");
            }
        }
        changed.store(true, Ordering::Release);
        let (kept, bytes) = thread.join().expect("no panic");
        let live = handle.live_heap();
        let found = live.tags.iter().find(|live| live.tag == tag);
        let error = found.map_or(0, |live| live.bytes as i64) - bytes as i64;
        // `kept` grows in steps that are not counted.
        let growth = 2.0 * (kept.capacity() * size_of::<Vec<u8>>()) as f64;
        let deviation = (RATE * (bytes as f64 + growth)).sqrt();
        assert!(
            error as f64 <= growth + 4.5 * deviation,
            "{error} B too many, for {bytes} B"
        );
        drop(kept);
    });
}

#[test]
fn concurrent_allocations_are_all_accounted_for_at_1000_hz() {
    let _turn = turn();
    let profiler = Builder::new("heap")
        .hz(1_000)
        .start()
        .expect("profiler started");
    std::thread::scope(|scope| {
        for thread in 0..6u64 {
            scope.spawn(move || {
                let _guard = Tag::new("heap storm", &format!("{thread}")).enter();
                for round in 0..12 {
                    let (pieces, _) = hoard(8 << 20, thread * 100 + round + 1);
                    let held = pieces.into_iter().step_by(2).collect::<Vec<_>>();
                    std::thread::spawn(move || drop(held))
                        .join()
                        .expect("no panic");
                }
            });
        }
    });
    let profile = profiler
        .handle()
        .heap_profile(&Filter::default())
        .expect("a heap");
    assert_eq!(of_member(&profile, "inuse_space", "heap storm"), 0);
    assert!(of_member(&profile, "alloc_space", "heap storm") > 400 << 20);
    assert_eq!(profiler.handle().stats().heap.live_dropped, 0);
}
