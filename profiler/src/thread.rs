//! A thread's own stack: where it ends, and how to read it without ever faulting.

use std::cell::Cell;

thread_local! {
    /// Lowest address of this thread's stack and the first address after it; zero where the
    /// thread was never registered. Const-initialised, for signal handlers and allocator hooks.
    static BOUNDS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Pages above the stack pointer that may be probed for one sample of an unregistered thread.
const PROBED_PAGES_MAX: usize = 512;

const PAGE: usize = 4_096;

/// Below this much free stack the handler leaves unwind tables with expressions alone. Evaluating one
/// takes 22 KiB of stack; the kernel's frame of a signal 3 KiB, and 12 with AMX.
const TIGHT_BYTES: usize = 44 << 10;

thread_local! {
    /// Addresses of this thread's stack between which every page was found to be there. A stack
    /// never shrinks, so they stay.
    static KNOWN: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Whether a thread whose bounds are not known has stack to spare below `low`.
fn has_room(low: usize) -> bool {
    let needed = low.saturating_sub(TIGHT_BYTES);
    let (from, to) = KNOWN.with(Cell::get);
    if from <= needed && low <= to {
        return true;
    }
    // The farthest first: where a stack is small, one look is enough.
    if !(needed..low).step_by(PAGE).all(is_readable) {
        return false;
    }
    let overlaps = needed <= to && from <= low;
    KNOWN.with(|known| {
        known.set(if overlaps {
            (from.min(needed), to.max(low))
        } else {
            (needed, low)
        });
    });
    true
}

/// Whether little is left of the calling thread's stack below an address of it, and the stack's end
/// where that is known.
fn look(low: usize) -> (bool, Option<usize>) {
    let (from, to) = BOUNDS.with(Cell::get);
    if (from..to).contains(&low) {
        (low - from < TIGHT_BYTES, Some(to))
    } else {
        (!has_room(low), None)
    }
}

/// Tells the profiler about the calling thread, which is then sampled at once and a little cheaper.
///
/// Not needed: every thread is found within a fifth of a second. Useful in tokio's
/// `on_thread_start`.
pub fn register_thread() {
    if learn_bounds() {
        crate::drain::nudge();
    }
}

/// Notes where the calling thread's stack lies, unless that is known; not in a signal handler.
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
    // SAFETY: asks for this thread's own attributes, into memory that lives through the call.
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

/// Reads words of the calling thread's stack, above its stack pointer only.
///
/// Where the bounds of the stack are known, a comparison guards each read. Where they are not,
/// every page is probed once a sample by a system call that answers `EFAULT` rather than faulting.
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
        let (is_tight, end) = look(low);
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

    /// For the part of the calling thread's stack below an address of it.
    pub(crate) fn up_to(stack_pointer: u64, below: usize) -> Self {
        let low = stack_pointer as usize;
        Self {
            low,
            high: below,
            pages_left: 0,
            is_tight: look(low).0,
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
        while end > self.high {
            self.grow()?;
        }
        // SAFETY: the word lies between the stack pointer and an end that is either the stack's
        // own or was probed; the stack of a thread that is in our handler does not shrink, and
        // other threads writing to it (volatile read) change a value, not its readability.
        Ok(unsafe { std::ptr::read_volatile(address as *const u64) })
    }

    #[cold]
    fn grow(&mut self) -> Result<(), ()> {
        if self.pages_left == 0 || !is_readable(self.high) {
            self.pages_left = 0;
            return Err(());
        }
        self.pages_left -= 1;
        self.high = (self.high & !(PAGE - 1)).checked_add(PAGE).ok_or(())?;
        Ok(())
    }
}

/// Whether the page of this address can be read. Changes `errno`; the caller restores it.
fn is_readable(address: usize) -> bool {
    const NO_SUCH_OPERATION: libc::c_int = -1;
    // The kernel copies the new mask before it looks at the operation, so a bad operation gives
    // EFAULT for memory that can't be read and EINVAL for memory that can, and changes nothing.
    // SAFETY: the kernel checks the address; nothing is written.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            NO_SUCH_OPERATION,
            address & !7,
            0usize,
            8usize,
        )
    };
    // SAFETY: the address of this thread's errno is always valid.
    answer == -1 && unsafe { *libc::__errno_location() } == libc::EINVAL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_told_from_memory_that_is() {
        let here = 7u64;
        assert!(is_readable(std::ptr::from_ref(&here) as usize));
        assert!(!is_readable(8));
        assert!(!is_readable(usize::MAX - 4_096));
    }

    #[test]
    fn a_small_stack_is_known_to_be_tight_and_a_large_one_not() {
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
            thread.expect("a thread").join().expect("no panic")
        };
        // The C library of aarch64 gives no stack below 128 KiB.
        #[cfg(target_arch = "x86_64")]
        assert!(is_tight(32 << 10));
        assert!(!is_tight(256 << 10));
    }

    #[test]
    fn an_unregistered_threads_stack_is_read_up_to_its_end_and_no_further() {
        std::thread::spawn(|| {
            let (_, high) = own_bounds().expect("linux knows its stacks");
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
