//! The processor's cycle counter, and clocks to compare it with.
//!
//! Not of davy-base, which this crate lies beside: nothing is decided by these, they only measure.

use super::POLL_BOUNDS_SECONDS;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Above this a segment is not believed to have been CPU time all along.
const LONG_SECONDS: f64 = 1e-4;
/// The first conversion is measured over this span, the final one over the other.
const PROVISIONAL_NANOS: u64 = 100_000;
const FINAL_NANOS: u64 = 1_000_000_000;

/// The counter and the clock when accounting began, and the process's CPU time by then.
static BEGIN: OnceLock<(u64, u64)> = OnceLock::new();
static CPU_BEGIN: OnceLock<u64> = OnceLock::new();
static SCALE: OnceLock<Scale> = OnceLock::new();
/// Nanoseconds for each tick, as the bits of a number, once that is known well.
static FINAL: AtomicU64 = AtomicU64::new(0);

/// [`POLL_BOUNDS_SECONDS`] in ticks, once the scale is known.
pub(crate) static POLL_BOUNDS: [AtomicU64; POLL_BOUNDS_SECONDS.len()] =
    [const { AtomicU64::new(u64::MAX) }; POLL_BOUNDS_SECONDS.len()];

/// What ticks are worth, good to a thousandth.
#[derive(Debug)]
pub(crate) struct Scale {
    nanos_per_tick: f64,
    pub(crate) long: u64,
}

/// The counter now. It counts at a fixed rate, whatever the thread does.
#[inline]
pub(crate) fn now() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every x86_64 has the counter, and no system that Linux runs on forbids reading it.
        unsafe { std::arch::x86_64::_rdtsc() }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let ticks: u64;
        // SAFETY: reads the virtual counter, which Linux lets user space do.
        unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        read(libc::CLOCK_MONOTONIC).unwrap_or(0)
    }
}

/// Notes where the counter stands.
pub(crate) fn begin() {
    BEGIN.get_or_init(both);
    CPU_BEGIN.get_or_init(process_cpu_nanos);
}

/// CPU time of the process since accounting began; none where it has not.
pub(crate) fn process_cpu_nanos_since_begin() -> u64 {
    CPU_BEGIN
        .get()
        .map_or(0, |begin| process_cpu_nanos().saturating_sub(*begin))
}

fn process_cpu_nanos() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

/// The counter and the clock at one instant: of a few tries the one that nothing came between.
fn both() -> (u64, u64) {
    let tries = (0..5).map(|_| {
        let before = now();
        let nanos = monotonic_nanos();
        let took = now().wrapping_sub(before);
        (took, (before.wrapping_add(took / 2), nanos))
    });
    tries
        .min_by_key(|(took, _)| *took)
        .map_or((0, 0), |(_, pair)| pair)
}

/// Nanoseconds for each tick, measured from the beginning to now, and over how many nanoseconds.
fn measure() -> (f64, u64) {
    let (ticks, nanos) = *BEGIN.get_or_init(both);
    loop {
        let (ticks_now, nanos_now) = both();
        let passed = nanos_now.saturating_sub(nanos);
        if passed >= PROVISIONAL_NANOS {
            let ticks = ticks_now.wrapping_sub(ticks).max(1);
            return (passed as f64 / ticks as f64, passed);
        }
        std::hint::spin_loop();
    }
}

/// Known once 100 us have passed since the beginning; the first to ask may spin that long.
pub(crate) fn scale() -> &'static Scale {
    SCALE.get_or_init(|| {
        let (nanos_per_tick, _) = measure();
        let ticks = |seconds: f64| (seconds * 1e9 / nanos_per_tick) as u64;
        for (bound, seconds) in POLL_BOUNDS.iter().zip(POLL_BOUNDS_SECONDS) {
            bound.store(ticks(seconds), Ordering::Relaxed);
        }
        Scale {
            nanos_per_tick,
            long: ticks(LONG_SECONDS),
        }
    })
}

impl Scale {
    /// Good to a thousandth, for spans below a second.
    pub(crate) fn to_nanos(&self, ticks: u64) -> u64 {
        (ticks as f64 * self.nanos_per_tick) as u64
    }
}

/// Ticks in nanoseconds, by a rate that is measured again until a second has passed.
pub(crate) fn to_nanos(ticks: u64) -> u64 {
    let mut rate = f64::from_bits(FINAL.load(Ordering::Relaxed));
    if rate == 0.0 {
        let (measured, over) = measure();
        if over >= FINAL_NANOS {
            // The first one stays, so that what was told once never shrinks.
            let kept =
                FINAL.compare_exchange(0, measured.to_bits(), Ordering::Relaxed, Ordering::Relaxed);
            rate = kept.map_or_else(f64::from_bits, |_| measured);
        } else {
            rate = measured;
        }
    }
    (ticks as f64 * rate) as u64
}

/// Not slewed by anybody who sets the time, as CPU clocks are not either.
fn monotonic_nanos() -> u64 {
    #[cfg(target_os = "linux")]
    let id = libc::CLOCK_MONOTONIC_RAW;
    #[cfg(not(target_os = "linux"))]
    let id = libc::CLOCK_MONOTONIC;
    read(id).unwrap_or(0)
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu_nanos() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

/// The number of the calling thread's CPU clock, for others to read it by.
pub(crate) fn own_cpu_clock() -> i32 {
    #[cfg(target_os = "linux")]
    {
        // The kernel's include/linux/posix-timers.h: a thread's number, and what it counts.
        const SCHED_OF_THREAD: i32 = 0b110;
        // SAFETY: asks for a number.
        (!unsafe { libc::gettid() } << 3) | SCHED_OF_THREAD
    }
    #[cfg(not(target_os = "linux"))]
    {
        -1
    }
}

/// The thread whose CPU clock has this number.
pub(crate) fn thread_of(clock: i32) -> Option<i32> {
    // -1 is no thread's clock.
    (clock != -1).then_some(!(clock >> 3))
}

/// CPU time of another thread of this process; none where it has ended.
pub(crate) fn cpu_nanos_of(clock: i32) -> Option<u64> {
    // The type is unsigned on some systems; none of theirs is -1 as well.
    read(clock as libc::clockid_t)
}

fn read(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time lives through the call.
    let got = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (got == 0).then_some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
