//! The schema of the overview of the archive. A test compares it with a real response.

use super::rows::QueryCost;
use schemars::JsonSchema;

/// What the archive of a tenant holds, and what it costs.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
pub(super) struct ArchiveOverview {
    /// The tenant, encoded as in keys.
    tenant: String,
    /// When the bucket was listed, in milliseconds since 1970; at most a minute ago.
    listed_at: i64,
    /// Segments, hour blocks, day blocks and month blocks.
    levels: Vec<ArchiveLevel>,
    /// The archivers that compact the bucket.
    archivers: ArchiversSeen,
    /// Sizes by service, the largest first.
    services: Vec<ArchiveService>,
    /// How many of the smallest services are left out.
    services_cut: u64,
    /// How many blocks, the newest ones, are counted in `services`.
    blocks_counted: u64,
    /// How many blocks there are.
    blocks: u64,
    /// How long each level is kept, and what is deleted next.
    retention: ArchiveRetention,
    /// Copies of damaged objects.
    quarantine: ArchiveQuarantine,
    /// The symbols of builds.
    symbols: ArchiveObjects,
    /// The requests of the process that answers.
    requests: ArchiveRequests,
    /// What the provider of the bucket charges; null without `[bucket.prices]`.
    charges: Option<ArchiveCharges>,
    /// What this overview has read, when it was made.
    cost: QueryCost,
    /// What could not be read; empty if the response is complete.
    partial: Vec<String>,
}

/// A level of the archive.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveLevel {
    /// `segment`, `hour`, `day` or `month`.
    level: String,
    /// How many segments or blocks there are.
    pieces: u64,
    /// Their size, in bytes.
    bytes: u64,
    /// The first hour (`2026-03-01/05`), day (`2026-03-01`) or month (`2026-03`); empty without pieces.
    first: String,
    /// The last hour, day or month.
    last: String,
    /// Seconds since the end of the oldest hour or day that the next level does not hold; 0 without one.
    lag_seconds: u64,
    /// How many hours, days or months are due to be merged into the next level.
    backlog: u64,
}

/// The archivers that compact the bucket.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiversSeen {
    /// How many were seen within five minutes of the last one.
    present: u64,
    /// When the last one was seen, in milliseconds since 1970; null without one.
    last_seen: Option<i64>,
}

/// The size of a service in blocks.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveService {
    /// The service.
    service: String,
    /// Bytes in hour blocks.
    hour_bytes: u64,
    /// Bytes in day blocks.
    day_bytes: u64,
    /// Bytes in month blocks.
    month_bytes: u64,
}

/// How long each level is kept, and what is deleted next.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveRetention {
    /// How far `due_pieces` and `due_bytes` look ahead, in seconds.
    due_within_seconds: u64,
    /// Windows, sums by hour and sums by day.
    levels: Vec<ArchiveKept>,
    /// The rules that apply to the tenant, in their order.
    rules: Vec<ArchiveRule>,
}

/// How long the series of a rule are kept.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveRule {
    /// Selects the series.
    selector: String,
    /// How long they are kept, from the end of the hour or day.
    seconds: u64,
    /// How many blocks lose them next.
    due_blocks: u64,
    /// About how large they are in these, in bytes.
    due_bytes: u64,
}

/// How long a level is kept.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveKept {
    /// `windows`, `hours` or `days`.
    level: String,
    /// How long it is kept, from the end of the hour or day.
    seconds: u64,
    /// How many segments, blocks or tables are deleted next.
    due_pieces: u64,
    /// Their size, in bytes.
    due_bytes: u64,
    /// How many are older than that, and kept because no day block has their sums.
    waiting_pieces: u64,
    /// Their size, in bytes.
    waiting_bytes: u64,
}

/// Copies of damaged objects.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveQuarantine {
    /// How many there are.
    objects: u64,
    /// Their size, in bytes.
    bytes: u64,
    /// The newest ones.
    last: Vec<ArchiveQuarantined>,
}

/// A copy of a damaged object.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveQuarantined {
    /// `checksum`, `truncated` or `invalid`.
    reason: String,
    /// The key of the damaged object below the folder of the tenant.
    key: String,
    /// Its size, in bytes.
    bytes: u64,
    /// When it was copied, in milliseconds since 1970.
    at: i64,
}

/// Objects.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveObjects {
    /// How many there are.
    objects: u64,
    /// Their size, in bytes.
    bytes: u64,
}

/// The requests of the process that answers to the objects of the tenant, and those that all tenants share.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveRequests {
    /// Since when they are counted, in milliseconds since 1970: the start of the process.
    since: i64,
    /// One row for each kind and level.
    rows: Vec<ArchiveRequestRow>,
}

/// Requests of a kind to a level.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveRequestRow {
    /// `get`, `put`, `list`, `delete` or `head`.
    request: String,
    /// The level of the objects, as in the metric `davy_archive_bucket_requests_total`.
    level: String,
    /// How many requests, repeated ones included.
    requests: u64,
    /// Bytes of objects read or written.
    bytes: u64,
    /// What they cost; null without a price.
    charge: Option<f64>,
}

/// What the provider of the bucket charges.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only the schema is used")]
struct ArchiveCharges {
    /// The currency of all charges.
    currency: String,
    /// Of all requests, as far as they have a price.
    requests: f64,
    /// Of the transfer of what they read; null without a price.
    transfer: Option<f64>,
    /// Of storing the levels, the symbols and the quarantine for a month; null without a price.
    storage_per_month: Option<f64>,
    /// The settings of `[bucket.prices]` that have no value.
    missing: Vec<String>,
}
