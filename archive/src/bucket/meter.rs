//! Counts requests by kind, level and member.

use super::tally::Tally;
use crate::key::{ARCHIVERS, Keys};
use crate::metrics::Metrics;
use davy_bucket::{FaultKind, Meter, RequestKind};
use object_store::path::Path;
use std::sync::Arc;

/// Counts requests in the archive's metrics, and for each tenant.
pub(super) struct BucketMeter {
    metrics: Metrics,
    tally: Arc<Tally>,
    /// Parts of the prefix of all keys.
    prefix: usize,
}

impl BucketMeter {
    pub(super) fn new(metrics: Metrics, tally: Arc<Tally>, keys: &Keys) -> Self {
        Self {
            metrics,
            tally,
            prefix: keys.root().parts().count(),
        }
    }

    fn level(&self, key: &Path) -> &'static str {
        self.owner_and_level(key).1
    }

    /// The first part of a key after the prefix, "" if there is none, and its level.
    fn owner_and_level(&self, key: &Path) -> (String, &'static str) {
        let parts: Vec<_> = key.parts().skip(self.prefix).take(3).collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let owner = parts.first().copied().unwrap_or_default();
        (owner.to_owned(), level(&parts))
    }
}

/// The level of the first parts of a key after the prefix, as a metric's label: one of few, whatever is in the bucket.
fn level(parts: &[&str]) -> &'static str {
    match parts {
        [] => "tenants",
        [ARCHIVERS, ..] => "archivers",
        [_, "segments", ..] => "segments",
        [_, "blocks", "hour", ..] => "hour",
        [_, "blocks", "day", ..] => "day",
        [_, "blocks", "month", ..] => "month",
        [_, "blocks", ..] => "blocks",
        [_, "symbols", ..] => "symbols",
        [_, "flamegraphs" | "logs", ..] => "artefacts",
        [_, "table", ..] => "table",
        [_, "captures", ..] => "captures",
        [_, "quarantine", ..] => "quarantine",
        _ => "other",
    }
}

/// The member that the calling thread works for.
fn member() -> &'static str {
    davy_tag::current().member()
}

impl std::fmt::Debug for BucketMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketMeter").finish_non_exhaustive()
    }
}

impl Meter for BucketMeter {
    fn requests(&self, kind: RequestKind, key: &Path, requests: u64) {
        let (owner, level) = self.owner_and_level(key);
        let labels = [kind.name(), level, member()];
        let counter = self.metrics.bucket_requests.with_label_values(&labels);
        counter.inc_by(requests);
        self.tally.add(&owner, kind, level, (requests, 0));
    }

    fn failed(&self, kind: RequestKind, key: &Path, reason: FaultKind) {
        let labels = [kind.name(), self.level(key), reason.name()];
        self.metrics.bucket_errors.with_label_values(&labels).inc();
    }

    fn retried(&self, kind: RequestKind, reason: FaultKind) {
        let labels = [kind.name(), reason.name()];
        self.metrics.bucket_retries.with_label_values(&labels).inc();
    }

    fn retry_denied(&self, kind: RequestKind) {
        let denied = &self.metrics.bucket_retries_denied;
        denied.with_label_values(&[kind.name()]).inc();
    }

    fn hedged(&self, won: bool) {
        let result = if won { "second" } else { "first" };
        self.metrics
            .bucket_hedges
            .with_label_values(&[result])
            .inc();
    }

    fn bytes(&self, kind: RequestKind, key: &Path, bytes: u64) {
        let (owner, level) = self.owner_and_level(key);
        let labels = [kind.name(), level, member()];
        let counter = self.metrics.bucket_bytes.with_label_values(&labels);
        counter.inc_by(bytes);
        self.tally.add(&owner, kind, level, (0, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_is_one_of_few_whatever_the_key_is() {
        let check = |key: &str, expected: &str| {
            let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
            assert_eq!(level(&parts), expected, "{key}");
        };
        check("", "tenants");
        check(".archivers/01J", "archivers");
        check("anonymous/segments/2026-11-29/10/x.segment", "segments");
        check("anonymous/blocks/hour/2026-11-29/10/x/meta.json", "hour");
        check("t/blocks/day/2026-11-29/x/meta.json", "day");
        check("t/symbols", "symbols");
        check("t/anything", "other");
        check("t", "other");
    }
}
