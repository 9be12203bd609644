//! The processor's cycle counter, and the clocks that calibrate it.
//!
//! These do not go through davy-base's injected clock: they only measure, and no decision depends on them.

use super::buckets::POLL_BOUNDS_SECONDS;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Segments longer than this are charged by the thread's CPU clock.
const LONG_SECONDS: f64 = 1e-4;
/// Spans over which the provisional and the final rate are measured.
const PROVISIONAL_NANOS: u64 = 100_000;
const FINAL_NANOS: u64 = 1_000_000_000;

/// Counter and clock at the start of accounting.
static BEGIN: OnceLock<(u64, u64)> = OnceLock::new();
/// CPU time of the process at the start of accounting.
static CPU_BEGIN: OnceLock<u64> = OnceLock::new();
/// The newest thread at the start of accounting.
static NEWEST_THREAD: OnceLock<Option<i32>> = OnceLock::new();
static SCALE: OnceLock<Scale> = OnceLock::new();
/// Nanoseconds per tick, as the bits of an `f64`; 0 until a second has passed.
static FINAL: AtomicU64 = AtomicU64::new(0);

/// [`POLL_BOUNDS_SECONDS`] in ticks, once the scale is known.
pub(crate) static POLL_BOUNDS: [AtomicU64; POLL_BOUNDS_SECONDS.len()] =
    [const { AtomicU64::new(u64::MAX) }; POLL_BOUNDS_SECONDS.len()];

/// The provisional rate, accurate to 0.1 %.
#[derive(Debug)]
pub(crate) struct Scale {
    nanos_per_tick: f64,
    /// [`LONG_SECONDS`] in ticks.
    pub(crate) long: u64,
}

/// The cycle counter, which counts at a constant rate.
#[inline]
pub(crate) fn now() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every x86_64 processor has the counter, and Linux lets user space read it.
        unsafe { std::arch::x86_64::_rdtsc() }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let ticks: u64;
        // SAFETY: reads the virtual counter, which Linux permits in user space.
        unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        read(libc::CLOCK_MONOTONIC).unwrap_or(0)
    }
}

/// Records the start of accounting.
pub(crate) fn begin() {
    BEGIN.get_or_init(both);
    CPU_BEGIN.get_or_init(process_cpu_nanos);
    NEWEST_THREAD.get_or_init(newest_thread);
}

/// The highest id of the threads that exist now; `None` if they can't be listed.
fn newest_thread() -> Option<i32> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?.flatten();
    let ids = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok());
    ids.max()
}

/// Whether the calling thread was started after accounting. After a wrap of thread ids it may be taken for an
/// older one.
pub(crate) fn has_begun_before_this_thread() -> bool {
    let newest = NEWEST_THREAD.get().copied().flatten();
    newest.is_some_and(|newest| thread_of(own_cpu_clock()).is_some_and(|own| own > newest))
}

/// CPU time of the process since accounting started; 0 if it has not.
pub(crate) fn process_cpu_nanos_since_begin() -> u64 {
    CPU_BEGIN
        .get()
        .map_or(0, |begin| process_cpu_nanos().saturating_sub(*begin))
}

fn process_cpu_nanos() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

/// Counter and clock at the same instant: the closest of several attempts.
fn both() -> (u64, u64) {
    let attempts = (0..5).map(|_| {
        let before = now();
        let nanos = monotonic_nanos();
        let took = now().wrapping_sub(before);
        (took, (before.wrapping_add(took / 2), nanos))
    });
    attempts
        .min_by_key(|(took, _)| *took)
        .map_or((0, 0), |(_, pair)| pair)
}

/// Nanoseconds per tick since the start of accounting, and the measured span in nanoseconds.
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

/// The provisional rate. The first call spins until 100 us have passed since the start.
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
    /// Converts ticks; accurate to 0.1 %, for spans below a second.
    pub(crate) fn to_nanos(&self, ticks: u64) -> u64 {
        (ticks as f64 * self.nanos_per_tick) as u64
    }

    /// Converts nanoseconds; the inverse of [`Scale::to_nanos`].
    pub(crate) fn to_ticks(&self, nanos: u64) -> u64 {
        (nanos as f64 / self.nanos_per_tick) as u64
    }
}

/// Converts ticks, by a rate that is measured again until a second has passed since the start.
pub(crate) fn to_nanos(ticks: u64) -> u64 {
    let mut rate = f64::from_bits(FINAL.load(Ordering::Relaxed));
    if rate == 0.0 {
        let (measured, over) = measure();
        if over >= FINAL_NANOS {
            // Keeps the first final rate, so that reported values never decrease.
            let kept =
                FINAL.compare_exchange(0, measured.to_bits(), Ordering::Relaxed, Ordering::Relaxed);
            rate = kept.map_or_else(f64::from_bits, |_| measured);
        } else {
            rate = measured;
        }
    }
    (ticks as f64 * rate) as u64
}

/// Not slewed by NTP, like CPU clocks.
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

/// Id of the calling thread's CPU clock, which other threads can read.
pub(crate) fn own_cpu_clock() -> i32 {
    #[cfg(target_os = "linux")]
    {
        // include/linux/posix-timers.h in the kernel: the thread id, inverted, and the clock's type.
        const SCHED_OF_THREAD: i32 = 0b110;
        // SAFETY: gettid only returns a number.
        (!unsafe { libc::gettid() } << 3) | SCHED_OF_THREAD
    }
    #[cfg(not(target_os = "linux"))]
    {
        -1
    }
}

/// The thread of a CPU clock's id.
pub(crate) fn thread_of(clock: i32) -> Option<i32> {
    // -1: not a thread's clock.
    (clock != -1).then_some(!(clock >> 3))
}

/// CPU time of another thread of this process; `None` if it has exited.
pub(crate) fn cpu_nanos_of(clock: i32) -> Option<u64> {
    // `clockid_t` is unsigned on some systems; -1 is invalid there, too.
    read(clock as libc::clockid_t)
}

/// Nanoseconds since the system booted, including time suspended.
#[cfg(all(target_os = "linux", feature = "otel"))]
pub(crate) fn boot_nanos() -> u64 {
    read(libc::CLOCK_BOOTTIME).unwrap_or(0)
}

/// A time before 0, which a library that fakes clocks may return, is 0.
fn nanos(time: libc::timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn read(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure outlives the call.
    let got = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (got == 0).then(|| nanos(time))
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn a_time_before_zero_is_zero() {
        let time = |tv_sec, tv_nsec| nanos(libc::timespec { tv_sec, tv_nsec });
        assert_eq!(time(2, 5), 2_000_000_005);
        assert_eq!(time(-3, 0), 0);
        assert_eq!(time(-1, 999_999_999), 999_999_999);
        assert_eq!(time(0, -1), 0);
    }
}
