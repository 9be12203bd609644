//! Clocks that a signal handler may read, and clocks that measure the profiler itself.
//!
//! These are not the clock of `davy_base`: they only measure, and no decision depends on them.

/// Monotonic nanoseconds. Safe in a signal handler: reading it neither locks nor allocates.
pub(crate) fn signal_safe_nanos() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of CPU time of the calling thread.
pub(crate) fn thread_cpu_nanos() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Nanoseconds of CPU time of the process.
pub(crate) fn process_cpu_nanos() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Nanoseconds since the system booted, including time suspended.
pub(crate) fn boot_nanos() -> u64 {
    #[cfg(target_os = "linux")]
    let id = libc::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let id = libc::CLOCK_MONOTONIC;
    read(id)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time outlives the call.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
