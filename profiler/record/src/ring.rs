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
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes of records: more than a hundred samples with 16 KiB of stack each.
const BYTES_MAX: usize = 2 << 20;
/// What is taken where the kernel gives a user no more: some samples.
const BYTES_MIN: usize = 128 << 10;

/// A mapped ring; unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct Ring {
    base: NonNull<u8>,
    page: usize,
    /// Bytes of records.
    size: usize,
    /// The event that it belongs to, kept open for as long as it lives.
    event: Event,
}

// SAFETY: the memory is the ring's own, and is read by whoever holds it by `&mut`.
unsafe impl Send for Ring {}

impl Ring {
    /// As large as the kernel lets it be.
    pub(crate) fn map(event: Event) -> Result<Self, Error> {
        // SAFETY: sysconf takes a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let mut size = BYTES_MAX;
        loop {
            // SAFETY: a new mapping of an event's descriptor, wherever the kernel likes.
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
                    what: "the kernel gives no memory for samples (kernel.perf_event_mlock_kb and ulimit -l limit it)"
                        .to_owned(),
                    source,
                });
            }
            size /= 2;
        }
    }

    /// The event that others may write through.
    pub(crate) fn fd(&self) -> RawFd {
        self.event.fd()
    }

    /// Hands every new record, whole and in one piece, to `visit`: its type, its flags, and what
    /// follows its head.
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
        // SAFETY: the first page is this structure for as long as the mapping lives; both counters
        // are aligned, and shared with the kernel, which reads and writes them as whole words.
        unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() }
    }

    fn copy(&self, at: u64, out: &mut [u8]) {
        let start = (at % self.size as u64) as usize;
        let first = out.len().min(self.size - start);
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
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.size + self.page) };
    }
}

/// Waits until a ring is half full, which is when the kernel says so, or for so long.
pub(crate) fn wait<'a>(rings: impl Iterator<Item = &'a Ring>, span: Duration) {
    let mut waits: Vec<libc::pollfd> = rings
        .map(|ring| libc::pollfd {
            fd: ring.event.fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    loop {
        // SAFETY: the list lives until the call returns, and its length is given.
        unsafe {
            libc::poll(
                waits.as_mut_ptr(),
                waits.len() as _,
                span.as_millis() as i32,
            )
        };
        let mut has_ended = false;
        for wait in &mut waits {
            // The thread of this event has ended, which is told at once for ever.
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
