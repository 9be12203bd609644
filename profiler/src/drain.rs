//! The thread that reads samples, ends windows and collects requested profiles.

mod collect;
mod idle;
mod mailbox;

pub(crate) use collect::{COLLECTORS_MAX, Collected, ProfileSource, Waiter};
pub(crate) use mailbox::{Command, Mailbox};

use crate::Error;
use crate::aggregate::{Aggregate, Filter};
use crate::push::{Outbox, RawWindow};
use crate::requests::Requests;
use crate::sample_kind::{ProfileMeta, SampleKind};
use crate::sampler::Sampler;
use crate::scaling::{self, Carry, CpuReading};
use crate::wall::WallReading;
use crate::{heap, tasks, wall};
use collect::Collector;
use davy_base::{Clock, Timestamp};
use davy_tag::Tag;
use idle::IdleBoost;
use mailbox::Counts;
use std::sync::Arc;
use std::time::Duration;

/// The longest that the first windows last, so that a new process and its first requests are visible quickly.
const FIRST_WINDOWS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(5)];
/// Length of windows while short ones are requested, for a live view.
const WATCHED_WINDOW: Duration = Duration::from_secs(1);
/// Minimum frequency of reading the rings and of looking for new threads and modules.
const TICK: Duration = Duration::from_millis(200);
/// Minimum time between two turns that only add threads which have registered.
const REGISTER_EVERY: Duration = Duration::from_millis(20);
/// Samples of maximum depth that a ring holds. Of usual ones it holds ten times as many.
const RING_SAMPLES: u32 = 20;
/// The rate of a profile that is requested while sampling is off.
const HZ_WHEN_OFF: u32 = 100;

/// The state of the drainer's thread. Instants are of the monotonic clock.
pub(crate) struct Drainer {
    sampler: Box<dyn Sampler>,
    mailbox: Arc<Mailbox>,
    outbox: Arc<Outbox>,
    clock: Clock,
    /// The configured rate. The sampler's may be higher while a profile is collected.
    hz: u32,
    window: Duration,
    /// How many windows have ended.
    ended: usize,
    /// Windows are short until then.
    watched_until: Duration,
    /// Whether samples are scaled to exact accounting.
    is_scaled: bool,
    open: OpenWindow,
    /// CPU time of tags that waits for their next sample.
    carry: Carry,
    idle: IdleBoost,
    heap_history: heap::History,
    requests: Requests,
    /// When the sampler last looked for threads and modules.
    scanned_at: Duration,
    /// When tasks are next asked to note where they wait.
    ask_tasks_at: Duration,
    collectors: Vec<Collector>,
    lost_nanos: u64,
}

/// The window that is open, and readings at its start.
struct OpenWindow {
    start: Timestamp,
    begun: Duration,
    ends_at: Duration,
    aggregate: Aggregate,
    cpu: CpuReading,
    heap: heap::Totals,
    wall: WallReading,
    is_sampled: bool,
    /// Nanoseconds between samples; if sampling is off, those of the last rate.
    period: i64,
}

impl Drainer {
    pub(crate) fn new(
        sampler: Box<dyn Sampler>,
        mailbox: Arc<Mailbox>,
        outbox: Arc<Outbox>,
        clock: Clock,
        window: Duration,
        is_scaled: bool,
    ) -> Self {
        let (start, begun) = (clock.now(), clock.monotonic());
        let to_boundary = window.saturating_sub(start.since(start.floor(window)));
        let hz = sampler.hz();
        Self {
            open: OpenWindow {
                start,
                begun,
                ends_at: begun + to_boundary.min(FIRST_WINDOWS[0]),
                aggregate: Aggregate::default(),
                cpu: CpuReading::now(),
                heap: heap::Totals::now(),
                wall: WallReading::now(begun),
                is_sampled: hz > 0,
                period: period(hz),
            },
            hz,
            carry: Carry::default(),
            idle: IdleBoost::new(begun),
            // Samples without tags cannot be scaled by tag.
            is_scaled: is_scaled && sampler.has_tags(),
            sampler,
            mailbox,
            outbox,
            clock,
            window,
            ended: 0,
            watched_until: Duration::ZERO,
            heap_history: heap::History::default(),
            requests: Requests::default(),
            scanned_at: begun,
            ask_tasks_at: begun,
            collectors: Vec::new(),
            lost_nanos: 0,
        }
    }

    pub(crate) fn run(mut self) {
        let _guard = Tag::new("profiler", "drain").enter();
        let _open = mailbox::open(&self.mailbox);
        self.sampler.scan(self.clock.monotonic());
        let (mut threads, mut registered) = (Vec::new(), false);
        loop {
            let ring_full = Duration::from_secs(RING_SAMPLES.into()) / self.rate().max(1);
            let tick = TICK.min(ring_full);
            let next = self.next_deadline();
            let mut wait = tick.min(next.saturating_sub(self.clock.monotonic()));
            if registered {
                wait = wait.min(REGISTER_EVERY);
            }
            let commands = self.mailbox.wait(wait, !registered, &mut threads);
            registered = !threads.is_empty();
            for thread in threads.drain(..) {
                self.sampler.add_thread(thread);
            }
            if self.turn(commands) {
                return;
            }
        }
    }

    /// When the next collector or window ends.
    fn next_deadline(&self) -> Duration {
        let next = self.collectors.iter().map(|c| c.until).min();
        next.map_or(self.open.ends_at, |next| next.min(self.open.ends_at))
    }

    /// Does everything that is due, and executes commands. Returns whether the drainer must stop.
    fn turn(&mut self, commands: Vec<Command>) -> bool {
        let now = self.clock.monotonic();
        if !commands.is_empty() {
            self.sampler.scan(now);
        } else if now >= self.scanned_at + TICK {
            self.sampler.scan_if_changed(now);
            self.scanned_at = now;
        }
        if now >= self.next_deadline() || !commands.is_empty() {
            self.sampler.flush();
        }
        self.drain();
        heap::settle();
        self.follow_displacement();
        let mut stop = false;
        for command in commands {
            stop |= self.execute(command);
        }
        if let Some(span) = self.outbox.take_watch() {
            self.watch(span);
        }
        let now = self.clock.monotonic();
        self.finish_collectors(now);
        if stop {
            self.carry.give_up();
        }
        if stop || now >= self.open.ends_at {
            self.end_window();
        }
        if self.idle.update(now) {
            self.update_rate();
        }
        if now >= self.ask_tasks_at {
            self.ask_tasks_at = now + tasks::ask();
        }
        self.publish_counts();
        stop
    }

    /// Whether samples are taken at a rate.
    fn is_sampled_at(&self, hz: u32) -> bool {
        hz > 0 && !self.sampler.is_displaced()
    }

    /// Ends the window if the program took the sampler's signal, or gave it back: a window is sampled as a
    /// whole or not at all.
    fn follow_displacement(&mut self) {
        let is_sampled = self.is_sampled_at(self.sampler.hz());
        if is_sampled != self.open.is_sampled {
            self.end_window();
            self.open.is_sampled = is_sampled;
        }
    }

    fn drain(&mut self) {
        let Self {
            sampler,
            open,
            collectors,
            ..
        } = self;
        sampler.drain(&mut |sample| {
            let collecting = collectors
                .iter_mut()
                .filter(|c| c.source == ProfileSource::Cpu)
                .map(|c| (&mut c.aggregate, &c.filter));
            let window = (&mut open.aggregate, &Filter::default());
            for (aggregate, filter) in std::iter::once(window).chain(collecting) {
                aggregate.add_sample(sample, filter);
            }
        });
    }

    /// Executes a command. Returns whether the drainer must stop.
    fn execute(&mut self, command: Command) -> bool {
        match command {
            Command::Stop => {
                self.sampler.set_hz(0);
                self.drain();
                return true;
            }
            Command::SetHz(hz) => {
                self.hz = hz;
                self.update_rate();
            }
            Command::Watch(span) => self.watch(span),
            Command::CountRequests(source) => self.requests.set_source(source),
            Command::CollectSpan { reply, .. } if self.live_collectors() >= COLLECTORS_MAX => {
                reply(Err(Error::TooManyProfiles(COLLECTORS_MAX)));
            }
            Command::CollectSpan { source, reply, .. }
                if source == ProfileSource::Cpu && self.sampler.is_displaced() =>
            {
                reply(Err(Error::SignalTaken));
            }
            Command::CollectSpan {
                source,
                span,
                hz,
                filter,
                waiter,
                reply,
            } => {
                let to = (waiter, reply);
                // A profile that is requested while sampling is off is sampled nevertheless.
                let is_off = source == ProfileSource::Cpu && self.hz == 0 && hz == 0;
                let hz = if is_off { HZ_WHEN_OFF } else { hz };
                let collector = Collector::begin((source, span, hz), filter, to, &self.clock);
                self.collectors.push(collector);
                self.update_rate();
            }
            Command::CollectNow {
                source,
                filter,
                reply,
            } => reply(self.instant(source, &filter)),
        }
        false
    }

    fn instant(&self, source: ProfileSource, filter: &Filter) -> Result<Collected, Error> {
        let mut aggregate = Aggregate::default();
        let mut meta = collect::instant(source, &mut aggregate, filter, &self.clock)?;
        if let ProfileSource::HeapSince(ago) = source {
            let now = self.clock.monotonic();
            let base = self.heap_history.find(now.saturating_sub(ago));
            let (at, base) = base.ok_or(Error::NoHistory(ago))?;
            meta.span = now.saturating_sub(at);
            aggregate = Aggregate::default();
            let totals = heap::Totals::now();
            heap::add(&mut aggregate, filter, &totals, Some(base), Some(base));
        }
        Ok(Collected {
            aggregate,
            meta,
            modules: self.sampler.modules(),
        })
    }

    /// The highest rate that is requested.
    fn rate(&self) -> u32 {
        let requested = self.collectors.iter().map(|c| c.hz).max().unwrap_or(0);
        self.hz.max(requested)
    }

    /// Sets the sampler to the rate that is needed.
    fn update_rate(&mut self) {
        let hz = self.rate();
        // Each sample has its own weight, so a temporarily higher rate does not change the period of the
        // windows.
        let period = match (self.hz, hz) {
            (_, 0) => self.open.period,
            (0, hz) | (hz, _) => period(hz),
        };
        let is_sampled = self.is_sampled_at(hz);
        if period != self.open.period || is_sampled != self.open.is_sampled {
            // A window has one period, and is sampled as a whole or not at all.
            self.end_window();
            (self.open.period, self.open.is_sampled) = (period, is_sampled);
        }
        let hz = self.idle.rate(hz);
        if hz != self.sampler.hz() {
            self.sampler.set_hz(hz);
            self.sampler.scan(self.clock.monotonic());
        }
    }

    /// Makes windows short from now on, for a span.
    fn watch(&mut self, span: Duration) {
        let now = self.clock.monotonic();
        self.watched_until = self.watched_until.max(now + span);
        self.open.ends_at = self.open.ends_at.min(now + WATCHED_WINDOW);
    }

    /// Removes the collectors whose requester is gone, and returns the number of the rest.
    fn live_collectors(&mut self) -> usize {
        self.collectors
            .retain(|collector| collector.waiter.strong_count() > 0);
        self.collectors.len()
    }

    /// Replies to the collectors whose span has ended.
    fn finish_collectors(&mut self, now: Duration) {
        let mut at = 0;
        while at < self.collectors.len() {
            if self.collectors[at].until > now {
                at += 1;
                continue;
            }
            let done = self.collectors.swap_remove(at);
            let is_scaled = self.is_scaled && self.open.is_sampled;
            let period = period(self.rate().max(done.hz));
            let (reply, ended) = done.end(now, period, is_scaled, &self.clock);
            let modules = self.sampler.modules();
            reply(ended.map(|(aggregate, meta)| Collected {
                aggregate,
                meta,
                modules,
            }));
            self.update_rate();
        }
    }

    /// Ends the open window and starts the next one.
    fn end_window(&mut self) {
        let (end, now) = (self.clock.now(), self.clock.monotonic());
        let meta = |kind, period| ProfileMeta {
            kind,
            start: self.open.start,
            span: now.saturating_sub(self.open.begun),
            period,
        };
        let cpu = meta(SampleKind::Cpu, self.open.period);
        let (wall, tasks) = (meta(SampleKind::Wall, 1), meta(SampleKind::Tasks, 1));
        let requests = meta(SampleKind::Requests, 1);
        let mut windows = Vec::with_capacity(5);
        let aggregate = self.end_cpu();
        self.end(&mut windows, aggregate, cpu);
        if let Ok(rate_bytes) = heap::rate_bytes() {
            let (kind, period) = (SampleKind::Heap, rate_bytes);
            let heap = ProfileMeta {
                kind,
                period,
                ..cpu
            };
            let aggregate = self.end_heap(now);
            self.end(&mut windows, aggregate, heap);
        }
        let aggregate = self.end_wall(now);
        self.end(&mut windows, aggregate, wall);
        let mut aggregate = Aggregate::default();
        tasks::snapshot(&mut aggregate, &Filter::default());
        self.end(&mut windows, aggregate, tasks);
        let aggregate = self.requests.take();
        self.end(&mut windows, aggregate, requests);
        // Together, so that the first one is not sent alone and the others wait for its response.
        self.outbox.add(windows);
        self.open.start = end;
        self.open.begun = now;
        let window = if now < self.watched_until {
            WATCHED_WINDOW.min(self.window)
        } else {
            self.window
        };
        let mut to_boundary = window.saturating_sub(end.since(end.floor(window)));
        // If the boundary is very near, this window ended slightly early; skip to the next boundary.
        if to_boundary < window / 50 {
            to_boundary += window;
        }
        self.ended = self.ended.saturating_add(1);
        let longest = FIRST_WINDOWS.get(self.ended);
        self.open.ends_at = now + longest.map_or(to_boundary, |longest| to_boundary.min(*longest));
    }

    fn end_cpu(&mut self) -> Aggregate {
        let mut aggregate = std::mem::take(&mut self.open.aggregate);
        aggregate.settle(&Filter::default());
        self.lost_nanos += aggregate.lost.max(0) as u64;
        // A window without samples is not pushed; its CPU time is added to the next one.
        if !aggregate.samples.is_empty() || !self.open.is_sampled {
            let now = CpuReading::now();
            if self.is_scaled && self.open.is_sampled {
                let ends_at = self.clock.monotonic();
                let used = self.carry.add_to(now.since(&self.open.cpu));
                let left = scaling::apply(&mut aggregate, used, &Filter::default());
                self.carry.keep(&mut aggregate, left, ends_at);
            }
            self.open.cpu = now;
        }
        aggregate
    }

    fn end_heap(&mut self, now: Duration) -> Aggregate {
        let (totals, mut aggregate) = (heap::Totals::now(), Aggregate::default());
        let since = Some(&self.open.heap);
        heap::add(&mut aggregate, &Filter::default(), &totals, since, None);
        self.heap_history.add(now, totals.clone());
        self.open.heap = totals;
        aggregate
    }

    fn end_wall(&mut self, now: Duration) -> Aggregate {
        let before = &self.open.wall;
        let (reading, mut aggregate) = (before.next(now), Aggregate::default());
        wall::add(&mut aggregate, before, &reading, &Filter::default());
        self.open.wall = reading;
        aggregate
    }

    /// Adds a window, unless it has no samples.
    fn end(&self, windows: &mut Vec<RawWindow>, aggregate: Aggregate, meta: ProfileMeta) {
        if !aggregate.samples.is_empty() {
            let modules = self.sampler.modules();
            windows.push(RawWindow {
                meta,
                aggregate,
                modules,
            });
        }
    }

    fn publish_counts(&self) {
        self.mailbox.set_counts(Counts {
            sampler: self.sampler.counts(),
            refusal: self.sampler.refusal(),
            kernel_refusal: self.sampler.kernel_refusal(),
            lost_nanos: self.lost_nanos,
            cpu_nanos: crate::clock::thread_cpu_nanos(),
        });
    }
}

fn period(hz: u32) -> i64 {
    1_000_000_000 / i64::from(hz.max(1))
}

#[cfg(test)]
mod tests;
