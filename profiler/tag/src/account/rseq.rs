//! Detects, for the cost of a load, whether a thread has left its processor since the last check.
//!
//! glibc registers an area of each thread with the kernel for restartable sequences (rseq(2)). Its
//! field `rseq_cs` points to the sequence that the thread executes. When the kernel preempts a thread
//! outside of that sequence, or delivers a signal to it, it clears the field. So a pointer to a sequence
//! that is never executed is a mark that lasts until the thread leaves its processor.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

/// A mark that is never cleared, for threads without rseq.
static ALWAYS: AtomicU64 = AtomicU64::new(NO_MARK);
const NO_MARK: u64 = 1;

/// Detects whether the kernel has descheduled a thread: the rseq field that the kernel clears, and the
/// value written to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) field: &'static AtomicU64,
    pub(super) value: u64,
}

impl Mark {
    /// A mark that is never cleared, so it gives no information.
    pub(super) const NONE: Self = Self {
        field: &ALWAYS,
        value: NO_MARK,
    };

    /// Whether the kernel clears the mark.
    pub(super) fn is_supported(self) -> bool {
        self.value != NO_MARK
    }

    /// The calling thread's mark, for use by that thread only and until it exits.
    pub(super) fn of_this_thread() -> Self {
        static AREA: OnceLock<Option<(isize, u64)>> = OnceLock::new();
        match AREA.get_or_init(area) {
            Some((offset, value)) => Self {
                field: field(*offset),
                value: *value,
            },
            None => Self::NONE,
        }
    }
}

/// Offset of `rseq_cs` from the thread pointer, and the address of a sequence that is never executed.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
fn area() -> Option<(isize, u64)> {
    /// The kernel's `struct rseq_cs`.
    #[repr(C, align(32))]
    struct Sequence {
        version: u32,
        flags: u32,
        start: u64,
        length: u64,
        abort: u64,
    }
    /// The field of the kernel's `struct rseq`.
    const FIELD: isize = 8;
    // SAFETY: both are documented constants of these types since glibc 2.35; older versions have
    // neither.
    let (offset, size) = unsafe {
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr());
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr());
        (
            offset.cast::<isize>().as_ref()?,
            size.cast::<u32>().as_ref()?,
        )
    };
    if *size == 0 {
        return None;
    }
    let (start, abort): (u64, u64);
    // SAFETY: computes two addresses and jumps over the code there. The second one is preceded by
    // the signature that glibc registered, which the kernel checks.
    unsafe {
        std::arch::asm!(
            "lea {start}, [rip + 2f]",
            "lea {abort}, [rip + 3f]",
            "jmp 4f",
            "2: nop",
            ".byte 0x0f, 0xb9, 0x3d",
            ".long 0x53053053",
            "3: ud2",
            "4:",
            start = out(reg) start,
            abort = out(reg) abort,
            options(nomem, nostack, preserves_flags)
        );
    }
    let sequence = Box::leak(Box::new(Sequence {
        version: 0,
        flags: 0,
        start,
        length: 1,
        abort,
    }));
    Some((*offset + FIELD, std::ptr::from_ref(sequence) as u64))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
fn field(offset: isize) -> &'static AtomicU64 {
    let thread: isize;
    // SAFETY: reads the thread pointer, which the ABI stores at fs:0.
    unsafe {
        std::arch::asm!("mov {}, fs:0", out(reg) thread, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: glibc keeps the area there, aligned, for the lifetime of the thread; only the thread,
    // and the kernel on its behalf, write to it.
    unsafe { &*((thread + offset) as *const AtomicU64) }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
fn area() -> Option<(isize, u64)> {
    None
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
fn field(_offset: isize) -> &'static AtomicU64 {
    &ALWAYS
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    #[test]
    fn mark_is_cleared_by_a_wait_and_usually_kept_without_one() {
        let mark = Mark::of_this_thread();
        if !mark.is_supported() {
            davy_test_support::skip("this C library does not register rseq");
            return;
        }
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let mut kept = 0;
        for _ in 0..100 {
            mark.field.store(mark.value, Ordering::Relaxed);
            let count = (0..1_000).fold(0u64, |sum, i| std::hint::black_box(sum + i));
            assert_eq!(count, 499_500);
            kept += u32::from(mark.field.load(Ordering::Relaxed) == mark.value);
            let _ = receiver.recv_timeout(Duration::from_micros(100));
            assert_eq!(mark.field.load(Ordering::Relaxed), 0);
        }
        assert!(kept > 50, "{kept} of 100");
    }
}
