//! The crate pprof as a sampler: one timer for the process, and samples without tags.

use crate::modules::Module;
use crate::sampler::{Counts, OWN_HANDLER, Sample, Sampler};
use crate::{Error, clock, loader};
use davy_tag::{SpanIds, Tag};
use pprof::{ProfilerGuard, ProfilerGuardBuilder, UnresolvedReport};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A report covers everything since the guard was made, and reading it takes some milliseconds.
const READ_EVERY_NANOS: u64 = 1_000_000_000;
/// Stacks of one guard. Past this, pprof would spill to a file, so a new guard is made.
const STACKS_MAX: usize = 4_096;
/// Samples in these libraries are dropped by the signal handler: its unwinder must not interrupt them.
const BLOCKED: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

struct PprofSampler {
    guard: Option<ProfilerGuard<'static>>,
    hz: u32,
    modules: Arc<[Module]>,
    /// The loader's generation when the modules were listed.
    generation: u64,
    /// Address of the signal handler, and of the code that it returns to.
    handler: usize,
    restorer: usize,
    /// The last report of the guard.
    seen: Option<UnresolvedReport>,
    read_at: u64,
    samples: u64,
    /// Weight and frames of samples that were read when the rate changed, and not drained yet.
    undrained: Vec<(u64, Vec<u64>)>,
}

fn installed() -> Result<libc::sigaction, Error> {
    // SAFETY: plain data, which the call below fills.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the action outlives the call, which only reads what is installed.
    if unsafe { libc::sigaction(libc::SIGPROF, std::ptr::null(), &raw mut action) } != 0 {
        return Err(Error::Signal(std::io::Error::last_os_error()));
    }
    Ok(action)
}

/// Starts sampling by SIGPROF, unless the application has a handler for it.
pub(crate) fn start(hz: u32) -> Result<Box<dyn Sampler>, Error> {
    let before = installed()?.sa_sigaction;
    let own = OWN_HANDLER.load(Ordering::Acquire);
    if ![libc::SIG_DFL, libc::SIG_IGN, own].contains(&before) {
        return Err(Error::SignalTaken);
    }
    // Read first, so that a library loaded during the listing is found by the next scan.
    let generation = loader::generation();
    let mut sampler = PprofSampler {
        guard: None,
        hz: 0,
        generation,
        modules: loader::list().into(),
        handler: 0,
        restorer: 0,
        seen: None,
        read_at: 0,
        samples: 0,
        undrained: Vec::new(),
    };
    sampler.begin(hz)?;
    let action = installed()?;
    sampler.handler = action.sa_sigaction;
    #[cfg(target_os = "linux")]
    {
        sampler.restorer = action.sa_restorer.map_or(0, |restorer| restorer as usize);
    }
    Ok(Box::new(sampler))
}

impl PprofSampler {
    fn begin(&mut self, hz: u32) -> Result<(), Error> {
        self.guard = None;
        self.seen = None;
        self.hz = hz;
        if hz > 0 {
            let guard = ProfilerGuardBuilder::default()
                .frequency(hz as i32)
                .blocklist(&BLOCKED)
                .build();
            let failed = |error: pprof::Error| Error::Signal(std::io::Error::other(error));
            self.guard = Some(guard.map_err(failed)?);
        }
        Ok(())
    }

    /// Replaces the guard. Without one, nothing is sampled.
    fn restart(&mut self, hz: u32) {
        if let Err(error) = self.begin(hz) {
            tracing::warn!(%error, "CPU sampling stopped");
        }
    }

    /// Reads what was sampled since the last call, at most once a second.
    fn read(&mut self, read: &mut dyn FnMut(&Sample<'_>)) {
        let now = clock::signal_safe_nanos();
        let Some(guard) = &self.guard else {
            return;
        };
        if now.saturating_sub(self.read_at) < READ_EVERY_NANOS {
            return;
        }
        self.read_at = now;
        let Ok(report) = guard.report().build_unresolved() else {
            return;
        };
        let period = 1_000_000_000 / u64::from(self.hz.max(1));
        for (stack, count) in &report.data {
            let before = self.seen.as_ref().and_then(|seen| seen.data.get(stack));
            let new = (count - before.copied().unwrap_or(0)).max(0) as u64;
            if new == 0 {
                continue;
            }
            self.samples += new;
            let handler = stack
                .frames
                .iter()
                .position(|frame| frame.symbol_address() as usize == self.handler);
            let frames = stack.frames.iter().skip(handler.map_or(0, |at| at + 1));
            let interrupted = frames
                .map(|frame| frame.ip() as u64)
                .skip_while(|ip| *ip == self.restorer as u64);
            // The address of a caller is its return address; its call is before that.
            let frames: Vec<u64> = interrupted
                .enumerate()
                .map(|(at, ip)| ip - u64::from(at > 0 && ip > 0))
                .collect();
            read(&sample(new * period, &frames));
        }
        let is_full = report.data.len() > STACKS_MAX;
        self.seen = Some(report);
        if is_full {
            self.restart(self.hz);
        }
    }
}

fn sample(nanos: u64, frames: &[u64]) -> Sample<'_> {
    Sample {
        nanos,
        tag: Tag::UNTAGGED.index(),
        span: SpanIds::default(),
        is_truncated: false,
        frames,
    }
}

impl Sampler for PprofSampler {
    fn has_tags(&self) -> bool {
        false
    }

    fn hz(&self) -> u32 {
        self.hz
    }

    fn set_hz(&mut self, hz: u32) {
        if hz == self.hz {
            return;
        }
        self.flush();
        let mut undrained = std::mem::take(&mut self.undrained);
        self.read(&mut |sample| undrained.push((sample.nanos, sample.frames.to_vec())));
        self.undrained = undrained;
        self.restart(hz);
    }

    /// Threads are covered by the one timer, so this only looks for new modules.
    fn scan(&mut self, _now: Duration) {
        let generation = loader::generation();
        if generation != self.generation {
            self.generation = generation;
            self.modules = loader::list().into();
        }
    }

    fn scan_if_changed(&mut self, now: Duration) {
        self.scan(now);
    }

    fn flush(&mut self) {
        self.read_at = 0;
    }

    fn drain(&mut self, read: &mut dyn FnMut(&Sample<'_>)) {
        for (nanos, frames) in std::mem::take(&mut self.undrained) {
            read(&sample(nanos, &frames));
        }
        self.read(read);
    }

    fn modules(&self) -> Arc<[Module]> {
        Arc::clone(&self.modules)
    }

    fn refusal(&self) -> Arc<str> {
        Arc::default()
    }

    fn counts(&self) -> Counts {
        Counts {
            samples: self.samples,
            ..Counts::default()
        }
    }
}
