//! The limits of all tenants.

use super::name;
use crate::error::{Error, ErrorKind};
use crate::key::Tenant;
use davy_profile::units;
use std::collections::BTreeMap;
use std::time::Duration;

/// The limits of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantLimits {
    /// Bytes that may be pushed per second, as received.
    pub ingest_rate_bytes: u64,
    /// Bytes that may be pushed at once, after a pause.
    pub ingest_burst_bytes: u64,
    /// Number of series of an hour whose labels are stored.
    pub series: usize,
    /// Size of a profile after decompression, in bytes.
    pub profile_bytes: usize,
    /// Length of the range of a query.
    pub query_range: Duration,
    /// Bytes that a query may read, as stored and after decompression each.
    pub query_bytes: u64,
    /// How long a query may take, waiting included.
    pub query_timeout: Duration,
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self {
            ingest_rate_bytes: 256 << 20,
            ingest_burst_bytes: 1 << 30,
            series: 500_000,
            profile_bytes: 64 << 20,
            query_range: Duration::from_hours(800 * 24),
            query_bytes: 64 << 30,
            query_timeout: Duration::from_mins(5),
        }
    }
}

/// A tenant with limits of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: String,
    limits: TenantLimits,
}

/// The limits of all tenants: the default ones, and those of the tenants that have their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitTable {
    default: TenantLimits,
    /// By the tenant's part of a key.
    tenants: BTreeMap<String, Named>,
}

/// The label `tenant` of all tenants without limits of their own: clients choose their names, so these cannot be
/// values of a label.
const OTHERS: &str = "(others)";

impl LimitTable {
    /// The same limits for all tenants.
    pub fn new(default: TenantLimits) -> Self {
        Self {
            default,
            tenants: BTreeMap::new(),
        }
    }

    /// Gives a tenant limits of its own. Returns whether the name is one that a tenant can have.
    pub fn insert(&mut self, name: &str, limits: TenantLimits) -> bool {
        let Some(tenant) = Tenant::new(name) else {
            return false;
        };
        let name = name.to_owned();
        let named = Named { name, limits };
        self.tenants.insert(tenant.key().to_owned(), named);
        true
    }

    /// The limits of a tenant.
    pub fn of(&self, tenant: &Tenant) -> &TenantLimits {
        let own = self.tenants.get(tenant.key());
        own.map_or(&self.default, |named| &named.limits)
    }

    /// The value of the label `tenant` in metrics: the name of a tenant with limits of its own, or one value for all
    /// others.
    pub(super) fn label(&self, tenant: &Tenant) -> &str {
        let own = self.tenants.get(tenant.key());
        own.map_or(OTHERS, |named| &named.name)
    }

    /// The values of the label `tenant`.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        let own = self.tenants.values().map(|named| named.name.as_str());
        own.chain([OTHERS])
    }
}

/// The error of a profile that is larger than its tenant may push.
pub(crate) fn too_large_profile(limit: usize) -> Error {
    Error::over(
        ErrorKind::TooLarge,
        name::PROFILE,
        format!(
            "the profile is larger than {} after decompression, the limit of the tenant ({}); push shorter windows, or ask the operator to raise the limit",
            units::bytes(limit as f64),
            name::PROFILE,
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_configured_tenants_only() {
        let mut table = LimitTable::default();
        let own = TenantLimits {
            series: 7,
            ..TenantLimits::default()
        };
        assert!(table.insert("team a/b", own));
        assert!(!table.insert("", TenantLimits::default()));
        assert!(!table.insert(&"x".repeat(129), TenantLimits::default()));
        let check = |name: &str, series: usize, label: &str| {
            let tenant = Tenant::new(name).expect("a name");
            assert_eq!(table.of(&tenant).series, series, "{name}");
            assert_eq!(table.label(&tenant), label, "{name}");
        };
        check("team a/b", 7, "team a/b");
        check("team a", 500_000, "(others)");
        assert_eq!(table.labels().collect::<Vec<_>>(), ["team a/b", "(others)"]);
    }
}
