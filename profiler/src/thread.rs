//! The bounds of a thread's stack, and reads from it that never fault.

use std::cell::Cell;

thread_local! {
    /// Lowest address of this thread's stack and the first address after it; zeros if the thread was
    /// never registered. Const-initialized, for signal handlers and allocator hooks.
    static BOUNDS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Pages above the stack pointer that may be probed for one sample of an unregistered thread.
const PROBED_PAGES_MAX: usize = 512;

const PAGE: usize = 4_096;

/// With less free stack than this, the handler does not evaluate unwind tables with expressions.
/// Evaluating one takes 22 KiB of stack, and the kernel's signal frame 3 KiB, or 12 KiB with AMX.
const TIGHT_BYTES: usize = 44 << 10;

thread_local! {
    /// A range of this thread's stack whose pages were all found readable. It stays valid, because a
    /// stack never shrinks.
    static READABLE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Whether a thread with unknown bounds has [`TIGHT_BYTES`] of stack below `low`.
fn has_free_stack(low: usize) -> bool {
    let needed = low.saturating_sub(TIGHT_BYTES);
    let (from, to) = READABLE.with(Cell::get);
    if from <= needed && low <= to {
        return true;
    }
    // The farthest page first: a small stack is recognized by a single probe.
    if !(needed..low).step_by(PAGE).all(is_readable) {
        return false;
    }
    let overlaps = needed <= to && from <= low;
    READABLE.with(|readable| {
        readable.set(if overlaps {
            (from.min(needed), to.max(low))
        } else {
            (needed, low)
        });
    });
    true
}

/// Whether little stack is left below `low`, an address of the calling thread's stack, and the end of the
/// stack if it is known.
fn inspect(low: usize) -> (bool, Option<usize>) {
    let (from, to) = BOUNDS.with(Cell::get);
    if (from..to).contains(&low) {
        (low - from < TIGHT_BYTES, Some(to))
    } else {
        (!has_free_stack(low), None)
    }
}

/// Registers the calling thread with the profiler, which then samples it immediately and at a slightly
/// lower cost.
///
/// Optional: a thread is found when it gets its first tag, and every thread within 200 ms, or later where there are
/// more than 30. Useful in tokio's `on_thread_start`.
pub fn register_thread() {
    if learn_bounds() {
        // SAFETY: returns a number.
        crate::nudge::nudge(unsafe { libc::gettid() });
    }
}

/// Registers each thread when it gets its first tag. A source of allocated bytes, which `davy_tag` asks for once
/// on each thread, that has no count.
pub(crate) fn register_at_first_tag() -> *const u64 {
    register_thread();
    std::ptr::null()
}

/// Notes the bounds of the calling thread's stack, and returns whether they were unknown before. Must not
/// be called in a signal handler.
pub(crate) fn learn_bounds() -> bool {
    let bounds = match BOUNDS.with(Cell::get) {
        (0, 0) => own_bounds(),
        _ => None,
    };
    bounds.is_some_and(|bounds| {
        BOUNDS.with(|own| own.set(bounds));
        true
    })
}

fn own_bounds() -> Option<(usize, usize)> {
    // SAFETY: plain data that the call below fills.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    // SAFETY: reads this thread's own attributes into memory that outlives the call.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) } != 0 {
        return None;
    }
    let (mut low, mut size) = (std::ptr::null_mut(), 0usize);
    // SAFETY: the attributes were filled above, and are destroyed once.
    let got = unsafe {
        let got = libc::pthread_attr_getstack(&raw const attributes, &raw mut low, &raw mut size);
        libc::pthread_attr_destroy(&raw mut attributes);
        got
    };
    let low = low as usize;
    (got == 0 && size > 0).then_some((low, low.checked_add(size)?))
}

/// Reads words of the calling thread's stack, at or above its stack pointer.
///
/// If the bounds of the stack are known, each read is guarded by a comparison. Otherwise every page is
/// probed once per sample by a system call that returns `EFAULT` instead of faulting.
pub(crate) struct StackReader {
    low: usize,
    /// Words below this address may be read.
    high: usize,
    pages_left: usize,
    is_tight: bool,
}

impl StackReader {
    pub(crate) fn new(stack_pointer: u64) -> Self {
        let low = stack_pointer as usize;
        let (is_tight, end) = inspect(low);
        let (high, pages_left) = match end {
            Some(end) => (end, 0),
            None => (low, PROBED_PAGES_MAX),
        };
        Self {
            low,
            high,
            pages_left,
            is_tight,
        }
    }

    /// A reader of the calling thread's stack up to the address `below`.
    pub(crate) fn up_to(stack_pointer: u64, below: usize) -> Self {
        let low = stack_pointer as usize;
        Self {
            low,
            high: below,
            pages_left: 0,
            is_tight: inspect(low).0,
        }
    }

    /// Whether little stack is left for the handler itself.
    pub(crate) fn is_tight(&self) -> bool {
        self.is_tight
    }

    /// The word at `address`.
    #[inline]
    pub(crate) fn read(&mut self, address: u64) -> Result<u64, ()> {
        let address = address as usize;
        let end = address.checked_add(8).ok_or(())?;
        if address < self.low || address & 7 != 0 {
            return Err(());
        }
        if end > self.high {
            self.grow(end)?;
        }
        // SAFETY: the word lies between the stack pointer and an end that is either the stack's own or
        // was probed. The stack of a thread that is in our handler does not shrink. Other threads may
        // write to it, hence the volatile read, but that changes a value, not its readability.
        Ok(unsafe { std::ptr::read_volatile(address as *const u64) })
    }

    /// Probes pages until words below `end` may be read.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, end: usize) -> Result<(), ()> {
        while end > self.high {
            if self.pages_left == 0 || !is_readable(self.high) {
                self.pages_left = 0;
                return Err(());
            }
            self.pages_left -= 1;
            self.high = (self.high & !(PAGE - 1)).checked_add(PAGE).ok_or(())?;
        }
        Ok(())
    }
}

/// Whether the page of this address is readable. Changes `errno`; the caller restores it.
///
/// Not inlined: of a library's function that is called in a loop, the compiler keeps the address in a register, and
/// the audit of the handler's machine code cannot follow that.
#[inline(never)]
fn is_readable(address: usize) -> bool {
    const INVALID_OPERATION: libc::c_int = -1;
    // The kernel copies the new mask before it checks the operation. So an invalid operation fails with
    // EFAULT for unreadable memory and with EINVAL for readable memory, and changes nothing.
    // SAFETY: the kernel checks the address; nothing is written.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            INVALID_OPERATION,
            address & !7,
            0usize,
            8usize,
        )
    };
    // SAFETY: the address of this thread's errno is always valid.
    result == -1 && unsafe { *libc::__errno_location() } == libc::EINVAL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_readable_distinguishes_mapped_from_unmapped_memory() {
        let here = 7u64;
        assert!(is_readable(std::ptr::from_ref(&here) as usize));
        assert!(!is_readable(8));
        assert!(!is_readable(usize::MAX - 4_096));
    }

    #[test]
    fn small_stack_is_tight_and_large_stack_is_not() {
        let is_tight = |size: usize| {
            let thread = std::thread::Builder::new().stack_size(size);
            let thread = thread.spawn(|| {
                let here = 7u64;
                let address = std::ptr::from_ref(&here) as u64;
                let first = StackReader::new(address).is_tight();
                let again = StackReader::new(address).is_tight();
                register_thread();
                let registered = StackReader::new(address).is_tight();
                assert_eq!((first, again), (registered, registered));
                first
            });
            thread.expect("thread started").join().expect("no panic")
        };
        // On aarch64 the C library's smallest stack is 128 KiB.
        #[cfg(target_arch = "x86_64")]
        assert!(is_tight(32 << 10));
        assert!(!is_tight(256 << 10));
    }

    #[test]
    fn stack_is_read_up_to_its_end_before_and_after_registration() {
        std::thread::spawn(|| {
            let (_, high) = own_bounds().expect("the bounds are known");
            let here = 11u64;
            let address = std::ptr::from_ref(&here) as u64;
            let mut reader = StackReader::new(address);
            assert_eq!(reader.read(address), Ok(11));
            assert_eq!(reader.read(address - 8), Err(()), "below the stack pointer");
            assert_eq!(reader.read(address + 1), Err(()), "not aligned");
            assert!(reader.read(high as u64 - 8).is_ok());
            register_thread();
            let mut reader = StackReader::new(address);
            assert_eq!(reader.read(address), Ok(11));
            assert!(reader.read(high as u64 - 8).is_ok());
            assert_eq!(reader.read(high as u64), Err(()));
        })
        .join()
        .expect("no panic");
    }
}
