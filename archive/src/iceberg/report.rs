//! What to publish, and what was published.

use crate::key::Tenant;
use serde::Serialize;

/// What to publish.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// The only tenant to publish.
    pub tenant: Option<Tenant>,
    /// The URL under which the engines read the bucket, without the prefix of the archive; that of the bucket if it is
    /// empty.
    pub location: String,
    /// Only says what would be published.
    pub is_dry_run: bool,
}

/// An hour that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// `YYYY-MM-DD/HH`.
    pub hour: String,
    /// Why.
    pub reason: &'static str,
}

/// A published table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedTable {
    /// Its name.
    pub table: &'static str,
    /// Its address.
    pub location: String,
    /// Number of files.
    pub files: usize,
    /// Number of rows.
    pub rows: i64,
    /// Files that were added to the snapshot before.
    pub added: usize,
    /// Files that were removed from it.
    pub removed: usize,
    /// The snapshot; None if there is none.
    pub snapshot: Option<i64>,
}

/// The tables of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedTables {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// Every window before this hour is in the tables (`YYYY-MM-DD/HH`).
    pub complete_until: String,
    /// The first day (`YYYY-MM-DD`) from which on the table `samples` is complete; days before have sums only. None if
    /// all have them.
    pub samples_from: Option<String>,
    /// Hours that are left out.
    pub left_out: Vec<LeftOut>,
    /// A sentence for each block that is not complete because an input was damaged, or that cannot be read.
    pub faults: Vec<String>,
    /// The tables.
    pub tables: Vec<PublishedTable>,
}
