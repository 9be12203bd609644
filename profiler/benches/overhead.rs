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

use davy_profiler::{Builder, Handle};
use load::Load;
use std::time::Duration;
use table::{head, median, quantile, row, wait};

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

fn quartiles(values: &mut [f64]) -> String {
    let (low, high) = (quantile(values, 0.25), quantile(values, 0.75));
    format!("{low:+.3} to {high:+.3}")
}

fn main() {
    let count = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(120);
    let load = Load::start(2);
    let profiler = Builder::new("bench").hz(100).start().expect("started");
    let handle = profiler.handle();
    wait(Duration::from_millis(500));

    head("CPU overhead, two busy threads, 24 calls deep");
    handle.set_hz(0).expect("it runs");
    wait(SETTLE);
    let mut working = 0.0;
    for hz in [100, 1_000] {
        let rounds: Vec<_> = (0..count / if hz == 100 { 1 } else { 4 })
            .map(|at| round(&load, &handle, hz, at))
            .collect();
        let (mut ours, mut theirs) = (extra(&rounds, 1), extra(&rounds, 2));
        let bound = if hz == 100 {
            "0.1 %, with own threads"
        } else {
            ""
        };
        row(
            &format!("working threads at {hz} Hz, ours against none"),
            format!(
                "{:+.3} % (quartiles {})",
                median(&mut ours),
                quartiles(&mut ours)
            ),
            bound,
            format!(
                "the `pprof` crate {:+.3} % (quartiles {})",
                median(&mut theirs),
                quartiles(&mut theirs)
            ),
        );
        if hz == 100 {
            working = median(&mut ours);
        }
    }

    handle.set_hz(100).expect("it runs");
    let receiver = receiver::start();
    handle.push_to(&receiver).expect("a URL");
    // The first windows have names to find.
    wait(Duration::from_secs(12));
    let (busy, own) = (load.cpu(), load::own_threads());
    wait(STEADY);
    let busy = (load.cpu() - busy) as f64;
    let mut all = 0.0;
    let mut each = Vec::new();
    for (name, nanos) in load::own_threads() {
        let before = own
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(0, |(_, nanos)| *nanos);
        let share = (nanos - before) as f64 / STEADY.as_nanos() as f64 * 100.0;
        all += share;
        each.push(format!("{name} {share:.4}"));
    }
    let of_busy = all * STEADY.as_nanos() as f64 / busy;
    row(
        "own threads at 100 Hz, exact",
        format!("{all:.4} % of a core: {}", each.join(", ")),
        "",
        format!("{of_busy:.4} % of what the two threads used"),
    );
    row(
        "the whole profiler at 100 Hz",
        format!("{:+.3} %", working + of_busy),
        "0.1 %",
        format!("{:?}", handle.stats()),
    );
    load.stop();
}
