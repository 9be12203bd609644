//! From bytes to a profile: one pass over the fields, then places, then samples.

use super::field;
use crate::wire::{Reader, Value, repeated};
use crate::{
    Error, Function, Label, LabelValue, Limits, Line, Location, Mapping, NodeId, Profile, StringId,
    ValueType,
};
use rustc_hash::FxHashMap;

/// Reads an unpacked pprof. What it accepts, Go's `CheckValid` accepts too; what names something
/// that the profile does not have is refused, and so is what passes a limit.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Profile, Error> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLarge {
            limit: limits.bytes,
        });
    }
    let mut profile = Profile::new();
    let mut late = Late::default();
    let mut reader = Reader::new(bytes, 0);
    while let Some((number, value)) = reader.field()? {
        let end = reader.position();
        match (number, value) {
            (field::SAMPLE, Value::Bytes(message)) => {
                late.samples.push((message, end - message.len()))
            }
            (field::LOCATION, Value::Bytes(message)) => {
                late.locations.push((message, end - message.len()))
            }
            (field::STRING_TABLE, Value::Bytes(text)) => {
                late.string(&mut profile, text, end, limits)?
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
                late.mapping_ids.add(id, "mapping")?;
                profile.mappings.push(mapping);
            }
            (field::FUNCTION, Value::Bytes(message)) => {
                let (id, function) = function(message, end - message.len())?;
                late.function_ids.add(id, "function")?;
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
                return Err(Error::Wire {
                    what: "a field of the wrong kind",
                    at: end,
                });
            }
            // A field of a later version of the format.
            _ => {}
        }
    }
    if late.samples.len() > limits.samples {
        return Err(Error::TooMany {
            what: "samples",
            got: late.samples.len(),
            limit: limits.samples,
        });
    }
    if profile.sample_types.is_empty() {
        return Err(Error::NoSampleType);
    }
    late.read_locations(&mut profile)?;
    late.read_samples(&mut profile, limits)?;
    check_strings(&profile)?;
    Ok(profile)
}

/// Pointers past 2^32 point nowhere; the check for missing strings finds them.
fn string(id: u64) -> StringId {
    StringId(u32::try_from(id).unwrap_or(u32::MAX))
}

/// What can be read only when everything that it names has been read.
#[derive(Default)]
struct Late<'a> {
    samples: Vec<(&'a [u8], usize)>,
    locations: Vec<(&'a [u8], usize)>,
    mapping_ids: Ids,
    function_ids: Ids,
    location_ids: Ids,
    seen_empty_string: bool,
}

impl Late<'_> {
    fn string(
        &mut self,
        profile: &mut Profile,
        text: &[u8],
        end: usize,
        limits: &Limits,
    ) -> Result<(), Error> {
        if text.len() > limits.string {
            return Err(Error::TooLong {
                what: "a string",
                got: text.len(),
                limit: limits.string,
            });
        }
        if self.seen_empty_string {
            match std::str::from_utf8(text) {
                Ok(text) => profile.strings.push(text),
                // Some agents cut names inside a character.
                Err(_) => profile.strings.push(&String::from_utf8_lossy(text)),
            };
        } else if text.is_empty() {
            self.seen_empty_string = true;
        } else {
            return Err(Error::Wire {
                what: "the first string is not the empty one",
                at: end - text.len(),
            });
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
            let mut reader = Reader::new(message, *base);
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
                        return Err(Error::Wire {
                            what: "a field of the wrong kind",
                            at: reader.position(),
                        });
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
        let mut reader = Reader::new(message, base);
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
                    return Err(Error::Wire {
                        what: "a field of the wrong kind",
                        at: reader.position(),
                    });
                }
                _ => {}
            }
        }
        Ok(line)
    }

    fn read_samples(&self, profile: &mut Profile, limits: &Limits) -> Result<(), Error> {
        let width = profile.sample_types.len();
        profile
            .samples
            .values
            .reserve_exact(self.samples.len() * width);
        profile.samples.stacks.reserve_exact(self.samples.len());
        profile.samples.labels.reserve_exact(self.samples.len());
        // Samples of real programs bring some eight new nodes each.
        let nodes = (self.samples.len() * 8).min(limits.nodes).min(1 << 16);
        profile.stacks.reserve(nodes);
        let mut labels: Vec<Label> = Vec::new();
        // The path of the sample at hand and of the one before, leaf first, and the nodes of the
        // latter, root first: what two neighbours share is not looked up again.
        let (mut path, mut last): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut nodes: Vec<NodeId> = Vec::new();
        // A place may be many frames, all but one of them inlined; those are what others expand.
        let frames_of: Vec<usize> = profile
            .locations
            .iter()
            .map(|location| location.line_count.max(1) as usize)
            .collect();
        let mut frames = 0usize;
        for (index, (message, base)) in self.samples.iter().enumerate() {
            path.clear();
            labels.clear();
            let values_before = profile.samples.values.len();
            let mut missing = None;
            // What passes a limit is counted and not kept.
            let (mut too_deep, mut too_wide) = (0usize, 0usize);
            let mut reader = Reader::new(message, *base);
            while let Some((number, value)) = reader.field()? {
                match (number, value) {
                    (1, value) => repeated(value, reader.position(), |id| {
                        match self.location_ids.index(id) {
                            Some(found) if path.len() <= limits.depth => path.push(found),
                            Some(_) => too_deep += 1,
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
                    (3, Value::Bytes(message)) => {
                        labels.push(label(message, reader.position() - message.len())?);
                    }
                    (3, _) => {
                        return Err(Error::Wire {
                            what: "a field of the wrong kind",
                            at: reader.position(),
                        });
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
            let frames_on_path = path.iter().map(|location| frames_of[*location as usize]);
            let depth = frames_on_path.sum::<usize>() + too_deep;
            if depth > limits.depth {
                return Err(Error::TooDeep {
                    index,
                    depth,
                    limit: limits.depth,
                });
            }
            let shared = path
                .iter()
                .rev()
                .zip(last.iter().rev())
                .take_while(|(a, b)| a == b)
                .count();
            nodes.truncate(shared);
            let mut node = nodes.last().copied().unwrap_or(NodeId::ROOT);
            for &location in path.iter().rev().skip(shared) {
                let known = profile.stacks.len();
                node = profile.stacks.child(node, location);
                nodes.push(node);
                if profile.stacks.len() > known {
                    frames += frames_of[location as usize];
                }
            }
            if frames > limits.nodes {
                return Err(Error::TooMany {
                    what: "distinct stack frames",
                    got: frames,
                    limit: limits.nodes,
                });
            }
            std::mem::swap(&mut path, &mut last);
            profile.samples.stacks.push(node);
            profile
                .samples
                .labels
                .push(profile.label_sets.intern(&labels));
        }
        Ok(())
    }
}

fn value_type(message: &[u8], base: usize) -> Result<ValueType, Error> {
    let mut result = ValueType::default();
    let mut reader = Reader::new(message, base);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Value::Varint(id)) => result.kind = string(id),
            (2, Value::Varint(id)) => result.unit = string(id),
            _ => {}
        }
    }
    Ok(result)
}

fn mapping(message: &[u8], base: usize) -> Result<(u64, Mapping), Error> {
    let (mut id, mut result) = (0, Mapping::default());
    let mut reader = Reader::new(message, base);
    while let Some((number, value)) = reader.field()? {
        let Value::Varint(value) = value else {
            continue;
        };
        match number {
            1 => id = value,
            2 => result.start = value,
            3 => result.limit = value,
            4 => result.file_offset = value,
            5 => result.file = string(value),
            6 => result.build_id = string(value),
            7 => result.has_functions = value != 0,
            8 => result.has_filenames = value != 0,
            9 => result.has_line_numbers = value != 0,
            10 => result.has_inline_frames = value != 0,
            _ => {}
        }
    }
    Ok((id, result))
}

fn function(message: &[u8], base: usize) -> Result<(u64, Function), Error> {
    let (mut id, mut result) = (0, Function::default());
    let mut reader = Reader::new(message, base);
    while let Some((number, value)) = reader.field()? {
        let Value::Varint(value) = value else {
            continue;
        };
        match number {
            1 => id = value,
            2 => result.name = string(value),
            3 => result.system_name = string(value),
            4 => result.file = string(value),
            5 => result.start_line = value as i64,
            _ => {}
        }
    }
    Ok((id, result))
}

fn label(message: &[u8], base: usize) -> Result<Label, Error> {
    let (mut key, mut text, mut number_value, mut unit) = (0, 0, 0, 0);
    let mut reader = Reader::new(message, base);
    while let Some((number, value)) = reader.field()? {
        let Value::Varint(value) = value else {
            continue;
        };
        match number {
            1 => key = value,
            2 => text = value,
            3 => number_value = value as i64,
            4 => unit = value,
            _ => {}
        }
    }
    let value = if text != 0 {
        LabelValue::Text(string(text))
    } else {
        LabelValue::Number(number_value, string(unit))
    };
    Ok(Label {
        key: string(key),
        value,
    })
}

/// Ids of messages in the order of their arrival. Nearly every writer counts from 1.
#[derive(Default)]
struct Ids {
    count: u32,
    /// Filled from the first id on that is not one more than the one before.
    sparse: Option<FxHashMap<u64, u32>>,
}

impl Ids {
    fn add(&mut self, id: u64, what: &'static str) -> Result<(), Error> {
        let index = self.count;
        self.count += 1;
        if id == 0 {
            return Err(Error::Dangling {
                what,
                index: index as usize,
                target: "id",
                id,
            });
        }
        if self.sparse.is_none() {
            if id == u64::from(self.count) {
                return Ok(());
            }
            self.sparse = Some((0..index).map(|i| (u64::from(i) + 1, i)).collect());
        }
        match self.sparse.as_mut().and_then(|ids| ids.insert(id, index)) {
            Some(_) => Err(Error::Twice { what, id }),
            None => Ok(()),
        }
    }

    #[inline]
    fn index(&self, id: u64) -> Option<u32> {
        match &self.sparse {
            None => (1..=u64::from(self.count))
                .contains(&id)
                .then(|| id as u32 - 1),
            Some(ids) => ids.get(&id).copied(),
        }
    }
}

fn check_strings(profile: &Profile) -> Result<(), Error> {
    let count = profile.strings.len() as u32;
    let check = |what, index: usize, ids: &[StringId]| match ids.iter().find(|id| id.0 >= count) {
        Some(id) => Err(Error::Dangling {
            what,
            index,
            target: "string",
            id: u64::from(id.0),
        }),
        None => Ok(()),
    };
    for (i, f) in profile.functions.iter().enumerate() {
        check("function", i, &[f.name, f.system_name, f.file])?;
    }
    for (i, m) in profile.mappings.iter().enumerate() {
        check("mapping", i, &[m.file, m.build_id])?;
    }
    for (i, t) in profile
        .sample_types
        .iter()
        .chain([&profile.period_type])
        .enumerate()
    {
        check("sample type", i, &[t.kind, t.unit])?;
    }
    for set in 0..profile.label_sets.len() {
        for label in profile.label_sets.get(crate::LabelSetId(set as u32)) {
            let (LabelValue::Text(value) | LabelValue::Number(_, value)) = label.value;
            check("label", set, &[label.key, value])?;
        }
    }
    check("comment", 0, &profile.comments)?;
    let single = [
        profile.default_sample_type,
        profile.drop_frames,
        profile.keep_frames,
        profile.doc_url,
    ];
    check("profile", 0, &single)
}
