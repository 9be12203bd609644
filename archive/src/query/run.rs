//! A query from its request to its response: within the limits of its tenant, and measured.

use super::bounds::Bounded;
use super::cost;
use super::scan::Query;
use crate::error::Result;
use crate::key::Tenant;
use axum::response::Response;
use davy_base::Timestamp;
use davy_bucket::Usage;
use prometheus::IntCounter;
use std::sync::OnceLock;
use std::time::Duration;

/// A query in progress. It counts as cancelled if it is dropped before its end: its client has left.
pub struct Run {
    query: Query,
    operation: &'static str,
    usage: Usage,
    started: Duration,
    /// How long it waited for its turn.
    waited: OnceLock<Duration>,
    leaving: Leaving,
}

/// Counts a query as cancelled.
struct Leaving(Option<IntCounter>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(cancelled) = &self.0 {
            cancelled.inc();
        }
    }
}

impl Run {
    /// Begins a query. `operation` is its name in metrics.
    pub fn begin(query: &Query, operation: &'static str) -> Self {
        Self {
            query: query.clone(),
            operation,
            usage: Usage::default(),
            started: query.options.clock.monotonic(),
            waited: OnceLock::new(),
            leaving: Leaving(Some(query.metrics.queries_cancelled.clone())),
        }
    }

    /// The requests and bytes that it has needed so far.
    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    fn since_start(&self) -> Duration {
        let now = self.query.options.clock.monotonic();
        now.saturating_sub(self.started)
    }

    /// Runs `work` when a slot is free, and drops it when it exceeds a limit of the tenant. `range` is the length of the
    /// longest range that it reads.
    pub async fn within<T>(
        &self,
        tenant: &Tenant,
        range: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let bounded = Bounded {
            query: &self.query,
            tenant,
            range,
            usage: &self.usage,
        };
        let begin = || {
            let waited = self.waited.get_or_init(|| self.since_start());
            let metrics = &self.query.metrics;
            metrics.query_wait.observe(waited.as_secs_f64());
        };
        // Boxed, because it is a large future.
        self.usage.count(Box::pin(bounded.run(begin, work))).await
    }

    /// Ends the query, and adds what it cost to the headers of its response.
    pub fn end(mut self, response: &mut Response) {
        self.leaving.0 = None;
        let taken = self.since_start();
        let waited = *self.waited.get_or_init(|| taken);
        cost::set_headers(response, &self.usage, waited, taken);
        let durations = &self.query.metrics.query_duration;
        durations
            .with_label_values(&[self.operation])
            .observe(taken.as_secs_f64());
    }
}

impl Query {
    /// The length of a range as limits count it: of the part in which there can be windows.
    pub fn counted_length(&self, from: Timestamp, until: Timestamp) -> Duration {
        let now = self.options.clock.now();
        let first = now.minus(self.options.levels.days);
        let last = now.plus(self.options.future);
        until.min(last).since(from.max(first))
    }
}
