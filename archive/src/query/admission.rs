//! Which queries run: a bounded number, shared fairly between tenants. The others wait in a bounded queue.
//!
//! When a query ends, the tenant with the fewest running queries is next, and of several the one that has waited longest
//! for its turn. Queries of long ranges hold at most half of the slots, so that those of short ranges always run soon.
//! If the queue is full, the tenant with the most waiting queries loses its newest one.

use crate::error::{Error, ErrorKind, Result};
use crate::key::Tenant;
use crate::metrics::Metrics;
use crate::options::ArchiveOptions;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Ranges above this are long. The page asks for less.
const SHORT: Duration = Duration::from_hours(48);
/// When a query that found the queue full should be sent again.
const RETRY: Duration = Duration::from_secs(5);

/// How much a query is expected to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuerySize {
    Short,
    Long,
}

impl QuerySize {
    /// The size of a query of a range.
    pub(super) fn of(range: Duration) -> Self {
        if range > SHORT {
            Self::Long
        } else {
            Self::Short
        }
    }
}

/// Admits queries. Cheap to clone.
#[derive(Clone)]
pub(super) struct Admission(Arc<Shared>);

struct Shared {
    slots: usize,
    /// Slots that long queries may hold.
    long_slots: usize,
    queue: usize,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    running_long: usize,
    /// Grows with every query.
    clock: u64,
    /// Tenants with queries that run or wait.
    tenants: BTreeMap<Tenant, Queries>,
}

#[derive(Default)]
struct Queries {
    running: usize,
    /// When the last one began to run.
    last: u64,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    number: u64,
    size: QuerySize,
    grant: oneshot::Sender<Slot>,
}

/// The right to run. It ends when this is dropped.
pub(super) struct Slot {
    shared: Arc<Shared>,
    tenant: Tenant,
    size: QuerySize,
    /// Whether it is counted as running.
    counts: bool,
}

/// A query in the queue. It leaves the queue when this is dropped.
struct Place<'a> {
    shared: &'a Shared,
    tenant: &'a Tenant,
    number: u64,
}

impl Admission {
    pub(super) fn new(options: &ArchiveOptions, metrics: &Metrics) -> Self {
        let slots = options.queries.max(1);
        Self(Arc::new(Shared {
            slots,
            long_slots: (slots / 2).max(1),
            queue: options.queued_queries,
            metrics: metrics.clone(),
            state: Mutex::default(),
        }))
    }

    /// Waits for a slot. Fails if the queue is full.
    pub(super) async fn enter(&self, tenant: &Tenant, size: QuerySize) -> Result<Slot> {
        let shared = &self.0;
        let (grant, granted) = oneshot::channel();
        let number = {
            let mut state = shared.state();
            state.clock += 1;
            let number = state.clock;
            let queries = state.tenants.entry(tenant.clone()).or_default();
            queries.waiting.push_back(Waiting {
                number,
                size,
                grant,
            });
            shared.start(&mut state);
            while state.waiting() > shared.queue {
                state.refuse_one();
            }
            shared.show(&state);
            number
        };
        let _place = Place {
            shared,
            tenant,
            number,
        };
        granted.await.map_err(|_| {
            shared.metrics.queries_refused.inc();
            let mut error = Error::new(
                ErrorKind::Unavailable,
                format!(
                    "{} queries are running and {} are waiting, the limits of this archiver (archive.queries, archive.queued_queries); retry in {} s",
                    shared.slots,
                    shared.queue,
                    RETRY.as_secs()
                ),
            );
            error.retry_after = Some(RETRY);
            error
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets waiting queries run as long as there are slots for them.
    fn start(self: &Arc<Self>, state: &mut State) {
        while let Some((tenant, waiting)) = self.next(state) {
            state.clock += 1;
            let now = state.clock;
            state.count(&tenant, waiting.size, 1);
            let queries = state.tenants.entry(tenant.clone()).or_default();
            queries.last = now;
            let slot = Slot {
                shared: Arc::clone(self),
                tenant,
                size: waiting.size,
                counts: true,
            };
            if let Err(mut slot) = waiting.grant.send(slot) {
                // The client left meanwhile. Dropping a slot that counts would lock the state again.
                state.count(&slot.tenant, slot.size, -1);
                slot.counts = false;
            }
        }
    }

    /// Takes the next query that may run from the queue.
    fn next(&self, state: &mut State) -> Option<(Tenant, Waiting)> {
        if state.running >= self.slots {
            return None;
        }
        let is_long_free = state.running_long < self.long_slots;
        let may_run = |waiting: &Waiting| is_long_free || waiting.size == QuerySize::Short;
        let waiting = state.tenants.iter().filter_map(|(tenant, queries)| {
            let at = queries.waiting.iter().position(may_run)?;
            Some(((queries.running, queries.last), tenant, at))
        });
        let (_, tenant, at) = waiting.min()?;
        let tenant = tenant.clone();
        let waiting = state.tenants.get_mut(&tenant)?.waiting.remove(at)?;
        Some((tenant, waiting))
    }

    fn show(&self, state: &State) {
        let gauges = &self.metrics.queries;
        let set = |name: &str, count: usize| gauges.with_label_values(&[name]).set(count as i64);
        set("running", state.running);
        set("waiting", state.waiting());
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.tenants.values().map(|of| of.waiting.len()).sum()
    }

    /// Removes the newest waiting query of the tenant that has the most.
    fn refuse_one(&mut self) {
        let most = self
            .tenants
            .values_mut()
            .max_by_key(|queries| queries.waiting.len());
        if let Some(queries) = most {
            queries.waiting.pop_back();
        }
    }

    /// Adds to the number of running queries, and forgets a tenant without queries.
    fn count(&mut self, tenant: &Tenant, size: QuerySize, change: isize) {
        let long = isize::from(size == QuerySize::Long) * change;
        self.running = self.running.saturating_add_signed(change);
        self.running_long = self.running_long.saturating_add_signed(long);
        if let Some(queries) = self.tenants.get_mut(tenant) {
            queries.running = queries.running.saturating_add_signed(change);
        }
        self.forget(tenant);
    }

    fn forget(&mut self, tenant: &Tenant) {
        let is_idle = |queries: &Queries| queries.running == 0 && queries.waiting.is_empty();
        if self.tenants.get(tenant).is_some_and(is_idle) {
            self.tenants.remove(tenant);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.counts {
            return;
        }
        let mut state = self.shared.state();
        state.count(&self.tenant, self.size, -1);
        self.shared.start(&mut state);
        self.shared.show(&state);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(queries) = state.tenants.get_mut(self.tenant) {
            queries.waiting.retain(|of| of.number != self.number);
        }
        state.forget(self.tenant);
        self.shared.show(&state);
    }
}

#[cfg(test)]
mod tests;
