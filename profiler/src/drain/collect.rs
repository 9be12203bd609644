//! Profiles that are requested in addition to the windows.

use crate::Error;
use crate::aggregate::{Aggregate, Filter};
use crate::modules::Module;
use crate::sample_kind::{ProfileMeta, SampleKind};
use crate::scaling::{self, CpuReading};
use crate::wall::WallReading;
use crate::{heap, tasks, wall};
use davy_base::{Clock, Timestamp};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Maximum number of profiles that are collected concurrently.
pub(crate) const COLLECTORS_MAX: usize = 16;

/// A profile without names.
pub(crate) struct Collected {
    pub(crate) aggregate: Aggregate,
    pub(crate) meta: ProfileMeta,
    pub(crate) modules: Arc<[Module]>,
}

/// The requester holds the strong reference. When it is dropped, the profile is abandoned.
pub(crate) type Waiter = Weak<()>;

pub(crate) type Reply = Box<dyn FnOnce(Result<Collected, Error>) + Send>;

/// The source of a requested profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProfileSource {
    Cpu,
    Wall,
    /// The current heap or, over a span, its growth.
    Heap,
    /// The growth of the heap since this long ago.
    HeapSince(Duration),
    Tasks,
    Threads,
}

/// A profile that is being collected over a span.
pub(super) struct Collector {
    pub(super) source: ProfileSource,
    pub(super) filter: Filter,
    pub(super) aggregate: Aggregate,
    pub(super) until: Duration,
    pub(super) hz: u32,
    pub(super) waiter: Waiter,
    pub(super) reply: Reply,
    pub(super) begun: Duration,
    start: Timestamp,
    base: Base,
}

/// A reading at the start of the span.
enum Base {
    Cpu(CpuReading),
    Wall(WallReading),
    Heap(heap::Totals),
    None,
}

impl Collector {
    pub(super) fn begin(
        (source, span, hz): (ProfileSource, Duration, u32),
        filter: Filter,
        (waiter, reply): (Waiter, Reply),
        clock: &Clock,
    ) -> Self {
        let begun = clock.monotonic();
        Self {
            source,
            filter,
            aggregate: Aggregate::default(),
            until: begun + span,
            hz,
            waiter,
            reply,
            begun,
            start: clock.now(),
            base: match source {
                ProfileSource::Cpu => Base::Cpu(CpuReading::now()),
                ProfileSource::Wall => Base::Wall(WallReading::now(begun)),
                ProfileSource::Heap | ProfileSource::HeapSince(_) => {
                    Base::Heap(heap::Totals::now())
                }
                ProfileSource::Tasks => {
                    davy_tag::ask_tasks();
                    Base::None
                }
                ProfileSource::Threads => Base::None,
            },
        }
    }

    /// Ends the span. `period` is that of CPU samples; `is_scaled` is whether they are scaled to exact
    /// accounting.
    pub(super) fn end(
        mut self,
        now: Duration,
        period: i64,
        is_scaled: bool,
        clock: &Clock,
    ) -> Ended {
        let (aggregate, filter) = (&mut self.aggregate, &self.filter);
        let (kind, period) = match &self.base {
            Base::Cpu(before) => {
                aggregate.settle(filter);
                if is_scaled {
                    let used = CpuReading::now().since(before);
                    let left = scaling::apply(aggregate, used, filter);
                    scaling::add_remainder(aggregate, left);
                }
                (SampleKind::Cpu, period)
            }
            Base::Wall(before) => {
                wall::add(aggregate, before, &WallReading::now(now), filter);
                (SampleKind::Wall, 1)
            }
            Base::Heap(before) => {
                let rate_bytes = match heap::rate_bytes() {
                    Ok(rate_bytes) => rate_bytes,
                    Err(reason) => return (self.reply, Err(Error::HeapOff(reason))),
                };
                let totals = heap::Totals::now();
                heap::add(aggregate, filter, &totals, Some(before), Some(before));
                (SampleKind::Heap, rate_bytes)
            }
            Base::None => match instant(self.source, aggregate, filter, clock) {
                Ok(meta) => (meta.kind, meta.period),
                Err(error) => return (self.reply, Err(error)),
            },
        };
        let meta = ProfileMeta {
            kind,
            start: self.start,
            span: now.saturating_sub(self.begun),
            period,
        };
        (self.reply, Ok((self.aggregate, meta)))
    }
}

/// The result of a collector, and where to send it.
pub(super) type Ended = (Reply, Result<(Aggregate, ProfileMeta), Error>);

/// Fills an aggregate with the current state.
pub(super) fn instant(
    source: ProfileSource,
    aggregate: &mut Aggregate,
    filter: &Filter,
    clock: &Clock,
) -> Result<ProfileMeta, Error> {
    let (kind, period) = match source {
        ProfileSource::Heap | ProfileSource::HeapSince(_) => {
            let rate_bytes = heap::rate_bytes().map_err(Error::HeapOff)?;
            heap::add(aggregate, filter, &heap::Totals::now(), None, None);
            (SampleKind::Heap, rate_bytes)
        }
        ProfileSource::Tasks => {
            tasks::snapshot(aggregate, filter);
            (SampleKind::Tasks, 1)
        }
        ProfileSource::Threads | ProfileSource::Cpu | ProfileSource::Wall => {
            let reading = WallReading::now(clock.monotonic());
            wall::add_threads(aggregate, &reading, filter);
            (SampleKind::Threads, 1)
        }
    };
    Ok(ProfileMeta {
        kind,
        start: clock.now(),
        span: Duration::ZERO,
        period,
    })
}
