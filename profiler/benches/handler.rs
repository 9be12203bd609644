//! What one sample costs the thread that it is taken of, 24 calls deep.
//!
//! `cargo bench -p davy-profiler --bench handler`

mod table;

use davy_profiler::Probe;
use std::hint::black_box;
use table::{head, least, row};

/// Samples between two readings of the clock, and as many as a ring holds with ease.
const BATCH: u32 = 50;
const ROUNDS: u32 = 3_000;

/// Calls through so many functions, each of its own: one that calls itself would have one rule.
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
    let probe = Probe::new().expect("nobody else owns SIGPROF");
    std::thread::spawn(move || {
        davy_profiler::register_thread();
        a(&mut || measure(&probe));
    })
    .join()
    .expect("no panic");
}

/// Everything in turn, and the least of each: what others do to the machine only ever adds.
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
        probe.forget();
        cold = cold.min(least(1, 1, || probe.sample()));
        probe.drain();
    }
    let clock = least(ROUNDS, 1_000, || {
        black_box(table::monotonic());
    });
    let call = least(ROUNDS, 1_000, || {
        // SAFETY: asks for a number.
        black_box(unsafe { libc::getppid() });
    });
    head("One sample");
    row(
        "in the handler, every rule known",
        format!("{hot:.0} ns"),
        "400 ns",
        format!(
            "{frames} frames; two readings of the clock {:.0} ns of it",
            clock * 2.0
        ),
    );
    row(
        "in the handler, no rule known",
        format!("{cold:.0} ns"),
        "5000 ns",
        format!("{frames} frames, each of a function of its own"),
    );
    row(
        "in the handler, as it counts in a real signal",
        format!("{noted:.0} ns"),
        "",
        "some frames more, from code that the kernel's entry has made cold",
    );
    row(
        "the whole signal",
        format!("{whole:.0} ns"),
        "",
        format!(
            "{:.1} times the least system call ({call:.0} ns)",
            whole / call
        ),
    );
}
