//! Takes single samples, for the benchmark of what a sample costs.

use super::signal;
use super::slot::Slot;
use crate::unwind::{self, Registers};
use crate::{Error, loader};
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
    /// A probe with its own ring and cache, which live as long as the process.
    pub fn new() -> Result<Self, Error> {
        signal::install()?;
        unwind::publish(&loader::list());
        let slot = Slot::create().ok_or(Error::Stopped)?;
        Ok(Self { slot })
    }

    /// Takes a sample without a signal.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would add a frame")]
    pub fn sample(&self) {
        signal::record(self.slot, Registers::here(), 0);
    }

    /// Takes a sample by a signal to the calling thread, so that the kernel's part is included.
    pub fn signal(&self) {
        signal::send(self.slot);
    }

    /// Empties the cache of unwind rules.
    pub fn clear_cache(&self) {
        self.slot.clear_cache();
    }

    /// Empties the ring, and returns the number of samples and of frames in it.
    pub fn drain(&self) -> (usize, usize) {
        let (mut samples, mut frames) = (0, 0);
        self.slot.ring.drain(|sample| {
            samples += 1;
            frames += sample.frames.len();
        });
        (samples, frames)
    }

    /// Nanoseconds that the handler measured of itself since the probe was made.
    pub fn handler_nanos(&self) -> u64 {
        self.slot.counts.handler_nanos.load(Ordering::Relaxed)
    }
}
