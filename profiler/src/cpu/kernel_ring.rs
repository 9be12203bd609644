//! Reads the ring in which the kernel records the stacks of a perf event.
//!
//! The first page has the positions of writer and reader; the other pages are the ring of records, each a header word
//! (type: u32, misc: u16, size: u16) and a body. Source: the kernel's `include/uapi/linux/perf_event.h`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Pages of a mapping. A full ring loses only stacks: the kernel counts the periods.
pub(super) const PAGES: usize = 2;
/// Offsets of `data_head`, `data_tail`, `data_offset` and `data_size` in the first page.
const HEAD: usize = 1024;
const TAIL: usize = 1032;
const DATA_OFFSET: usize = 1040;
const DATA_SIZE: usize = 1048;

const PERF_RECORD_LOST: u32 = 2;
const PERF_RECORD_SAMPLE: u32 = 9;
/// Entries from here on mark where the stack of the kernel or of the user begins (`PERF_CONTEXT_MAX`).
const CONTEXT: u64 = -4095i64 as u64;

/// Empties a ring; see [`super::kernel_event::Tick::read`].
///
/// # Safety
///
/// `ring` is the mapping of a perf event that only the kernel and this call use.
#[inline]
pub(super) unsafe fn read(ring: *const u8, mut push: impl FnMut(u64) -> bool) -> u64 {
    // SAFETY: the words are in the first page.
    let field = |offset| unsafe { &*word(ring, offset) };
    let tail = field(TAIL);
    let end = field(HEAD).load(Ordering::Acquire);
    let data = ring.wrapping_add(field(DATA_OFFSET).load(Ordering::Relaxed) as usize);
    // The size is a power of two, and positions are multiples of eight.
    let mask = field(DATA_SIZE).load(Ordering::Relaxed).wrapping_sub(1) & !7;
    let at = |position: u64| {
        // SAFETY: the mask keeps the position in the ring.
        let word = unsafe { &*word(data, (position & mask) as usize) };
        word.load(Ordering::Relaxed)
    };
    let mut position = tail.load(Ordering::Relaxed);
    let (mut periods, mut last) = (0u64, None);
    while position < end {
        let header = at(position);
        let bytes = header >> 48;
        match header as u32 {
            PERF_RECORD_SAMPLE => {
                periods += 1;
                last = Some((position + 8, bytes));
            }
            PERF_RECORD_LOST => periods = periods.saturating_add(at(position + 16)),
            _ => {}
        }
        // No record is empty; one that were would not end this loop.
        position += bytes.max(8);
    }
    if let Some((body, bytes)) = last {
        let count = at(body).min(bytes / 8);
        for entry in 1..=count {
            let pc = at(body + 8 * entry);
            if pc < CONTEXT && !push(pc) {
                break;
            }
        }
    }
    tail.store(end, Ordering::Release);
    periods
}

fn word(base: *const u8, offset: usize) -> *const AtomicU64 {
    base.wrapping_add(offset).cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C, align(4096))]
    struct Mapping([u64; PAGES * PAGE_BYTES / 8]);

    const PAGE_BYTES: usize = 4096;

    impl Mapping {
        fn new(position: u64) -> Self {
            let mut mapping = Self([0; PAGES * PAGE_BYTES / 8]);
            mapping.0[DATA_OFFSET / 8] = PAGE_BYTES as u64;
            mapping.0[DATA_SIZE / 8] = PAGE_BYTES as u64;
            mapping.0[HEAD / 8] = position;
            mapping.0[TAIL / 8] = position;
            mapping
        }

        fn record(&mut self, kind: u32, body: &[u64]) {
            let bytes = 8 * (body.len() as u64 + 1);
            let header = bytes << 48 | u64::from(kind);
            for word in std::iter::once(&header).chain(body) {
                let head = self.0[HEAD / 8] as usize;
                self.0[(PAGE_BYTES + head % PAGE_BYTES) / 8] = *word;
                self.0[HEAD / 8] += 8;
            }
        }

        fn read(&mut self) -> (u64, Vec<u64>) {
            let mut frames = Vec::new();
            // SAFETY: the mapping is like that of the kernel, and nothing else uses it.
            let periods = unsafe {
                read(self.0.as_ptr().cast(), |pc| {
                    frames.push(pc);
                    true
                })
            };
            (periods, frames)
        }
    }

    #[test]
    fn every_period_is_counted_and_the_last_stack_is_read_without_its_markers() {
        let mut mapping = Mapping::new(0);
        mapping.record(
            PERF_RECORD_SAMPLE,
            &[2, -128i64 as u64, 0xffff_ffff_8100_0000],
        );
        mapping.record(PERF_RECORD_LOST, &[7, 3]);
        mapping.record(5, &[1, 2, 3]);
        mapping.record(
            PERF_RECORD_SAMPLE,
            &[
                3,
                -128i64 as u64,
                0xffff_ffff_8100_0001,
                0xffff_ffff_8100_0002,
            ],
        );
        assert_eq!(
            mapping.read(),
            (5, vec![0xffff_ffff_8100_0001, 0xffff_ffff_8100_0002])
        );
        assert_eq!(mapping.read(), (0, vec![]));
    }

    #[test]
    fn record_that_wraps_around_is_read_whole() {
        let mut mapping = Mapping::new(3 * PAGE_BYTES as u64 - 16);
        mapping.record(PERF_RECORD_SAMPLE, &[4, -128i64 as u64, 11, 12, 13]);
        assert_eq!(mapping.read(), (1, vec![11, 12, 13]));
    }

    #[test]
    fn sample_in_user_code_has_no_kernel_stack() {
        let mut mapping = Mapping::new(0);
        mapping.record(PERF_RECORD_SAMPLE, &[0]);
        assert_eq!(mapping.read(), (1, vec![]));
    }

    #[test]
    fn invalid_sizes_are_not_followed() {
        let mut mapping = Mapping::new(0);
        mapping.record(PERF_RECORD_SAMPLE, &[u64::MAX, 1]);
        mapping.0[PAGE_BYTES / 8 + 3] = 0;
        mapping.0[HEAD / 8] += 8;
        let (periods, frames) = mapping.read();
        assert_eq!(periods, 1);
        assert!(frames.len() <= 3, "{frames:?}");
    }
}
