//! The overhead of profiling two busy threads, by this crate and by the crate `pprof`, against no profiling.
//!
//! The profiler runs all the time, and its sampling is turned on and off in short phases, so that the cost
//! of starting it is not included. The overhead of the working threads is measured by the mean duration of
//! many units of work, without units that were preempted. The cost of the profiler's own threads is their
//! CPU time as counted by the kernel, over whole windows that are symbolized, encoded and pushed.
//!
//! `cargo bench -p davy-profiler --bench overhead [-- ROUNDS]`

mod load;
mod receiver;
mod table;

use davy_profiler::{Builder, Handle, Probe};
use load::{Load, own_threads};
use std::time::Duration;
use table::{head, median, monotonic, quantile, row, wait};

davy_profiler::use_jemalloc!();

const PHASE: Duration = Duration::from_millis(60);
/// Time from a change of the rate until all timers are set.
const SETTLE: Duration = Duration::from_millis(8);
/// Span over which the profiler's own threads are measured: several whole windows.
const STEADY: Duration = Duration::from_secs(20);

/// The handler of SIGPROF, to restore it after the crate `pprof` has replaced it.
fn handler() -> libc::sigaction {
    // SAFETY: plain data that the call fills.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPROF, std::ptr::null(), &raw mut action);
        action
    }
}

/// Mean nanoseconds of a unit of work without profiling, with this crate, and with the crate `pprof`.
fn round(load: &Load, handle: &Handle, hz: u32, first: usize) -> [f64; 3] {
    let mut means = [0.0; 3];
    for which in (0..3).map(|at| (at + first) % 3) {
        means[which] = match which {
            0 => load.phase(PHASE),
            1 => {
                handle.set_hz(hz).expect("the profiler is running");
                wait(SETTLE);
                let mean = load.phase(PHASE);
                handle.set_hz(0).expect("the profiler is running");
                wait(SETTLE);
                mean
            }
            _ => {
                let ours = handler();
                let guard = pprof::ProfilerGuard::new(hz as i32).expect("started");
                let mean = load.phase(PHASE);
                drop(guard);
                // SAFETY: restores the previous handler.
                unsafe { libc::sigaction(libc::SIGPROF, &raw const ours, std::ptr::null_mut()) };
                mean
            }
        };
    }
    means
}

fn extra(rounds: &[[f64; 3]], which: usize) -> Vec<f64> {
    let extra = rounds
        .iter()
        .map(|means| (means[which] / means[0] - 1.0) * 100.0);
    extra.collect()
}

/// The median, its standard error, and the quartiles.
fn spread(values: &mut [f64]) -> String {
    let (low, high) = (quantile(values, 0.25), quantile(values, 0.75));
    // For a normal distribution, the quartiles are 1.349 standard deviations apart, and the standard error
    // of the median is 1.253 times that of the mean.
    let error = 1.253 * (high - low) / 1.349 / (values.len() as f64).sqrt();
    let middle = median(values);
    format!("{middle:+.2} +- {error:.2} % (quartiles {low:+.2} to {high:+.2})")
}

/// The cost of a sample to its thread in nanoseconds, for this crate and for the crate `pprof`: the signal
/// and its handler, after work that has evicted them from the nearer caches.
///
/// At 100 Hz more is evicted between two samples, for both crates.
fn sample_cost() -> (f64, f64) {
    const SAMPLES: usize = 4_000;
    let probe = Probe::new().expect("SIGPROF is ours");
    let mut memory = vec![0u8; 1 << 20];
    let mut cost = |send: &mut dyn FnMut()| {
        let mut took: Vec<f64> = (0..SAMPLES)
            .map(|at| {
                for byte in memory.iter_mut().step_by(64) {
                    *byte = byte.wrapping_add(at as u8);
                }
                let mut nanos = 0;
                load::deep(&mut || {
                    let begin = monotonic();
                    send();
                    nanos = monotonic() - begin;
                });
                nanos as f64
            })
            .collect();
        median(&mut took)
    };
    let mut baseline = cost(&mut || {});
    let mut ours = cost(&mut || {
        probe.signal();
        probe.drain();
    });
    // Emptying the ring is the drainer's work and is subtracted.
    let drain = cost(&mut || {
        probe.drain();
    });
    let before = handler();
    let guard = pprof::ProfilerGuard::new(1).expect("started");
    let theirs = cost(&mut || {
        // SAFETY: the handler is that of the crate `pprof`.
        unsafe { libc::raise(libc::SIGPROF) };
    }) - baseline;
    drop(guard);
    // SAFETY: restores the previous handler.
    unsafe { libc::sigaction(libc::SIGPROF, &raw const before, std::ptr::null_mut()) };
    baseline = baseline.max(drain);
    ours -= baseline;
    (ours, theirs)
}

fn main() {
    let count: usize = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(120);
    let load = Load::start(2);
    let profiler = Builder::new("bench").hz(100).start().expect("started");
    let handle = profiler.handle();
    wait(Duration::from_millis(500));

    head("CPU overhead, two busy threads, 24 calls deep");
    handle.set_hz(0).expect("the profiler is running");
    wait(SETTLE);
    let (ours, theirs) = sample_cost();
    let percent = |nanos: f64| nanos * 100.0 / 1e9 * 100.0;
    row(
        "a whole signal with its sample, caches cold",
        format!("{:.2} us, at 100 Hz {:.4} %", ours / 1e3, percent(ours)),
        "",
        format!(
            "crate `pprof`: {:.2} us, {:.4} %",
            theirs / 1e3,
            percent(theirs)
        ),
    );
    for hz in [100, 1_000] {
        let rounds: Vec<_> = (0..count / if hz == 100 { 1 } else { 4 })
            .map(|at| round(&load, &handle, hz, at))
            .collect();
        let (mut ours, mut theirs) = (extra(&rounds, 1), extra(&rounds, 2));
        row(
            &format!("working threads at {hz} Hz against no profiling, paired"),
            spread(&mut ours),
            if hz == 100 { "0.1 %" } else { "" },
            format!("crate `pprof`: {}", spread(&mut theirs)),
        );
    }

    handle.set_hz(100).expect("the profiler is running");
    handle.push_to(&receiver::start()).expect("a URL");
    // The first windows take longer, because their names must be resolved.
    for _ in 0..40 {
        wait(Duration::from_secs(1));
        let stats = handle.stats();
        if stats.windows_pushed > 0 && stats.windows_pending == 0 {
            break;
        }
    }
    let (before, pushed) = (own_threads(), handle.stats().windows_pushed);
    wait(STEADY);
    let pushed = handle.stats().windows_pushed - pushed;
    let mut own = 0.0;
    let mut each = Vec::new();
    for (name, nanos) in own_threads() {
        let earlier = before.iter().find(|(known, _)| *known == name);
        let nanos = nanos - earlier.map_or(0, |(_, nanos)| *nanos);
        let share = nanos as f64 / STEADY.as_nanos() as f64 * 100.0;
        own += share;
        each.push(format!("{name} {share:.3}"));
    }
    row(
        "the profiler's own threads at 100 Hz, pushing, by the kernel's count",
        format!("{own:.3} % of one core"),
        "",
        format!("{}; {pushed} windows", each.join(", ")),
    );
    row(
        "the whole profiler at 100 Hz, as a share of two busy cores",
        format!("{:.3} %", percent(ours) + own / 2.0),
        "0.1 %",
        format!(
            "samples and own threads; crate `pprof`: {:.3} %, samples only",
            percent(theirs)
        ),
    );
    load.stop();
}
