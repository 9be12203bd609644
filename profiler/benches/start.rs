//! The cost of starting the profiler: memory, and the time until names are resolved.
//!
//! `cargo bench -p davy-profiler --bench start`

mod table;

use davy_profiler::{Builder, Filter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use table::{burn, head, median, monotonic, quantile, row, wait};

davy_profiler::use_jemalloc!();

/// Starts threads that alternate between work and rest. The returned function stops them.
fn busy(count: usize, rest: Duration) -> impl FnOnce() {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    burn(Duration::from_millis(1));
                    if !rest.is_zero() {
                        std::thread::park_timeout(rest);
                    }
                }
            })
        })
        .collect();
    move || {
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("no panic");
        }
    }
}

fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0.0) * 4_096.0 / f64::from(1 << 20)
}

fn memory() {
    let stop = busy(64, Duration::from_millis(20));
    wait(Duration::from_secs(1));
    let before = resident_mib();
    let profiler = Builder::new("bench")
        .hz(100)
        .start()
        .expect("profiler started");
    wait(Duration::from_secs(5));
    row(
        "memory of the profiler, 64 busy threads, after 5 s",
        format!("{:.1} MiB", resident_mib() - before),
        "16 MiB",
        format!("{} sampled threads", profiler.handle().stats().threads),
    );
    stop();
}

/// CPU seconds of children that have ended.
fn children() -> f64 {
    // SAFETY: plain data that the call fills.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the usage outlives the call.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Milliseconds from the end of a profile's span until its names are resolved, without cached names.
fn names(threads: usize) {
    const SPAN: Duration = Duration::from_millis(500);
    let (mut elapsed, mut cpu, mut stacks) = (Vec::new(), Vec::new(), 0);
    for _ in 0..7 {
        let profiler = Builder::new("bench")
            .hz(1_000)
            .start()
            .expect("profiler started");
        let stop = busy(threads, Duration::ZERO);
        let (begin, before) = (monotonic(), children());
        let profile = profiler.handle().cpu_profile(SPAN, &Filter::default());
        stacks = profile.expect("a profile").sample_count();
        elapsed.push((monotonic() - begin) as f64 / 1e6 - SPAN.as_secs_f64() * 1e3);
        cpu.push((children() - before) * 1e3);
        stop();
    }
    row(
        &format!("names of the first profile, next to {threads} busy thread(s)"),
        format!("{:.0} ms", median(&mut elapsed)),
        "300 ms",
        format!(
            "quartiles {:.0} to {:.0} ms; {:.0} ms of CPU time in the child, {stacks} stacks",
            quantile(&mut elapsed, 0.25),
            quantile(&mut elapsed, 0.75),
            median(&mut cpu)
        ),
    );
}

fn main() {
    head("Starting the profiler");
    memory();
    names(1);
    names(2);
}
