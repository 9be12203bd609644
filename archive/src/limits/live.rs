//! The limits in effect, and what they have counted.

use super::name;
use super::rate::Rates;
use super::series::{CountSeries, SeriesCounts};
use super::table::{LimitTable, TenantLimits};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Hour, Tenant};
use crate::metrics::Metrics;
use davy_profile::units;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

struct Shared {
    table: RwLock<Arc<LimitTable>>,
    rates: Rates,
    series: SeriesCounts,
    metrics: Metrics,
}

/// The limits in effect. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct LiveLimits(Arc<Shared>);

impl LiveLimits {
    pub(crate) fn new(table: LimitTable, metrics: Metrics) -> Self {
        let limits = Self(Arc::new(Shared {
            table: RwLock::default(),
            rates: Rates::default(),
            series: SeriesCounts::default(),
            metrics,
        }));
        limits.replace(table);
        limits
    }

    /// Replaces the limits; what was counted stays counted. The next push and the next query obey the new ones.
    pub fn replace(&self, table: LimitTable) {
        for label in table.labels() {
            self.0.metrics.overflow_series.with_label_values(&[label]);
            self.0.metrics.tenant_bytes.with_label_values(&[label]);
        }
        let mut current = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(table);
    }

    fn table(&self) -> Arc<LimitTable> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&table)
    }

    /// The limits of a tenant.
    pub(crate) fn of(&self, tenant: &Tenant) -> TenantLimits {
        self.table().of(tenant).clone()
    }

    /// Takes bytes of a push from the rate of its tenant. `now` is the monotonic time.
    pub(crate) fn receive(&self, tenant: &Tenant, bytes: u64, now: Duration) -> Result<()> {
        let table = self.table();
        let limits = table.of(tenant);
        let Err(wait) = self.0.rates.take(tenant, limits, bytes, now) else {
            let counter = &self.0.metrics.tenant_bytes;
            let counter = counter.with_label_values(&[table.label(tenant)]);
            counter.inc_by(bytes);
            return Ok(());
        };
        let mut error = Error::over(
            ErrorKind::Busy,
            name::RATE,
            format!(
                "the tenant pushes more than {} per second, its limit ({}); push less often, or ask the operator to raise the limit",
                units::bytes(limits.ingest_rate_bytes as f64),
                name::RATE,
            ),
        );
        error.retry_after = Some(wait);
        self.count(tenant, &error);
        Err(error)
    }

    /// Calls `each` with a function that counts series of a tenant's hour.
    pub(crate) fn series<T>(
        &self,
        tenant: &Tenant,
        hour: Hour,
        each: impl FnOnce(&mut CountSeries<'_>) -> T,
    ) -> T {
        let limit = self.table().of(tenant).series;
        self.0.series.count(tenant, hour, limit, each)
    }

    /// Counts overflow series.
    pub(crate) fn overflowed(&self, tenant: &Tenant, series: u64) {
        let table = self.table();
        let counter = &self.0.metrics.overflow_series;
        counter
            .with_label_values(&[table.label(tenant)])
            .inc_by(series);
    }

    /// Counts the error of a request if a limit of the tenant is the reason.
    pub(crate) fn count(&self, tenant: &Tenant, error: &Error) {
        let Some(limit) = error.limit else { return };
        let table = self.table();
        let counter = &self.0.metrics.limited;
        counter
            .with_label_values(&[table.label(tenant), limit])
            .inc();
    }
}
