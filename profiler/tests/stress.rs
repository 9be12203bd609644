//! Threads, forks, libraries, panics and deep stacks concurrently, sampled at 1000 Hz. `STRESS_SECONDS` sets the
//! duration (default: 4).

mod work;

use davy_profiler::Builder;
use davy_tag::Tag;
use std::ffi::CString;
use std::hint::black_box;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use work::burn;

// Sanitizers have their own allocator.
#[cfg(not(system_allocator))]
davy_profiler::use_jemalloc!();

const THREADS: usize = 64;
/// The smallest supported stack. The kernel's signal frame alone takes 3 to 12 KiB of it.
const TINY_STACK_KIB: usize = 32;
const DEPTH: usize = 100_000;

/// A bound that an environment variable overrides, because sanitizers need other bounds.
fn bound(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[inline(never)]
fn recurse(depth: u32) -> u64 {
    if depth == 0 {
        burn(Duration::from_millis(2));
        return 0;
    }
    black_box(recurse(black_box(depth - 1))) + 1
}

fn spawn_and_join(round: u64) {
    let _guard = Tag::new("stress", "spawn").enter();
    let thread = std::thread::Builder::new()
        .stack_size((bound("STRESS_STACK_KIB", TINY_STACK_KIB) << 10) << (round % 3));
    let thread = thread.spawn(move || {
        let _guard = Tag::new("stress", "thread").enter();
        let held: Vec<Vec<u8>> = (0..8).map(|i| vec![i; 1 << (10 + round % 8)]).collect();
        burn(Duration::from_micros(500));
        drop(held);
        assert!(!round.is_multiple_of(4), "deliberate panic");
    });
    let ended = thread.expect("thread started").join();
    assert_eq!(ended.is_err(), round.is_multiple_of(4));
}

/// The profiler keeps every library loaded that it has seen, so each round loads a new copy.
const COPIES: u64 = 100;

fn load_library(round: u64, copies: &Path) {
    let _guard = Tag::new("stress", "dlopen").enter();
    let mut names = vec![c"libm.so.6".to_owned(), c"libresolv.so.2".to_owned()];
    let original = Path::new("/lib/x86_64-linux-gnu/libutil.so.1");
    if cfg!(target_arch = "x86_64") && round < COPIES && original.exists() {
        let copy = copies.join(format!("{round}.so"));
        std::fs::copy(original, &copy).expect("a copy");
        names.push(CString::new(copy.as_os_str().as_bytes()).expect("no zero bytes"));
    }
    for name in names {
        // SAFETY: loads a system library and closes it.
        unsafe {
            let handle = libc::dlopen(name.as_ptr(), libc::RTLD_NOW);
            assert!(!handle.is_null(), "{name:?}");
            libc::dlclose(handle);
        }
    }
    burn(Duration::from_micros(200));
}

fn fork() {
    // SAFETY: the child computes and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        burn(Duration::from_millis(1));
        // SAFETY: exits the child.
        unsafe { libc::_exit(7) };
    }
    let mut status = 0;
    // SAFETY: waits for the child that was just forked.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {}
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7);
}

fn recurse_deeply() {
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let depth = bound("STRESS_DEPTH", DEPTH) as u32;
    let thread = thread
        .spawn(move || recurse(depth))
        .expect("thread started");
    assert_eq!(thread.join().expect("no panic"), u64::from(depth));
}

#[test]
fn process_survives_threads_forks_libraries_panics_and_extreme_stacks_at_1000_hz() {
    let seconds = bound("STRESS_SECONDS", 4) as u64;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let is_deliberate = info.payload_as_str() == Some("deliberate panic");
        if !is_deliberate {
            hook(info);
        }
    }));
    let profiler = Builder::new("stress")
        .hz(1_000)
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    let has_heap = handle.stats().heap.disabled_reason.is_empty();
    if has_heap {
        handle
            .set_heap_rate(16 << 10)
            .expect("the profiler is running");
    }
    let copies = tempfile::tempdir().expect("a folder");
    let stop = Arc::new(AtomicBool::new(false));
    let rounds = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            let copies = copies.path().to_owned();
            std::thread::spawn(move || {
                let mut own = 0;
                while !stop.load(Ordering::Relaxed) {
                    let round = rounds.fetch_add(1, Ordering::Relaxed);
                    match number {
                        0 => fork(),
                        1 => load_library(own, &copies),
                        2 => recurse_deeply(),
                        _ => spawn_and_join(round),
                    }
                    own += 1;
                }
            })
        })
        .collect();
    let clock = davy_base::Clock::system();
    let (begin, mut profiles) = (clock.monotonic(), 0);
    while clock.monotonic().saturating_sub(begin) < Duration::from_secs(seconds) {
        // Profiles can be requested meanwhile.
        let filter = davy_profiler::Filter::default();
        handle
            .wall_profile(Duration::from_millis(50), &filter)
            .expect("a profile");
        let heap = handle.heap_profile(&filter);
        assert_eq!(heap.is_ok(), has_heap);
        handle.threads_profile(&filter).expect("a profile");
        handle
            .set_hz(1_000 - profiles % 2)
            .expect("the profiler is running");
        profiles += 1;
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("only deliberate panics");
    }
    let stats = handle.stats();
    println!(
        "{} rounds, {profiles} profiles, {stats:#?}",
        rounds.load(Ordering::Relaxed)
    );
    assert!(stats.samples > 100 && profiles > 0, "{stats:?}");
    assert_eq!(stats.dropped.foreign_signals, 0, "{stats:?}");
    profiler
        .shutdown(Duration::ZERO)
        .expect("there is nothing to deliver");
}
