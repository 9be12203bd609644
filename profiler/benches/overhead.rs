//! What profiling costs, as ratios of the same run: none, ours, and the `pprof` crate's.
//!
//! `cargo bench -p davy-profiler [-- PAIRS]`

use davy_profiler::Builder;
use davy_tag::Tag;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

davy_profiler::use_jemalloc!();

const PHASE: Duration = Duration::from_millis(300);

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time lives through the call.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[inline(never)]
fn recurse(depth: u32, x: u64) -> u64 {
    if depth == 0 {
        let mut x = x;
        for _ in 0..20_000 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x = black_box(x);
        }
        return x;
    }
    black_box(recurse(depth - 1, black_box(x)).wrapping_add(1))
}

/// Two threads that do units of work, 24 calls deep, until they are told to stop.
struct Load {
    units: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start() -> Self {
        let (units, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let threads = (0..2u64).map(|seed| {
            let (units, stop) = (Arc::clone(&units), Arc::clone(&stop));
            std::thread::spawn(move || {
                davy_profiler::register_thread();
                let mut x = seed + 1;
                while !stop.load(Ordering::Relaxed) {
                    let _guard = Tag::new("bench", "unit").enter();
                    x = recurse(24, x);
                    units.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let threads = threads.collect();
        Self {
            units,
            stop,
            threads,
        }
    }

    /// CPU nanoseconds of the whole process for each unit of work, over one phase.
    fn phase(&self) -> f64 {
        let begin = (
            self.units.load(Ordering::Relaxed),
            clock(libc::CLOCK_PROCESS_CPUTIME_ID),
        );
        let until = clock(libc::CLOCK_MONOTONIC) + PHASE.as_nanos() as u64;
        while clock(libc::CLOCK_MONOTONIC) < until {
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let units = self.units.load(Ordering::Relaxed) - begin.0;
        (clock(libc::CLOCK_PROCESS_CPUTIME_ID) - begin.1) as f64 / units as f64
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the extra CPU of `on` against nothing, in alternating pairs.
fn pairs<G>(name: &str, load: &Load, count: usize, on: impl Fn() -> G) {
    let mut extra: Vec<f64> = (0..count)
        .map(|pair| {
            let without = |load: &Load| load.phase();
            let with = |load: &Load| {
                // What a start costs is not what running costs.
                let _guard = on();
                load.phase();
                load.phase()
            };
            let (off, on) = if pair % 2 == 0 {
                let off = without(load);
                (off, with(load))
            } else {
                let on = with(load);
                (without(load), on)
            };
            (on / off - 1.0) * 100.0
        })
        .collect();
    let middle = median(&mut extra);
    let (low, high) = (extra[count / 4], extra[count * 3 / 4]);
    println!("{name:28} {middle:+.2} % CPU (quartiles {low:+.2} to {high:+.2}, {count} pairs)");
}

/// CPU nanoseconds of one round, the median of nine times.
fn round_nanos(work: &mut dyn FnMut()) -> f64 {
    const ROUNDS: u64 = 5_000_000;
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let begin = clock(libc::CLOCK_THREAD_CPUTIME_ID);
            (0..ROUNDS).for_each(|_| work());
            (clock(libc::CLOCK_THREAD_CPUTIME_ID) - begin) as f64 / ROUNDS as f64
        })
        .collect();
    median(&mut times)
}

/// What the tag of a poll costs, above the same poll without one.
fn tag_cost(name: &str) {
    let tag = Tag::new("bench", "tag");
    let context = || Context::from_waker(Waker::noop());
    let mut plain = Box::pin(std::future::poll_fn(|_| black_box(Poll::<()>::Pending)));
    let plain_nanos = round_nanos(&mut || {
        let _ = black_box(plain.as_mut().poll(&mut context()));
    });
    let inner = std::future::poll_fn(|_| black_box(Poll::<()>::Pending));
    let mut tagged = Box::pin(tag.wrap(inner));
    let tagged_nanos = round_nanos(&mut || {
        let _ = black_box(tagged.as_mut().poll(&mut context()));
    });
    println!("{name:28} {:.2} ns a poll", tagged_nanos - plain_nanos);
}

fn handler_cost(load: &Load) {
    let profiler = Builder::new("bench").hz(1_000).start().expect("started");
    let before = clock(libc::CLOCK_PROCESS_CPUTIME_ID);
    (0..6).for_each(|_| {
        load.phase();
    });
    let cpu = (clock(libc::CLOCK_PROCESS_CPUTIME_ID) - before) as f64 / 1e9;
    let stats = profiler.handle().stats();
    let nanos = stats.handler_seconds * 1e9 / stats.samples as f64;
    println!(
        "{:28} {nanos:.0} ns a sample in the handler, {:.3} % of CPU; own threads {:.3} %",
        "ours at 1000 Hz, 24 deep",
        stats.handler_seconds / cpu * 100.0,
        stats.thread_seconds / cpu * 100.0,
    );
}

fn main() {
    let count = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(16);
    tag_cost("a tag");
    davy_tag::start_accounting();
    tag_cost("a tag with exact accounting");
    let load = Load::start();
    handler_cost(&load);
    let ours = |hz| move || Builder::new("bench").hz(hz).start().expect("started");
    pairs("ours at 100 Hz", &load, count, ours(100));
    pairs("ours at 1000 Hz", &load, count, ours(1_000));
    // Last, because it takes SIGPROF for itself.
    let theirs = || pprof::ProfilerGuard::new(100).expect("started");
    pairs("the pprof crate at 100 Hz", &load, count, theirs);
    load.stop();
}
