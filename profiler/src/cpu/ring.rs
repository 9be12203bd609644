//! A ring of words between one signal handler and one drainer.
//!
//! A sample is three words followed by its frames, and by the ids of its span if it has one:
//!
//! ```text
//! | frames: u16, truncated: u1, span: u1 | nanoseconds | tag | pc of the leaf | pc of its caller | ...
//! | trace (high) | trace (low) | span |
//! ```

use crate::aggregate::CPU_FRAMES_MAX;
use crate::sampler::Sample;
use davy_tag::SpanIds;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const WORDS: usize = 1 << 13;
const HEADER_WORDS: usize = 3;
const SPAN_WORDS: usize = 3;
const TRUNCATED: u64 = 1 << 16;
const SPAN: u64 = 1 << 17;

/// Written by the handler of one thread, read by one drainer. Neither ever waits.
pub(super) struct Ring {
    words: Box<[AtomicU64; WORDS]>,
    /// Words written since the ring was made.
    head: AtomicUsize,
    /// Words read since the ring was made.
    tail: AtomicUsize,
}

/// A sample that is being written. [`Writer::publish`] makes it visible to the drainer.
pub(super) struct Writer<'a> {
    ring: &'a Ring,
    head: usize,
    frames: usize,
    is_truncated: bool,
}

impl Ring {
    pub(super) fn new() -> Self {
        // Zeroed memory comes untouched from the kernel, so a rarely sampled thread uses a single page.
        let words = Box::into_raw(vec![0u64; WORDS].into_boxed_slice());
        Self {
            // SAFETY: the allocation holds exactly WORDS words, and an atomic word has the layout of a
            // plain one. The fixed length lets the compiler drop bounds checks.
            words: unsafe { Box::from_raw(words.cast::<[AtomicU64; WORDS]>()) },
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
        }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at % WORDS]
    }

    /// Starts a sample; none if one with the most frames would not fit.
    pub(super) fn writer(&self) -> Option<Writer<'_>> {
        let (head, tail) = (
            self.head.load(Ordering::Relaxed),
            self.tail.load(Ordering::Acquire),
        );
        let needed = HEADER_WORDS + CPU_FRAMES_MAX + SPAN_WORDS;
        (head - tail + needed <= WORDS).then_some(Writer {
            ring: self,
            head,
            frames: 0,
            is_truncated: false,
        })
    }

    /// Passes every published sample to `read`.
    pub(super) fn drain(&self, mut read: impl FnMut(&Sample<'_>)) {
        let head = self.head.load(Ordering::Acquire);
        let mut tail = self.tail.load(Ordering::Relaxed);
        let mut frames = [0u64; CPU_FRAMES_MAX];
        while tail < head {
            let first = self.word(tail).load(Ordering::Relaxed);
            let count = ((first & 0xffff) as usize).min(CPU_FRAMES_MAX);
            for (i, frame) in frames[..count].iter_mut().enumerate() {
                *frame = self.word(tail + HEADER_WORDS + i).load(Ordering::Relaxed);
            }
            let mut next = tail + HEADER_WORDS + count;
            let mut span = SpanIds::default();
            if first & SPAN != 0 {
                let word = |at: usize| self.word(next + at).load(Ordering::Relaxed);
                span.trace = u128::from(word(0)) << 64 | u128::from(word(1));
                span.span = word(2);
                next += SPAN_WORDS;
            }
            read(&Sample {
                nanos: self.word(tail + 1).load(Ordering::Relaxed),
                tag: self.word(tail + 2).load(Ordering::Relaxed) as u32,
                span,
                is_truncated: first & TRUNCATED != 0,
                frames: &frames[..count],
            });
            tail = next;
            self.tail.store(tail, Ordering::Release);
        }
    }
}

impl Writer<'_> {
    /// Adds a frame; `false` if the sample is full.
    #[inline]
    pub(super) fn push(&mut self, pc: u64) -> bool {
        if self.frames == CPU_FRAMES_MAX {
            self.is_truncated = true;
            return false;
        }
        let at = self.head + HEADER_WORDS + self.frames;
        self.ring.word(at).store(pc, Ordering::Relaxed);
        self.frames += 1;
        true
    }

    /// Hands the sample to the drainer, and returns whether its stack was truncated.
    pub(super) fn publish(self, nanos: u64, tag: u32, span: SpanIds) -> bool {
        let mut next = self.head + HEADER_WORDS + self.frames;
        let mut first = self.frames as u64 | if self.is_truncated { TRUNCATED } else { 0 };
        if span != SpanIds::default() {
            first |= SPAN;
            let words = [(span.trace >> 64) as u64, span.trace as u64, span.span];
            for (i, word) in words.into_iter().enumerate() {
                self.ring.word(next + i).store(word, Ordering::Relaxed);
            }
            next += SPAN_WORDS;
        }
        let words = [first, nanos, u64::from(tag)];
        for (i, word) in words.into_iter().enumerate() {
            self.ring.word(self.head + i).store(word, Ordering::Relaxed);
        }
        self.ring.head.store(next, Ordering::Release);
        self.is_truncated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_as_written_when_the_ring_wraps_around() {
        let ring = Ring::new();
        for round in 0..5_000u64 {
            let mut writer = ring.writer().expect("the ring was drained");
            let frames: Vec<u64> = (0..round % 40).map(|i| round * 100 + i).collect();
            assert!(frames.iter().all(|pc| writer.push(*pc)));
            let span = SpanIds {
                trace: u128::from(round % 3) << 90,
                span: round % 2,
            };
            assert!(!writer.publish(round, 7, span));
            let mut seen = 0;
            ring.drain(|sample| {
                assert_eq!(
                    (sample.nanos, sample.tag, sample.is_truncated, sample.span),
                    (round, 7, false, span)
                );
                assert_eq!(sample.frames, frames);
                seen += 1;
            });
            assert_eq!(seen, 1);
        }
    }

    #[test]
    fn full_ring_has_no_writer_and_long_stack_is_truncated() {
        let ring = Ring::new();
        let mut written = 0;
        while let Some(mut writer) = ring.writer() {
            while writer.push(1) {}
            let span = SpanIds { trace: 1, span: 2 };
            assert!(writer.publish(1, 0, span));
            written += 1;
        }
        let words = HEADER_WORDS + CPU_FRAMES_MAX + SPAN_WORDS;
        assert_eq!(written, WORDS / words);
        let mut read = 0;
        ring.drain(|sample| {
            assert!(sample.is_truncated && sample.frames.len() == CPU_FRAMES_MAX);
            read += 1;
        });
        assert_eq!(read, written);
        assert!(ring.writer().is_some());
    }
}
