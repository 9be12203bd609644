//! Writes profiles of OTLP as pprof. Entries of the dictionary keep their indices as ids, so most of a stack or location is
//! copied; strings are numbered again, because each profile has its own table.

use super::labels::{Attributes, LabelSet, add_indices, entry, message, text};
use super::messages::{Function, Mapping, Profile, Sample, Tables, ValueType};
use crate::status::{Code, Status};
use davy_profile::wire::{self, Reader, Value, Writer, repeated};
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// Attributes of a mapping that have a build id, the best one first.
const BUILD_IDS: [&str; 3] = [
    "process.executable.build_id.gnu",
    "process.executable.build_id.go",
    "process.executable.build_id.htlhash",
];

/// Converts profiles that share a dictionary, one after another.
pub(super) struct Transcoder<'a> {
    dictionary: &'a Tables<'a>,
    /// Number of bytes that all profiles may have.
    limit: usize,
    left: usize,
    /// Number of the profile, counted from 1.
    number: u32,
    /// The number of the last profile that has each entry.
    mappings: Vec<u32>,
    locations: Vec<u32>,
    functions: Vec<u32>,
    /// The same of the strings, with their number there.
    strings: Vec<(u32, u32)>,
    to: Output,
    /// Buffers.
    scratch: Writer,
    message: Writer,
    line: Writer,
    path: Vec<u64>,
}

/// A profile that is being written.
#[derive(Default)]
struct Output {
    /// Samples, mappings, locations and functions, in any order.
    messages: Writer,
    /// All strings but the empty one.
    texts: Writer,
    /// Number of strings.
    count: u32,
    /// Strings that are not in the dictionary.
    others: FxHashMap<String, u32>,
    /// The labels of each set of labels, once they are known.
    labels: FxHashMap<usize, Vec<Vec<u8>>>,
}

impl Output {
    fn len(&self) -> usize {
        self.messages.as_bytes().len() + self.texts.as_bytes().len()
    }

    /// Adds a string, and returns its number.
    fn add(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        self.count += 1;
        self.texts.bytes(6, text);
        self.count
    }

    /// The number of a string that is not in the dictionary.
    fn other(&mut self, text: &str) -> u64 {
        if let Some(known) = self.others.get(text) {
            return u64::from(*known);
        }
        let number = self.add(text.as_bytes());
        self.others.insert(text.to_owned(), number);
        u64::from(number)
    }
}

/// Whether an entry is new in this profile.
fn is_new(entries: &mut [u32], index: i32, number: u32) -> bool {
    std::mem::replace(&mut entries[index as usize], number) != number
}

fn damaged(index: i32, table: &str, error: wire::Error) -> Status {
    Status::invalid(format!(
        "invalid profile: entry {index} of {table}: {error}"
    ))
}

impl<'a> Transcoder<'a> {
    pub(super) fn new(dictionary: &'a Tables<'a>, limit: usize) -> Self {
        Self {
            dictionary,
            limit,
            left: limit,
            number: 0,
            mappings: vec![0; dictionary.mapping_table.len()],
            locations: vec![0; dictionary.location_table.len()],
            functions: vec![0; dictionary.function_table.len()],
            strings: vec![(0, 0); dictionary.string_table.len()],
            to: Output::default(),
            scratch: Writer::default(),
            message: Writer::default(),
            line: Writer::default(),
            path: Vec::new(),
        }
    }

    /// Some samples of a profile, each with the index of its labels in `sets`, as an uncompressed pprof.
    pub(super) fn profile(
        &mut self,
        profile: &Profile,
        samples: &[(&Sample, usize)],
        sets: &[LabelSet],
    ) -> Result<Vec<u8>, Status> {
        self.number += 1;
        self.to = Output::default();
        let (head, scale) = self.head(profile)?;
        for (sample, set) in samples {
            self.sample(sample, (*set, &sets[*set]), scale)?;
            if head.len() + self.to.len() > self.left {
                let limit = self.limit;
                return Err(Status::new(
                    Code::ResourceExhausted,
                    format!(
                        "the profiles of the request have more than {limit} bytes as pprof, the limit; split it"
                    ),
                ));
            }
        }
        let parts = [
            head.as_slice(),
            self.to.messages.as_bytes(),
            self.to.texts.as_bytes(),
        ];
        let body = parts.concat();
        self.left -= body.len();
        Ok(body)
    }

    /// The types, the time and the empty string of a profile, and what its values are multiplied by.
    fn head(&mut self, profile: &Profile) -> Result<(Vec<u8>, i64), Status> {
        let dictionary = self.dictionary;
        let names = |of: Option<&ValueType>| -> Result<(Cow<'a, str>, Cow<'a, str>), Status> {
            let of = of.cloned().unwrap_or_default();
            let kind = text(dictionary, of.type_strindex)?;
            Ok((kind, text(dictionary, of.unit_strindex)?))
        };
        let period = names(profile.period_type.as_ref())?;
        let is_cpu = (&*period.0, &*period.1) == ("cpu", "nanoseconds") && profile.period > 0;
        let kind = names(profile.sample_type.as_ref())?;
        let (kind, scale) = match (&*kind.0, &*kind.1) {
            ("samples" | "sample" | "events", "count") if is_cpu => {
                (period.clone(), profile.period)
            }
            ("", _) => {
                return Err(Status::invalid(
                    "invalid profile: the sample type has no name",
                ));
            }
            _ => (kind, 1),
        };
        let mut value_type = |(kind, unit): (Cow<'_, str>, Cow<'_, str>)| {
            let mut message = Writer::default();
            message.number(1, self.to.other(&kind));
            message.number(2, self.to.other(&unit));
            message
        };
        let mut head = Writer::default();
        head.bytes(1, value_type(kind).as_bytes());
        head.bytes(11, value_type(period).as_bytes());
        head.number(12, profile.period as u64);
        let (start, duration) = span(profile);
        head.number(9, start as u64);
        head.number(10, duration as u64);
        head.bytes(6, &[]);
        Ok((head.into_bytes(), scale))
    }

    fn sample(
        &mut self,
        sample: &Sample,
        (set, labels): (usize, &LabelSet),
        scale: i64,
    ) -> Result<(), Status> {
        let value = if sample.values.is_empty() {
            sample.timestamps_unix_nano.len() as i64
        } else {
            let values = sample.values.iter();
            values.fold(0i64, |sum, value| sum.saturating_add(*value))
        };
        self.stack(sample.stack_index)?;
        let (message, scratch) = (&mut self.message, &mut self.scratch);
        message.clear();
        message.packed(1, self.path.iter().copied(), scratch);
        let value = value.saturating_mul(scale);
        message.packed(2, [value as u64].into_iter(), scratch);
        if !labels.is_empty() {
            if !self.to.labels.contains_key(&set) {
                let labels = labels.iter().map(|(name, value)| {
                    let mut label = Writer::default();
                    label.number(1, self.to.other(name));
                    label.number(2, self.to.other(value));
                    label.into_bytes()
                });
                let labels: Vec<Vec<u8>> = labels.collect();
                self.to.labels.insert(set, labels);
            }
            for label in &self.to.labels[&set] {
                message.bytes(3, label);
            }
        }
        self.to.messages.bytes(2, message.as_bytes());
        Ok(())
    }

    /// Reads the locations of a stack, leaf first, to `path`.
    fn stack(&mut self, index: i32) -> Result<(), Status> {
        let table = "stack_table";
        self.path.clear();
        let Some(stack) = entry(&self.dictionary.stack_table, index, table)? else {
            return Ok(());
        };
        let mut reader = Reader::new(stack);
        let failed = |error| damaged(index, table, error);
        while let Some((field, value)) = reader.field().map_err(failed)? {
            if field == 1 {
                let end = reader.position();
                repeated(value, end, |location| self.path.push(location)).map_err(failed)?;
            }
        }
        // Index 0 means none.
        self.path.retain(|location| *location != 0);
        for at in 0..self.path.len() {
            self.location(self.path[at] as i32)?;
        }
        Ok(())
    }

    fn location(&mut self, index: i32) -> Result<(), Status> {
        let table = "location_table";
        let dictionary = self.dictionary;
        let Some(location) = entry(&dictionary.location_table, index, table)? else {
            return Ok(());
        };
        if !is_new(&mut self.locations, index, self.number) {
            return Ok(());
        }
        self.message.clear();
        self.message.number(1, index as u64);
        let mut reader = Reader::new(location);
        let failed = |error| damaged(index, table, error);
        while let Some((field, value)) = reader.field().map_err(failed)? {
            match (field, value) {
                (1, Value::Varint(mapping)) => {
                    self.mapping(mapping as i32)?;
                    self.message.number(2, mapping);
                }
                (2, Value::Varint(address)) => self.message.number(3, address),
                (3, Value::Bytes(line)) => {
                    let mut numbers = [0; 4];
                    let mut reader = Reader::new(line);
                    while let Some((field, value)) = reader.field().map_err(failed)? {
                        if let (1..=3, Value::Varint(number)) = (field, value) {
                            numbers[field as usize] = number;
                        }
                    }
                    // Index 0 means that the function is unknown.
                    if numbers[1] != 0 {
                        self.function(numbers[1] as i32)?;
                        self.line.clear();
                        for (field, number) in (1..).zip(&numbers[1..]) {
                            self.line.number(field, *number);
                        }
                        self.message.bytes(4, self.line.as_bytes());
                    }
                }
                _ => {}
            }
        }
        self.to.messages.bytes(4, self.message.as_bytes());
        Ok(())
    }

    fn function(&mut self, index: i32) -> Result<(), Status> {
        let (table, what) = (&self.dictionary.function_table, "function_table");
        if entry(table, index, what)?.is_none() || !is_new(&mut self.functions, index, self.number)
        {
            return Ok(());
        }
        let function: Function = message(table, index, what)?.unwrap_or_default();
        let mut message = Writer::default();
        message.number(1, index as u64);
        message.number(2, self.string(function.name_strindex)?);
        message.number(3, self.string(function.system_name_strindex)?);
        message.number(4, self.string(function.filename_strindex)?);
        message.number(5, function.start_line as u64);
        self.to.messages.bytes(5, message.as_bytes());
        Ok(())
    }

    fn mapping(&mut self, index: i32) -> Result<(), Status> {
        let dictionary = self.dictionary;
        let (table, what) = (&dictionary.mapping_table, "mapping_table");
        if entry(table, index, what)?.is_none() || !is_new(&mut self.mappings, index, self.number) {
            return Ok(());
        }
        let mapping: Mapping = message(table, index, what)?.unwrap_or_default();
        let mut attributes = Attributes::new();
        add_indices(&mut attributes, dictionary, &mapping.attribute_indices)?;
        let build_id = BUILD_IDS.iter().find_map(|name| attributes.get(*name));
        let mut message = Writer::default();
        message.number(1, index as u64);
        message.number(2, mapping.memory_start);
        message.number(3, mapping.memory_limit);
        message.number(4, mapping.file_offset);
        message.number(5, self.string(mapping.filename_strindex)?);
        message.number(6, self.to.other(build_id.map_or("", String::as_str)));
        self.to.messages.bytes(3, message.as_bytes());
        Ok(())
    }

    /// The number of a string of the dictionary in this profile.
    fn string(&mut self, index: i32) -> Result<u64, Status> {
        let Some(text) = entry(&self.dictionary.string_table, index, "string_table")? else {
            return Ok(0);
        };
        let (last, known) = &mut self.strings[index as usize];
        if *last != self.number {
            *last = self.number;
            *known = self.to.add(text);
        }
        Ok(u64::from(*known))
    }
}

/// Start and duration of a profile: as it states them, or those of its timestamps.
fn span(profile: &Profile) -> (i64, i64) {
    let nanos = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
    if profile.time_unix_nano > 0 {
        return (nanos(profile.time_unix_nano), nanos(profile.duration_nano));
    }
    let all = || {
        let samples = profile.samples.iter();
        samples.flat_map(|of| &of.timestamps_unix_nano)
    };
    let (first, last) = (all().min(), all().max());
    let first = first.copied().unwrap_or(0);
    let length = last.copied().unwrap_or(0).saturating_sub(first);
    (nanos(first), nanos(profile.duration_nano.max(length)))
}
