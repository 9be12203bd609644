//! Runs a query within the limits of its tenant: the length of its range, its time, and the bytes that it reads.

use super::admission::QuerySize;
use super::cost;
use super::scan::Query;
use crate::error::{Error, ErrorKind, Result};
use crate::key::Tenant;
use crate::limits::name;
use davy_bucket::Usage;
use davy_profile::units;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// How to make a query cheaper.
const NARROW: &str = "choose a shorter range, or a selector of fewer series";

/// A query that waits or runs.
pub(super) struct Bounded<'a> {
    pub(super) query: &'a Query,
    pub(super) tenant: &'a Tenant,
    /// Length of the longest range.
    pub(super) range: Duration,
    /// The bytes that it has read.
    pub(super) usage: &'a Usage,
}

impl Bounded<'_> {
    /// Runs `work` when a slot is free; `started` is called then. The work is dropped when a limit is exceeded.
    pub(super) async fn run<T>(
        &self,
        started: impl FnOnce(),
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limits = self.query.limits.of(self.tenant);
        let result = if self.range > limits.query_range {
            Err(self.over_range(limits.query_range))
        } else {
            let within = async {
                let size = QuerySize::of(self.range);
                let _slot = self.query.admission.enter(self.tenant, size).await?;
                started();
                self.metered(limits.query_bytes, work).await
            };
            let clock = &self.query.options.clock;
            let done = clock.timeout(limits.query_timeout, within).await;
            done.unwrap_or_else(|_| Err(over_time(limits.query_timeout)))
        };
        result.inspect_err(|error| self.query.limits.count(self.tenant, error))
    }

    /// Runs `work` until it has read too much. It reads only while it is polled, so it is checked afterwards; also when it
    /// is ready, so that the same query always has the same outcome.
    async fn metered<T>(&self, limit: u64, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut work = pin!(work);
        poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            if cost::bytes_read(self.usage) > limit {
                return Poll::Ready(Err(over_bytes(limit)));
            }
            polled
        })
        .await
    }

    fn over_range(&self, limit: Duration) -> Error {
        Error::over(
            ErrorKind::Exceeded,
            name::QUERY_RANGE,
            format!(
                "the range is {} long, the limit of the tenant is {} ({}); choose a shorter range",
                units::duration(self.range),
                units::duration(limit),
                name::QUERY_RANGE,
            ),
        )
    }
}

fn over_bytes(limit: u64) -> Error {
    Error::over(
        ErrorKind::Exceeded,
        name::QUERY_BYTES,
        format!(
            "the query was stopped because it read more than {}, the limit of the tenant ({}); {NARROW}",
            units::bytes(limit as f64),
            name::QUERY_BYTES,
        ),
    )
}

fn over_time(limit: Duration) -> Error {
    Error::over(
        ErrorKind::Exceeded,
        name::QUERY_TIMEOUT,
        format!(
            "the query was stopped because it took longer than {}, the limit of the tenant ({}); {NARROW}",
            units::duration(limit),
            name::QUERY_TIMEOUT,
        ),
    )
}
