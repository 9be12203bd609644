//! The response. `core/control` describes it for OpenAPI.

use crate::inspect::{Level, ServiceBytes};
use serde::Serialize;
use serde_json::Value;

/// What the archive of a tenant holds, and what it costs. Times are in milliseconds since 1970.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    pub(super) tenant: String,
    pub(super) listed_at: i64,
    pub(super) levels: Vec<Level>,
    pub(super) archivers: Archivers,
    pub(super) services: Vec<ServiceBytes>,
    /// Number of services that are left out.
    pub(super) services_cut: usize,
    /// Number of blocks, the newest ones, whose services are counted, and of all blocks.
    pub(super) blocks_counted: usize,
    pub(super) blocks: usize,
    pub(super) retention: Retention,
    pub(super) quarantine: Quarantine,
    pub(super) symbols: Objects,
    pub(super) requests: Requests,
    pub(super) charges: Option<Charges>,
    pub(super) cost: Value,
    pub(super) partial: Vec<String>,
}

/// The archivers that compact the bucket.
#[derive(Debug, Serialize)]
pub(super) struct Archivers {
    pub(super) present: usize,
    pub(super) last_seen: Option<i64>,
}

/// What is kept, and what is deleted next.
#[derive(Debug, Serialize)]
pub(super) struct Retention {
    /// `due_pieces` and `due_bytes` are those of the next seconds.
    pub(super) due_within_seconds: u64,
    pub(super) levels: Vec<Kept>,
    pub(super) rules: Vec<KeptByRule>,
}

/// How long the series of a rule are kept.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct KeptByRule {
    pub(super) selector: String,
    pub(super) seconds: u64,
    /// Blocks that are replaced next, and what they lose.
    pub(super) due_blocks: usize,
    pub(super) due_bytes: u64,
}

/// How long a level is kept.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Kept {
    /// `windows`, `hours` or `days`, as in the settings.
    pub(super) level: &'static str,
    pub(super) seconds: u64,
    pub(super) due_pieces: usize,
    pub(super) due_bytes: u64,
    /// What is older, but is kept because no day block has its sums.
    pub(super) waiting_pieces: usize,
    pub(super) waiting_bytes: u64,
}

/// Copies of damaged objects.
#[derive(Debug, Serialize)]
pub(super) struct Quarantine {
    pub(super) objects: usize,
    pub(super) bytes: u64,
    /// The newest ones.
    pub(super) last: Vec<Quarantined>,
}

/// A copy of a damaged object.
#[derive(Debug, Serialize)]
pub(super) struct Quarantined {
    pub(super) reason: String,
    /// The key of the damaged object below the folder of the tenant.
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) at: i64,
}

/// Objects that are not of a level.
#[derive(Debug, Serialize)]
pub(super) struct Objects {
    pub(super) objects: usize,
    pub(super) bytes: u64,
}

/// The requests of this process to the objects of the tenant, and those that all tenants share.
#[derive(Debug, Serialize)]
pub(super) struct Requests {
    pub(super) since: i64,
    pub(super) rows: Vec<RequestRow>,
}

/// Requests of a kind to a level.
#[derive(Debug, Serialize)]
pub(super) struct RequestRow {
    pub(super) request: &'static str,
    pub(super) level: &'static str,
    pub(super) requests: u64,
    pub(super) bytes: u64,
    pub(super) charge: Option<f64>,
}

/// What the provider charges.
#[derive(Debug, Serialize)]
pub(super) struct Charges {
    pub(super) currency: String,
    /// Of all requests since the start of the process.
    pub(super) requests: f64,
    /// Of the transfer of what they read.
    pub(super) transfer: Option<f64>,
    /// Of storing what is listed for a month.
    pub(super) storage_per_month: Option<f64>,
    /// Settings of `[bucket.prices]` without a value, whose charges are missing.
    pub(super) missing: Vec<&'static str>,
}
