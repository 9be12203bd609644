//! The thread that reads samples, cuts windows and serves whoever watches.

mod collect;
mod desk;

pub(crate) use collect::{Asker, COLLECTORS_MAX, Collected, Sort};
pub(crate) use desk::{Command, Desk, nudge};

use crate::Error;
use crate::aggregate::{Aggregate, Filter};
use crate::assemble::{Kind, Taken};
use crate::control::{self, Used};
use crate::cpu::Engine;
use crate::push::{Outbox, Raw};
use crate::{heap, tasks, wall};
use collect::Collector;
use davy_base::{Clock, Timestamp};
use davy_tag::Tag;
use desk::Counts;
use std::sync::Arc;
use std::time::Duration;

/// The first window is short, so that a new process is visible at once.
const FIRST_WINDOW: Duration = Duration::from_secs(2);
/// Windows while somebody watches.
const WATCHED_WINDOW: Duration = Duration::from_secs(1);
/// How often rings are read, at the least, and threads and modules looked for.
const TICK: Duration = Duration::from_millis(200);
/// Samples that a ring is sure to hold; of usual ones it holds ten times as many.
const RING_SAMPLES: u32 = 20;
/// The rate of a profile that is asked for while sampling is off.
const HZ_WHEN_OFF: u32 = 100;

/// Everything the thread works with.
pub(crate) struct Drainer {
    engine: Engine,
    desk: Arc<Desk>,
    outbox: Arc<Outbox>,
    clock: Clock,
    /// Samples a second as they were asked for; a profile that is being taken may raise them.
    hz: u32,
    window: Duration,
    /// Until then windows are short.
    watched_until: Duration,
    /// Whether samples are scaled to exact accounting.
    is_controlled: bool,
    open: Window,
    heap_history: heap::History,
    /// When tasks are next asked where they wait.
    ask_at: Duration,
    collectors: Vec<Collector>,
    lost_nanos: u64,
}

/// The window that is open, and what had been counted when it was begun.
struct Window {
    start: Timestamp,
    begun: Duration,
    cut_at: Duration,
    aggregate: Aggregate,
    used: Used,
    heap: heap::Totals,
    wall: wall::Counted,
    /// Whether it is sampled at all.
    is_sampled: bool,
    /// Nanoseconds between samples; of the last rate where sampling is off.
    period: i64,
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
            open: Window {
                start,
                begun,
                cut_at: begun + to_boundary.min(FIRST_WINDOW),
                aggregate: Aggregate::default(),
                used: Used::now(),
                heap: heap::Totals::now(),
                wall: wall::Counted::now(begun),
                is_sampled: engine.hz() > 0,
                period: period(engine.hz()),
            },
            hz: engine.hz(),
            engine,
            desk,
            outbox,
            clock,
            window,
            watched_until: Duration::ZERO,
            is_controlled,
            heap_history: heap::History::default(),
            ask_at: begun,
            collectors: Vec::new(),
            lost_nanos: 0,
        }
    }

    pub(crate) fn run(mut self) {
        let _guard = Tag::new("profiler", "drain").enter();
        let _closing = desk::open(&self.desk);
        let mut looked = self.clock.monotonic();
        self.engine.scan(looked);
        loop {
            let full = Duration::from_secs(RING_SAMPLES.into()) / self.engine.hz().max(1);
            let tick = TICK.min(full);
            let now = self.clock.monotonic();
            let next = self.collectors.iter().map(|c| c.until).min();
            let next = next.map_or(self.open.cut_at, |next| next.min(self.open.cut_at));
            let wait = tick.min(next.saturating_sub(now));
            let (commands, is_nudged) = self.desk.wait(wait);
            let now = self.clock.monotonic();
            if is_nudged || !commands.is_empty() {
                self.engine.scan(now);
            } else if now >= looked + TICK {
                self.engine.look(now);
                looked = now;
            }
            #[cfg(feature = "pprof-engine")]
            if now >= next || !commands.is_empty() {
                self.engine.read_now();
            }
            self.drain();
            let mut stop = false;
            for command in commands {
                stop |= self.obey(command);
            }
            if let Some(span) = self.outbox.take_watch() {
                self.watch(span);
            }
            let now = self.clock.monotonic();
            self.answer(now);
            if stop || now >= self.open.cut_at {
                self.cut();
            }
            if now >= self.ask_at {
                self.ask_at = now + tasks::ask();
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
            open,
            collectors,
            ..
        } = self;
        engine.drain(|record| {
            let tag = Tag::from_index(record.tag);
            let nanos = i64::try_from(record.nanos).unwrap_or(i64::MAX);
            let values = [nanos, 0, 0, 0];
            let wanted = collectors
                .iter_mut()
                .filter(|c| c.sort == Sort::Cpu && c.filter.keeps(tag))
                .map(|c| &mut c.aggregate);
            for aggregate in std::iter::once(&mut open.aggregate).chain(wanted) {
                aggregate.add(record.frames, record.is_cut, tag, values);
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
                self.hz = hz;
                self.set_rate();
            }
            Command::Watch(span) => self.watch(span),
            Command::Span { reply, .. } if self.waited_for() >= COLLECTORS_MAX => {
                reply(Err(Error::TooManyProfiles(COLLECTORS_MAX)));
            }
            Command::Span {
                sort,
                span,
                hz,
                filter,
                asker,
                reply,
            } => {
                let to = (asker, reply);
                // Who asks for a profile while nobody samples wants one all the same.
                let is_off = sort == Sort::Cpu && self.hz == 0 && hz == 0;
                let hz = if is_off { HZ_WHEN_OFF } else { hz };
                let collector = Collector::begin((sort, span, hz), filter, to, &self.clock);
                self.collectors.push(collector);
                self.set_rate();
            }
            Command::Now {
                sort,
                filter,
                reply,
            } => reply(self.instant(sort, &filter)),
        }
        false
    }

    fn instant(&self, sort: Sort, filter: &Filter) -> Result<Collected, Error> {
        let mut aggregate = Aggregate::default();
        let mut taken = collect::instant(sort, &mut aggregate, filter, &self.clock)?;
        if let Sort::HeapSince(ago) = sort {
            let now = self.clock.monotonic();
            let base = self.heap_history.find(now.saturating_sub(ago));
            let (at, base) = base.ok_or(Error::NoHistory(ago))?;
            taken.span = now.saturating_sub(at);
            aggregate = Aggregate::default();
            let totals = heap::Totals::now();
            heap::add(&mut aggregate, filter, &totals, Some(base), Some(base));
        }
        Ok(Collected {
            aggregate,
            taken,
            modules: self.engine.modules(),
        })
    }

    /// Brings the engine to the highest rate that is wanted.
    fn set_rate(&mut self) {
        let wanted = self.collectors.iter().map(|c| c.hz).max().unwrap_or(0);
        let hz = self.hz.max(wanted);
        // Each sample has its own weight, so a rate that somebody wants for a while leaves the period
        // of the windows as it is.
        let period = match (self.hz, hz) {
            (_, 0) => self.open.period,
            (0, hz) | (hz, _) => period(hz),
        };
        if period != self.open.period || (hz > 0) != self.open.is_sampled {
            // A window says one period, and is sampled or not.
            self.cut();
            (self.open.period, self.open.is_sampled) = (period, hz > 0);
        }
        if hz != self.engine.hz() {
            self.engine.set_hz(hz);
            self.engine.scan(self.clock.monotonic());
        }
    }

    /// Short windows from now on, for a span.
    fn watch(&mut self, span: Duration) {
        let now = self.clock.monotonic();
        self.watched_until = self.watched_until.max(now + span);
        self.open.cut_at = self.open.cut_at.min(now + WATCHED_WINDOW);
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
            let done = self.collectors.swap_remove(at);
            let is_scaled = self.is_controlled && self.open.is_sampled;
            let period = period(self.engine.hz());
            let (reply, ended) = done.end(now, period, is_scaled, &self.clock);
            let modules = self.engine.modules();
            reply(ended.map(|(aggregate, taken)| Collected {
                aggregate,
                taken,
                modules,
            }));
            self.set_rate();
        }
    }

    /// Ends the window that is open and begins the next.
    fn cut(&mut self) {
        let (end, now) = (self.clock.now(), self.clock.monotonic());
        let taken = Taken {
            kind: Kind::Cpu,
            start: self.open.start,
            span: now.saturating_sub(self.open.begun),
            period: self.open.period,
        };
        self.cut_cpu(taken);
        self.cut_heap(taken, now);
        let counted = wall::Counted::now(now);
        let mut aggregate = Aggregate::default();
        wall::add(
            &mut aggregate,
            &self.open.wall,
            &counted,
            &Filter::default(),
        );
        self.open.wall = counted;
        self.push(
            aggregate,
            Taken {
                kind: Kind::Wall,
                period: 1,
                ..taken
            },
        );
        let mut aggregate = Aggregate::default();
        tasks::snapshot(&mut aggregate, &Filter::default());
        self.push(
            aggregate,
            Taken {
                kind: Kind::Tasks,
                period: 1,
                ..taken
            },
        );
        self.open.start = end;
        self.open.begun = now;
        let window = if now < self.watched_until {
            WATCHED_WINDOW.min(self.window)
        } else {
            self.window
        };
        let mut to_boundary = window.saturating_sub(end.since(end.floor(window)));
        // A boundary that is nearly here was this cut's own, met a little early.
        if to_boundary < window / 50 {
            to_boundary += window;
        }
        self.open.cut_at = now + to_boundary;
    }

    fn cut_cpu(&mut self, taken: Taken) {
        let mut aggregate = std::mem::take(&mut self.open.aggregate);
        self.lost_nanos += aggregate.lost.max(0) as u64;
        // A window that no sample met is not pushed; what it used is the next one's.
        if !aggregate.samples.is_empty() || !self.open.is_sampled {
            let used = Used::now();
            if self.is_controlled && self.open.is_sampled {
                control::apply(&mut aggregate, &self.open.used, &used, &Filter::default());
            }
            self.open.used = used;
        }
        self.push(aggregate, taken);
    }

    fn cut_heap(&mut self, taken: Taken, now: Duration) {
        let Ok(state) = heap::state() else {
            return;
        };
        let (totals, mut aggregate) = (heap::Totals::now(), Aggregate::default());
        let since = Some(&self.open.heap);
        heap::add(&mut aggregate, &Filter::default(), &totals, since, None);
        self.push(
            aggregate,
            Taken {
                kind: Kind::Heap,
                period: state.rate_bytes,
                ..taken
            },
        );
        self.heap_history.keep(now, totals.clone());
        self.open.heap = totals;
    }

    fn push(&self, aggregate: Aggregate, taken: Taken) {
        if !aggregate.samples.is_empty() {
            let modules = self.engine.modules();
            self.outbox.add(Raw {
                taken,
                aggregate,
                modules,
            });
        }
    }

    fn count(&self) {
        self.desk.lock().counts = Counts {
            engine: self.engine.counts(),
            refusal: self.engine.refusal(),
            lost_nanos: self.lost_nanos,
            cpu_nanos: crate::clock::thread_cpu_nanos(),
        };
    }
}

fn period(hz: u32) -> i64 {
    1_000_000_000 / i64::from(hz.max(1))
}
