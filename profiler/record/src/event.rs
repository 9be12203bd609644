//! Events of the kernel's CPU clock.

use crate::Error;
use perf_event_open_sys as sys;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// What each sample carries, in this order: the process and thread, the time, the period, the stack.
const SAMPLE_TYPE: u64 = (sys::bindings::PERF_SAMPLE_TID
    | sys::bindings::PERF_SAMPLE_TIME
    | sys::bindings::PERF_SAMPLE_PERIOD
    | sys::bindings::PERF_SAMPLE_CALLCHAIN) as u64;

/// Whom an event follows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Follow {
    /// A thread that runs, from now on.
    Thread(i32),
    /// What this thread starts next, from the moment that it becomes a program of its own.
    NextChild,
}

/// An event on one CPU; closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Event(OwnedFd);

impl Event {
    pub(crate) fn open(follow: Follow, cpu: i32, hz: u32) -> Result<Self, Error> {
        let mut attributes = sys::bindings::perf_event_attr {
            type_: sys::bindings::PERF_TYPE_SOFTWARE,
            size: size_of::<sys::bindings::perf_event_attr>() as u32,
            config: u64::from(sys::bindings::PERF_COUNT_SW_CPU_CLOCK),
            sample_type: SAMPLE_TYPE,
            ..Default::default()
        };
        attributes.__bindgen_anon_1.sample_freq = u64::from(hz);
        attributes.set_freq(1);
        attributes.set_inherit(1);
        attributes.set_exclude_kernel(1);
        attributes.set_exclude_hv(1);
        attributes.set_exclude_callchain_kernel(1);
        attributes.set_mmap(1);
        attributes.set_mmap2(1);
        attributes.set_task(1);
        attributes.set_sample_id_all(1);
        let thread = match follow {
            Follow::Thread(thread) => thread,
            Follow::NextChild => {
                attributes.set_disabled(1);
                attributes.set_enable_on_exec(1);
                0
            }
        };
        let flags = u64::from(sys::bindings::PERF_FLAG_FD_CLOEXEC);
        // SAFETY: the attributes live until the call returns, and say their own size.
        let fd = unsafe { sys::perf_event_open(&raw mut attributes, thread, cpu, -1, flags) };
        if fd >= 0 {
            // SAFETY: the kernel has just given this descriptor to us alone.
            return Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }));
        }
        Err(refused(follow, io::Error::last_os_error()))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Lets this event write into the ring of another one on the same CPU.
    pub(crate) fn write_into(&self, other: &Self) -> Result<(), Error> {
        // SAFETY: both descriptors are open events; the call takes nothing else.
        let result = unsafe { sys::ioctls::SET_OUTPUT(self.fd(), other.fd()) };
        if result == 0 {
            return Ok(());
        }
        Err(Error::Failed {
            what: "events can't share a ring".to_owned(),
            source: io::Error::last_os_error(),
        })
    }
}

fn refused(follow: Follow, source: io::Error) -> Error {
    let what = match follow {
        Follow::Thread(thread) => format!("thread {thread}"),
        Follow::NextChild => "a command".to_owned(),
    };
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::ENOSYS) => {
            let path = "/proc/sys/kernel/perf_event_paranoid";
            let paranoid = std::fs::read_to_string(path).unwrap_or_else(|_| "unknown".to_owned());
            Error::Forbidden {
                what,
                paranoid: paranoid.trim().to_owned(),
                source,
            }
        }
        _ => Error::Failed {
            what: format!("{what} can't be sampled"),
            source,
        },
    }
}
