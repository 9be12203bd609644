//! The ring buffers, one per CPU, into which the kernel writes records.
//!
//! ```text
//! page 0         perf_event_mmap_page: data_head (the kernel's end), data_tail (ours)
//! pages 1..=2^n  consecutive records, wrapping around: { u32 type; u16 misc; u16 size; ... }
//! ```

use crate::error::Error;
use crate::event::Event;
use perf_event_open_sys::bindings::perf_event_mmap_page;
use std::io;
use std::mem::offset_of;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes of records: more than 100 samples with 16 KiB of stack each.
const BYTES_MAX: usize = 2 << 20;
/// Smallest acceptable ring, for users with a low memory-lock limit.
const BYTES_MIN: usize = 128 << 10;

/// A mapped ring.
#[derive(Debug)]
pub(crate) struct Ring {
    base: NonNull<u8>,
    page: usize,
    /// Bytes of records.
    size: usize,
    /// The event that the ring belongs to; closing it would stop the records.
    event: Event,
}

// SAFETY: nothing else refers to the mapping, and records are read through `&mut self` only.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps the largest ring that the kernel permits, from [`BYTES_MAX`] down to [`BYTES_MIN`].
    pub(crate) fn map(event: Event) -> Result<Self, Error> {
        // SAFETY: sysconf only takes a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let mut size = BYTES_MAX;
        loop {
            // SAFETY: creates a mapping of an open event at an address that the kernel chooses.
            let base = unsafe {
                libc::mmap(
                    ptr::null_mut(),
                    size + page,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED,
                    event.fd(),
                    0,
                )
            };
            if base != libc::MAP_FAILED
                && let Some(base) = NonNull::new(base.cast::<u8>())
            {
                return Ok(Self {
                    base,
                    page,
                    size,
                    event,
                });
            }
            let source = io::Error::last_os_error();
            if size / 2 < BYTES_MIN.max(page) {
                return Err(Error::Failed {
                    action: "map a ring buffer (raise the limit kernel.perf_event_mlock_kb or `ulimit -l`)"
                        .to_owned(),
                    source,
                });
            }
            size /= 2;
        }
    }

    /// Descriptor of the event to which other events may redirect their records.
    pub(crate) fn fd(&self) -> RawFd {
        self.event.fd()
    }

    /// Calls `visit` with the type, the flags and the body of every new record.
    pub(crate) fn drain(&mut self, mut visit: impl FnMut(u32, u16, &[u8])) {
        let head = self
            .counter(offset_of!(perf_event_mmap_page, data_head))
            .load(Ordering::Acquire);
        let tail = self.counter(offset_of!(perf_event_mmap_page, data_tail));
        let mut at = tail.load(Ordering::Relaxed);
        let mut record = Vec::new();
        while at < head {
            let mut header = [0; 8];
            self.copy(at, &mut header);
            let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
            let flags = u16::from_ne_bytes([header[4], header[5]]);
            let length = usize::from(u16::from_ne_bytes([header[6], header[7]]));
            if length < header.len() || at + length as u64 > head {
                break;
            }
            record.resize(length, 0);
            self.copy(at, &mut record);
            visit(kind, flags, &record[header.len()..]);
            at += length as u64;
        }
        tail.store(head, Ordering::Release);
    }

    #[expect(clippy::cast_ptr_alignment, reason = "see the argument inside")]
    fn counter(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the first page is this structure for the lifetime of the mapping; both counters are
        // aligned, and the kernel, which shares them, accesses them as whole words.
        unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() }
    }

    fn copy(&self, at: u64, out: &mut [u8]) {
        let start = (at % self.size as u64) as usize;
        let first = out.len().min(self.size - start);
        // SAFETY: the bytes are within the mapping, after the first page, and the kernel does not
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
        // SAFETY: the mapping was created with this length, and nothing borrows from it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.size + self.page) };
    }
}

/// Waits until the kernel reports that a ring is half full, for at most `span`.
pub(crate) fn wait<'a>(rings: impl Iterator<Item = &'a Ring>, span: Duration) {
    let mut waits: Vec<libc::pollfd> = rings
        .map(|ring| libc::pollfd {
            fd: ring.event.fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    loop {
        // SAFETY: the list outlives the call, and the length is its own.
        unsafe {
            libc::poll(
                waits.as_mut_ptr(),
                waits.len() as _,
                span.as_millis() as i32,
            )
        };
        let mut has_ended = false;
        for wait in &mut waits {
            // The event's thread has exited; polling it again would return immediately, forever.
            if wait.fd >= 0 && wait.revents & (libc::POLLHUP | libc::POLLIN) == libc::POLLHUP {
                wait.fd = -1;
                has_ended = true;
            }
            wait.revents = 0;
        }
        if !has_ended {
            return;
        }
    }
}
