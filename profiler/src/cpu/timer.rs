//! A kernel timer on one thread's CPU clock.
//!
//! Uses raw system calls, because not every libc wraps `SIGEV_THREAD_ID` and the clocks of other
//! threads. Sources: timer_create(2), and the kernel's `include/linux/posix-timers.h` for the number of a
//! thread's clock.

use std::io;
use std::time::Duration;

const SIGEV_THREAD_ID: libc::c_int = 4;
const CPUCLOCK_SCHED_OF_THREAD: libc::c_int = 0b110;

/// The kernel's `struct sigevent`, 64 bytes.
#[repr(C)]
struct SigEvent {
    value: usize,
    signal: libc::c_int,
    notify: libc::c_int,
    thread: libc::pid_t,
    rest: [libc::c_int; 11],
}

/// An armed timer; dropping it deletes it.
#[derive(Debug)]
pub(super) struct Timer(libc::c_int);

impl Timer {
    /// Sends SIGPROF with `value` to thread `tid` once per `period` of CPU time that it uses, for the
    /// first time after `phase`.
    pub(super) fn arm(
        tid: libc::pid_t,
        value: usize,
        period: Duration,
        phase: Duration,
    ) -> io::Result<Self> {
        let clock = clock_of(tid);
        let mut event = SigEvent {
            value,
            signal: libc::SIGPROF,
            notify: SIGEV_THREAD_ID,
            thread: tid,
            rest: [0; 11],
        };
        let mut id: libc::c_int = 0;
        // SAFETY: the event and the id outlive the call, and have the kernel's layout.
        let made =
            unsafe { libc::syscall(libc::SYS_timer_create, clock, &raw mut event, &raw mut id) };
        if made != 0 {
            return Err(io::Error::last_os_error());
        }
        let timer = Self(id);
        timer.set(period, phase)?;
        Ok(timer)
    }

    /// Changes the period.
    pub(super) fn set(&self, period: Duration, phase: Duration) -> io::Result<()> {
        let spec = libc::itimerspec {
            it_interval: timespec(period),
            it_value: timespec(phase.max(Duration::from_nanos(1))),
        };
        // SAFETY: the specification outlives the call; the old value is not requested.
        let set =
            unsafe { libc::syscall(libc::SYS_timer_settime, self.0, 0, &raw const spec, 0usize) };
        if set == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Whether the timer's thread is alive: the kernel reports the interval of a CPU timer only until
    /// then. A new thread with the same id has another clock.
    pub(super) fn is_alive(&self) -> bool {
        let mut spec = libc::itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value: timespec(Duration::ZERO),
        };
        // SAFETY: the specification outlives the call.
        let got = unsafe { libc::syscall(libc::SYS_timer_gettime, self.0, &raw mut spec) };
        got == 0 && (spec.it_interval.tv_sec, spec.it_interval.tv_nsec) != (0, 0)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the id belongs to a timer that this value owns.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.0) };
    }
}

/// The number of a thread's CPU clock.
fn clock_of(tid: libc::pid_t) -> libc::clockid_t {
    (!tid << 3) | CPUCLOCK_SCHED_OF_THREAD
}

/// CPU time that a thread has used; 0 if it has ended.
pub(super) fn cpu_time(tid: libc::pid_t) -> Duration {
    Duration::from_nanos(crate::clock::read(clock_of(tid)))
}

fn timespec(span: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: span.as_secs() as _,
        tv_nsec: libc::c_long::from(span.subsec_nanos() as i32),
    }
}
