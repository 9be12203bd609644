//! The built-in sampler: a timer for every thread, and buffers that the signal handler fills.

mod buffer;
mod kernel_event;
mod kernel_ring;
mod probe;
mod refusal;
mod ring;
mod signal;
mod thread_watch;
mod timer;
mod timer_value;

pub use probe::Probe;

use crate::modules::{self, Module};
use crate::sampler::{Counts, Sample, Sampler};
use crate::{Error, kernel_symbols, loader, unwind};
use davy_base::Random;
use kernel_event::KernelEvent;
use refusal::Refusal;
use rustc_hash::{FxHashMap, FxHashSet};
use signal::Holder;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thread_watch::{TIMERS_PER_CHECK, ThreadWatch};
use timer::Timer;
use timer_value::TimerValue;

/// Maximum number of module lists per process. Each list that is replaced is leaked, because a signal
/// handler may still be reading its unwind tables.
const MODULE_LISTS_MAX: usize = 256;

/// Period of the timer of a thread that has a perf event. Only its first tick is used; while the timer is armed, it shows
/// whether the thread is alive.
const EVENT_TIMER_PERIOD: Duration = Duration::from_hours(1);

/// A list of modules whose unwind tables are in use.
#[derive(Clone)]
struct ModuleList {
    generation: u64,
    /// How many lists this process has made, this one included.
    lists: usize,
    list: Arc<[Module]>,
}

impl ModuleList {
    /// The current list, newly made only if a module was loaded or unloaded since the last one.
    fn current() -> Self {
        let mut last = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        // Read first, so that a library loaded during the listing is found by the next call.
        let generation = loader::generation();
        let lists = match &*last {
            Some(last) if last.generation == generation || last.lists >= MODULE_LISTS_MAX => {
                return last.clone();
            }
            before => before.as_ref().map_or(0, |before| before.lists),
        };
        let list = loader::list();
        unwind::publish(&list);
        let new = Self {
            generation,
            lists: lists + 1,
            list: list.into(),
        };
        last.insert(new).clone()
    }
}

/// The last list. It outlives a sampler.
static MODULES: Mutex<Option<ModuleList>> = Mutex::new(None);

/// The process that the last sampler ran in.
static PROCESS: AtomicU32 = AtomicU32::new(0);

struct TimerSampler {
    hz: u32,
    random: Random,
    threads: FxHashMap<libc::pid_t, Thread>,
    /// Spreads threads over the buffers.
    next_buffer: usize,
    watch: ThreadWatch,
    /// How many of the threads were looked at since the last round.
    checked: usize,
    modules: ModuleList,
    /// Threads that could not be given a timer, and so are missing from the profile.
    unsampled: FxHashSet<libc::pid_t>,
    refusal: Refusal,
    /// Whether the kernel's part of stacks is recorded where that is possible.
    has_kernel_stacks: bool,
    kernel_refusal: Refusal,
    /// Whether the program has installed its own SIGPROF handler. There are no timers meanwhile: their
    /// signals would go to that handler.
    is_displaced: bool,
    /// The counters when this sampler was started; buffers count on from earlier samplers.
    base: Counts,
}

/// A thread that is known; without a timer while it cannot be sampled.
#[derive(Default)]
struct Thread {
    timer: Option<Timer>,
    /// Takes over from the timer after its first tick.
    event: Option<KernelEvent>,
}

impl Thread {
    fn has_ended(&self) -> bool {
        !self.timer.as_ref().is_none_or(Timer::is_alive)
    }
}

/// Installs the SIGPROF handler and reads the unwind tables; samples nothing before [`Sampler::scan`].
pub(crate) fn start(
    hz: u32,
    has_kernel_stacks: bool,
    random: Random,
) -> Result<Box<dyn Sampler>, Error> {
    signal::install()?;
    let process = std::process::id();
    let is_forked = PROCESS.swap(process, Ordering::Relaxed) != process;
    // Samples recorded after the previous sampler's final drain are discarded.
    for buffer in buffer::all() {
        buffer.reset(is_forked);
    }
    if is_forked {
        kernel_event::forget_all();
    }
    let mut sampler = TimerSampler {
        hz,
        random,
        threads: FxHashMap::default(),
        next_buffer: 0,
        watch: ThreadWatch::new(),
        checked: 0,
        modules: ModuleList::current(),
        unsampled: FxHashSet::default(),
        refusal: Refusal::new("threads are missing from the CPU profile"),
        has_kernel_stacks,
        kernel_refusal: Refusal::new("stacks of the kernel are not recorded"),
        is_displaced: false,
        base: Counts::default(),
    };
    if has_kernel_stacks && let Err(reason) = kernel_symbols::check() {
        sampler.has_kernel_stacks = false;
        sampler.kernel_refusal.set(reason);
    }
    sampler.base = sampler.totals();
    Ok(Box::new(sampler))
}

impl TimerSampler {
    fn adopt(&mut self, tid: libc::pid_t) {
        if self.hz == 0 {
            return;
        }
        if self.is_displaced {
            self.unsampled.insert(tid);
            return;
        }
        let mut thread = Thread::default();
        if self.arm(tid, &mut thread) {
            self.unsampled.remove(&tid);
            self.threads.insert(tid, thread);
        } else {
            self.unsampled.insert(tid);
        }
    }

    /// Stops sampling if the program has installed its own SIGPROF handler, and resumes once that handler
    /// is gone: restored to ours, or removed so that ours can be installed again.
    fn check_signal(&mut self) {
        let program = match signal::holder() {
            Ok(Holder::Program(handler)) => Some(handler),
            Ok(Holder::Free) if signal::install().is_err() => return,
            Ok(Holder::Free | Holder::Own) => None,
            Err(_) => return,
        };
        match program {
            Some(handler) if !self.is_displaced => {
                self.is_displaced = true;
                self.disarm();
                let file = match modules::containing(&self.modules.list, handler) {
                    Some(module) => self.modules.list[module].name.as_str(),
                    None => "code outside of any file",
                };
                self.refusal.set(format!(
                    "{file} replaced the profiler's SIGPROF handler; CPU sampling resumes when \
                     that handler is removed"
                ));
            }
            None if self.is_displaced => {
                self.is_displaced = false;
                self.refusal.clear();
                tracing::info!("CPU sampling resumed: SIGPROF is free again");
                self.arm_missing();
                for tid in std::mem::take(&mut self.unsampled) {
                    self.adopt(tid);
                }
            }
            _ => {}
        }
    }

    /// Deletes the timers of all threads.
    fn disarm(&mut self) {
        for thread in self.threads.values_mut() {
            *thread = Thread::default();
        }
    }

    /// Arms the timers of threads that have none.
    fn arm_missing(&mut self) {
        if self.is_displaced {
            return;
        }
        let mut threads = std::mem::take(&mut self.threads);
        for (tid, thread) in &mut threads {
            if thread.timer.is_none() {
                self.arm(*tid, thread);
            }
        }
        self.threads = threads;
    }

    /// Arms a thread's timer at a random phase; otherwise threads and processes that were started together
    /// would be sampled in lockstep.
    fn arm(&mut self, tid: libc::pid_t, thread: &mut Thread) -> bool {
        if self.hz == 0 {
            return true;
        }
        let period = Duration::from_nanos(1_000_000_000 / u64::from(self.hz));
        let phase = 1 + self.random.below(period.as_nanos() as u64);
        let buffers = buffer::make_for(self.threads.len() + 1);
        self.next_buffer = (self.next_buffer + 1) % buffers;
        let phase = Duration::from_nanos(phase);
        thread.event = self.open_event(tid, period);
        let armed = if let Some(event) = &thread.event {
            // The timer fires late, so its tick stands for the periods since `begin`: on average, for the time that
            // has passed. The first period ends at the timer's phase at the earliest.
            let late = self.random.below(period.as_nanos() as u64) as i64;
            let due = (timer::cpu_time(tid) + phase).as_nanos() as i64;
            event.begin_at(due - period.as_nanos() as i64 - late);
            let value = timer_value::event_to_signal(event.number());
            Timer::arm(tid, value, EVENT_TIMER_PERIOD, phase)
        } else {
            let value = TimerValue::new(period, self.next_buffer);
            Timer::arm(tid, value.to_signal(), period, phase)
        };
        match &armed {
            // The thread has ended since it was listed.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => self
                .refusal
                .note("cannot create a timer for a thread by timer_create", error),
            Ok(_) => {}
        }
        thread.timer = armed.ok();
        thread.timer.is_some()
    }

    /// The perf event of a thread; none if kernel stacks are not wanted or not possible.
    fn open_event(&mut self, tid: libc::pid_t, period: Duration) -> Option<KernelEvent> {
        if !self.has_kernel_stacks {
            return None;
        }
        let opened = KernelEvent::open(tid, period, self.next_buffer);
        match &opened {
            // The thread has ended since it was listed.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => self.kernel_refusal.note(
                "cannot open a perf event for a thread by perf_event_open",
                error,
            ),
            Ok(_) => {}
        }
        opened.ok()
    }

    /// Whether one of the threads that are due in this check has ended.
    fn has_thread_ended(&mut self) -> bool {
        if self.checked >= self.threads.len() {
            self.checked = 0;
        }
        let mut due = self
            .threads
            .values()
            .skip(self.checked)
            .take(TIMERS_PER_CHECK);
        self.checked += TIMERS_PER_CHECK;
        due.any(Thread::has_ended)
    }

    fn scan_modules(&mut self) {
        if loader::generation() != self.modules.generation {
            self.modules = ModuleList::current();
        }
    }

    fn threads_without_timer(&self) -> usize {
        if self.hz == 0 {
            return 0;
        }
        self.threads
            .values()
            .filter(|thread| thread.timer.is_none())
            .count()
    }

    /// The counters of all samplers that this process has had.
    fn totals(&self) -> Counts {
        let without_timer = self.threads_without_timer();
        let mut counts = Counts {
            foreign_signals: signal::foreign(),
            threads: self.threads.len() - without_timer,
            unsampled_threads: self.unsampled.len() + without_timer,
            ring_full: buffer::dropped(),
            rings: buffer::all().count(),
            ..Counts::default()
        };
        for buffer in buffer::all() {
            let of = &buffer.counts;
            counts.samples += of.samples.load(Ordering::Relaxed);
            counts.truncated += of.truncated.load(Ordering::Relaxed);
            counts.overruns += of.overruns.load(Ordering::Relaxed);
            counts.handler_nanos += of.handler_nanos.load(Ordering::Relaxed);
        }
        counts
    }
}

impl Sampler for TimerSampler {
    fn has_tags(&self) -> bool {
        true
    }

    fn hz(&self) -> u32 {
        self.hz
    }

    fn is_displaced(&self) -> bool {
        self.is_displaced
    }

    fn set_hz(&mut self, hz: u32) {
        if hz == self.hz {
            return;
        }
        self.hz = hz;
        self.disarm();
        self.arm_missing();
    }

    fn add_thread(&mut self, tid: i32) {
        if self.threads.get(&tid).is_some_and(Thread::has_ended) {
            self.threads.remove(&tid);
        }
        if !self.threads.contains_key(&tid) {
            self.adopt(tid);
        }
    }

    fn scan_if_changed(&mut self, now: Duration) {
        if self.watch.is_listing_due(now) || self.has_thread_ended() {
            self.scan(now);
        } else {
            self.scan_modules();
            self.check_signal();
        }
    }

    /// Also deletes the timers of threads that have ended. Their last samples stay in the buffers.
    fn scan(&mut self, now: Duration) {
        self.scan_modules();
        self.check_signal();
        let before = self.watch.count();
        let tasks = match std::fs::read_dir("/proc/self/task") {
            Ok(tasks) => tasks,
            Err(error) => {
                return self
                    .refusal
                    .note("cannot list threads in /proc/self/task", &error);
            }
        };
        let alive: FxHashSet<libc::pid_t> = tasks
            .flatten()
            .filter_map(|task| task.file_name().to_str()?.parse().ok())
            .collect();
        self.watch.listed(now, before, alive.len());
        self.threads
            .retain(|tid, thread| alive.contains(tid) && !thread.has_ended());
        self.unsampled.retain(|tid| alive.contains(tid));
        // A timer may have been refused when the rate was changed (RLIMIT_SIGPENDING).
        self.arm_missing();
        for tid in alive {
            if !self.threads.contains_key(&tid) {
                self.adopt(tid);
            }
        }
    }

    fn drain(&mut self, read: &mut dyn FnMut(&Sample<'_>)) {
        for buffer in buffer::all() {
            buffer.ring.drain(&mut *read);
        }
    }

    fn modules(&self) -> Arc<[Module]> {
        Arc::clone(&self.modules.list)
    }

    fn refusal(&self) -> Arc<str> {
        self.refusal.reason()
    }

    fn kernel_refusal(&self) -> Arc<str> {
        self.kernel_refusal.reason()
    }

    fn counts(&self) -> Counts {
        let mut counts = self.totals();
        let base = &self.base;
        counts.samples -= base.samples;
        counts.ring_full -= base.ring_full;
        counts.truncated -= base.truncated;
        counts.overruns -= base.overruns;
        counts.handler_nanos -= base.handler_nanos;
        counts.foreign_signals -= base.foreign_signals;
        counts
    }
}
