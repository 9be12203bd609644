//! Profiles that are taken beside the windows.

use crate::Error;
use crate::aggregate::{Aggregate, Filter};
use crate::assemble::{Kind, Taken};
use crate::control::{self, Used};
use crate::modules::Module;
use crate::{heap, tasks, wall};
use davy_base::{Clock, Timestamp};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Profiles that may be taken over a span at once.
pub(crate) const COLLECTORS_MAX: usize = 16;

/// A profile that was taken beside the windows.
pub(crate) struct Collected {
    pub(crate) aggregate: Aggregate,
    pub(crate) taken: Taken,
    pub(crate) modules: Arc<[Module]>,
}

/// Whoever waits for a profile holds the other end; once nobody does, its place is free.
pub(crate) type Asker = Weak<()>;

pub(crate) type Reply = Box<dyn FnOnce(Result<Collected, Error>) + Send>;

/// What is to be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Cpu,
    Wall,
    /// The heap as it is; over a span, what it grew by.
    Heap,
    /// What the heap grew by since so long ago.
    HeapSince(Duration),
    Tasks,
    Threads,
}

/// A profile over a span that has begun.
pub(super) struct Collector {
    pub(super) sort: Sort,
    pub(super) filter: Filter,
    pub(super) aggregate: Aggregate,
    pub(super) until: Duration,
    pub(super) hz: u32,
    pub(super) asker: Asker,
    pub(super) reply: Reply,
    pub(super) begun: Duration,
    start: Timestamp,
    base: Base,
}

/// What had been counted when it began.
enum Base {
    Cpu(Used),
    Wall(wall::Counted),
    Heap(heap::Totals),
    None,
}

impl Collector {
    pub(super) fn begin(
        (sort, span, hz): (Sort, Duration, u32),
        filter: Filter,
        (asker, reply): (Asker, Reply),
        clock: &Clock,
    ) -> Self {
        let begun = clock.monotonic();
        Self {
            sort,
            filter,
            aggregate: Aggregate::default(),
            until: begun + span,
            hz,
            asker,
            reply,
            begun,
            start: clock.now(),
            base: match sort {
                Sort::Cpu => Base::Cpu(Used::now()),
                Sort::Wall => Base::Wall(wall::Counted::now(begun)),
                Sort::Heap | Sort::HeapSince(_) => Base::Heap(heap::Totals::now()),
                Sort::Tasks => {
                    davy_tag::ask_tasks();
                    Base::None
                }
                Sort::Threads => Base::None,
            },
        }
    }

    /// Ends it. `period` is that of CPU samples; none where they are not to be scaled.
    pub(super) fn end(mut self, now: Duration, period: i64, is_scaled: bool, clock: &Clock) -> End {
        let (aggregate, filter) = (&mut self.aggregate, &self.filter);
        let (kind, period) = match &self.base {
            Base::Cpu(used) => {
                if is_scaled {
                    control::apply(aggregate, used, &Used::now(), filter);
                }
                (Kind::Cpu, period)
            }
            Base::Wall(before) => {
                wall::add(aggregate, before, &wall::Counted::now(now), filter);
                (Kind::Wall, 1)
            }
            Base::Heap(before) => {
                let state = match heap::state() {
                    Ok(state) => state,
                    Err(reason) => return (self.reply, Err(Error::HeapOff(reason))),
                };
                let totals = heap::Totals::now();
                heap::add(aggregate, filter, &totals, Some(before), Some(before));
                (Kind::Heap, state.rate_bytes)
            }
            Base::None => match instant(self.sort, aggregate, filter, clock) {
                Ok(taken) => (taken.kind, taken.period),
                Err(error) => return (self.reply, Err(error)),
            },
        };
        let taken = Taken {
            kind,
            start: self.start,
            span: now.saturating_sub(self.begun),
            period,
        };
        (self.reply, Ok((self.aggregate, taken)))
    }
}

/// What a collector comes to, and who is to have it.
pub(super) type End = (Reply, Result<(Aggregate, Taken), Error>);

/// Takes what needs no span.
pub(super) fn instant(
    sort: Sort,
    aggregate: &mut Aggregate,
    filter: &Filter,
    clock: &Clock,
) -> Result<Taken, Error> {
    let (kind, period) = match sort {
        Sort::Heap | Sort::HeapSince(_) => {
            let state = heap::state().map_err(Error::HeapOff)?;
            heap::add(aggregate, filter, &heap::Totals::now(), None, None);
            (Kind::Heap, state.rate_bytes)
        }
        Sort::Tasks => {
            tasks::snapshot(aggregate, filter);
            (Kind::Tasks, 1)
        }
        Sort::Threads | Sort::Cpu | Sort::Wall => {
            let counted = wall::Counted::now(clock.monotonic());
            wall::add_threads(aggregate, &counted, filter);
            (Kind::Threads, 1)
        }
    };
    Ok(Taken {
        kind,
        start: clock.now(),
        span: Duration::ZERO,
        period,
    })
}
