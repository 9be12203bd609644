//! Facts about a scan besides its result.

use crate::key::Day;
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
    /// The days of which single spans and profiles are asked for and have expired: the first and the last one.
    pub(super) expired: Option<(Day, Day)>,
    /// Number of values of spans that blocks left out.
    pub(super) spans_left_out: usize,
    /// What the names of frames with an address only depend on.
    pub(crate) names: FoundNames,
}

impl Report {
    /// States which spans are missing.
    pub(super) fn add_spans(&mut self) {
        if let Some((first, last)) = self.expired {
            let days = if first == last {
                first.to_string()
            } else {
                format!("{first} to {last}")
            };
            let text = "single spans and profiles are kept as long as windows, which have expired";
            self.partial.push(format!("{days}: {text}"));
        }
        if self.spans_left_out > 0 {
            let text = "samples of other traces of these services were not kept because there were too many";
            self.partial.push(format!("{} {text}", self.spans_left_out));
        }
    }

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
