//! The cost of a sample to its thread, at a stack depth of 24 calls.
//!
//! `cargo bench -p davy-profiler --bench handler`

mod table;

use davy_profiler::Probe;
use std::hint::black_box;
use table::{head, least, row};

/// Samples between two readings of the clock. A ring holds more than that.
const BATCH: u32 = 50;
const ROUNDS: u32 = 3_000;

/// Defines a chain of distinct functions. A recursive function would have a single unwind rule.
macro_rules! levels {
    ($work:ident: $first:ident $($rest:ident)*) => {
        #[inline(never)]
        fn $first($work: &mut dyn FnMut()) -> u32 {
            levels!(@ $work: $($rest)*) + 1
        }
        levels!($work: $($rest)*);
    };
    ($work:ident:) => {};
    (@ $work:ident: $next:ident $($rest:ident)*) => { black_box($next(black_box($work))) };
    (@ $work:ident:) => {{ $work(); 0 }};
}

levels!(work: a b c d e f g h i j k l m n o p q r s);

fn main() {
    let probe = Probe::new().expect("SIGPROF is free");
    std::thread::spawn(move || {
        davy_profiler::register_thread();
        a(&mut || measure(&probe));
    })
    .join()
    .expect("no panic");
}

/// Takes all measurements in turn and the minimum of each, because other load only ever adds time.
fn measure(probe: &Probe) {
    probe.sample();
    let (_, frames) = probe.drain();
    let (mut hot, mut cold, mut whole, mut noted) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        hot = hot.min(least(1, BATCH, || probe.sample()));
        probe.drain();
        let before = probe.handler_nanos();
        whole = whole.min(least(1, BATCH, || probe.signal()));
        let inside = probe.handler_nanos() - before;
        noted = noted.min(inside as f64 / f64::from(BATCH));
        probe.drain();
        probe.clear_cache();
        cold = cold.min(least(1, 1, || probe.sample()));
        probe.drain();
    }
    let clock = least(ROUNDS, 1_000, || {
        black_box(table::monotonic());
    });
    let call = least(ROUNDS, 1_000, || {
        // SAFETY: returns a number.
        black_box(unsafe { libc::getppid() });
    });
    head("Cost of a sample");
    row(
        "in the handler, all unwind rules cached",
        format!("{hot:.0} ns"),
        "400 ns",
        format!(
            "{frames} frames; includes two readings of the clock, {:.0} ns",
            clock * 2.0
        ),
    );
    row(
        "in the handler, no unwind rule cached",
        format!("{cold:.0} ns"),
        "5000 ns",
        format!("{frames} frames of distinct functions"),
    );
    row(
        "in the handler, as measured by itself in a real signal",
        format!("{noted:.0} ns"),
        "",
        "a few more frames, and caches that the kernel's entry has evicted",
    );
    row(
        "the whole signal",
        format!("{whole:.0} ns"),
        "",
        format!(
            "{:.1} times a minimal system call ({call:.0} ns)",
            whole / call
        ),
    );
}
