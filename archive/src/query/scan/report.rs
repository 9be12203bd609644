//! Facts about a scan besides its result.

use crate::query::params::Ask;
use crate::symbols::FoundNames;
use davy_base::Timestamp;
use std::collections::BTreeSet;
use std::ops::Range;

/// Facts about a scan besides its result.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// A sentence for each part of the range that could not be read.
    pub partial: Vec<String>,
    /// Number of counted windows.
    pub windows: u64,
    /// Services of the counted windows.
    pub services: BTreeSet<String>,
    /// Labels of [`Ask::by`] that a selected series has.
    pub grouped: BTreeSet<String>,
    /// The range that was counted, in milliseconds since the epoch: that of the query, or more if windows of its
    /// first or last hour no longer exist.
    pub effective: Range<i64>,
    /// What the names of frames with an address only depend on.
    pub(crate) names: FoundNames,
}

impl Report {
    /// The range that was counted, if it is not the one that was asked for.
    pub fn widened(&self, ask: &Ask) -> Option<String> {
        let Range { start, end } = self.effective;
        let time = Timestamp::from_millis;
        let is_wider = start < ask.from.millis() || end > ask.until.millis();
        is_wider.then(|| format!("{} to {}", time(start), time(end)))
    }
}

/// Maximum number of services in a report.
pub(super) const SERVICES: usize = 1_000;
