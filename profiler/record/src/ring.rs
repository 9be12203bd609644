//! The ring that the kernel writes records into, one a CPU.
//!
//! ```text
//! page 0         perf_event_mmap_page: data_head (the kernel's end), data_tail (ours)
//! pages 1..=2^n  records one after the other, wrapping around: { u32 type; u16 misc; u16 size; ... }
//! ```

use crate::Error;
use crate::event::Event;
use perf_event_open_sys::bindings::perf_event_mmap_page;
use std::io;
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

/// Pages of records: 2 MiB hold some seconds of deep stacks at 1,000 a second.
const PAGES: usize = 512;

/// A mapped ring; unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct Ring {
    base: NonNull<u8>,
    page: usize,
}

// SAFETY: the memory is the ring's own, and is read by whoever holds it by `&mut`.
unsafe impl Send for Ring {}

impl Ring {
    pub(crate) fn map(event: &Event) -> Result<Self, Error> {
        // SAFETY: sysconf takes a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        // SAFETY: a new mapping of an event's descriptor, wherever the kernel likes.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                (PAGES + 1) * page,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                event.fd(),
                0,
            )
        };
        let failed = || Error::Failed {
            what: "the kernel gives no memory for samples (kernel.perf_event_mlock_kb limits it)"
                .to_owned(),
            source: io::Error::last_os_error(),
        };
        if base == libc::MAP_FAILED {
            return Err(failed());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(failed)?;
        Ok(Self { base, page })
    }

    /// Hands every new record, whole and in one piece, to `visit`: its type and what follows its head.
    pub(crate) fn drain(&mut self, mut visit: impl FnMut(u32, &[u8])) {
        let size = PAGES * self.page;
        let head = self
            .counter(offset_of!(perf_event_mmap_page, data_head))
            .load(Ordering::Acquire);
        let tail = self.counter(offset_of!(perf_event_mmap_page, data_tail));
        let mut at = tail.load(Ordering::Relaxed);
        let mut record = Vec::new();
        while at < head {
            let mut header = [0; 8];
            self.copy(at, size, &mut header);
            let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
            let length = usize::from(u16::from_ne_bytes([header[6], header[7]]));
            if length < header.len() || at + length as u64 > head {
                break;
            }
            record.resize(length, 0);
            self.copy(at, size, &mut record);
            visit(kind, &record[header.len()..]);
            at += length as u64;
        }
        tail.store(head, Ordering::Release);
    }

    #[expect(clippy::cast_ptr_alignment, reason = "see the argument inside")]
    fn counter(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the first page is this structure for as long as the mapping lives; both counters
        // are aligned, and shared with the kernel, which reads and writes them as whole words.
        unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() }
    }

    fn copy(&self, at: u64, size: usize, out: &mut [u8]) {
        let start = (at % size as u64) as usize;
        let first = out.len().min(size - start);
        // SAFETY: the bytes lie behind the first page, inside of the mapping, and the kernel does not
        // write between tail and head.
        unsafe {
            let data = self.base.as_ptr().add(self.page);
            ptr::copy_nonoverlapping(data.add(start), out.as_mut_ptr(), first);
            ptr::copy_nonoverlapping(data, out.as_mut_ptr().add(first), out.len() - first);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: this mapping was made with this length, and nothing borrows from it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), (PAGES + 1) * self.page) };
    }
}
