//! What profiling costs two busy threads: ours and the `pprof` crate's, each against none.
//!
//! One profiler runs all the time, and its sampling is switched on and off in short phases, so that
//! a start costs nothing that is measured here. What the working threads pay is the mean of many
//! units of work, without those that somebody else's preemption fell into; what the profiler's own
//! threads pay is the kernel's count of their CPU time, over whole windows that are named, encoded
//! and pushed.
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
/// From a change of the rate until every timer is set.
const SETTLE: Duration = Duration::from_millis(8);
/// Whole windows.
const STEADY: Duration = Duration::from_secs(20);

/// SIGPROF's handler, for giving it back after the `pprof` crate had it.
fn handler() -> libc::sigaction {
    // SAFETY: plain data that the call fills.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPROF, std::ptr::null(), &raw mut action);
        action
    }
}

/// Mean nanoseconds of a unit in a phase with none, ours, and the `pprof` crate, of one round.
fn round(load: &Load, handle: &Handle, hz: u32, first: usize) -> [f64; 3] {
    let mut means = [0.0; 3];
    for which in (0..3).map(|at| (at + first) % 3) {
        means[which] = match which {
            0 => load.phase(PHASE),
            1 => {
                handle.set_hz(hz).expect("it runs");
                wait(SETTLE);
                let mean = load.phase(PHASE);
                handle.set_hz(0).expect("it runs");
                wait(SETTLE);
                mean
            }
            _ => {
                let ours = handler();
                let guard = pprof::ProfilerGuard::new(hz as i32).expect("started");
                let mean = load.phase(PHASE);
                drop(guard);
                // SAFETY: what was installed before.
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

/// The median, how well it is known, and the quartiles.
fn spread(values: &mut [f64]) -> String {
    let (low, high) = (quantile(values, 0.25), quantile(values, 0.75));
    // Of a normal distribution: 1.349 standard deviations lie between the quartiles, and the
    // standard error of a median is 1.253 times that of a mean.
    let error = 1.253 * (high - low) / 1.349 / (values.len() as f64).sqrt();
    let middle = median(values);
    format!("{middle:+.2} +- {error:.2} % (quartiles {low:+.2} to {high:+.2})")
}

/// What a sample costs its thread, in nanoseconds: the signal, what its handler does, and what it
/// finds cold after work that left nothing of it in the nearer caches. Ours, and the `pprof` crate's.
///
/// Between two samples at 100 Hz much more is driven out, by ours as by theirs.
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
    let mut nothing = cost(&mut || {});
    let mut ours = cost(&mut || {
        probe.signal();
        probe.drain();
    });
    // What emptying the ring takes is the drainer's.
    let drain = cost(&mut || {
        probe.drain();
    });
    let before = handler();
    let guard = pprof::ProfilerGuard::new(1).expect("started");
    let theirs = cost(&mut || {
        // SAFETY: the handler is the crate's.
        unsafe { libc::raise(libc::SIGPROF) };
    }) - nothing;
    drop(guard);
    // SAFETY: what was installed before.
    unsafe { libc::sigaction(libc::SIGPROF, &raw const before, std::ptr::null_mut()) };
    nothing = nothing.max(drain);
    ours -= nothing;
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
    handle.set_hz(0).expect("it runs");
    wait(SETTLE);
    let (ours, theirs) = sample_cost();
    let percent = |nanos: f64| nanos * 100.0 / 1e9 * 100.0;
    row(
        "a sample, from the signal to its end, caches cold",
        format!("{:.2} us, at 100 Hz {:.4} %", ours / 1e3, percent(ours)),
        "",
        format!(
            "the `pprof` crate {:.2} us, {:.4} %",
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
            &format!("working threads at {hz} Hz, against none, paired"),
            spread(&mut ours),
            if hz == 100 { "0.1 %" } else { "" },
            format!("the `pprof` crate {}", spread(&mut theirs)),
        );
    }

    handle.set_hz(100).expect("it runs");
    handle.push_to(&receiver::start()).expect("a URL");
    // The first windows have names to find.
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
        "own threads at 100 Hz, pushing, by the kernel's count",
        format!("{own:.3} % of one core"),
        "",
        format!("{}; {pushed} windows", each.join(", ")),
    );
    row(
        "the whole profiler at 100 Hz, of two busy cores, counted",
        format!("{:.3} %", percent(ours) + own / 2.0),
        "0.1 %",
        format!(
            "samples and own threads; the `pprof` crate {:.3} %, samples alone",
            percent(theirs)
        ),
    );
    load.stop();
}
