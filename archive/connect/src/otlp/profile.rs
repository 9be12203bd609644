//! Builds profiles from the dictionary of OTLP. Each has what its samples refer to, in the order of the first use.

use super::labels::{Attributes, LabelSet, Texts, entry, message};
use super::messages::{Mapping, Tables, ValueType};
use super::samples::{RawProfile, Sample, Samples};
use crate::status::{Code, Status};
use davy_archive::ingest::Format;
use davy_archive::labels::TIME;
use davy_profile::wire::{self, Reader, Value};
use davy_profile::{
    Function, Label, LabelSetId, LabelValue, Limits, Line, Location, NodeId, Profile, StackBuilder,
    StringId, truncate,
};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Attributes of a mapping that have a build id, the best one first.
const BUILD_IDS: [&str; 3] = [
    "process.executable.build_id.gnu",
    "process.executable.build_id.go",
    "process.executable.build_id.htlhash",
];
/// Maximum number of labels of a sample.
const LABELS: usize = davy_profile::pprof::LABELS;

/// The entries of a table that the current profile has.
struct Known<T> {
    /// The number of the last profile that has each entry, and what it is there.
    entries: Vec<(u32, T)>,
}

impl<T: Copy + Default> Known<T> {
    fn new(table: &[&[u8]]) -> Self {
        Self {
            entries: vec![(0, T::default()); table.len()],
        }
    }

    /// What an entry is in the profile of this number.
    #[inline]
    fn get(&self, index: i32, number: u32) -> Option<T> {
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        (entry.0 == number).then_some(entry.1)
    }

    fn set(&mut self, index: i32, number: u32, is: T) {
        self.entries[index as usize] = (number, is);
    }
}

/// Builds profiles that share a dictionary, one after another.
pub(super) struct Builder<'a> {
    tables: &'a Tables<'a>,
    limits: Limits,
    /// Number of bytes that all profiles may have.
    bytes: usize,
    left: usize,
    /// What is left before the current profile.
    left_before: usize,
    /// Number of the profile, counted from 1.
    number: u32,
    mappings: Known<u32>,
    locations: Known<u32>,
    functions: Known<u32>,
    strings: Known<StringId>,
    /// The node of each stack, and whether it was shortened.
    stacks: Known<(NodeId, bool)>,
    profile: Profile,
    path: StackBuilder,
    /// Strings that are not taken from the dictionary.
    others: FxHashMap<Arc<str>, StringId>,
}

fn damaged(index: i32, table: &str, error: wire::Error) -> Status {
    Status::invalid(format!(
        "invalid profile: entry {index} of {table}: {error}"
    ))
}

fn refused(error: davy_profile::Error) -> Status {
    davy_archive::Error::from(error).into()
}

impl<'a> Builder<'a> {
    pub(super) fn new(tables: &'a Tables<'a>, bytes: usize, limits: Limits) -> Self {
        Self {
            tables,
            limits,
            bytes,
            left: bytes,
            left_before: bytes,
            number: 0,
            mappings: Known::new(&tables.mapping_table),
            locations: Known::new(&tables.location_table),
            functions: Known::new(&tables.function_table),
            strings: Known::new(&tables.string_table),
            stacks: Known::new(&tables.stack_table),
            profile: Profile::new(),
            path: StackBuilder::new(&limits),
            others: FxHashMap::default(),
        }
    }

    /// Counts bytes that a profile takes over from the request.
    fn take(&mut self, bytes: usize) -> Result<(), Status> {
        let Some(left) = self.left.checked_sub(bytes) else {
            let limit = self.bytes;
            return Err(Status::new(
                Code::ResourceExhausted,
                format!(
                    "the profiles of the request take more than {limit} bytes once each includes its part of the dictionary; \
                     split the request"
                ),
            ));
        };
        self.left = left;
        Ok(())
    }

    /// Begins a profile whose labels have this number of bytes.
    pub(super) fn begin(&mut self, bytes: usize) -> Result<(), Status> {
        self.number += 1;
        self.left_before = self.left;
        self.profile = Profile::new();
        self.path = StackBuilder::new(&self.limits);
        self.others.clear();
        self.take(bytes)
    }

    /// The profile of some of the samples.
    pub(super) fn profile(
        &mut self,
        texts: &mut Texts<'a>,
        of: &RawProfile<'_>,
        all: &Samples,
        samples: &[Sample],
    ) -> Result<Format, Status> {
        let scale = self.head(texts, of, all)?;
        self.profile.samples.stacks.reserve_exact(samples.len());
        self.profile.samples.labels.reserve_exact(samples.len());
        self.profile.samples.values.reserve_exact(samples.len());
        // A sample of a real program adds about eight nodes.
        let nodes = (samples.len() * 8).min(self.limits.nodes).min(1 << 16);
        self.profile.stacks.reserve(nodes);
        let mut sets: FxHashMap<u32, (LabelSetId, Vec<Label>)> = FxHashMap::default();
        for sample in samples {
            self.take(size_of::<Sample>())?;
            let stack = self.stack(texts, sample.stack)?;
            let (set, labels) = match sets.entry(sample.set) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let labels = self.labels(&all.sets[sample.set as usize])?;
                    new.insert((self.profile.label_sets.intern(&labels), labels))
                }
            };
            let mut set = *set;
            if sample.time != 0 {
                set = self.timed(labels, sample.time)?;
            }
            let value = sample.value.saturating_mul(scale);
            self.profile.add_sample(stack, set, &[value]);
        }
        Ok(Format::Profile {
            profile: Box::new(std::mem::take(&mut self.profile)),
            bytes: self.left_before - self.left,
        })
    }

    /// Adds the types and the time of a profile, and returns what its values are multiplied by.
    fn head(
        &mut self,
        texts: &mut Texts<'_>,
        of: &RawProfile<'_>,
        samples: &Samples,
    ) -> Result<i64, Status> {
        let mut names = |of: &ValueType| -> Result<_, Status> {
            Ok((texts.text(of.type_strindex)?, texts.text(of.unit_strindex)?))
        };
        let period = names(&of.period_type)?;
        let kind = names(&of.sample_type)?;
        let is_cpu = (&*period.0, &*period.1) == ("cpu", "nanoseconds") && of.period > 0;
        let (kind, scale) = match (&*kind.0, &*kind.1) {
            ("samples" | "sample" | "events", "count") if is_cpu => (&period, of.period),
            ("", _) => {
                return Err(Status::invalid(
                    "invalid profile: the sample type has no name",
                ));
            }
            _ => (&kind, 1),
        };
        let mut value_type = |of: &(Arc<str>, Arc<str>)| -> Result<_, Status> {
            let (kind, unit) = (self.other(&of.0)?, self.other(&of.1)?);
            Ok(davy_profile::ValueType { kind, unit })
        };
        let (kind, period_type) = (value_type(kind)?, value_type(&period)?);
        self.profile.sample_types.push(kind);
        self.profile.period_type = period_type;
        self.profile.period = of.period;
        // A profile that does not state its time has that of its timestamps.
        let (start, duration) = match of.start {
            0 => (samples.first, of.duration.max(samples.last - samples.first)),
            start => (start, of.duration),
        };
        let nanos = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
        self.profile.time_nanos = nanos(start);
        self.profile.duration_nanos = nanos(duration);
        Ok(scale)
    }

    fn labels(&mut self, set: &LabelSet) -> Result<Vec<Label>, Status> {
        if set.len() > LABELS {
            return Err(refused(davy_profile::Error::TooMany {
                what: "labels of one sample",
                got: set.len(),
                limit: LABELS,
            }));
        }
        self.take(set.len() * size_of::<Label>())?;
        let labels = set.iter().map(|(name, value)| {
            let (key, value) = (self.other(name)?, self.other(value)?);
            let value = LabelValue::Text(value);
            Ok(Label { key, value })
        });
        labels.collect()
    }

    /// The labels of an observation at this time.
    fn timed(&mut self, labels: &[Label], time: i64) -> Result<LabelSetId, Status> {
        self.take((labels.len() + 1) * size_of::<Label>())?;
        let (key, unit) = (
            self.other(&TIME.into())?,
            self.other(&"nanoseconds".into())?,
        );
        let value = LabelValue::Number(time, unit);
        let labels = [labels, &[Label { key, value }]].concat();
        Ok(self.profile.label_sets.intern(&labels))
    }

    /// The node of a stack.
    fn stack(&mut self, texts: &mut Texts<'a>, index: i32) -> Result<NodeId, Status> {
        let table = "stack_table";
        if let Some((node, is_shortened)) = self.stacks.get(index, self.number) {
            self.profile.truncated.stacks += u64::from(is_shortened);
            return Ok(node);
        }
        let Some(stack) = entry(&self.tables.stack_table, index, table)? else {
            return Ok(NodeId::ROOT);
        };
        self.take(stack.len())?;
        let failed = |error| damaged(index, table, error);
        let mut reader = Reader::new(stack);
        while let Some((field, value)) = reader.field().map_err(failed)? {
            match (field, value) {
                (1, Value::Varint(location)) => self.step(texts, location as i32)?,
                (1, Value::Bytes(locations)) => {
                    let mut locations = Reader::new(locations);
                    while !locations.is_at_end() {
                        let location = locations.varint().map_err(failed)?;
                        self.step(texts, location as i32)?;
                    }
                }
                _ => {}
            }
        }
        let of = self.path.finish(&mut self.profile).map_err(refused)?;
        self.stacks.set(index, self.number, of);
        Ok(of.0)
    }

    /// Adds a location to the stack, unless its index is 0, which means none.
    #[inline]
    fn step(&mut self, texts: &mut Texts<'a>, index: i32) -> Result<(), Status> {
        let location = match self.locations.get(index, self.number) {
            Some(known) => Some(known),
            None => self.location(texts, index)?,
        };
        if let Some(location) = location {
            self.path.push(location);
        }
        Ok(())
    }

    fn location(&mut self, texts: &mut Texts<'a>, index: i32) -> Result<Option<u32>, Status> {
        let table = "location_table";
        let Some(bytes) = entry(&self.tables.location_table, index, table)? else {
            return Ok(None);
        };
        self.take(bytes.len() + size_of::<Location>())?;
        let failed = |error| damaged(index, table, error);
        let mut location = Location {
            first_line: self.profile.lines.len() as u32,
            ..Location::default()
        };
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.field().map_err(failed)? {
            match (field, value) {
                (1, Value::Varint(mapping)) => {
                    location.mapping = self.mapping(texts, mapping as i32)?;
                }
                (2, Value::Varint(address)) => location.address = address,
                (3, Value::Bytes(line)) => {
                    let [_, function, line, column] = numbers(line).map_err(failed)?;
                    if let Some(function) = self.function(function as i32)? {
                        self.profile.lines.push(Line {
                            function,
                            line: line as i64,
                            column: column as i64,
                        });
                        location.line_count += 1;
                    }
                }
                _ => {}
            }
        }
        let at = self.profile.locations.len() as u32;
        self.profile.locations.push(location);
        self.locations.set(index, self.number, at);
        Ok(Some(at))
    }

    fn function(&mut self, index: i32) -> Result<Option<u32>, Status> {
        if let Some(known) = self.functions.get(index, self.number) {
            return Ok(Some(known));
        }
        let table = "function_table";
        let Some(bytes) = entry(&self.tables.function_table, index, table)? else {
            return Ok(None);
        };
        self.take(bytes.len() + size_of::<Function>())?;
        let [_, name, system_name, file, start_line] =
            numbers(bytes).map_err(|error| damaged(index, table, error))?;
        let function = Function {
            name: self.string(name as i32)?,
            system_name: self.string(system_name as i32)?,
            file: self.string(file as i32)?,
            start_line: start_line as i64,
        };
        let at = self.profile.functions.len() as u32;
        self.profile.functions.push(function);
        self.functions.set(index, self.number, at);
        Ok(Some(at))
    }

    fn mapping(&mut self, texts: &mut Texts<'a>, index: i32) -> Result<Option<u32>, Status> {
        if let Some(known) = self.mappings.get(index, self.number) {
            return Ok(Some(known));
        }
        let (table, what) = (&self.tables.mapping_table, "mapping_table");
        let Some(mapping) = message::<Mapping>(table, index, what)? else {
            return Ok(None);
        };
        self.take(table[index as usize].len() + size_of::<davy_profile::Mapping>())?;
        let mut attributes = Attributes::new();
        texts.add_indices(&mut attributes, &mapping.attribute_indices)?;
        let build_id = BUILD_IDS.iter().find_map(|name| attributes.get(*name));
        let mapping = davy_profile::Mapping {
            start: mapping.memory_start,
            limit: mapping.memory_limit,
            file_offset: mapping.file_offset,
            file: self.string(mapping.filename_strindex)?,
            build_id: build_id.map_or(Ok(StringId(0)), |id| self.other(id))?,
            ..davy_profile::Mapping::default()
        };
        let at = self.profile.mappings.len() as u32;
        self.profile.mappings.push(mapping);
        self.mappings.set(index, self.number, at);
        Ok(Some(at))
    }

    /// A string of the dictionary. Some profilers cut names within a character.
    fn string(&mut self, index: i32) -> Result<StringId, Status> {
        if let Some(known) = self.strings.get(index, self.number) {
            return Ok(known);
        }
        let Some(bytes) = entry(&self.tables.string_table, index, "string_table")? else {
            return Ok(StringId(0));
        };
        let id = match std::str::from_utf8(bytes) {
            Ok(text) => self.add(text)?,
            Err(_) => self.add(&String::from_utf8_lossy(bytes))?,
        };
        self.strings.set(index, self.number, id);
        Ok(id)
    }

    /// A string of a type or a label.
    fn other(&mut self, text: &Arc<str>) -> Result<StringId, Status> {
        if let Some(known) = self.others.get(text) {
            return Ok(*known);
        }
        let id = self.add(text)?;
        self.others.insert(Arc::clone(text), id);
        Ok(id)
    }

    fn add(&mut self, text: &str) -> Result<StringId, Status> {
        if text.is_empty() {
            return Ok(StringId(0));
        }
        self.take(text.len())?;
        let limit = self.limits.string;
        self.profile.truncated.strings += u64::from(text.len() > limit);
        Ok(self.profile.strings.push(&truncate::name(text, limit)))
    }
}

/// The numbers of a message by their fields, of those below `N`.
fn numbers<const N: usize>(message: &[u8]) -> Result<[u64; N], wire::Error> {
    let mut numbers = [0; N];
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.field()? {
        if let Value::Varint(number) = value
            && let Some(to) = numbers.get_mut(field as usize)
        {
            *to = number;
        }
    }
    Ok(numbers)
}
