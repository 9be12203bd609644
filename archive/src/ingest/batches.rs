//! The windows of an open segment, in one batch for each large service and one for all others.
//!
//! A batch has a dictionary of stacks. Those of one service fit into the caches of a processor, those of all services
//! do not, and a compactor reads the batches of one service at a time. Many small batches would cost more than they
//! save, so a service gets its own if it had many rows in the last segment.

use crate::format::batch::{Batch, BatchSize};
use std::collections::BTreeMap;

/// Number of rows in the last segment from which on a service gets its own batch.
const LARGE_ROWS: usize = 4_096;

/// The sizes of the batches of a segment, which the next one will have, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes {
    large: BTreeMap<String, BatchSize>,
    others: BatchSize,
}

/// The windows of an open segment.
#[derive(Debug, Default)]
pub(super) struct Batches {
    expected: Sizes,
    large: BTreeMap<String, Batch>,
    others: Batch,
}

impl Batches {
    /// No windows; the batches will have about these sizes.
    pub(super) fn new(expected: Sizes) -> Self {
        Self {
            expected,
            ..Self::default()
        }
    }

    /// Lets `fill` add to the batch of a service, and returns by how many bytes that grew.
    pub(super) fn add(&mut self, service: &str, fill: impl FnOnce(&mut Batch)) -> usize {
        let (batch, size) = match self.expected.large.get(service) {
            None => (&mut self.others, self.expected.others),
            Some(size) if self.large.contains_key(service) => {
                let batch = self.large.get_mut(service);
                (batch.unwrap_or(&mut self.others), *size)
            }
            Some(size) => (self.large.entry(service.to_owned()).or_default(), *size),
        };
        if batch.windows.is_empty() {
            batch.reserve(size);
        }
        let before = batch.bytes();
        fill(batch);
        batch.bytes().saturating_sub(before)
    }

    /// Number of windows.
    pub(super) fn windows(&self) -> usize {
        let large = self.large.values();
        large.chain([&self.others]).map(|of| of.windows.len()).sum()
    }

    /// The sizes of the batches that the next segment should have.
    pub(super) fn sizes(&self) -> Sizes {
        let mut sizes = Sizes {
            others: self.others.size(),
            ..Sizes::default()
        };
        for (service, batch) in &self.large {
            if batch.rows.len() >= LARGE_ROWS {
                sizes.large.insert(service.clone(), batch.size());
            }
        }
        let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
        for of in self.others.rows.chunk_by(|a, b| a.series == b.series) {
            let series = &self.others.series[of[0].series as usize];
            let service = self.others.sources[series.source as usize].service();
            *rows.entry(service).or_default() += of.len();
        }
        for (service, rows) in rows.into_iter().filter(|(_, rows)| *rows >= LARGE_ROWS) {
            let size = self.others.size().share(rows);
            sizes.large.insert(service.to_owned(), size);
        }
        sizes
    }

    /// The batches with windows.
    pub(super) fn into_batches(self) -> Vec<Batch> {
        let all = self.large.into_values().chain([self.others]);
        all.filter(|batch| !batch.windows.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::batch::{Row, Series, Window};
    use crate::labels::Labels;
    use davy_profile::NodeId;
    use std::sync::Arc;

    fn add(batches: &mut Batches, service: &str, rows: usize) {
        batches.add(service, |batch| {
            let labels = [("service_name".to_owned(), service.to_owned())];
            let source = batch.source(&Arc::new(Labels::from_pairs(labels)));
            let series = batch.one_series(Series {
                source,
                kind: "cpu:cpu:nanoseconds:cpu:nanoseconds".into(),
                labels: Arc::default(),
                header: Arc::default(),
            });
            let id = batch.windows.len() as u128 + u128::from(source) * 1_000;
            let window = batch.window(Window {
                source,
                id,
                start_ms: 0,
                duration_ms: 0,
                time_nanos: 0,
                duration_nanos: 0,
                count: 1,
            });
            for at in 0..rows {
                let node = batch.stacks.child(NodeId::ROOT, at as u32);
                batch.rows.push(Row {
                    series,
                    node: node.0,
                    window: window.expect("a new window"),
                    value: 1,
                });
            }
        });
    }

    fn services(batches: Batches) -> Vec<Vec<String>> {
        let batches = batches.into_batches();
        batches.iter().map(Batch::services).collect()
    }

    #[test]
    fn services_that_had_many_rows_get_batches_of_their_own() {
        let mut first = Batches::default();
        for _ in 0..3 {
            add(&mut first, "large", LARGE_ROWS / 2);
            add(&mut first, "small", 10);
        }
        add(&mut first, "other", LARGE_ROWS - 1);
        assert_eq!(first.windows(), 7);
        let sizes = first.sizes();
        assert_eq!(services(first), [["large", "other", "small"]]);
        let mut second = Batches::new(sizes);
        for service in ["small", "large", "other"] {
            add(&mut second, service, 10);
        }
        // It has few rows now.
        let sizes = second.sizes();
        assert_eq!(services(second), [vec!["large"], vec!["other", "small"]]);
        let mut third = Batches::new(sizes);
        add(&mut third, "large", LARGE_ROWS);
        add(&mut third, "new", 1);
        assert_eq!(services(third), [["large", "new"]]);
    }

    #[test]
    fn growth_is_that_of_the_batch() {
        let mut batches = Batches::default();
        add(&mut batches, "a", 100);
        let before = batches.others.bytes();
        let grown = batches.add("b", |batch| {
            batch.rows.push(batch.rows[0]);
        });
        assert_eq!(grown, batches.others.bytes() - before);
        assert!(grown > 0);
    }
}
