//! Where there are no timers of threads, the crate pprof samples the process.

#[path = "../cpu/pprof.rs"]
mod pprof;

use crate::{Error, modules};
use davy_base::Random;
use pprof::Sampler;
use std::sync::Arc;
use std::time::Duration;

/// pprof's bound on the frames of a stack.
pub(crate) const MAX_FRAMES: usize = 128;

pub(crate) struct Record<'a> {
    pub(crate) nanos: u64,
    pub(crate) tag: u32,
    pub(crate) is_cut: bool,
    /// From the leaf to the root.
    pub(crate) frames: &'a [u64],
}

/// What the engine counted; what has no meaning here stays 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) samples: u64,
    pub(crate) ring_full: u64,
    pub(crate) cut: u64,
    pub(crate) overruns: u64,
    pub(crate) strays: u64,
    pub(crate) handler_nanos: u64,
    pub(crate) threads: usize,
    pub(crate) unsampled_threads: usize,
    pub(crate) slots: usize,
}

pub(crate) struct Engine {
    hz: u32,
    sampler: Sampler,
    modules: Arc<[modules::Module]>,
    /// What was sampled before the rate changed.
    undrained: Vec<(u64, Vec<u64>)>,
}

impl Engine {
    pub(crate) fn start_pprof(hz: u32, _random: Random) -> Result<Self, Error> {
        Ok(Self {
            hz,
            sampler: Sampler::start(hz, libc::SIG_DFL)?,
            modules: modules::list().into(),
            undrained: Vec::new(),
        })
    }

    pub(crate) fn modules(&self) -> Arc<[modules::Module]> {
        Arc::clone(&self.modules)
    }

    pub(crate) fn hz(&self) -> u32 {
        self.hz
    }

    pub(crate) fn set_hz(&mut self, hz: u32) {
        if hz != self.hz {
            self.hz = hz;
            let undrained = &mut self.undrained;
            self.sampler.set_hz(hz, |record| {
                undrained.push((record.nanos, record.frames.to_vec()));
            });
        }
    }

    /// The kernel finds the threads here.
    #[expect(clippy::unused_self, reason = "the other engine has something to do")]
    pub(crate) fn scan(&mut self, _now: Duration) {}

    /// As [`Engine::scan`].
    #[expect(clippy::unused_self, reason = "the other engine has something to do")]
    pub(crate) fn look(&mut self, _now: Duration) {}

    pub(crate) fn read_now(&mut self) {
        self.sampler.read_now();
    }

    pub(crate) fn drain(&mut self, mut read: impl FnMut(&Record<'_>)) {
        for (nanos, frames) in self.undrained.drain(..) {
            read(&Record {
                nanos,
                tag: 0,
                is_cut: false,
                frames: &frames,
            });
        }
        self.sampler.drain(read);
    }

    pub(crate) fn refusal(&self) -> Arc<str> {
        Arc::default()
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            samples: self.sampler.samples(),
            ..Counts::default()
        }
    }
}
