//! A ring of words between one signal handler and one drainer.
//!
//! A record is three words and its frames:
//!
//! ```text
//! | frames: u16, cut: u1 | nanoseconds | tag | pc of the leaf | pc of its caller | ... |
//! ```

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Frames of one record; what lies nearer to the root is cut.
pub(crate) const MAX_FRAMES: usize = 400;

const WORDS: usize = 1 << 13;
const HEADER_WORDS: usize = 3;
const CUT: u64 = 1 << 16;

/// Written by one thread's handler, read by one drainer; neither ever waits.
pub(crate) struct Ring {
    words: Box<[AtomicU64; WORDS]>,
    /// Words written since ever.
    head: AtomicUsize,
    /// Words read since ever.
    tail: AtomicUsize,
}

/// A record that is being written; it is published by [`Writer::publish`].
pub(crate) struct Writer<'a> {
    ring: &'a Ring,
    head: usize,
    frames: usize,
    is_cut: bool,
}

/// One sample as it was read.
pub(crate) struct Record<'a> {
    pub(crate) nanos: u64,
    pub(crate) tag: u32,
    pub(crate) is_cut: bool,
    /// From the leaf to the root.
    pub(crate) frames: &'a [u64],
}

impl Ring {
    pub(crate) fn new() -> Self {
        // Memory that is zero already is not written to: a thread that is hardly sampled takes a page.
        let words = Box::into_raw(vec![0u64; WORDS].into_boxed_slice());
        Self {
            // SAFETY: so many words were just made, and an atomic word is laid out as a plain one. The
            // length is one that the compiler knows, so that no access is checked.
            words: unsafe { Box::from_raw(words.cast::<[AtomicU64; WORDS]>()) },
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
        }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at % WORDS]
    }

    /// Begins a record, unless a whole one might not fit.
    pub(crate) fn writer(&self) -> Option<Writer<'_>> {
        let (head, tail) = (
            self.head.load(Ordering::Relaxed),
            self.tail.load(Ordering::Acquire),
        );
        let needed = HEADER_WORDS + MAX_FRAMES;
        (head - tail + needed <= WORDS).then_some(Writer {
            ring: self,
            head,
            frames: 0,
            is_cut: false,
        })
    }

    /// Reads every record that was published.
    pub(crate) fn drain(&self, mut read: impl FnMut(&Record<'_>)) {
        let head = self.head.load(Ordering::Acquire);
        let mut tail = self.tail.load(Ordering::Relaxed);
        let mut frames = [0u64; MAX_FRAMES];
        while tail < head {
            let first = self.word(tail).load(Ordering::Relaxed);
            let count = ((first & 0xffff) as usize).min(MAX_FRAMES);
            for (i, frame) in frames[..count].iter_mut().enumerate() {
                *frame = self.word(tail + HEADER_WORDS + i).load(Ordering::Relaxed);
            }
            read(&Record {
                nanos: self.word(tail + 1).load(Ordering::Relaxed),
                tag: self.word(tail + 2).load(Ordering::Relaxed) as u32,
                is_cut: first & CUT != 0,
                frames: &frames[..count],
            });
            tail += HEADER_WORDS + count;
            self.tail.store(tail, Ordering::Release);
        }
    }
}

impl Writer<'_> {
    /// Adds a frame; `false` where there is no place for more.
    #[inline]
    pub(crate) fn push(&mut self, pc: u64) -> bool {
        if self.frames == MAX_FRAMES {
            self.is_cut = true;
            return false;
        }
        let at = self.head + HEADER_WORDS + self.frames;
        self.ring.word(at).store(pc, Ordering::Relaxed);
        self.frames += 1;
        true
    }

    /// Hands the record to the drainer; answers whether it was cut.
    pub(crate) fn publish(self, nanos: u64, tag: u32) -> bool {
        let first = self.frames as u64 | if self.is_cut { CUT } else { 0 };
        let words = [first, nanos, u64::from(tag)];
        for (i, word) in words.into_iter().enumerate() {
            self.ring.word(self.head + i).store(word, Ordering::Relaxed);
        }
        let next = self.head + HEADER_WORDS + self.frames;
        self.ring.head.store(next, Ordering::Release);
        self.is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in_round_and_round() {
        let ring = Ring::new();
        for round in 0..5_000u64 {
            let mut writer = ring.writer().expect("the ring was drained");
            let frames: Vec<u64> = (0..round % 40).map(|i| round * 100 + i).collect();
            assert!(frames.iter().all(|pc| writer.push(*pc)));
            assert!(!writer.publish(round, 7));
            let mut seen = 0;
            ring.drain(|record| {
                assert_eq!((record.nanos, record.tag, record.is_cut), (round, 7, false));
                assert_eq!(record.frames, frames);
                seen += 1;
            });
            assert_eq!(seen, 1);
        }
    }

    #[test]
    fn a_full_ring_refuses_and_a_long_stack_is_cut() {
        let ring = Ring::new();
        let mut written = 0;
        while let Some(mut writer) = ring.writer() {
            while writer.push(1) {}
            assert!(writer.publish(1, 0));
            written += 1;
        }
        assert_eq!(written, WORDS / (HEADER_WORDS + MAX_FRAMES));
        let mut read = 0;
        ring.drain(|record| {
            assert!(record.is_cut && record.frames.len() == MAX_FRAMES);
            read += 1;
        });
        assert_eq!(read, written);
        assert!(ring.writer().is_some());
    }
}
