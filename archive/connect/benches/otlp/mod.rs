//! Encodes profiles as OpenTelemetry's exporters do: one request with one profile and its dictionary.

use davy_profile::wire::Writer;
use davy_profile::{Profile, StringId};

/// A message with these fields of numbers, those with 0 omitted.
fn numbers(fields: &[(u64, u64)]) -> Writer {
    let mut message = Writer::default();
    for (field, value) in fields.iter().filter(|(_, value)| *value != 0) {
        message.number(*field, *value);
    }
    message
}

fn of(id: StringId) -> u64 {
    u64::from(id.0)
}

/// The dictionary of a profile. Index 0 of each table means none; index 0 of the strings is empty in both formats.
fn dictionary(profile: &Profile) -> Writer {
    let mut all = Writer::default();
    let mut scratch = Writer::default();
    for table in [1, 2, 3, 6, 7] {
        all.bytes(table, &[]);
    }
    let mut key = profile.strings.clone();
    let key = key.intern("process.executable.build_id.gnu");
    for (at, mapping) in (1..).zip(&profile.mappings) {
        let mut message = numbers(&[
            (1, mapping.start),
            (2, mapping.limit),
            (3, mapping.file_offset),
            (4, of(mapping.file)),
        ]);
        message.packed(5, [at].into_iter(), &mut scratch);
        all.bytes(1, message.as_bytes());
        let mut value = Writer::default();
        value.bytes(1, profile.text(mapping.build_id).as_bytes());
        let mut attribute = numbers(&[(1, of(key))]);
        attribute.bytes(2, value.as_bytes());
        all.bytes(6, attribute.as_bytes());
    }
    for location in &profile.locations {
        let mapping = location.mapping.map_or(0, |at| u64::from(at) + 1);
        let mut message = numbers(&[(1, mapping), (2, location.address)]);
        for line in profile.lines_of(location) {
            let line = numbers(&[(1, u64::from(line.function) + 1), (2, line.line as u64)]);
            message.bytes(3, line.as_bytes());
        }
        all.bytes(2, message.as_bytes());
    }
    for function in &profile.functions {
        let message = numbers(&[
            (1, of(function.name)),
            (2, of(function.system_name)),
            (3, of(function.file)),
            (4, function.start_line as u64),
        ]);
        all.bytes(3, message.as_bytes());
    }
    for text in 0..profile.strings.len() as u32 {
        all.bytes(5, profile.strings.get(StringId(text)).as_bytes());
    }
    all.bytes(5, b"process.executable.build_id.gnu");
    for stack in &profile.samples.stacks {
        let mut message = Writer::default();
        let locations = profile.stacks.leaf_to_root(*stack);
        message.packed(1, locations.map(|at| u64::from(at) + 1), &mut scratch);
        all.bytes(7, message.as_bytes());
    }
    all
}

/// A request with the samples of a profile. Each sample has a stack of its own in the dictionary.
pub(crate) fn request(profile: &Profile, service: &str) -> Vec<u8> {
    let mut scratch = Writer::default();
    let kind = &profile.sample_types[0];
    let value_type = numbers(&[(1, of(kind.kind)), (2, of(kind.unit))]);
    let mut message = Writer::default();
    message.bytes(1, value_type.as_bytes());
    let values = profile.samples.values.iter();
    for (stack, value) in (1..).zip(values) {
        let mut sample = numbers(&[(1, stack)]);
        sample.packed(4, [*value as u64].into_iter(), &mut scratch);
        message.bytes(2, sample.as_bytes());
    }
    message.number(4, profile.duration_nanos as u64);
    message.bytes(5, value_type.as_bytes());
    message.number(6, profile.period as u64);
    let mut message = message.into_bytes();
    // The start is a fixed64, field 3.
    message.push(3 << 3 | 1);
    message.extend_from_slice(&profile.time_nanos.to_le_bytes());

    let mut name = Writer::default();
    name.bytes(1, service.as_bytes());
    let mut attribute = Writer::default();
    attribute.bytes(1, b"service.name");
    attribute.bytes(2, name.as_bytes());
    let mut resource = Writer::default();
    resource.bytes(1, attribute.as_bytes());
    let mut scope = Writer::default();
    scope.bytes(2, &message);
    let mut profiles = Writer::default();
    profiles.bytes(1, resource.as_bytes());
    profiles.bytes(2, scope.as_bytes());
    let mut request = Writer::default();
    request.bytes(1, profiles.as_bytes());
    request.bytes(2, dictionary(profile).as_bytes());
    request.into_bytes()
}
