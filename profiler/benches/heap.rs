//! The cost of heap sampling, and the error of its estimates.
//!
//! `cargo bench -p davy-profiler --bench heap`

mod table;

use davy_profiler::{Builder, Handle};
use davy_tag::Tag;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::hint::black_box;
use table::{head, median, quantile, row, thread_cpu};

davy_profiler::use_jemalloc!();

/// Pairs between two readings of the clock. They contain about twenty samples.
const PAIRS: u32 = 20_000;
const ROUNDS: usize = 3_000;
const LIVE: u64 = 16 << 20;
const DRAWS: u32 = 40;

unsafe extern "C" {
    fn _rjem_mallctl(
        name: *const c_char,
        old: *mut c_void,
        old_len: *mut usize,
        new: *mut c_void,
        new_len: usize,
    ) -> c_int;
}

fn set_sampling(mut is_on: bool) {
    let name: &CStr = c"prof.active";
    // SAFETY: jemalloc documents a bool, which outlives the call.
    let failed = unsafe {
        let (none, value) = (std::ptr::null_mut(), (&raw mut is_on).cast());
        _rjem_mallctl(name.as_ptr(), none, std::ptr::null_mut(), value, 1)
    };
    assert_eq!(failed, 0);
}

fn next(x: &mut u64) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    *x
}

/// Nanoseconds per malloc and free, of sizes from 16 to 2,048 bytes.
#[inline(never)]
fn pairs(x: &mut u64) -> f64 {
    let begin = thread_cpu();
    for _ in 0..PAIRS {
        black_box(Vec::<u8>::with_capacity(16 << (next(x) % 8)));
    }
    (thread_cpu() - begin) as f64 / f64::from(PAIRS)
}

fn cost() {
    let _guard = Tag::new("bench", "pairs").enter();
    let mut x = 7;
    let mut off = Vec::with_capacity(ROUNDS);
    let mut extra: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let mut side = |is_on| {
                set_sampling(is_on);
                pairs(&mut x)
            };
            let is_first = round % 2 == 0;
            let first = side(is_first);
            let second = side(!is_first);
            let (with, without) = if is_first {
                (first, second)
            } else {
                (second, first)
            };
            off.push(without);
            with - without
        })
        .collect();
    set_sampling(true);
    let error = 1.253 * (quantile(&mut extra, 0.75) - quantile(&mut extra, 0.25)) / 1.349;
    row(
        "heap sampling, per malloc and free of 510 B on average, paired",
        format!(
            "{:+.2} +- {:.2} ns",
            median(&mut extra),
            error / (ROUNDS as f64).sqrt()
        ),
        "1.5 ns",
        format!("without sampling {:.1} ns", median(&mut off)),
    );
}

/// Estimated live bytes of a tag.
fn live_bytes(handle: &Handle, tag: Tag) -> f64 {
    let live = handle.live_heap();
    let of = live.tags.iter().find(|live| live.tag == tag);
    of.map_or(0.0, |live| live.bytes as f64)
}

fn estimates(handle: &Handle) {
    let rate = handle.live_heap().rate_bytes as f64;
    let standard_error = (rate * LIVE as f64).sqrt();
    let tag = Tag::new("bench", "live");
    let mut x = 99;
    let errors: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let guard = tag.enter();
            let (mut held, mut bytes) = (Vec::with_capacity(1 << 18), 0);
            let before = live_bytes(handle, tag);
            while bytes < LIVE {
                let size = 16usize << (next(&mut x) % 8);
                held.push(Vec::<u8>::with_capacity(size));
                bytes += size as u64;
            }
            drop(guard);
            (live_bytes(handle, tag) - before - bytes as f64) / standard_error
        })
        .collect();
    let within = errors.iter().filter(|error| error.abs() <= 2.0).count();
    let mean = errors.iter().sum::<f64>() / f64::from(DRAWS);
    row(
        "estimates of 16 MiB of live bytes within 2 standard errors",
        format!("{within} of {DRAWS}"),
        "expected: 95 of 100",
        format!(
            "standard error {:.1} MiB; error of the mean {:+.2} of its standard error",
            standard_error / f64::from(1 << 20),
            mean * f64::from(DRAWS).sqrt()
        ),
    );
}

fn main() {
    let profiler = Builder::new("bench")
        .hz(1)
        .start()
        .expect("profiler started");
    head("Heap sampling");
    cost();
    estimates(&profiler.handle());
}
