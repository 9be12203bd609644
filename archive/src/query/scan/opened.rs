//! What a query reads, as it was listed.

use crate::bucket::months::Covered;
use xxhash_rust::xxh3::Xxh3;

/// The pieces of a range, as they were listed.
#[derive(Default)]
pub(in crate::query) struct Opened(pub(super) Covered);

impl Opened {
    /// A hash of the names of all pieces: the same pieces hold the same windows. None if some could not be read.
    pub(in crate::query) fn fingerprint(&self) -> Option<u128> {
        let Covered {
            days,
            months,
            faults,
        } = &self.0;
        if !faults.is_empty() || days.values().any(|day| day.is_incomplete) {
            return None;
        }
        let mut hash = Xxh3::new();
        let mut add = |kind: u8, name: &[u8]| {
            hash.update(&[kind]);
            hash.update(name);
        };
        for day in days.values() {
            for block in &day.blocks {
                add(1, block.id.0.as_bytes());
                add(2, &[u8::from(block.has_hours)]);
            }
            for (hour, pieces) in &day.hours {
                add(3, &hour.0.to_le_bytes());
                for segment in &pieces.segments {
                    add(4, &segment.name.to_bytes());
                }
                for block in &pieces.blocks {
                    add(5, block.id.0.as_bytes());
                }
            }
        }
        for block in months.values() {
            add(6, block.id.0.as_bytes());
        }
        Some(hash.digest128())
    }
}
