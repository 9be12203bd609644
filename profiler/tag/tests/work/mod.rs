//! Work of a known amount.

use std::time::Duration;

fn thread_cpu() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Uses this much CPU time of the calling thread.
pub(crate) fn burn(span: Duration) {
    let begin = thread_cpu();
    while thread_cpu().saturating_sub(begin) < span {
        std::hint::spin_loop();
    }
}
