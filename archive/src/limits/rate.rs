//! Rates of tenants: a token bucket for each.

use super::table::TenantLimits;
use crate::key::Tenant;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Maximum number of tenants whose rate is known. Clients choose the names of tenants, so there can be any number.
const TENANTS: usize = 10_000;

/// The bytes that a tenant may push.
#[derive(Clone, Copy, Debug)]
struct TokenBucket {
    /// Negative after a push that was larger than the burst.
    bytes: f64,
    /// When they were counted.
    at: Duration,
}

impl TokenBucket {
    fn refill(&mut self, limits: &TenantLimits, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        let grown = self.bytes + passed * limits.ingest_rate_bytes as f64;
        self.bytes = grown.min(limits.ingest_burst_bytes as f64);
        self.at = now;
    }
}

/// The bytes that each tenant may push.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<BTreeMap<Tenant, TokenBucket>>);

impl Rates {
    /// Takes the bytes of a push, or returns how long to wait for them. A push that is larger than the burst is
    /// admitted after a pause that is long enough for the whole burst, and delays the following ones.
    pub(super) fn take(
        &self,
        tenant: &Tenant,
        limits: &TenantLimits,
        bytes: u64,
        now: Duration,
    ) -> Result<(), Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= TENANTS && !all.contains_key(tenant) {
            forget(&mut all, now);
        }
        let full = TokenBucket {
            bytes: limits.ingest_burst_bytes as f64,
            at: now,
        };
        let bucket = all.entry(tenant.clone()).or_insert(full);
        bucket.refill(limits, now);
        let needed = bytes.min(limits.ingest_burst_bytes) as f64;
        if bucket.bytes < needed {
            let wait = (needed - bucket.bytes) / limits.ingest_rate_bytes.max(1) as f64;
            return Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX));
        }
        bucket.bytes -= bytes as f64;
        Ok(())
    }
}

/// Forgets the half of the tenants that have not pushed for the longest time: most of their buckets are full again, as
/// those of new tenants are.
fn forget(all: &mut BTreeMap<Tenant, TokenBucket>, now: Duration) {
    let mut ages: Vec<Duration> = all
        .values()
        .map(|bucket| now.saturating_sub(bucket.at))
        .collect();
    ages.sort_unstable();
    let median = ages.get(ages.len() / 2).copied().unwrap_or_default();
    let mut left = all.len() / 2;
    all.retain(|_, bucket| {
        let is_kept = now.saturating_sub(bucket.at) <= median && left > 0;
        left -= usize::from(is_kept);
        is_kept
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).expect("a name")
    }

    fn limits(rate: u64, burst: u64) -> TenantLimits {
        TenantLimits {
            ingest_rate_bytes: rate,
            ingest_burst_bytes: burst,
            ..TenantLimits::default()
        }
    }

    #[test]
    fn burst_is_admitted_and_then_the_rate() {
        let (rates, limits) = (Rates::default(), limits(100, 1_000));
        let take = |name: &str, bytes, seconds| {
            rates.take(&tenant(name), &limits, bytes, Duration::from_secs(seconds))
        };
        assert_eq!(take("a", 1_000, 0), Ok(()));
        assert_eq!(take("a", 100, 0), Err(Duration::from_secs(1)));
        assert_eq!(take("b", 100, 0), Ok(()), "another tenant does not wait");
        assert_eq!(take("a", 100, 1), Ok(()));
        assert_eq!(take("a", 1_000, 100), Ok(()), "the bucket is full again");
    }

    #[test]
    fn push_larger_than_the_burst_waits_for_the_whole_burst_and_delays_the_next() {
        let (rates, limits) = (Rates::default(), limits(100, 1_000));
        let take =
            |bytes, seconds| rates.take(&tenant("a"), &limits, bytes, Duration::from_secs(seconds));
        assert_eq!(take(1, 0), Ok(()));
        assert_eq!(take(3_000, 0), Err(Duration::from_millis(10)));
        assert_eq!(take(3_000, 1), Ok(()));
        assert_eq!(take(100, 1), Err(Duration::from_secs(21)));
    }

    #[test]
    fn number_of_tracked_tenants_is_bounded() {
        let (rates, limits) = (Rates::default(), limits(100, 1_000));
        for at in 0..3 * TENANTS as u64 {
            let now = Duration::from_secs(at / 1_000);
            let taken = rates.take(&tenant(&at.to_string()), &limits, 1, now);
            assert_eq!(taken, Ok(()));
        }
        let known = rates.0.lock().expect("no panic").len();
        assert!(known <= TENANTS, "{known}");
    }
}
