//! The content of a profile as bytes, so that the same profile is recognized when it is pushed again.

use davy_profile::{LabelSetId, LabelValue, Profile};
use xxhash_rust::xxh3::Xxh3;

/// Adds everything that the samples of a profile say to a hash.
pub(super) fn add(profile: &Profile, hash: &mut Xxh3) {
    let mut bytes = Bytes {
        pending: Vec::with_capacity(2 * CHUNK),
        hash,
    };
    let counts = [
        profile.strings.len(),
        profile.sample_types.len(),
        profile.mappings.len(),
        profile.functions.len(),
        profile.lines.len(),
        profile.locations.len(),
        profile.label_sets.len(),
        profile.stacks.len(),
        profile.sample_count(),
    ];
    bytes.numbers(counts.map(|count| count as u64));
    for text in profile.strings.iter() {
        bytes.numbers([text.len() as u64]);
        bytes.add(text.as_bytes());
    }
    for of in profile.sample_types.iter().chain([&profile.period_type]) {
        bytes.ids([of.kind.0, of.unit.0]);
    }
    bytes.numbers([profile.period as u64, profile.duration_nanos as u64]);
    for of in &profile.mappings {
        bytes.numbers([of.start, of.limit, of.file_offset]);
        bytes.ids([of.file.0, of.build_id.0]);
    }
    for of in &profile.functions {
        bytes.ids([of.name.0, of.system_name.0, of.file.0]);
        bytes.numbers([of.start_line as u64]);
    }
    for of in &profile.lines {
        bytes.ids([of.function]);
        bytes.numbers([of.line as u64, of.column as u64]);
    }
    for of in &profile.locations {
        bytes.numbers([of.address]);
        let mapping = of.mapping.unwrap_or(u32::MAX);
        bytes.ids([mapping, of.line_count, of.is_folded.into()]);
    }
    for set in 0..profile.label_sets.len() as u32 {
        let labels = profile.label_sets.get(LabelSetId(set));
        bytes.ids([labels.len() as u32]);
        for label in labels {
            let (number, text) = match label.value {
                LabelValue::Text(text) => (0, text),
                LabelValue::Number(number, unit) => (number, unit),
            };
            bytes.ids([label.key.0, text.0]);
            bytes.numbers([number as u64]);
        }
    }
    bytes.all(profile.stacks.parents());
    bytes.all(profile.stacks.items());
    let samples = &profile.samples;
    for (stack, labels) in samples.stacks.iter().zip(&samples.labels) {
        bytes.ids([stack.0, labels.0]);
    }
    for value in &samples.values {
        bytes.numbers([*value as u64]);
    }
    bytes.finish();
}

/// Bytes that are hashed at once.
const CHUNK: usize = 16 << 10;

/// Texts and numbers, little-endian, on their way to a hash.
struct Bytes<'a> {
    pending: Vec<u8>,
    hash: &'a mut Xxh3,
}

impl Bytes<'_> {
    fn add(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.hash.update(&self.pending);
        self.pending.clear();
    }

    fn ids<const N: usize>(&mut self, ids: [u32; N]) {
        self.all(&ids);
    }

    fn all(&mut self, ids: &[u32]) {
        for id in ids {
            self.add(&id.to_le_bytes());
        }
    }

    fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        for number in numbers {
            self.add(&number.to_le_bytes());
        }
    }
}
