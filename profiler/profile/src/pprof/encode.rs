//! Writes a profile, its fields in the order in which Go writes them.

use super::field;
use crate::wire::Writer;
use crate::{LabelValue, Line, Profile, ValueType};

/// Number of bytes of the stacks in what [`encode`] would return. A sample lists all locations of its stack, so few
/// nodes can make a long profile.
pub fn stack_bytes(profile: &Profile) -> u64 {
    // Ids are varints.
    let id_bytes = |location: u32| u64::from((location + 1).ilog2() / 7 + 1);
    let nodes = profile.stacks.len();
    let mut paths = vec![0u64; nodes];
    for node in 1..nodes {
        let parent = profile.stacks.parents()[node] as usize;
        paths[node] = paths[parent] + id_bytes(profile.stacks.items()[node]);
    }
    let stacks = profile.samples.stacks.iter();
    stacks
        .map(|stack| paths[stack.index()])
        .fold(0, u64::saturating_add)
}

/// Encodes a profile as an uncompressed pprof. Ids are indices plus 1.
pub fn encode(profile: &Profile) -> Vec<u8> {
    let mut out = Writer::with_capacity(
        profile.strings.text_len() + 16 * profile.locations.len() + 64 * profile.sample_count(),
    );
    let mut message = Writer::default();
    let mut scratch = Writer::default();
    for sample_type in &profile.sample_types {
        value_type(&mut message, *sample_type);
        out.bytes(field::SAMPLE_TYPE, message.as_bytes());
    }
    for sample in 0..profile.sample_count() {
        message.clear();
        let path = profile.stacks.leaf_to_root(profile.samples.stacks[sample]);
        message.packed(
            1,
            path.map(|location| u64::from(location) + 1),
            &mut scratch,
        );
        message.packed(
            2,
            profile.values(sample).iter().map(|v| *v as u64),
            &mut scratch,
        );
        for label in profile.label_sets.get(profile.samples.labels[sample]) {
            scratch.clear();
            scratch.number(1, label.key.0.into());
            match label.value {
                LabelValue::Text(text) => scratch.number(2, text.0.into()),
                LabelValue::Number(number, unit) => {
                    scratch.number(3, number as u64);
                    scratch.number(4, unit.0.into());
                }
            }
            message.bytes(3, scratch.as_bytes());
        }
        out.bytes(field::SAMPLE, message.as_bytes());
    }
    for (index, mapping) in profile.mappings.iter().enumerate() {
        message.clear();
        let numbers = [
            index as u64 + 1,
            mapping.start,
            mapping.limit,
            mapping.file_offset,
            mapping.file.0.into(),
            mapping.build_id.0.into(),
            mapping.has_functions.into(),
            mapping.has_filenames.into(),
            mapping.has_line_numbers.into(),
            mapping.has_inline_frames.into(),
        ];
        for (number, value) in (1..).zip(numbers) {
            message.number(number, value);
        }
        out.bytes(field::MAPPING, message.as_bytes());
    }
    for (index, location) in profile.locations.iter().enumerate() {
        message.clear();
        message.number(1, index as u64 + 1);
        message.number(
            2,
            location.mapping.map_or(0, |mapping| u64::from(mapping) + 1),
        );
        message.number(3, location.address);
        for line in profile.lines_of(location) {
            scratch.clear();
            if line.function != Line::NO_FUNCTION {
                scratch.number(1, u64::from(line.function) + 1);
            }
            scratch.number(2, line.line as u64);
            scratch.number(3, line.column as u64);
            message.bytes(4, scratch.as_bytes());
        }
        message.number(5, location.is_folded.into());
        out.bytes(field::LOCATION, message.as_bytes());
    }
    for (index, function) in profile.functions.iter().enumerate() {
        message.clear();
        message.number(1, index as u64 + 1);
        message.number(2, function.name.0.into());
        message.number(3, function.system_name.0.into());
        message.number(4, function.file.0.into());
        message.number(5, function.start_line as u64);
        out.bytes(field::FUNCTION, message.as_bytes());
    }
    for text in profile.strings.iter() {
        out.bytes(field::STRING_TABLE, text.as_bytes());
    }
    out.number(field::DROP_FRAMES, profile.drop_frames.0.into());
    out.number(field::KEEP_FRAMES, profile.keep_frames.0.into());
    out.number(field::TIME_NANOS, profile.time_nanos as u64);
    out.number(field::DURATION_NANOS, profile.duration_nanos as u64);
    if profile.period_type != ValueType::default() {
        value_type(&mut message, profile.period_type);
        out.bytes(field::PERIOD_TYPE, message.as_bytes());
    }
    out.number(field::PERIOD, profile.period as u64);
    out.packed(
        field::COMMENT,
        profile.comments.iter().map(|id| u64::from(id.0)),
        &mut scratch,
    );
    out.number(
        field::DEFAULT_SAMPLE_TYPE,
        profile.default_sample_type.0.into(),
    );
    out.number(field::DOC_URL, profile.doc_url.0.into());
    out.into_bytes()
}

fn value_type(message: &mut Writer, value: ValueType) {
    message.clear();
    message.number(1, value.kind.0.into());
    message.number(2, value.unit.0.into());
}
