//! Profiles itself and prints the profile.

use davy_profiler::{Builder, Filter};
use std::hint::black_box;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static STOP: AtomicBool = AtomicBool::new(false);

#[inline(never)]
fn descend(depth: u32, leaf: fn()) {
    if depth == 0 {
        black_box(leaf)();
    } else {
        descend(black_box(depth - 1), leaf);
    }
    // Keeps the call above from becoming a jump.
    black_box(depth);
}

#[inline(never)]
fn compute() {
    let mut x = 1u64;
    while !STOP.load(Ordering::Relaxed) {
        for _ in 0..1_000 {
            x = black_box(x.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ x >> 7);
        }
    }
}

#[inline(never)]
fn enter_the_kernel() {
    let mut buffer = vec![0u8; 16 << 10];
    while !STOP.load(Ordering::Relaxed) {
        // SAFETY: the buffer has this many bytes.
        unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    }
}

fn main() {
    let folder = std::env::args_os().nth(1).expect("the folder of symbols");
    let profiler = Builder::new("program").hz(1_000).symbols(folder).start();
    let profiler = profiler.expect("profiler started");
    let handle = profiler.handle();
    std::thread::scope(|scope| {
        for leaf in [compute, enter_the_kernel] {
            scope.spawn(move || {
                davy_profiler::register_thread();
                descend(20, leaf);
            });
        }
        let span = Duration::from_secs(1);
        let profile = handle.cpu_profile(span, &Filter::default());
        STOP.store(true, Ordering::Relaxed);
        let profile = profile.expect("a profile");
        let bytes = davy_profile::pprof::encode(&profile);
        std::io::stdout().write_all(&bytes).expect("written");
    });
}
