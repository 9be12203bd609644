//! Whether a thread has kept its processor since it last asked, for the price of a load.
//!
//! glibc registers an area with the kernel for each thread, for restartable sequences (rseq(2)). Its
//! field `rseq_cs` names the sequence that the thread is in. When the kernel takes a thread off its
//! processor and finds it outside of that sequence, it clears the field. So the name of a sequence
//! that nobody ever runs is a mark that lasts for as long as the thread stays; a signal clears it too.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

/// A mark that is always there, for threads of which the kernel tells nothing.
static ALWAYS: AtomicU64 = AtomicU64::new(NO_MARK);
const NO_MARK: u64 = 1;

/// Where a thread's mark lies, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) place: &'static AtomicU64,
    pub(super) value: u64,
}

impl Mark {
    /// Tells nothing: is always there.
    pub(super) const NONE: Self = Self {
        place: &ALWAYS,
        value: NO_MARK,
    };

    /// Whether its absence means something.
    pub(super) fn is_told(self) -> bool {
        self.value != NO_MARK
    }

    /// The calling thread's, to be used by it alone and until it ends.
    pub(super) fn of_this_thread() -> Self {
        static AREA: OnceLock<Option<(isize, u64)>> = OnceLock::new();
        match AREA.get_or_init(area) {
            Some((offset, value)) => Self {
                place: place(*offset),
                value: *value,
            },
            None => Self::NONE,
        }
    }
}

/// Where the field lies, from the thread's pointer, and the name of a sequence.
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
    // SAFETY: glibc 2.35 documents both as constants of these types; before it has neither.
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
    // SAFETY: asks for two addresses and jumps over what lies there. Before the second one stands
    // the signature that glibc registered, which the kernel asks for.
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
fn place(offset: isize) -> &'static AtomicU64 {
    let thread: isize;
    // SAFETY: reads the thread's pointer, which the ABI keeps there.
    unsafe {
        std::arch::asm!("mov {}, fs:0", out(reg) thread, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: glibc put the area there, aligned, for the life of the thread, and only the thread and
    // the kernel on its behalf write to it.
    unsafe { &*((thread + offset) as *const AtomicU64) }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
fn area() -> Option<(isize, u64)> {
    None
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
fn place(_offset: isize) -> &'static AtomicU64 {
    &ALWAYS
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    #[test]
    fn a_mark_is_gone_once_its_thread_has_waited_and_mostly_there_otherwise() {
        let mark = Mark::of_this_thread();
        if !mark.is_told() {
            return;
        }
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let mut stayed = 0;
        for _ in 0..100 {
            mark.place.store(mark.value, Ordering::Relaxed);
            let count = (0..1_000).fold(0u64, |sum, i| std::hint::black_box(sum + i));
            assert_eq!(count, 499_500);
            stayed += u32::from(mark.place.load(Ordering::Relaxed) == mark.value);
            let _ = receiver.recv_timeout(Duration::from_micros(100));
            assert_eq!(mark.place.load(Ordering::Relaxed), 0);
        }
        assert!(stayed > 50, "{stayed} of 100");
    }
}
