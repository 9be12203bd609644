//! Gathers the overview from listings, meta objects and counts.

use super::kept::retention;
use super::model::{
    Archivers, Charges, Objects, Overview, Quarantine, Quarantined, RequestRow, Requests,
};
use crate::archive::Archive;
use crate::error::Result;
use crate::inspect::{levels, services};
use crate::key::{Hour, Tenant};
use crate::plan::share::present;
use crate::prices::Prices;
use davy_base::Timestamp;
use davy_bucket::Usage;
use object_store::ObjectMeta;
use serde_json::json;

/// Number of blocks whose meta objects are read for the sizes of services.
const BLOCKS: usize = 500;
/// Number of services in a response.
const SERVICES: usize = 200;
/// Number of damaged objects in a response.
const QUARANTINED: usize = 10;

/// The overview of a tenant.
pub(super) async fn gather(archive: &Archive, tenant: &Tenant) -> Result<Overview> {
    let usage = Usage::default();
    let listed = usage.count(Box::pin(listed(archive, tenant))).await?;
    Ok(Overview {
        cost: json!({
            "requests": usage.requests(),
            "bytes": usage.bytes(),
            "cached_bytes": usage.hit_bytes(),
            "decoded_bytes": usage.decoded_bytes(),
        }),
        ..counted(archive, tenant, listed)
    })
}

/// What listings and meta objects show.
async fn listed(archive: &Archive, tenant: &Tenant) -> Result<Overview> {
    let (bucket, compactor, now) = (archive.bucket(), archive.compactor(), archive.now());
    let (days, mut partial) = {
        let folders = bucket.levels(tenant);
        bucket.days(tenant, &folders, Hour::EVER).await?
    };
    let (months, of_months) = bucket.months(tenant, &days).await?;
    partial.extend(of_months);
    let listed = (&days, &months);
    let mut of = services(bucket, tenant, listed, BLOCKS).await;
    let services_cut = of.sizes.len().saturating_sub(SERVICES);
    of.sizes.truncate(SERVICES);
    let keys = &bucket.keys;
    let folders = (
        keys.quarantine(tenant),
        keys.all_symbols(tenant),
        keys.archivers(),
    );
    let (quarantined, symbols, archivers) = futures_util::try_join!(
        bucket.list(&folders.0),
        bucket.list(&folders.1),
        bucket.list(&folders.2),
    )?;
    Ok(Overview {
        tenant: tenant.key().to_owned(),
        listed_at: now.millis(),
        levels: levels(listed, now, &compactor),
        archivers: seen(&archivers),
        services: of.sizes,
        services_cut,
        blocks_counted: of.counted,
        blocks: of.blocks,
        retention: retention(archive, tenant, listed, now).await,
        quarantine: quarantine(quarantined, folders.0.parts().count()),
        symbols: Objects {
            objects: symbols.len(),
            bytes: bytes(&symbols),
        },
        requests: Requests {
            since: bucket.tally().since().millis(),
            rows: Vec::new(),
        },
        charges: None,
        cost: json!(null),
        partial,
    })
}

fn millis(object: &ObjectMeta) -> i64 {
    object.last_modified.timestamp_millis()
}

fn bytes(objects: &[ObjectMeta]) -> u64 {
    objects.iter().map(|object| object.size).sum()
}

fn seen(objects: &[ObjectMeta]) -> Archivers {
    let named = |object: &ObjectMeta| {
        let name = object.location.filename()?.to_owned();
        Some((name, Timestamp::from_millis(millis(object))))
    };
    let seen: Vec<(String, Timestamp)> = objects.iter().filter_map(named).collect();
    Archivers {
        present: present(&seen).len(),
        last_seen: objects.iter().map(millis).max(),
    }
}

/// `folder` is the number of parts of the folder's key.
fn quarantine(mut objects: Vec<ObjectMeta>, folder: usize) -> Quarantine {
    let (count, bytes) = (objects.len(), bytes(&objects));
    objects.sort_by_key(|object| std::cmp::Reverse(millis(object)));
    let last = objects.iter().take(QUARANTINED).map(|object| {
        let parts = object.location.parts().skip(folder);
        let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
        let (reason, key) = parts
            .split_first()
            .map_or((String::new(), String::new()), |(reason, key)| {
                (reason.clone(), key.join("/"))
            });
        Quarantined {
            reason,
            key,
            bytes: object.size,
            at: millis(object),
        }
    });
    Quarantine {
        objects: count,
        bytes,
        last: last.collect(),
    }
}

/// Adds what this process has counted, and what it costs.
fn counted(archive: &Archive, tenant: &Tenant, overview: Overview) -> Overview {
    let prices = archive.prices();
    let all = archive.bucket().tally().of(tenant.key());
    let rows = all.iter().map(|((request, level), of)| RequestRow {
        request,
        level,
        requests: of.requests,
        bytes: of.bytes,
        charge: prices.requests(request, of.requests),
    });
    let rows: Vec<RequestRow> = rows.collect();
    let read = rows.iter().filter(|row| row.request == "get");
    let read: u64 = read.map(|row| row.bytes).sum();
    let stored: u64 = overview.levels.iter().map(|level| level.bytes).sum();
    let stored = stored + overview.symbols.bytes + overview.quarantine.bytes;
    let charges = |prices: &Prices| Charges {
        currency: prices.currency.clone(),
        requests: rows.iter().filter_map(|row| row.charge).sum(),
        transfer: prices.transfer(read),
        storage_per_month: prices.storage(stored),
        missing: prices.missing(),
    };
    let charges = Some(prices).filter(|of| of.is_any()).map(charges);
    Overview {
        charges,
        requests: Requests {
            rows,
            ..overview.requests
        },
        ..overview
    }
}
