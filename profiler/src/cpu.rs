//! The CPU engine: a timer for every thread, and the rings that their handlers fill.

mod census;
#[cfg(feature = "pprof-engine")]
mod pprof;
mod probe;
mod ring;
mod signal;
mod timer;

pub use probe::Probe;
pub(crate) use ring::{MAX_FRAMES, Record};

use crate::{Error, modules, unwind};
use census::Census;
use davy_base::Random;
use rustc_hash::{FxHashMap, FxHashSet};
use signal::{SLOTS, Slot};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use timer::Timer;

/// Lists of modules that a process puts up with; each one that is replaced stays in memory.
const MODULE_LISTS_MAX: usize = 256;

/// Why a thread beyond [`SLOTS`] is not sampled.
const TOO_MANY: &str = "no more than 4096 threads are sampled at a time";

/// The modules whose tables walks go by.
#[derive(Clone)]
struct Known {
    generation: u64,
    /// How many lists there were.
    lists: usize,
    list: Arc<[modules::Module]>,
}

impl Known {
    /// Those of now, from a new list only where something has come or gone since the last.
    fn now() -> Self {
        let mut known = lock(&KNOWN);
        // Read first: what is loaded while the list is made is found at the next look.
        let generation = modules::generation();
        let lists = match &*known {
            Some(known) if known.generation == generation || known.lists >= MODULE_LISTS_MAX => {
                return known.clone();
            }
            before => before.as_ref().map_or(0, |before| before.lists),
        };
        let list = modules::list();
        unwind::publish(&list);
        let new = Self {
            generation,
            lists: lists + 1,
            list: list.into(),
        };
        known.insert(new).clone()
    }
}

/// Why threads are not sampled.
#[derive(Debug, Default)]
struct Refusal {
    reason: Arc<str>,
}

impl Refusal {
    /// Says it once, with the way out.
    fn note(&mut self, what: &str, error: &std::io::Error) {
        let way_out = match error.raw_os_error() {
            Some(libc::EAGAIN) => "; raise the limit of pending signals (`ulimit -i`)",
            Some(libc::EPERM | libc::ENOSYS) => "; allow it in the container's seccomp profile",
            Some(libc::ENOENT) => "; mount /proc",
            _ => "",
        };
        let reason = format!("{what}: {error}{way_out}");
        if *self.reason != *reason {
            tracing::warn!(reason, "threads are missing from the CPU profile");
            self.reason = reason.into();
        }
    }
}

/// Samples every thread of the process. Owned and driven by one thread.
pub(crate) struct Engine {
    hz: u32,
    random: Random,
    threads: FxHashMap<libc::pid_t, Thread>,
    idle: Vec<&'static Slot>,
    slots: Vec<&'static Slot>,
    census: Census,
    modules: Known,
    /// Threads that could not be given a timer, and so are not in the profile.
    unsampled: FxHashSet<libc::pid_t>,
    /// Why there are such, as the system last said it.
    refusal: Refusal,
    /// What the slots had counted before.
    before: Counts,
    /// Samples in place of all these threads' timers.
    #[cfg(feature = "pprof-engine")]
    pprof: Option<pprof::Sampler>,
    /// What it sampled before its rate changed.
    #[cfg(feature = "pprof-engine")]
    undrained: Vec<(u64, Vec<u64>)>,
}

struct Thread {
    slot: &'static Slot,
    timer: Option<Timer>,
}

/// What the engine counted since it began.
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

/// Slots outlive an engine, because signals may; the next engine takes them over.
static POOL: std::sync::Mutex<Vec<&'static Slot>> = std::sync::Mutex::new(Vec::new());

/// The process whose engine had them last.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// The list of modules outlives it as well.
static KNOWN: std::sync::Mutex<Option<Known>> = std::sync::Mutex::new(None);

impl Engine {
    /// Takes SIGPROF and reads the unwind tables; samples nothing before [`Engine::scan`].
    pub(crate) fn start(hz: u32, random: Random) -> Result<Self, Error> {
        signal::install()?;
        Ok(Self::new(hz, random))
    }

    /// As [`Engine::start`], with the crate pprof to sample.
    #[cfg(feature = "pprof-engine")]
    pub(crate) fn start_pprof(hz: u32, random: Random) -> Result<Self, Error> {
        let sampler = pprof::Sampler::start(hz, signal::own())?;
        let mut engine = Self::new(hz, random);
        engine.pprof = Some(sampler);
        Ok(engine)
    }

    fn new(hz: u32, random: Random) -> Self {
        let slots = lock(&POOL).clone();
        let own = std::process::id();
        let is_forked = PROCESS.swap(own, Ordering::Relaxed) != own;
        for slot in &slots {
            // What came after the engine before had read its last is nobody's.
            slot.begin_anew(is_forked);
        }
        let mut engine = Self {
            hz,
            random,
            threads: FxHashMap::default(),
            idle: slots.clone(),
            slots,
            census: Census::new(),
            modules: Known::now(),
            unsampled: FxHashSet::default(),
            refusal: Refusal::default(),
            before: Counts::default(),
            #[cfg(feature = "pprof-engine")]
            pprof: None,
            #[cfg(feature = "pprof-engine")]
            undrained: Vec::new(),
        };
        engine.before = engine.counted();
        engine
    }

    pub(crate) fn modules(&self) -> Arc<[modules::Module]> {
        Arc::clone(&self.modules.list)
    }

    pub(crate) fn hz(&self) -> u32 {
        self.hz
    }

    /// Changes the rate; 0 switches sampling off.
    pub(crate) fn set_hz(&mut self, hz: u32) {
        if hz == self.hz {
            return;
        }
        self.hz = hz;
        #[cfg(feature = "pprof-engine")]
        if let Some(sampler) = &mut self.pprof {
            let undrained = &mut self.undrained;
            sampler.set_hz(hz, |record| {
                undrained.push((record.nanos, record.frames.to_vec()))
            });
            return;
        }
        for (tid, thread) in &mut self.threads {
            thread.timer = None;
            arm(*tid, thread, hz, &mut self.random, &mut self.refusal);
        }
    }

    /// As [`Engine::scan`], if threads or modules may have come by now, an instant of the monotonic
    /// clock.
    pub(crate) fn look(&mut self, now: Duration) {
        let is_gone = |thread: &Thread| !thread.timer.as_ref().is_none_or(Timer::is_alive);
        if self.census.is_due(now) || self.threads.values().any(is_gone) {
            self.scan(now);
        } else {
            self.scan_modules();
        }
    }

    /// Finds new threads and modules, and takes back what dead threads leave. Their last samples
    /// stay in their rings and are drained from there, whoever owns the ring by then.
    pub(crate) fn scan(&mut self, now: Duration) {
        self.scan_modules();
        #[cfg(feature = "pprof-engine")]
        if self.pprof.is_some() {
            return;
        }
        let before = self.census.count();
        let tasks = match std::fs::read_dir("/proc/self/task") {
            Ok(tasks) => tasks,
            Err(error) => {
                return self
                    .refusal
                    .note("can't list threads in /proc/self/task", &error);
            }
        };
        let alive: FxHashSet<libc::pid_t> = tasks
            .flatten()
            .filter_map(|task| task.file_name().to_str()?.parse().ok())
            .collect();
        self.census.listed(now, before, alive.len());
        let idle = &mut self.idle;
        self.threads.retain(|tid, thread| {
            let lives = alive.contains(tid) && thread.timer.as_ref().is_none_or(Timer::is_alive);
            if !lives {
                idle.push(thread.slot);
            }
            lives
        });
        self.unsampled.retain(|tid| alive.contains(tid));
        // A timer may have been refused when the rate was changed (RLIMIT_SIGPENDING).
        for (tid, thread) in &mut self.threads {
            if thread.timer.is_none() {
                arm(*tid, thread, self.hz, &mut self.random, &mut self.refusal);
            }
        }
        for tid in alive {
            if !self.threads.contains_key(&tid) {
                self.adopt(tid);
            }
        }
    }

    fn adopt(&mut self, tid: libc::pid_t) {
        if self.hz == 0 {
            return;
        }
        let slot = if let Some(slot) = self.idle.pop() {
            slot
        } else if let Some(slot) = next_slot() {
            self.slots.push(slot);
            slot
        } else {
            self.refusal.reason = TOO_MANY.into();
            self.unsampled.insert(tid);
            return;
        };
        let mut thread = Thread { slot, timer: None };
        let (random, refusal) = (&mut self.random, &mut self.refusal);
        if arm(tid, &mut thread, self.hz, random, refusal) {
            self.unsampled.remove(&tid);
            self.threads.insert(tid, thread);
        } else {
            self.unsampled.insert(tid);
            self.idle.push(slot);
        }
    }

    fn scan_modules(&mut self) {
        if modules::generation() != self.modules.generation {
            self.modules = Known::now();
        }
    }

    /// Has the next [`Engine::drain`] read all there is, whatever that costs.
    #[cfg(feature = "pprof-engine")]
    pub(crate) fn read_now(&mut self) {
        if let Some(sampler) = &mut self.pprof {
            sampler.read_now();
        }
    }

    /// Reads every sample that was taken since the last call.
    pub(crate) fn drain(&mut self, mut read: impl FnMut(&Record<'_>)) {
        #[cfg(feature = "pprof-engine")]
        if let Some(sampler) = &mut self.pprof {
            for (nanos, frames) in self.undrained.drain(..) {
                read(&Record {
                    nanos,
                    tag: 0,
                    is_cut: false,
                    frames: &frames,
                });
            }
            sampler.drain(&mut read);
        }
        for slot in &self.slots {
            slot.ring.drain(&mut read);
        }
    }

    fn without_timer(&self) -> usize {
        if self.hz == 0 {
            return 0;
        }
        self.threads
            .values()
            .filter(|thread| thread.timer.is_none())
            .count()
    }

    /// Why threads are not sampled; empty where all are.
    pub(crate) fn refusal(&self) -> Arc<str> {
        Arc::clone(&self.refusal.reason)
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.counted();
        let before = &self.before;
        counts.samples -= before.samples;
        counts.ring_full -= before.ring_full;
        counts.cut -= before.cut;
        counts.overruns -= before.overruns;
        counts.handler_nanos -= before.handler_nanos;
        counts.strays -= before.strays;
        counts
    }

    /// As [`Engine::counts`], by all engines that there were.
    fn counted(&self) -> Counts {
        let mut counts = Counts {
            strays: signal::strays(),
            threads: self.threads.len(),
            unsampled_threads: self.unsampled.len() + self.without_timer(),
            slots: self.slots.len(),
            ..Counts::default()
        };
        #[cfg(feature = "pprof-engine")]
        if let Some(sampler) = &self.pprof {
            counts.samples += sampler.samples();
        }
        for slot in &self.slots {
            counts.samples += slot.counts.samples.load(Ordering::Relaxed);
            counts.ring_full += slot.counts.ring_full.load(Ordering::Relaxed);
            counts.cut += slot.counts.cut.load(Ordering::Relaxed);
            counts.overruns += slot.counts.overruns.load(Ordering::Relaxed);
            counts.handler_nanos += slot.counts.handler_nanos.load(Ordering::Relaxed);
        }
        counts
    }
}

/// Arms a thread's timer at a random phase; without one, threads and processes that were started
/// together would be sampled in lockstep.
fn arm(
    tid: libc::pid_t,
    thread: &mut Thread,
    hz: u32,
    random: &mut Random,
    refusal: &mut Refusal,
) -> bool {
    if hz == 0 {
        return true;
    }
    let period = Duration::from_nanos(1_000_000_000 / u64::from(hz));
    let phase = Duration::from_nanos(1 + random.below(period.as_nanos() as u64));
    thread
        .slot
        .period_nanos
        .store(period.as_nanos() as u64, Ordering::Relaxed);
    let armed = Timer::arm(tid, thread.slot.signal_value(), period, phase);
    match &armed {
        // It has ended since it was listed.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        Err(error) => refusal.note("can't make a timer for a thread", error),
        Ok(_) => {}
    }
    thread.timer = armed.ok();
    thread.timer.is_some()
}

/// A slot that no engine had so far; none where there are as many as there may be.
fn next_slot() -> Option<&'static Slot> {
    let mut pool = lock(&POOL);
    (pool.len() < SLOTS).then(|| {
        let slot = Slot::leak(pool.len());
        pool.push(slot);
        slot
    })
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
