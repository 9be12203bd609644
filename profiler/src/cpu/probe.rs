//! Takes single samples, for the benchmark of what a sample costs.

use super::buffer::{self, Buffer};
use super::signal;
use super::timer_value::TimerValue;
use crate::unwind::{self, Registers};
use crate::{Error, loader};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Takes samples of the calling thread, as the signal of a timer does.
#[doc(hidden)]
pub struct Probe {
    buffer: &'static Buffer,
    timer: TimerValue,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe on the first buffer, which lives as long as the process.
    pub fn new() -> Result<Self, Error> {
        signal::install()?;
        unwind::publish(&loader::list());
        buffer::make_for(1);
        let buffer = buffer::all().next().ok_or(Error::Stopped)?;
        let timer = TimerValue::new(Duration::from_millis(10), 0);
        Ok(Self { buffer, timer })
    }

    /// Takes a sample without a signal.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call would add a frame")]
    pub fn sample(&self) {
        signal::record(self.timer, Registers::here(), 0);
    }

    /// Takes a sample by a signal to the calling thread, so that the kernel's part is included.
    pub fn signal(&self) {
        signal::send(self.timer);
    }

    /// Empties the cache of unwind rules.
    pub fn clear_cache(&self) {
        self.buffer.clear_cache();
    }

    /// Empties the ring, and returns the number of samples and of frames in it.
    pub fn drain(&self) -> (usize, usize) {
        let (mut samples, mut frames) = (0, 0);
        self.buffer.ring.drain(|sample| {
            samples += 1;
            frames += sample.frames.len();
        });
        (samples, frames)
    }

    /// Nanoseconds that the handler measured of itself since the probe was made.
    pub fn handler_nanos(&self) -> u64 {
        self.buffer.counts.handler_nanos.load(Ordering::Relaxed)
    }
}
