//! What to copy, and the result.

use crate::key::{Day, Hour, Tenant};
use davy_base::Timestamp;
use serde::Serialize;

/// What to copy.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// The only tenant to copy.
    pub tenant: Option<Tenant>,
    /// The first day to copy; symbols have no day and are always copied. Of months, whole ones are copied.
    pub from: Option<Day>,
    /// The last day to copy.
    pub until: Option<Day>,
    /// Only says what would be copied.
    pub is_dry_run: bool,
}

/// A number of objects and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Number of objects.
    pub objects: u64,
    /// Size in bytes.
    pub bytes: u64,
}

/// The result of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Objects that were copied, or would be.
    pub copied: Amount,
    /// Objects that the target had with the same content.
    pub skipped: Amount,
    /// A sentence for each object that is damaged in the source.
    pub damaged: Vec<String>,
    /// A sentence for each object of the target that has other content.
    pub conflicts: Vec<String>,
    /// Number of listings of the source; more than one if pieces were deleted during the copy.
    pub passes: usize,
}

impl CopyOptions {
    /// Limits the copy to the days that a range touches.
    pub fn within(&mut self, from: Option<Timestamp>, until: Option<Timestamp>) {
        self.from = from.map(|from| Day::of(Hour::of(from)));
        let last = until.map(|until| Timestamp::from_millis(until.millis() - 1));
        self.until = last.map(|last| Day::of(Hour::of(last)));
    }

    /// Whether all days from the first to the last are to be copied.
    pub(super) fn contains(&self, days: Option<(Day, Day)>) -> bool {
        let Some((first, last)) = days else {
            return true;
        };
        self.from.is_none_or(|from| from <= first) && self.until.is_none_or(|until| last <= until)
    }

    pub(super) fn contains_tenant(&self, tenant: &str) -> bool {
        self.tenant.as_ref().is_none_or(|of| of.key() == tenant)
    }
}

impl Amount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}
