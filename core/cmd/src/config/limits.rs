//! The limits of tenants.

use super::error::Error;
use super::load::Loaded;
use davy_archive::{LimitTable, TenantLimits};
use std::collections::BTreeSet;

/// The section of limits that every tenant has.
const SECTION: &str = "limits";
/// The section of the tenants that have their own.
const TENANTS: &str = "tenants";
/// The largest profile that the archive decodes.
const PROFILE_BYTES: u64 = 64 << 20;

/// Reads `[limits]` and `[tenants.NAME]`. What a tenant does not set is as in `[limits]`.
pub(crate) fn configured(loaded: &Loaded) -> Result<LimitTable, Error> {
    let all = limits(loaded, |name| format!("{SECTION}.{name}"))?;
    let mut table = LimitTable::new(all);
    let tenants: BTreeSet<&str> = loaded
        .iter()
        .filter_map(|(key, ..)| {
            Some(
                key.strip_prefix(TENANTS)?
                    .strip_prefix('.')?
                    .rsplit_once('.')?
                    .0,
            )
        })
        .collect();
    for tenant in tenants {
        let own = limits(loaded, |name| {
            let own = format!("{TENANTS}.{tenant}.{name}");
            match loaded.sourced(&own) {
                Some(_) => own,
                None => format!("{SECTION}.{name}"),
            }
        })?;
        if !table.insert(tenant, own) {
            return Err(Error(format!(
                "invalid tenant {tenant:?} in [{TENANTS}]: expected a name of 1 to 128 bytes, as in the header X-Scope-OrgID"
            )));
        }
    }
    Ok(table)
}

/// The limits of one tenant. `key` returns the key of a limit.
fn limits(loaded: &Loaded, key: impl Fn(&str) -> String) -> Result<TenantLimits, Error> {
    let size = |name: &str, expected: &str, max: u64| {
        loaded.parse(&key(name), expected, |text| {
            let size = text.parse::<bytesize::ByteSize>().ok()?.as_u64();
            (1..=max).contains(&size).then_some(size)
        })
    };
    let any_size = |name: &str| size(name, "a size from 1B to 1PiB, such as 64MiB", 1 << 50);
    let duration = |name: &str| {
        loaded.parse(
            &key(name),
            "a duration above 0 such as 30s, 2h or 31d",
            |text| {
                humantime::parse_duration(text)
                    .ok()
                    .filter(|span| !span.is_zero())
            },
        )
    };
    let series = loaded.parse(&key("series"), "a whole number from 1 to 1000000", |text| {
        text.parse()
            .ok()
            .filter(|count| (1..=1_000_000).contains(count))
    })?;
    let profile = "a size from 1B to 64MiB, the largest profile that the archive decodes";
    Ok(TenantLimits {
        ingest_rate_bytes: any_size("ingest_rate_bytes")?,
        ingest_burst_bytes: any_size("ingest_burst_bytes")?,
        series,
        profile_bytes: size("profile_bytes", profile, PROFILE_BYTES)? as usize,
        query_range: duration("query_range")?,
        query_bytes: any_size("query_bytes")?,
        query_timeout: duration("query_timeout")?,
    })
}
