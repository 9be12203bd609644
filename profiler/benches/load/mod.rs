//! Threads that execute units of work and time each one.

use crate::table::{monotonic, wait};
use davy_tag::Tag;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A unit that takes this many times the usual duration was preempted, and is not counted.
const DISTURBED: u64 = 2;

#[inline(never)]
fn recurse(depth: u32, x: u64) -> u64 {
    if depth == 0 {
        let mut x = x;
        for _ in 0..10_000 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x = black_box(x);
        }
        return x;
    }
    black_box(recurse(depth - 1, black_box(x)).wrapping_add(1))
}

/// Calls `work` at a stack depth of 24.
pub(crate) fn deep(work: &mut dyn FnMut()) -> u64 {
    fn recurse(depth: u32, work: &mut dyn FnMut()) -> u64 {
        if depth == 0 {
            work();
            return 0;
        }
        black_box(recurse(black_box(depth - 1), work)) + 1
    }
    recurse(24, work)
}

/// Counters of one thread.
#[derive(Default)]
struct Counts {
    nanos: AtomicU64,
    units: AtomicU64,
}

pub(crate) struct Load {
    counts: Vec<Arc<Counts>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(threads: u64) -> Self {
        let mut load = Self {
            counts: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
            threads: Vec::new(),
        };
        for seed in 1..=threads {
            let counts = Arc::new(Counts::default());
            load.counts.push(Arc::clone(&counts));
            let stop = Arc::clone(&load.stop);
            load.threads
                .push(std::thread::spawn(move || work(seed, &counts, &stop)));
        }
        wait(Duration::from_millis(300));
        load
    }

    /// Mean nanoseconds of the units of a phase that were not preempted.
    pub(crate) fn phase(&self, span: Duration) -> f64 {
        let read = |counter: fn(&Counts) -> &AtomicU64| -> u64 {
            let counts = self.counts.iter();
            counts.map(|c| counter(c).load(Ordering::Relaxed)).sum()
        };
        let begin = (read(|c| &c.nanos), read(|c| &c.units));
        wait(span);
        let end = (read(|c| &c.nanos), read(|c| &c.units));
        (end.0 - begin.0) as f64 / (end.1 - begin.1).max(1) as f64
    }

    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no panic");
        }
    }
}

fn work(seed: u64, counts: &Counts, stop: &AtomicBool) {
    davy_profiler::register_thread();
    let mut usual = u64::MAX;
    let mut x = seed;
    for _ in 0..2_000 {
        let begin = monotonic();
        x = recurse(24, x);
        usual = usual.min(monotonic() - begin);
    }
    let _guard = Tag::new("bench", "unit").enter();
    let mut before = monotonic();
    while !stop.load(Ordering::Relaxed) {
        x = recurse(24, x);
        let now = monotonic();
        let took = now - before;
        before = now;
        if took < usual * DISTURBED {
            // Only this thread writes these counters.
            let nanos = counts.nanos.load(Ordering::Relaxed) + took;
            counts.nanos.store(nanos, Ordering::Relaxed);
            let units = counts.units.load(Ordering::Relaxed) + 1;
            counts.units.store(units, Ordering::Relaxed);
        }
    }
}

/// Names and CPU nanoseconds, as counted by the kernel, of the profiler's threads.
pub(crate) fn own_threads() -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let read = |task: std::fs::DirEntry| {
        let text = |name: &str| std::fs::read_to_string(task.path().join(name)).ok();
        let name = text("comm")?.trim().to_owned();
        let nanos = text("schedstat")?.split(' ').next()?.parse().ok()?;
        name.starts_with("davy-").then_some((name, nanos))
    };
    tasks.flatten().filter_map(read).collect()
}
