//! perf events of the kernel's CPU clock.

use crate::error::Error;
use crate::options::RecordOptions;
use perf_event_open_sys as sys;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// What an event samples: a thread with the threads and processes that it starts, or a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// A running thread.
    Thread(i32),
    /// The next child of this thread, from its `execve` on.
    NextChild,
    /// The processes of a cgroup, by its open folder.
    Cgroup(RawFd),
}

/// The optional parts of a sample; process, thread, time and period are always present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The kernel's frame-pointer chain.
    pub(crate) chain: bool,
    /// Bytes of user stack, copied with the registers; 0 for neither.
    pub(crate) stack_bytes: u32,
    /// Samples of time in the kernel.
    pub(crate) kernel: bool,
}

/// The registers that a walk starts from. Samples contain them in the order of their bits.
#[cfg(target_arch = "x86_64")]
pub(crate) mod registers {
    use perf_event_open_sys::bindings::{PERF_REG_X86_BP, PERF_REG_X86_IP, PERF_REG_X86_SP};
    pub(crate) const MASK: u64 = 1 << PERF_REG_X86_BP | 1 << PERF_REG_X86_SP | 1 << PERF_REG_X86_IP;
    pub(crate) const COUNT: usize = 3;
    pub(crate) const FP: usize = 0;
    pub(crate) const SP: usize = 1;
    pub(crate) const PC: usize = 2;
}
/// The registers that a walk starts from. Samples contain them in the order of their bits.
#[cfg(target_arch = "aarch64")]
pub(crate) mod registers {
    use perf_event_open_sys::bindings::{
        PERF_REG_ARM64_LR, PERF_REG_ARM64_PC, PERF_REG_ARM64_SP, PERF_REG_ARM64_X29,
    };
    pub(crate) const MASK: u64 = 1 << PERF_REG_ARM64_X29
        | 1 << PERF_REG_ARM64_LR
        | 1 << PERF_REG_ARM64_SP
        | 1 << PERF_REG_ARM64_PC;
    pub(crate) const COUNT: usize = 4;
    pub(crate) const FP: usize = 0;
    pub(crate) const LR: usize = 1;
    pub(crate) const SP: usize = 2;
    pub(crate) const PC: usize = 3;
}

impl Parts {
    fn sample_type(self) -> u64 {
        use sys::bindings as kernel;
        let mut parts =
            kernel::PERF_SAMPLE_TID | kernel::PERF_SAMPLE_TIME | kernel::PERF_SAMPLE_PERIOD;
        if self.chain {
            parts |= kernel::PERF_SAMPLE_CALLCHAIN;
        }
        if self.stack_bytes > 0 {
            parts |= kernel::PERF_SAMPLE_REGS_USER | kernel::PERF_SAMPLE_STACK_USER;
        }
        u64::from(parts)
    }
}

/// An open event on one CPU.
#[derive(Debug)]
pub(crate) struct Event(OwnedFd);

impl Event {
    /// Opens an event. The error is that of `perf_event_open`.
    pub(crate) fn open(
        follow: Follow,
        cpu: i32,
        options: RecordOptions,
        parts: Parts,
    ) -> io::Result<Self> {
        let mut attributes = sys::bindings::perf_event_attr {
            type_: sys::bindings::PERF_TYPE_SOFTWARE,
            size: size_of::<sys::bindings::perf_event_attr>() as u32,
            config: u64::from(sys::bindings::PERF_COUNT_SW_CPU_CLOCK),
            sample_type: parts.sample_type(),
            ..Default::default()
        };
        attributes.__bindgen_anon_1.sample_freq = u64::from(options.hz);
        if parts.stack_bytes > 0 {
            attributes.sample_regs_user = registers::MASK;
            attributes.sample_stack_user = parts.stack_bytes;
        }
        attributes.set_freq(1);
        attributes.set_inherit(1);
        attributes.set_exclude_kernel(u64::from(!parts.kernel));
        attributes.set_exclude_hv(1);
        attributes.set_exclude_callchain_kernel(1);
        attributes.set_mmap(1);
        attributes.set_mmap2(1);
        attributes.set_comm(1);
        attributes.set_comm_exec(1);
        attributes.set_task(1);
        attributes.set_sample_id_all(1);
        let mut flags = u64::from(sys::bindings::PERF_FLAG_FD_CLOEXEC);
        let thread = match follow {
            Follow::Thread(thread) => thread,
            Follow::Cgroup(folder) => {
                // It samples whatever runs on the CPU while that belongs to the cgroup.
                attributes.set_inherit(0);
                attributes.set_exclude_idle(1);
                flags |= u64::from(sys::bindings::PERF_FLAG_PID_CGROUP);
                folder
            }
            Follow::NextChild => {
                attributes.set_disabled(1);
                attributes.set_enable_on_exec(1);
                0
            }
        };
        // SAFETY: the attributes outlive the call and contain their own size.
        let fd = unsafe { sys::perf_event_open(&raw mut attributes, thread, cpu, -1, flags) };
        if fd >= 0 {
            // SAFETY: the kernel has just returned this descriptor; nothing else owns it.
            return Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }));
        }
        Err(io::Error::last_os_error())
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Redirects this event's records to the ring of another event on the same CPU.
    pub(crate) fn write_into(&self, other: RawFd) -> Result<(), Error> {
        // SAFETY: both descriptors are open events; the call has no other arguments.
        let result = unsafe { sys::ioctls::SET_OUTPUT(self.fd(), other) };
        if result == 0 {
            return Ok(());
        }
        Err(Error::Failed {
            action: "share a ring between events".to_owned(),
            source: io::Error::last_os_error(),
        })
    }
}
