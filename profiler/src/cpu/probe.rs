//! The handler by itself, for the benchmark of what a sample costs.

use super::signal::{self, Slot};
use crate::unwind::{self, Registers};
use crate::{Error, modules};
use std::sync::atomic::Ordering;

/// Takes samples of the calling thread, as the signal of a timer does.
#[doc(hidden)]
pub struct Probe {
    slot: &'static Slot,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

impl Probe {
    /// One with a ring and a cache of its own, for the life of the process.
    pub fn new() -> Result<Self, Error> {
        signal::install()?;
        unwind::publish(&modules::list());
        let slot = super::next_slot().ok_or(Error::Stopped)?;
        Ok(Self { slot })
    }

    /// What the handler does, without a signal.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would be one frame more")]
    pub fn sample(&self) {
        signal::record(self.slot, Registers::here(), 0);
    }

    /// The same by a signal that the thread sends to itself: what the kernel does is in it.
    pub fn signal(&self) {
        signal::send(self.slot);
    }

    /// Forgets every unwind rule, and so begins cold.
    pub fn forget(&self) {
        self.slot.forget();
    }

    /// Empties the ring; answers how many samples and frames there were.
    pub fn drain(&self) -> (usize, usize) {
        let (mut samples, mut frames) = (0, 0);
        self.slot.ring.drain(|record| {
            samples += 1;
            frames += record.frames.len();
        });
        (samples, frames)
    }

    /// Nanoseconds that the handler itself noted, since the beginning.
    pub fn handler_nanos(&self) -> u64 {
        self.slot.counts.handler_nanos.load(Ordering::Relaxed)
    }
}
