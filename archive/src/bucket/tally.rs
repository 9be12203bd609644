//! Counts the requests and bytes of each tenant since the start of the process, for its page. Metrics have no label
//! for tenants, because clients choose their names.

use davy_base::Timestamp;
use davy_bucket::RequestKind;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Maximum number of tenants that are counted by themselves. Requests of further ones are in metrics only.
const TENANTS: usize = 1_000;

/// Requests of one kind to one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// Number of requests, repeated ones included.
    pub(crate) requests: u64,
    /// Bytes of objects that were read or written.
    pub(crate) bytes: u64,
}

/// Requests by their kind and level, both by name.
pub(crate) type ByKind = BTreeMap<(&'static str, &'static str), Requests>;

/// The requests of a process.
#[derive(Debug)]
pub(crate) struct Tally {
    since: Timestamp,
    /// By the tenant's part of a key; "" are requests that all tenants share, such as the presence of archivers.
    tenants: Mutex<BTreeMap<String, ByKind>>,
}

impl Tally {
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            since,
            tenants: Mutex::default(),
        }
    }

    /// Since when it counts.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    fn tenants(&self) -> MutexGuard<'_, BTreeMap<String, ByKind>> {
        // No holder panics.
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts requests to an object of a level. `owner` is the first part of its key.
    pub(super) fn add(
        &self,
        owner: &str,
        kind: RequestKind,
        level: &'static str,
        (requests, bytes): (u64, u64),
    ) {
        // No tenant has a name that begins with a dot.
        let owner = if owner.starts_with('.') { "" } else { owner };
        let mut tenants = self.tenants();
        if !tenants.contains_key(owner) {
            if tenants.len() > TENANTS {
                return;
            }
            tenants.insert(owner.to_owned(), ByKind::default());
        }
        if let Some(by_kind) = tenants.get_mut(owner) {
            let of = by_kind.entry((kind.name(), level)).or_default();
            of.requests += requests;
            of.bytes += bytes;
        }
    }

    /// The requests to objects of a tenant, and those that all tenants share.
    pub(crate) fn of(&self, tenant: &str) -> ByKind {
        let tenants = self.tenants();
        let mut all = ByKind::default();
        for by_kind in ["", tenant].into_iter().filter_map(|of| tenants.get(of)) {
            for (key, of) in by_kind {
                let sum = all.entry(*key).or_default();
                sum.requests += of.requests;
                sum.bytes += of.bytes;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_sees_its_requests_and_the_shared_ones_only() {
        let tally = Tally::new(Timestamp::EPOCH);
        tally.add("a", RequestKind::Put, "segments", (2, 10));
        tally.add("b", RequestKind::Get, "day", (5, 7));
        tally.add(".archivers", RequestKind::Put, "archivers", (1, 0));
        tally.add("", RequestKind::List, "tenants", (1, 0));
        let of = |requests, bytes| Requests { requests, bytes };
        let shared = [
            (("list", "tenants"), of(1, 0)),
            (("put", "archivers"), of(1, 0)),
        ];
        let expected = shared.into_iter().chain([(("put", "segments"), of(2, 10))]);
        assert_eq!(tally.of("a"), expected.collect());
        assert_eq!(tally.of("c"), shared.into_iter().collect());
    }

    #[test]
    fn number_of_tenants_is_bounded() {
        let tally = Tally::new(Timestamp::EPOCH);
        for tenant in 0..=TENANTS + 5 {
            let name = format!("t{tenant}");
            tally.add(&name, RequestKind::Put, "segments", (1, 1));
        }
        tally.add("t0", RequestKind::Put, "segments", (1, 1));
        assert_eq!(tally.tenants().len(), TENANTS + 1);
        assert_eq!(tally.of("t0")[&("put", "segments")].requests, 2);
    }
}
