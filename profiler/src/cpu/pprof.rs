//! The engine of the crate pprof: one timer for the process, and samples without a tag.

use super::Record;
use crate::{Error, clock};
use davy_tag::Tag;
use pprof::{ProfilerGuard, ProfilerGuardBuilder, UnresolvedReport};

/// A report is of all since the guard began, and reading it costs some milliseconds.
const READ_EVERY_NANOS: u64 = 1_000_000_000;
/// Stacks of one guard; with more, a new one begins, because it would go on to a file.
const STACKS_MAX: usize = 4_096;
/// Samples in these are dropped by the signal handler: its unwinder may not interrupt them.
const BLOCKED: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// Samples of the whole process.
pub(super) struct Sampler {
    guard: Option<ProfilerGuard<'static>>,
    hz: u32,
    /// The signal handler, and where it returns to.
    handler: usize,
    restorer: usize,
    /// What was read of the guard before.
    seen: Option<UnresolvedReport>,
    read_at: u64,
    samples: u64,
}

fn installed() -> Result<libc::sigaction, Error> {
    // SAFETY: plain data, which the call below fills.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the action lives through the call, which only reads what is installed.
    if unsafe { libc::sigaction(libc::SIGPROF, std::ptr::null(), &raw mut action) } != 0 {
        return Err(Error::Signal(std::io::Error::last_os_error()));
    }
    Ok(action)
}

impl Sampler {
    /// Takes SIGPROF, which must be nobody's; `own` is the handler of the other engine.
    pub(super) fn start(hz: u32, own: usize) -> Result<Self, Error> {
        let before = installed()?.sa_sigaction;
        if ![libc::SIG_DFL, libc::SIG_IGN, own].contains(&before) {
            return Err(Error::SignalTaken);
        }
        let mut sampler = Self {
            guard: None,
            hz: 0,
            handler: 0,
            restorer: 0,
            seen: None,
            read_at: 0,
            samples: 0,
        };
        sampler.begin(hz)?;
        let action = installed()?;
        sampler.handler = action.sa_sigaction;
        #[cfg(target_os = "linux")]
        {
            sampler.restorer = action.sa_restorer.map_or(0, |restorer| restorer as usize);
        }
        Ok(sampler)
    }

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

    /// Changes the rate, having read what was sampled at the old one.
    pub(super) fn set_hz(&mut self, hz: u32, read: impl FnMut(&Record<'_>)) {
        self.read_now();
        self.drain(read);
        if let Err(error) = self.begin(hz) {
            tracing::warn!(%error, "CPU time is not sampled any more");
        }
    }

    /// Samples since the engine began.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// Has the next call of [`Sampler::drain`] read, however short ago the last one was.
    pub(super) fn read_now(&mut self) {
        self.read_at = 0;
    }

    /// Reads what was sampled since the last call, at most once a second.
    pub(super) fn drain(&mut self, mut read: impl FnMut(&Record<'_>)) {
        let now = clock::thread_safe_nanos();
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
            // A caller is where its call is, not where that returns to.
            let frames: Vec<u64> = interrupted
                .enumerate()
                .map(|(at, ip)| ip - u64::from(at > 0 && ip > 0))
                .collect();
            read(&Record {
                nanos: new * period,
                tag: Tag::UNTAGGED.index(),
                is_cut: false,
                frames: &frames,
            });
        }
        let is_full = report.data.len() > STACKS_MAX;
        self.seen = Some(report);
        if is_full && let Err(error) = self.begin(self.hz) {
            tracing::warn!(%error, "CPU time is not sampled any more");
        }
    }
}
