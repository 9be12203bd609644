//! Reads a profile of OTLP and its samples, without the stacks.

use super::labels::{Attributes, LabelSet, Texts, labels};
use super::messages::ValueType;
use crate::status::Status;
use davy_profile::Limits;
use davy_profile::wire::{self, Reader, Value, repeated};
use prost::Message as _;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The attribute that can differ between the samples of a profile.
const SERVICE: &str = "service.name";

/// Maximum number of labels in all sets of labels of a profile. In memory a label takes many times its size in a message.
const LABELS_OF_SETS: usize = 1_000_000;

/// A profile whose samples are not decoded.
#[derive(Default)]
pub(super) struct RawProfile<'a> {
    pub(super) sample_type: ValueType,
    pub(super) period_type: ValueType,
    pub(super) period: i64,
    /// Nanoseconds since the Unix epoch, 0 if it is not stated.
    pub(super) start: u64,
    pub(super) duration: u64,
    pub(super) id: &'a [u8],
    pub(super) attributes: Vec<i32>,
    samples: Vec<&'a [u8]>,
}

fn malformed(error: wire::Error) -> Status {
    Status::invalid(format!("invalid profile: {error}"))
}

fn value_type(bytes: &[u8]) -> Result<ValueType, Status> {
    ValueType::decode(bytes)
        .map_err(|error| Status::invalid(format!("invalid type of a profile: {error}")))
}

impl<'a> RawProfile<'a> {
    pub(super) fn read(profile: &'a [u8]) -> Result<Self, Status> {
        let mut of = Self::default();
        let mut reader = Reader::new(profile);
        while let Some((field, value)) = reader.field().map_err(malformed)? {
            match (field, value) {
                (1, Value::Bytes(bytes)) => of.sample_type = value_type(bytes)?,
                (2, Value::Bytes(bytes)) => of.samples.push(bytes),
                (3, Value::Fixed(nanos)) => of.start = nanos,
                (4, Value::Varint(nanos)) => of.duration = nanos,
                (5, Value::Bytes(bytes)) => of.period_type = value_type(bytes)?,
                (6, Value::Varint(period)) => of.period = period as i64,
                (7, Value::Bytes(bytes)) => of.id = bytes,
                (11, value) => {
                    let push = |index| of.attributes.push(index as i32);
                    repeated(value, reader.position(), push).map_err(malformed)?;
                }
                _ => {}
            }
        }
        Ok(of)
    }
}

/// A sample, or one of its observations.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    /// Index of its stack in the dictionary.
    pub(super) stack: i32,
    /// Index of its labels.
    pub(super) set: u32,
    pub(super) value: i64,
    /// Nanoseconds since the Unix epoch; 0 if it is not known, or does not belong to a span.
    pub(super) time: i64,
}

/// The samples of a profile by the service that they name.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) services: Vec<(Option<Arc<str>>, Vec<Sample>)>,
    /// The sets of labels to which samples refer.
    pub(super) sets: Vec<LabelSet>,
    /// The first and the last timestamp, 0 if there is none.
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The fields of a sample.
#[derive(Default)]
struct Fields {
    stack: i32,
    /// Indices of its attributes, then that of its link.
    key: Vec<i32>,
    values: Vec<i64>,
    times: Vec<u64>,
}

impl Fields {
    fn read(&mut self, sample: &[u8]) -> Result<(), wire::Error> {
        self.stack = 0;
        self.key.clear();
        self.values.clear();
        self.times.clear();
        let mut link = 0;
        let mut reader = Reader::new(sample);
        while let Some((field, value)) = reader.field()? {
            let end = reader.position();
            match (field, value) {
                (1, Value::Varint(index)) => self.stack = index as i32,
                (2, value) => repeated(value, end, |index| self.key.push(index as i32))?,
                (3, Value::Varint(index)) => link = index as i32,
                (4, value) => repeated(value, end, |value| self.values.push(value as i64))?,
                (5, Value::Fixed(time)) => self.times.push(time),
                (5, Value::Bytes(packed)) => {
                    let (times, rest) = packed.as_chunks::<8>();
                    if !rest.is_empty() {
                        return Err(wire::Error {
                            problem: "truncated number",
                            offset: end,
                        });
                    }
                    self.times
                        .extend(times.iter().map(|time| u64::from_le_bytes(*time)));
                }
                _ => {}
            }
        }
        self.key.push(link);
        Ok(())
    }

    fn link(&self) -> i32 {
        self.key.last().copied().unwrap_or(0)
    }

    /// The sum of the values. A sample without values counts its timestamps.
    fn value(&self) -> i64 {
        if self.values.is_empty() {
            return self.times.len() as i64;
        }
        let values = self.values.iter();
        values.fold(0, |sum: i64, value| sum.saturating_add(*value))
    }
}

fn check(what: &'static str, got: usize, limit: usize) -> Result<(), Status> {
    if got <= limit {
        return Ok(());
    }
    let error = davy_profile::Error::TooMany { what, got, limit };
    Err(davy_archive::Error::from(error).into())
}

impl Samples {
    /// Reads the samples of a profile. Those with the same attributes and link have the same service and labels.
    pub(super) fn read(
        profile: &RawProfile<'_>,
        texts: &mut Texts<'_>,
        limits: &Limits,
    ) -> Result<Self, Status> {
        let mut all = Self::default();
        let mut services: FxHashMap<Option<Arc<str>>, usize> = FxHashMap::default();
        // The service and the labels by the key of a sample.
        let mut known: FxHashMap<Box<[i32]>, (usize, u32)> = FxHashMap::default();
        let mut last = (Vec::new(), (0, 0));
        let mut fields = Fields::default();
        let (mut count, mut label_count) = (0, 0);
        for sample in &profile.samples {
            fields.read(sample).map_err(malformed)?;
            if last.0 != fields.key {
                let found = if let Some(found) = known.get(&*fields.key) {
                    *found
                } else {
                    let mut attributes = Attributes::new();
                    let indices = &fields.key[..fields.key.len() - 1];
                    texts.add_indices(&mut attributes, indices)?;
                    texts.add_link(&mut attributes, fields.link())?;
                    let name = attributes.remove(SERVICE).filter(|name| !name.is_empty());
                    let service = *services.entry(name).or_insert_with_key(|name| {
                        all.services.push((name.clone(), Vec::new()));
                        all.services.len() - 1
                    });
                    let set = labels(&attributes);
                    label_count += set.len();
                    check("labels of samples", label_count, LABELS_OF_SETS)?;
                    all.sets.push(set);
                    let found = (service, all.sets.len() as u32 - 1);
                    known.insert(fields.key.as_slice().into(), found);
                    found
                };
                last.0.clone_from(&fields.key);
                last.1 = found;
            }
            let (service, set) = last.1;
            let samples = &mut all.services[service].1;
            let before = samples.len();
            add(&fields, set, samples);
            count += samples.len() - before;
            check("samples", count, limits.samples)?;
            for time in &fields.times {
                all.last = all.last.max(*time);
                all.first = match all.first {
                    0 => *time,
                    first => first.min(*time),
                };
            }
        }
        Ok(all)
    }
}

/// Adds a sample: the observations of a span one by one with their times, of other samples the sum.
fn add(fields: &Fields, set: u32, to: &mut Vec<Sample>) {
    let sample = |value, time: u64| Sample {
        stack: fields.stack,
        set,
        value,
        time: i64::try_from(time).unwrap_or(0),
    };
    let (values, times) = (&fields.values, &fields.times);
    if fields.link() == 0 || times.is_empty() {
        to.push(sample(fields.value(), 0));
    } else if values.is_empty() {
        to.extend(times.iter().map(|time| sample(1, *time)));
    } else if values.len() == times.len() {
        let pairs = values.iter().zip(times);
        to.extend(pairs.map(|(value, time)| sample(*value, *time)));
    } else {
        // One value of several observations.
        to.push(sample(fields.value(), times[0]));
    }
}
