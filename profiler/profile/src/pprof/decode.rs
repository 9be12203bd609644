//! Decodes a profile: one pass over its fields, then the locations, then the samples.

mod ids;
mod messages;
mod strings;

use super::field;
use crate::truncate;
use crate::wire::{self, Reader, Value, repeated};
use crate::{Error, Label, Limits, Line, Location, Profile, StackBuilder};
use ids::Ids;
use messages::{function, label, mapping, string, value_type};
use std::borrow::Cow;

/// Decodes an uncompressed pprof.
///
/// Profiles that refer to something they do not contain are errors. Longer strings and deeper stacks than
/// the limits are truncated and counted in [`Profile::truncated`]: a runaway recursion must not cost the
/// rest of the profile.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Profile, Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLarge {
            limit: limits.bytes,
        });
    }
    let mut profile = Profile::new();
    let mut deferred = Deferred::default();
    let mut reader = Reader::new(bytes);
    // Fields that occur once in a profile, as bits.
    let mut seen = 0u64;
    while let Some((number, value)) = reader.field()? {
        let end = reader.position();
        if ONCE.contains(&number) {
            let bit = 1 << number;
            if seen & bit != 0 {
                return Err(Error::Concatenated);
            }
            seen |= bit;
        }
        match (number, value) {
            (field::SAMPLE_TYPE, _) if deferred.types_came_first => {
                return Err(Error::Concatenated);
            }
            (field::SAMPLE, Value::Bytes(message)) => {
                if deferred.samples.len() == limits.samples {
                    return Err(Error::TooMany {
                        what: "samples",
                        got: limits.samples + 1,
                        limit: limits.samples,
                    });
                }
                deferred.types_came_first = !profile.sample_types.is_empty();
                deferred.samples.push((message, end - message.len()));
            }
            (field::LOCATION, Value::Bytes(message)) => {
                deferred.locations.push((message, end - message.len()))
            }
            (field::STRING_TABLE, Value::Bytes(text)) => {
                deferred.string(&mut profile, text, end, limits)?
            }
            (field::SAMPLE_TYPE, Value::Bytes(message)) => {
                profile
                    .sample_types
                    .push(value_type(message, end - message.len())?);
            }
            (field::PERIOD_TYPE, Value::Bytes(message)) => {
                profile.period_type = value_type(message, end - message.len())?;
            }
            (field::MAPPING, Value::Bytes(message)) => {
                let (id, mapping) = mapping(message, end - message.len())?;
                deferred.mapping_ids.add(id, "mapping")?;
                profile.mappings.push(mapping);
            }
            (field::FUNCTION, Value::Bytes(message)) => {
                let (id, function) = function(message, end - message.len())?;
                deferred.function_ids.add(id, "function")?;
                profile.functions.push(function);
            }
            (field::COMMENT, value) => {
                repeated(value, end, |id| profile.comments.push(string(id)))?;
            }
            (field::DROP_FRAMES, Value::Varint(id)) => profile.drop_frames = string(id),
            (field::KEEP_FRAMES, Value::Varint(id)) => profile.keep_frames = string(id),
            (field::TIME_NANOS, Value::Varint(nanos)) => profile.time_nanos = nanos as i64,
            (field::DURATION_NANOS, Value::Varint(nanos)) => profile.duration_nanos = nanos as i64,
            (field::PERIOD, Value::Varint(period)) => profile.period = period as i64,
            (field::DEFAULT_SAMPLE_TYPE, Value::Varint(id)) => {
                profile.default_sample_type = string(id)
            }
            (field::DOC_URL, Value::Varint(id)) => profile.doc_url = string(id),
            (1..=15, _) => {
                return unexpected_wire_type(end);
            }
            // Fields of later versions of the format are ignored.
            _ => {}
        }
    }
    if profile.sample_types.is_empty() {
        return Err(Error::NoSampleType);
    }
    deferred.read_locations(&mut profile)?;
    deferred.read_samples(&mut profile, limits)?;
    strings::check(&profile)?;
    Ok(profile)
}

/// Maximum number of labels of a sample. In memory a label takes many times its size in a message.
pub const LABELS: usize = 1_024;

/// Fields whose second occurrence shows that a second profile begins.
const ONCE: [u64; 5] = [
    field::TIME_NANOS,
    field::DURATION_NANOS,
    field::PERIOD_TYPE,
    field::PERIOD,
    field::DEFAULT_SAMPLE_TYPE,
];

#[cold]
fn unexpected_wire_type<T>(offset: usize) -> Result<T, Error> {
    let problem = "unexpected wire type";
    Err(wire::Error { problem, offset }.into())
}

/// Messages that are decoded once everything they refer to is known.
#[derive(Default)]
struct Deferred<'a> {
    /// Messages with their offsets.
    samples: Vec<(&'a [u8], usize)>,
    locations: Vec<(&'a [u8], usize)>,
    mapping_ids: Ids,
    function_ids: Ids,
    location_ids: Ids,
    seen_empty_string: bool,
    /// Whether sample types preceded the last sample: a further type belongs to a second profile.
    types_came_first: bool,
}

impl Deferred<'_> {
    fn string(
        &mut self,
        profile: &mut Profile,
        text: &[u8],
        end: usize,
        limits: &Limits,
    ) -> Result<(), Error> {
        if self.seen_empty_string {
            // Lossy, because some agents truncate names within a character.
            let text = match std::str::from_utf8(text) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(text),
            };
            profile.truncated.strings += u64::from(text.len() > limits.string);
            profile.strings.push(&truncate::name(&text, limits.string));
        } else if text.is_empty() {
            self.seen_empty_string = true;
        } else {
            return Err(Error::Wire(wire::Error {
                problem: "first string is not empty",
                offset: end - text.len(),
            }));
        }
        Ok(())
    }

    fn read_locations(&mut self, profile: &mut Profile) -> Result<(), Error> {
        profile.locations.reserve_exact(self.locations.len());
        for (index, (message, base)) in self.locations.iter().enumerate() {
            let mut location = Location {
                first_line: profile.lines.len() as u32,
                ..Location::default()
            };
            let mut id = 0;
            let mut reader = Reader::nested(message, *base);
            while let Some((number, value)) = reader.field()? {
                match (number, value) {
                    (1, Value::Varint(number)) => id = number,
                    (2, Value::Varint(0)) => {}
                    (2, Value::Varint(mapping)) => {
                        let found = self.mapping_ids.index(mapping);
                        location.mapping = Some(found.ok_or(Error::Dangling {
                            what: "location",
                            index,
                            target: "mapping",
                            id: mapping,
                        })?);
                    }
                    (3, Value::Varint(address)) => location.address = address,
                    (4, Value::Bytes(line)) => {
                        let base = reader.position() - line.len();
                        profile.lines.push(self.line(line, base, index)?);
                        location.line_count += 1;
                    }
                    (5, Value::Varint(folded)) => location.is_folded = folded != 0,
                    (1..=5, _) => {
                        return unexpected_wire_type(reader.position());
                    }
                    _ => {}
                }
            }
            self.location_ids.add(id, "location")?;
            profile.locations.push(location);
        }
        Ok(())
    }

    fn line(&self, message: &[u8], base: usize, location: usize) -> Result<Line, Error> {
        let mut line = Line {
            function: Line::NO_FUNCTION,
            line: 0,
            column: 0,
        };
        let mut reader = Reader::nested(message, base);
        while let Some((number, value)) = reader.field()? {
            match (number, value) {
                (1, Value::Varint(0)) => {}
                (1, Value::Varint(id)) => {
                    line.function = self.function_ids.index(id).ok_or(Error::Dangling {
                        what: "location",
                        index: location,
                        target: "function",
                        id,
                    })?;
                }
                (2, Value::Varint(number)) => line.line = number as i64,
                (3, Value::Varint(number)) => line.column = number as i64,
                (1..=3, _) => {
                    return unexpected_wire_type(reader.position());
                }
                _ => {}
            }
        }
        Ok(line)
    }

    fn read_samples(&self, profile: &mut Profile, limits: &Limits) -> Result<(), Error> {
        let width = profile.sample_types.len();
        // Each value has a byte at least, so the values of a profile that claims more are not reserved.
        let bytes: usize = self.samples.iter().map(|(message, _)| message.len()).sum();
        let values = self.samples.len().saturating_mul(width).min(bytes);
        profile.samples.values.reserve_exact(values);
        profile.samples.stacks.reserve_exact(self.samples.len());
        profile.samples.labels.reserve_exact(self.samples.len());
        // A sample of a real program adds about eight nodes.
        let nodes = (self.samples.len() * 8).min(limits.nodes).min(1 << 16);
        profile.stacks.reserve(nodes);
        let mut labels: Vec<Label> = Vec::new();
        let mut stacks = StackBuilder::new(limits);
        for (index, (message, base)) in self.samples.iter().enumerate() {
            labels.clear();
            let values_before = profile.samples.values.len();
            let mut missing = None;
            // Values beyond the limit are counted, not stored.
            let mut too_wide = 0usize;
            let mut reader = Reader::nested(message, *base);
            while let Some((number, value)) = reader.field()? {
                match (number, value) {
                    (1, value) => repeated(value, reader.position(), |id| {
                        match self.location_ids.index(id) {
                            Some(found) => stacks.push(found),
                            None => missing = Some(id),
                        }
                    })?,
                    (2, value) => {
                        repeated(value, reader.position(), |v| {
                            if profile.samples.values.len() - values_before < width {
                                profile.samples.values.push(v as i64);
                            } else {
                                too_wide += 1;
                            }
                        })?;
                    }
                    (3, Value::Bytes(_)) if labels.len() == LABELS => {
                        return Err(Error::TooMany {
                            what: "labels of one sample",
                            got: LABELS + 1,
                            limit: LABELS,
                        });
                    }
                    (3, Value::Bytes(message)) => {
                        labels.push(label(message, reader.position() - message.len())?);
                    }
                    (3, _) => {
                        return unexpected_wire_type(reader.position());
                    }
                    _ => {}
                }
            }
            if let Some(id) = missing {
                return Err(Error::Dangling {
                    what: "sample",
                    index,
                    target: "location",
                    id,
                });
            }
            let got = profile.samples.values.len() - values_before + too_wide;
            if got != width {
                return Err(Error::ValueCount {
                    index,
                    got,
                    expected: width,
                });
            }
            let (node, _) = stacks.finish(profile)?;
            profile.samples.stacks.push(node);
            profile
                .samples
                .labels
                .push(profile.label_sets.intern(&labels));
        }
        Ok(())
    }
}
