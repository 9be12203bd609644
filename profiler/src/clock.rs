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

/// The time of a clock; 0 if it does not exist.
pub(crate) fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time outlives the call.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    nanos(time)
}

/// A time before 0, which a library that fakes clocks may return, is 0.
fn nanos(time: libc::timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn a_time_before_zero_is_zero() {
        let time = |tv_sec, tv_nsec| nanos(libc::timespec { tv_sec, tv_nsec });
        assert_eq!(time(2, 5), 2_000_000_005);
        assert_eq!(time(-3, 0), 0);
        assert_eq!(time(0, -1), 0);
    }
}
