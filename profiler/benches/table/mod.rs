//! The tables that the benchmarks print, and their clocks and estimators.
#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::time::Duration;

/// Prints the head of a table.
pub(crate) fn head(title: &str) {
    println!("\n{title}\n");
    println!("| figure | value | bound | in the same run |");
    println!("|---|---|---|---|");
}

/// Prints a figure with its bound and a value to compare it with.
pub(crate) fn row(figure: &str, value: impl AsRef<str>, bound: &str, beside: impl AsRef<str>) {
    let (value, beside) = (value.as_ref(), beside.as_ref());
    println!("| {figure} | {value} | {bound} | {beside} |");
}

pub(crate) fn nanos(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time outlives the call.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

pub(crate) fn thread_cpu() -> u64 {
    nanos(libc::CLOCK_THREAD_CPUTIME_ID)
}

pub(crate) fn process_cpu() -> u64 {
    nanos(libc::CLOCK_PROCESS_CPUTIME_ID)
}

pub(crate) fn monotonic() -> u64 {
    nanos(libc::CLOCK_MONOTONIC)
}

/// Waits without using CPU time.
pub(crate) fn wait(span: Duration) {
    let then = monotonic() + span.as_nanos() as u64;
    loop {
        let now = monotonic();
        if now >= then {
            return;
        }
        std::thread::park_timeout(Duration::from_nanos(then - now));
    }
}

/// The value below which this share of the values lies. Sorts the values.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values[((last as f64) * share).round() as usize]
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// Nanoseconds per call, as the minimum of many short rounds, because other load only ever adds time.
#[inline(never)]
pub(crate) fn least(rounds: u32, calls: u32, mut work: impl FnMut()) -> f64 {
    let times = (0..rounds).map(|_| {
        let begin = monotonic();
        (0..calls).for_each(|_| work());
        (monotonic() - begin) as f64 / f64::from(calls)
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Uses this much CPU time, part of it in the C library, which has no frame pointers. Returns the exact
/// amount.
#[inline(never)]
pub(crate) fn burn(span: Duration) -> Duration {
    let (begin, span, mut x) = (thread_cpu(), span.as_nanos() as u64, 1u64);
    while thread_cpu() - begin < span {
        let mut buffer = [0u8; 4_096];
        for _ in 0..20 {
            x = (0..200).fold(x, |x, _| std::hint::black_box(x ^ (x << 13) ^ (x >> 7)));
            buffer.copy_from_slice(std::hint::black_box(&[x as u8; 4_096]));
            x ^= u64::from(std::hint::black_box(buffer)[7]);
        }
    }
    Duration::from_nanos(thread_cpu() - begin)
}
