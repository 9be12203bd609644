//! The thread that reads samples, cuts windows and serves whoever watches.

use crate::Error;
use crate::aggregate::{Aggregate, Filter};
use crate::assemble::{Kind, Taken};
use crate::control::{self, Used};
use crate::cpu::Engine;
use crate::heap;
use crate::modules::Module;
use crate::push::{Outbox, Raw};
use davy_base::{Clock, Timestamp};
use davy_tag::Tag;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Profiles that may be taken at once, beside the windows.
pub(crate) const COLLECTORS_MAX: usize = 16;
/// The first window is short, so that a new process is visible at once.
const FIRST_WINDOW: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(100);
/// Rings hold some 200 usual samples, and not less than 20.
const TICK_ABOVE_250_HZ: Duration = Duration::from_millis(25);

/// A profile that was taken beside the windows.
pub(crate) struct Collected {
    pub(crate) aggregate: Aggregate,
    pub(crate) taken: Taken,
    pub(crate) modules: Arc<[Module]>,
}

/// Whoever waits for a profile holds the other end; once nobody does, its place is free.
pub(crate) type Asker = Weak<()>;

type Reply = Box<dyn FnOnce(Result<Collected, Error>) + Send>;

/// What the drainer is asked for.
pub(crate) enum Command {
    SetHz(u32),
    /// CPU samples from now on for a span.
    Cpu {
        span: Duration,
        filter: Filter,
        asker: Asker,
        reply: Reply,
    },
    /// The heap as it is.
    Heap {
        filter: Filter,
        reply: Reply,
    },
    Stop,
}

/// Commands on their way to the drainer, and its counts on their way back.
#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<DeskState>,
    changed: Condvar,
}

#[derive(Default)]
struct DeskState {
    commands: Vec<Command>,
    /// A new thread said that it is there.
    is_nudged: bool,
    is_closed: bool,
    counts: Counts,
}

/// What the drainer counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) engine: crate::cpu::Counts,
    pub(crate) lost_nanos: u64,
    pub(crate) cpu_nanos: u64,
}

/// The desk of the profiler that runs, if one does.
static OPEN: Mutex<Option<Arc<Desk>>> = Mutex::new(None);

/// Has the drainer look for new threads now rather than at its next tick.
pub(crate) fn nudge() {
    if let Some(desk) = &*OPEN.lock().unwrap_or_else(PoisonError::into_inner) {
        desk.lock().is_nudged = true;
        desk.changed.notify_all();
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the drainer; after its end the answer is that it was stopped.
    pub(crate) fn ask(&self, command: Command) -> Result<(), Error> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Error::Stopped);
        }
        state.commands.push(command);
        self.changed.notify_all();
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Waits for commands or new threads; answers the commands, and whether there are threads.
    fn wait(&self, span: Duration) -> (Vec<Command>, bool) {
        let mut state = self.lock();
        if state.commands.is_empty() && !state.is_nudged {
            let waited = self.changed.wait_timeout(state, span);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let state = &mut *state;
        (
            std::mem::take(&mut state.commands),
            std::mem::take(&mut state.is_nudged),
        )
    }
}

struct Collector {
    filter: Filter,
    aggregate: Aggregate,
    start: Timestamp,
    begun: Duration,
    until: Duration,
    used: Option<Used>,
    asker: Asker,
    reply: Reply,
}

/// Everything the thread works with.
pub(crate) struct Drainer {
    engine: Engine,
    desk: Arc<Desk>,
    outbox: Arc<Outbox>,
    clock: Clock,
    window: Duration,
    /// Whether samples are scaled to exact accounting.
    is_controlled: bool,
    /// Whether the window that is open is sampled at all.
    is_sampled: bool,
    /// What had been used when the window was begun.
    used: Used,
    aggregate: Aggregate,
    heap_totals: heap::Totals,
    start: Timestamp,
    begun: Duration,
    cut_at: Duration,
    /// Nanoseconds between samples; of the last rate where sampling is off.
    period: i64,
    collectors: Vec<Collector>,
    lost_nanos: u64,
}

impl Drainer {
    pub(crate) fn new(
        engine: Engine,
        desk: Arc<Desk>,
        outbox: Arc<Outbox>,
        clock: Clock,
        window: Duration,
        is_controlled: bool,
    ) -> Self {
        let (start, begun) = (clock.now(), clock.monotonic());
        let to_boundary = window.saturating_sub(start.since(start.floor(window)));
        Self {
            period: period(engine.hz()),
            is_sampled: engine.hz() > 0,
            engine,
            desk,
            outbox,
            window,
            is_controlled,
            used: Used::now(),
            aggregate: Aggregate::default(),
            heap_totals: heap::Totals::now(),
            start,
            begun,
            cut_at: begun + to_boundary.min(FIRST_WINDOW),
            clock,
            collectors: Vec::new(),
            lost_nanos: 0,
        }
    }

    pub(crate) fn run(mut self) {
        let _guard = Tag::new("profiler", "drain").enter();
        // A closed desk answers everybody, even if this thread ends by a panic.
        let _closing = Closing(Arc::clone(&self.desk));
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&self.desk));
        self.engine.scan();
        let mut scanned = self.clock.monotonic();
        loop {
            let tick = if self.engine.hz() > 250 {
                TICK_ABOVE_250_HZ
            } else {
                TICK
            };
            let now = self.clock.monotonic();
            let next = self.collectors.iter().map(|c| c.until).min();
            let next = next.map_or(self.cut_at, |next| next.min(self.cut_at));
            let wait = tick.min(next.saturating_sub(now));
            let (commands, is_nudged) = self.desk.wait(wait);
            // Listing the threads costs more than draining them.
            let now = self.clock.monotonic();
            if is_nudged || !commands.is_empty() || now >= scanned + TICK {
                self.engine.scan();
                scanned = now;
            }
            self.drain();
            let mut stop = false;
            for command in commands {
                stop |= self.obey(command);
            }
            let now = self.clock.monotonic();
            self.answer(now);
            if stop || now >= self.cut_at {
                self.cut();
            }
            self.count();
            if stop {
                return;
            }
        }
    }

    fn drain(&mut self) {
        let Self {
            engine,
            aggregate,
            collectors,
            ..
        } = self;
        engine.drain(|record| {
            let tag = Tag::from_index(record.tag);
            let nanos = i64::try_from(record.nanos).unwrap_or(i64::MAX);
            let values = [nanos, 0, 0, 0];
            aggregate.add(record.frames, record.is_cut, tag, values);
            for collector in collectors.iter_mut().filter(|c| c.filter.keeps(tag)) {
                collector
                    .aggregate
                    .add(record.frames, record.is_cut, tag, values);
            }
        });
    }

    /// Answers whether it was the command to stop.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Stop => {
                self.engine.set_hz(0);
                self.drain();
                return true;
            }
            Command::SetHz(hz) => {
                // A window has one period, so a new rate begins a new window.
                self.cut();
                self.engine.set_hz(hz);
                self.engine.scan();
                self.is_sampled = hz > 0;
                if hz > 0 {
                    self.period = period(hz);
                }
            }
            Command::Cpu { reply, .. } if self.waited_for() >= COLLECTORS_MAX => {
                reply(Err(Error::TooManyProfiles(COLLECTORS_MAX)));
            }
            Command::Cpu {
                span,
                filter,
                asker,
                reply,
            } => {
                let begun = self.clock.monotonic();
                self.collectors.push(Collector {
                    filter,
                    aggregate: Aggregate::default(),
                    start: self.clock.now(),
                    begun,
                    until: begun + span,
                    used: self.is_controlled.then(Used::now),
                    asker,
                    reply,
                });
            }
            Command::Heap { filter, reply } => {
                reply(match heap::state() {
                    Ok(state) => {
                        let mut aggregate = Aggregate::default();
                        heap::snapshot(&mut aggregate, &filter, None);
                        Ok(Collected {
                            aggregate,
                            taken: Taken {
                                kind: Kind::Heap,
                                start: self.clock.now(),
                                span: Duration::ZERO,
                                period: state.rate_bytes,
                            },
                            modules: self.engine.modules(),
                        })
                    }
                    Err(reason) => Err(Error::HeapOff(reason)),
                });
            }
        }
        false
    }

    /// How many profiles somebody waits for; those that nobody does are given up.
    fn waited_for(&mut self) -> usize {
        self.collectors
            .retain(|collector| collector.asker.strong_count() > 0);
        self.collectors.len()
    }

    fn answer(&mut self, now: Duration) {
        let mut at = 0;
        while at < self.collectors.len() {
            if self.collectors[at].until > now {
                at += 1;
                continue;
            }
            let mut done = self.collectors.swap_remove(at);
            if let Some(used) = &done.used
                && self.is_sampled
            {
                control::apply(&mut done.aggregate, used, &Used::now(), &done.filter);
            }
            let taken = Taken {
                kind: Kind::Cpu,
                start: done.start,
                span: now.saturating_sub(done.begun),
                period: self.period,
            };
            (done.reply)(Ok(Collected {
                aggregate: done.aggregate,
                taken,
                modules: self.engine.modules(),
            }));
        }
    }

    /// Ends the window that is open and begins the next.
    fn cut(&mut self) {
        let (end, now) = (self.clock.now(), self.clock.monotonic());
        let span = now.saturating_sub(self.begun);
        let mut aggregate = std::mem::take(&mut self.aggregate);
        self.lost_nanos += aggregate.lost.max(0) as u64;
        let taken = Taken {
            kind: Kind::Cpu,
            start: self.start,
            span,
            period: self.period,
        };
        // A window that no sample met is not pushed; what it used is the next one's.
        if !aggregate.samples.is_empty() || !self.is_sampled {
            let used = Used::now();
            if self.is_controlled && self.is_sampled {
                control::apply(&mut aggregate, &self.used, &used, &Filter::default());
            }
            self.used = used;
        }
        if !aggregate.samples.is_empty() {
            let modules = self.engine.modules();
            self.outbox.add(Raw {
                taken,
                aggregate,
                modules,
            });
        }
        if let Ok(state) = heap::state() {
            let mut aggregate = Aggregate::default();
            heap::snapshot(
                &mut aggregate,
                &Filter::default(),
                Some(&mut self.heap_totals),
            );
            let taken = Taken {
                kind: Kind::Heap,
                period: state.rate_bytes,
                ..taken
            };
            if !aggregate.samples.is_empty() {
                let modules = self.engine.modules();
                self.outbox.add(Raw {
                    taken,
                    aggregate,
                    modules,
                });
            }
        }
        self.start = end;
        self.begun = now;
        let past = self.start.since(self.start.floor(self.window));
        let mut to_boundary = self.window.saturating_sub(past);
        // A boundary that is nearly here was this cut's own, met a little early.
        if to_boundary < self.window / 50 {
            to_boundary += self.window;
        }
        self.cut_at = now + to_boundary;
    }

    fn count(&self) {
        self.desk.lock().counts = Counts {
            engine: self.engine.counts(),
            lost_nanos: self.lost_nanos,
            cpu_nanos: crate::clock::thread_cpu_nanos(),
        };
    }
}

fn period(hz: u32) -> i64 {
    1_000_000_000 / i64::from(hz.max(1))
}

struct Closing(Arc<Desk>);

impl Drop for Closing {
    fn drop(&mut self) {
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut state = self.0.lock();
        state.is_closed = true;
        // Their senders learn from the dropped replies.
        state.commands.clear();
    }
}
