//! Values that belong to spans: a table beside the samples.
//!
//! The rows of a span are parts of values of `samples`, so everything else can ignore them, and a piece without spans has
//! no such table.

use crate::spans::SpanLink;
use rustc_hash::FxHashMap;

/// A part of a value that belongs to a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRow {
    /// Index of its series.
    pub series: u32,
    /// Node of the dictionary.
    pub node: u32,
    /// Index of its window.
    pub window: u32,
    /// The value.
    pub value: i64,
    /// Its time in nanoseconds since the epoch; 0 if unknown.
    pub time_nanos: i64,
    /// The span.
    pub link: SpanLink,
}

impl SpanRow {
    fn key(&self) -> (SpanLink, u64, u32, i64) {
        let place = u64::from(self.series) << 32 | u64::from(self.node);
        (self.link, place, self.window, self.time_nanos)
    }
}

/// Sorts rows by trace and span, and adds up those with the same key.
pub(super) fn sort(rows: &mut Vec<SpanRow>) {
    rows.sort_unstable_by_key(SpanRow::key);
    rows.dedup_by(|row, kept| {
        let is_same = row.key() == kept.key();
        if is_same {
            kept.value = kept.value.saturating_add(row.value);
        }
        is_same
    });
    rows.retain(|row| row.value != 0);
}

/// Which spans of a service a block keeps: as many whole traces as there is room for. Which ones depends on their ids only,
/// so that a trace is kept in all blocks of about the same density, or in none.
#[derive(Clone, Copy, Debug)]
pub struct SpanBound {
    /// Number of rows that there is room for.
    room: usize,
    /// Traces whose order is lower are kept.
    below: Option<u64>,
    /// Number of rows that were left out.
    left_out: usize,
}

impl SpanBound {
    /// Room for this number of rows.
    pub fn new(room: usize) -> Self {
        Self {
            room,
            below: None,
            left_out: 0,
        }
    }

    /// Whether the rows of a span are kept; counts the row if not.
    pub fn admits(&mut self, link: SpanLink) -> bool {
        let is_kept = self.below.is_none_or(|below| link.order() < below);
        self.left_out += usize::from(!is_kept);
        is_kept
    }

    /// Counts rows that were left out before.
    pub fn was_left_out(&mut self, rows: usize) {
        self.left_out += rows;
    }

    /// Leaves out whole traces until there is room for the rest.
    pub fn trim(&mut self, rows: &mut Vec<SpanRow>) {
        if rows.len() <= self.room {
            return;
        }
        let mut sizes: FxHashMap<u64, usize> = FxHashMap::default();
        for row in &*rows {
            *sizes.entry(row.link.order()).or_default() += 1;
        }
        let mut sizes: Vec<(u64, usize)> = sizes.into_iter().collect();
        sizes.sort_unstable();
        let mut sum = 0;
        let first_left_out = sizes.iter().find(|(_, size)| {
            sum += size;
            sum > self.room
        });
        self.below = first_left_out.map(|(order, _)| *order);
        let before = rows.len();
        rows.retain(|row| self.below.is_none_or(|below| row.link.order() < below));
        self.left_out += before - rows.len();
    }

    /// Counts rows that were written, and takes the number of those that were left out.
    pub fn written(&mut self, rows: usize) -> usize {
        self.room = self.room.saturating_sub(rows);
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(trace: u128, span: u64, value: i64) -> SpanRow {
        SpanRow {
            series: 0,
            node: 1,
            window: 0,
            value,
            time_nanos: 0,
            link: SpanLink { trace, span },
        }
    }

    #[test]
    fn equal_rows_of_a_span_are_added_up() {
        let mut rows = vec![row(2, 1, 5), row(1, 1, 1), row(2, 1, 7), row(1, 2, 0)];
        sort(&mut rows);
        assert_eq!(rows, [row(1, 1, 1), row(2, 1, 12)]);
    }

    #[test]
    fn bound_keeps_the_same_whole_traces_whatever_the_order() {
        let all: Vec<SpanRow> = (0..1_000)
            .map(|at| row(1 + at % 100, at as u64, 1))
            .collect();
        let mut bound = SpanBound::new(305);
        let mut kept = all.clone();
        bound.trim(&mut kept);
        let traces = |rows: &[SpanRow]| -> std::collections::BTreeSet<u128> {
            rows.iter().map(|row| row.link.trace).collect()
        };
        assert_eq!((kept.len(), traces(&kept).len()), (300, 30));

        // The same row by row, in the opposite order.
        let mut one_by_one = SpanBound::new(305);
        let mut again: Vec<SpanRow> = Vec::new();
        for row in all.iter().rev() {
            if one_by_one.admits(row.link) {
                again.push(*row);
                one_by_one.trim(&mut again);
            }
        }
        assert!(traces(&again).is_subset(&traces(&kept)), "{again:?}");
        assert_eq!(one_by_one.left_out + again.len(), 1_000);

        assert_eq!(bound.written(kept.len()), 700);
        // Five rows of room are left: no trace has so few.
        let mut rest: Vec<SpanRow> = all
            .iter()
            .filter(|row| bound.admits(row.link))
            .copied()
            .collect();
        bound.trim(&mut rest);
        assert_eq!((rest.len(), bound.written(0)), (0, 1_000));
    }
}
